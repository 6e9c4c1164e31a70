//! The official client as it is, for measuring it: nothing is tried again and nothing is rebuilt.

use super::appends::state;
use super::nagle::Nagle;
use super::raw::encode;
use super::translate::failed_read;
use crate::{AppendError, EventStoreError, ExpectedRevision, InvalidConnectionString, NagleError, RawEvent};
use eventstore::{
    AppendToStreamOptions, BatchAppendClient, BatchAppendOptions, Client, ClientSettings, Error,
    ReadAllOptions, ReadStreamOptions, StreamPosition, SubscribeToAllOptions, SubscriptionEvent,
};
use std::sync::Arc;

/// The official client without our mending: what a benchmark must measure.
#[derive(Clone)]
pub struct UnmendedClient {
    client: Client,
    nagle: Arc<Nagle>,
}

impl UnmendedClient {
    /// A client of the event store at this address.
    ///
    /// # Errors
    /// When the address does not have the form of an EventStoreDB connection string.
    pub fn connect(connection_string: &str) -> Result<Self, InvalidConnectionString> {
        let invalid = |reason: String| InvalidConnectionString { reason };
        let settings =
            connection_string.parse::<ClientSettings>().map_err(|error| invalid(error.to_string()))?;
        let nagle = Arc::new(Nagle::of(&settings));
        let client = Client::new(settings).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { client, nagle })
    }

    /// Sets TCP_NODELAY on the client's connection, which must have brought an answer already, as [`EventStore`] does.
    ///
    /// [`EventStore`]: crate::EventStore
    ///
    /// # Errors
    /// When the connection is not found among the process's sockets, or cannot be changed.
    pub async fn switch_nagle_off(&self) -> Result<(), NagleError> {
        self.nagle.switch_off().await.map(|_| ())
    }

    /// Appends with a call of its own.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<RawEvent>,
    ) -> Result<(), AppendError> {
        let events = events.into_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let options = AppendToStreamOptions::default().stream_state(state(expected));
        self.client
            .append_to_stream(stream, &options, events)
            .await
            .map(|_| ())
            .map_err(|error| failed(&error))
    }

    /// Opens a session for batch appends.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn session(&self) -> Result<Session, AppendError> {
        let session = self.client.batch_append(&BatchAppendOptions::default()).await;
        Ok(Session(session.map_err(|error| failed(&error))?))
    }

    /// Asks for a stream that does not exist: a round trip that touches no event.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn round_trip(&self) -> Result<(), EventStoreError> {
        let options = ReadStreamOptions::default().max_count(1);
        let asked = match self.client.read_stream("no-such-stream", &options).await {
            Ok(mut events) => events.next().await.map(|_| ()),
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) | Err(Error::ResourceNotFound) => Ok(()),
            Err(error) => Err(failed_read(&error)),
        }
    }

    /// Reads the log forwards, at most so many events, and counts them and their bytes of data and metadata.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn count_log(&self, max: u64) -> Result<(u64, u64), EventStoreError> {
        let options = ReadAllOptions::default().position(StreamPosition::Start).forwards();
        let options = options.max_count(usize::try_from(max).unwrap_or(usize::MAX));
        let mut events = self.client.read_all(&options).await.map_err(|error| failed_read(&error))?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(event) = events.next().await.map_err(|error| failed_read(&error))? {
            let event = event.get_original_event();
            count += 1;
            bytes += (event.data.len() + event.custom_metadata.len()) as u64;
        }
        Ok((count, bytes))
    }

    /// Subscribes to the log from its start, and counts events until so many have come or all have.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn count_subscribed(&self, max: u64) -> Result<u64, EventStoreError> {
        let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
        let mut subscription = self.client.subscribe_to_all(&options).await;
        let mut count = 0;
        while count < max {
            match subscription.next_subscription_event().await.map_err(|error| failed_read(&error))? {
                SubscriptionEvent::EventAppeared(_) => count += 1,
                SubscriptionEvent::CaughtUp(..) => break,
                _ => {}
            }
        }
        Ok(count)
    }
}

/// A session for batch appends: one stream of requests that many writers share.
pub struct Session(BatchAppendClient);

impl Session {
    /// Appends over the session.
    ///
    /// # Errors
    /// Whatever the client says; the session has ended then.
    pub async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<RawEvent>,
    ) -> Result<(), AppendError> {
        let events = events.into_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let appended = self.0.append_to_stream(stream, state(expected), events).await;
        appended.map(|_| ()).map_err(|error| failed(&error))
    }
}

fn failed(error: &Error) -> AppendError {
    match error {
        Error::WrongExpectedVersion { .. } => AppendError::Conflict,
        error => AppendError::Unknown(error.to_string()),
    }
}
