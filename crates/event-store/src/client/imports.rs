//! Marks in the log of what is imported into it: a log that holds only the beginning of a history is used by nobody.

use super::EventStore;
use crate::imports::{ImportBegun, ImportEnded, Origin};
use crate::{EventStoreError, LogIdentity};

impl EventStore {
    /// Says in the log that a file is about to be imported. From then on no service uses the log, until
    /// [`EventStore::end_import`] says that everything is there. If the log has no id yet, it gets one first.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses to be written to.
    pub async fn begin_import(&self, origin: &Origin) -> Result<(), EventStoreError> {
        loop {
            let (stream, found, expected) = self.find_identity().await?;
            match found {
                None => self.give_identity(&stream, expected).await?,
                Some(identity) if identity.imports().has_begun(origin) => return Ok(()),
                Some(_) => {
                    let begun = ImportBegun { origin: origin.clone() };
                    self.say_of_the_log(&stream, expected, ImportBegun::TYPE, &begun).await?;
                }
            }
        }
    }

    /// Says in the log that all events of a file are there, and gives what the log says of itself then. Nothing is written if
    /// it is said already.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses to be written to.
    pub async fn end_import(&self, origin: &Origin, events: u64) -> Result<LogIdentity, EventStoreError> {
        loop {
            let (stream, found, expected) = self.find_identity().await?;
            match found {
                None => self.give_identity(&stream, expected).await?,
                Some(identity) if is_said(&identity, origin) => return Ok(identity),
                Some(_) => {
                    let ended = ImportEnded { origin: origin.clone(), events };
                    self.say_of_the_log(&stream, expected, ImportEnded::TYPE, &ended).await?;
                }
            }
        }
    }
}

/// Whether the log says that the file was imported to its end, or is the log itself that the file is of.
fn is_said(log: &LogIdentity, origin: &Origin) -> bool {
    let imports = log.imports();
    let is_of_itself = origin.of.is_some_and(|of| log.is_or_was(of));
    !imports.has_begun(origin) && (imports.has_ended(origin) || is_of_itself)
}
