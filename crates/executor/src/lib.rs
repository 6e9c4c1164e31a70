//! Runs commands: read the stream, fold, decide, append at the expected revision.
//!
//! Each stream has one writer in this process. Commands queue up behind it, and what queued while an append was
//! in flight is decided together and appended as one batch. The state stays in memory, so a warm command costs
//! no read. Other processes are kept out by the expected revision: on a conflict, or when the outcome of an
//! append is not known, the stream is read again and everything is decided again.
//!
//! A command with an idempotency key leaves its mark in the stream, also when it changes nothing: then a marker that
//! means nothing to the aggregate. So every process knows for ever what it was answered. Anybody can ask for what changes
//! nothing, so a stream takes no more than [`MAX_NOTED`] such marks of callers who are not the operator.
//!
//! Each event that is read is held against the chain of its stream (`guard`). A stream with an event that cannot be read,
//! or that no shop has written there, is parked ([`ParkedStreams`]): commands for it are refused until the operator has the
//! event passed over, by a marker in the same stream, or a program comes that can read it.
//!
//! Stock's streams grow with every order that a SKU ever had: snapshots keep loading them fast.

mod batch;
mod fingerprint;
mod follow;
mod guard;
mod loaded;
mod news;
mod parked;
mod reader;
mod skip;
mod snapshot;
mod stream;
mod streams;
mod unreadable;

pub use fingerprint::Fingerprint;
pub use parked::{ParkedStream, ParkedStreams};
pub use reader::Reader;
pub use skip::SkipError;
pub use snapshot::{is_of_snapshots, is_snapshot_part};
pub use streams::Streams;
pub use unreadable::{Described, Fault, Unreadable};

use guard::Guard;
use snapshot::Snapshots;

use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::cart::Cart;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::product::Product;
use event_store::{EventStore, EventStoreError, Metadata, Position, RecordedEvent};
use http_boundary::{Caller, Turns};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

macro_rules! executor {
    ($($field:ident: $aggregate:ty = $warm:literal $(with $snapshots:expr)?;)+) => {
        /// The streams of all aggregates.
        pub struct Executor {
            $(pub $field: Streams<$aggregate>,)+
            /// Streams among them that cannot be read.
            pub parked: Arc<ParkedStreams>,
            writers: Writers,
        }

        impl Executor {
            /// An executor with nothing in memory yet.
            #[must_use]
            pub fn new(store: &EventStore, writers: Writers) -> Self {
                let (guard, parked) = (Guard::default(), Arc::<ParkedStreams>::default());
                let room = Arc::new(Semaphore::new(LARGE_STATES_PARTS));
                let (store, long_reads) = (store.clone(), reader::turns());
                let shared = Shared { store, writers, guard, parked: Arc::clone(&parked), room, long_reads };
                Self {
                    $($field: {
                        const WARM: NonZeroUsize = NonZeroUsize::new($warm).expect("not zero");
                        Streams::new(shared.clone(), WARM)$(.with_snapshots($snapshots))?
                    },)+
                    parked,
                    writers,
                }
            }

            fn was_written(&self, event: &RecordedEvent) {
                $(self.$field.was_written(event);)+
            }

            /// Has the event passed over at which a stream is parked. Twice is once.
            ///
            /// # Errors
            /// When the stream is not parked there, or the store cannot be asked.
            pub async fn skip(
                &self,
                stream: &str,
                revision: u64,
                reason: &str,
                envelope: &Envelope,
            ) -> Result<Accepted, SkipError> {
                let wanted = (revision, reason);
                let skipped = match stream.split_once('-').map(|(category, _)| category) {
                    $(Some(<$aggregate>::CATEGORY) => self.$field.skip(stream, wanted, envelope).await,)+
                    _ => Err(SkipError::NotParked { stream: stream.to_owned() }),
                }?;
                self.parked.free(stream);
                Ok(skipped)
            }
        }
    };
}

// Each aggregate, and how many of its streams stay in memory.
executor! {
    products: Product = 50_000;
    stock: Inventory = 20_000 with Snapshots::OF_STOCK;
    carts: Cart = 4_000;
    orders: Order = 4_000;
}

/// What all streams of an executor share.
#[derive(Clone)]
struct Shared {
    store: EventStore,
    writers: Writers,
    guard: Guard,
    parked: Arc<ParkedStreams>,
    /// For the parts of large states that wait in memory.
    room: Arc<Semaphore>,
    /// For clients that have long streams read.
    long_reads: Turns,
}

/// Markers of commands that changed nothing that a stream takes from anybody.
pub const MAX_NOTED: u32 = 1_000;

/// Parts of all large states that stay in memory together: 100 to 500 bytes each.
const LARGE_STATES_PARTS: usize = 100_000;

/// Who else writes to the event store, and so how far a state in memory can be trusted. An append is safe in any
/// case: the expected revision guards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: what is in memory is what is in the store.
    OnlyUs,
    /// Other processes too. A command is refused only on a state that was read after the command came; a state that
    /// is only looked at may be so old, unless the log is [followed](Executor::follow).
    Others { max_staleness: Duration },
}

/// Who asks, when, and under which identity: what goes into the metadata of the command's events.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The same for a repeated request with the same idempotency key.
    pub command_id: Uuid,
    /// The same for everything of one purchase.
    pub correlation_id: Uuid,
    /// What the command follows from.
    pub causation_id: Uuid,
    pub actor: String,
    pub occurred_at: DateTime<Utc>,
    /// Of the request, when it came with an idempotency key; else none, and the command is not remembered: its decision
    /// is idempotent by itself.
    pub fingerprint: Fingerprint,
}

impl Envelope {
    fn is_of_operator(&self) -> bool {
        self.actor == Caller::Operator.name()
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            command_id: self.command_id,
            actor: self.actor.clone(),
            occurred_at: self.occurred_at,
            fingerprint: self.fingerprint.as_str().to_owned(),
            more: false,
        }
    }
}

/// The answer to a command that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The stream's revision after the command.
    pub revision: u64,
    /// A position of the log at or after the command's last event: a read model that has reached it shows the
    /// command's effect.
    pub position: Position,
    /// Whether the command had been taken before, under the same idempotency key.
    pub replayed: bool,
}

/// Why a command was not taken.
#[derive(Debug, Clone, Error)]
pub enum ExecuteError<R: std::error::Error + 'static> {
    /// A rule says no.
    #[error("{0}")]
    Rejected(#[source] R),
    /// The idempotency key came before, with another body.
    #[error("the idempotency key was used before with another request: use a new key")]
    KeyReused,
    /// The command changes nothing, as did so many others with an idempotency key of their own.
    #[error(
        "{max} commands with an idempotency key have changed nothing here: no more of them are remembered"
    )]
    NotedTooOften { max: u32 },
    /// The command makes more bytes of events than one append may have.
    #[error("the request is too large to be taken at once: send it in parts")]
    TooLarge,
    /// Too many commands wait for this stream, or too many others write to it.
    #[error("the stream `{stream}` is contended: try again")]
    Contended { stream: String },
    /// The event store did not answer, or does not let its user do this.
    #[error("the event store has not taken it")]
    Store(#[source] EventStoreError),
    /// The stream has an event that cannot be read.
    #[error(transparent)]
    Unreadable(Arc<Unreadable>),
}

/// Why a state cannot be looked at.
pub type ViewError = ExecuteError<std::convert::Infallible>;

impl ViewError {
    /// The same failure, for a command.
    #[must_use]
    pub fn of_command<R: std::error::Error>(self) -> ExecuteError<R> {
        match self {
            Self::Rejected(never) => match never {},
            Self::KeyReused => ExecuteError::KeyReused,
            Self::NotedTooOften { max } => ExecuteError::NotedTooOften { max },
            Self::TooLarge => ExecuteError::TooLarge,
            Self::Contended { stream } => ExecuteError::Contended { stream },
            Self::Store(error) => ExecuteError::Store(error),
            Self::Unreadable(at) => ExecuteError::Unreadable(at),
        }
    }
}
