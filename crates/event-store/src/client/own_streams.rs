//! Streams of a process's own, which outlive their deletion under another name.

use super::EventStore;
use crate::{EventStoreError, OwnStream};
use futures::TryStreamExt;
use std::pin::pin;

impl EventStore {
    /// The first of a stream's names that nobody has closed.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn own_stream(&self, base: &str) -> Result<OwnStream, EventStoreError> {
        let mut stream = OwnStream::first(base);
        while self.is_closed(stream.name()).await? {
            stream = stream.successor();
        }
        Ok(stream)
    }

    /// Whether somebody has closed the stream for good.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn is_closed(&self, stream: &str) -> Result<bool, EventStoreError> {
        let mut newest = pin!(self.read_stream_backwards(stream, None, 1));
        match newest.try_next().await {
            Ok(_) => Ok(false),
            Err(EventStoreError::Deleted) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
