//! What the log runs short of without being broken: room on the disk, and descriptors for its files.

use std::io::ErrorKind;

use connection_limits::{PerSecond, descriptors};

use super::StorageError;
use super::change::WriteError;

static LINES_WITHOUT_DESCRIPTORS: PerSecond = PerSecond::once();

/// Whether the disk is full, or what this user may have of it.
pub fn is_lack_of_room(error: &StorageError) -> bool {
    let StorageError::Database(fjall::Error::Io(error)) = error else { return false };
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether a change was refused because no file can be opened.
pub fn is_shortage(error: &WriteError) -> bool {
    matches!(error, WriteError::Storage(error) if descriptors::is_behind(error))
}

/// For `/readyz`, and for the log at most once a second.
pub fn note_no_descriptors() {
    descriptors::note_shortage();
    if let Some(times) = LINES_WITHOUT_DESCRIPTORS.line() {
        tracing::warn!(
            times,
            "the process has no descriptor left for the event store's files: events are refused until it has; raise its \
             limit for open files (ulimit -n)"
        );
    }
}
