//! A client for a while, which leaves nothing behind.
//!
//! The official client (kurrentdb 1.2.0) starts a task that keeps the connection and waits for messages of which it holds a
//! sender itself: so both last as long as the runtime. A client that is made for one purpose gets a runtime of its own,
//! with one thread, and all of it ends together. Each call goes from thread to thread, so it is not for the busy ones.

use eventstore::{Client, ClientSettings, Error};
use std::ops::Deref;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A client whose connection ends with it.
pub(super) struct ClientApart {
    client: Client,
    /// The runtime ends when this is dropped.
    _end: oneshot::Sender<()>,
}

impl ClientApart {
    /// # Errors
    /// When the settings name files that cannot be read, or there is no thread to be had.
    pub fn new(settings: ClientSettings) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::InitializationError(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let client = Client::with_runtime_handle(runtime.handle().clone(), settings);
        let client = client.map_err(|error| failed(&error))?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("event-store-client".to_owned());
        // It ends with an error, because nothing is ever sent.
        let started = thread.spawn(move || drop(runtime.block_on(ended)));
        started.map_err(|error| failed(&error))?;
        Ok(Self { client, _end: end })
    }
}

impl Deref for ClientApart {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
