//! Our vocabulary over the official EventStoreDB (KurrentDB) client.
//!
//! The service knows streams, revisions, positions and the metadata that every event of ours carries. The
//! official client's types appear in `client` only, which also mends what that client lacks: it is rebuilt when
//! the node went away, subscriptions start again after the last event that was delivered, and an append whose
//! answer was lost is asked again with the same event ids, which the server answers as the first time.

mod away;
mod client;
mod error;
mod event;
mod imports;
mod lag;
mod lock;
mod log_identity;
mod metadata;
mod own_stream;
mod position;
mod raw;
mod rights;
mod skip;
mod stream_name;
mod time;

pub use away::Away;
pub use client::{EventStore, PATIENCE, Session, UnmendedClient};
pub use error::{AppendError, EventStoreError, InvalidConnectionString, NagleError};
pub use event::{Appended, ExpectedRevision, NewEvent, RecordedEvent, SubscriptionItem};
pub use imports::{IMPORT_HAS_NOT_ENDED, Imports, Origin};
pub use lag::Lag;
pub use lock::{Lock, NotLocked};
pub use log_identity::{LOG_IDENTITY_STREAM, LogId, LogIdentity, is_of_log_identity};
pub use metadata::Metadata;
pub use own_stream::OwnStream;
pub use position::Position;
pub use raw::{RawEvent, RawRecord, TOMBSTONE_REVISION, TOMBSTONE_TYPE};
pub use rights::{MissingRights, Need, Right};
pub use skip::{EVENT_SKIPPED, Skip, Skips};
pub use stream_name::{InvalidStreamName, MAX_STREAM_NAME_BYTES, check_stream_name};
pub use time::{read_time, without_leap_second};

/// Bytes of payload and metadata that one append may have in all: the server's own default limit is 1 MiB, and
/// some of that goes into names and framing.
pub const MAX_APPEND_BYTES: usize = 900 * 1024;
