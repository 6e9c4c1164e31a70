//! Letting go of the beginning of a stream.

use super::EventStore;
use super::translate::failed_write;
use crate::AppendError;
use eventstore::{AppendToStreamOptions, StreamMetadata};

impl EventStore {
    /// Hides the events of a stream before a revision; a scavenge may take them away. For streams of a process's own:
    /// the stream's metadata says nothing else afterwards.
    ///
    /// # Errors
    /// [`AppendError::Unknown`] when no answer came, [`AppendError::Refused`] when the store does not take it.
    pub async fn truncate_before(&self, stream: &str, revision: u64) -> Result<(), AppendError> {
        let (generation, client) = self.client().map_err(|(_, error)| AppendError::Unknown(error))?;
        let metadata = StreamMetadata { truncate_before: Some(revision), ..StreamMetadata::default() };
        let options = AppendToStreamOptions::default();
        match client.set_stream_metadata(stream, &options, &metadata).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed_write(self.failed(generation, &error))),
        }
    }
}
