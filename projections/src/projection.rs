//! What a projection is: a name, a version, the events that it wants, and what they mean for its tables.

use crate::fact::{Fact, UnreadableFact};
use event_store::RecordedEvent;
use sqlx::PgConnection;
use std::future::Future;
use std::time::Duration;
use thiserror::Error;

/// In which database a projection's tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In the shop's.
    Shop,
    /// In that of analytics, which is the shop's unless another one is given.
    Analytics,
}

/// A read model that follows the log.
///
/// Its tables are written by nobody else, and only inside the transaction that moves its checkpoint. `apply` does
/// no I/O but through that transaction, so to fill the tables again has no other effect.
pub trait Projection: Copy + Default + Send + Sync + 'static {
    /// The name of its checkpoint.
    const NAME: &'static str;
    /// The version of its rules: changes whenever the same events would give other rows.
    const VERSION: i32;
    /// The event types that it wants, each as a beginning of whole words: `cart` is every cart event,
    /// `order.paid` is that fact in any version. A version that this program does not know is thus wanted too,
    /// and stops the projection, instead of being passed over.
    const WANTS: &'static [&'static str];
    /// All its tables. No other projection writes them.
    const TABLES: &'static [&'static str];
    /// The column of every table that says of which stream a row is; none where rows add up over streams.
    const STREAM_COLUMN: Option<&'static str>;
    /// Where its tables are.
    const HOME: Home = Home::Shop;
    /// How long its worker rests between two transactions at least, while events come without end. Nobody waits for
    /// analytics or the audit trail within a purchase, and few large batches cost the database far less than many
    /// small ones.
    const LEAST_REST: Duration = Duration::ZERO;

    /// Writes what these events mean. They come in the order of the log, each exactly once.
    fn apply(
        &self,
        transaction: &mut PgConnection,
        facts: &[Fact],
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Reads an event that it wants.
    ///
    /// # Errors
    /// When the event is not as this program knows it: its stream is parked.
    fn read(event: &RecordedEvent) -> Result<Fact, UnreadableFact> {
        Fact::read(event)
    }

    /// Whether it wants an event; looks at names only. An event whose type and stream are of different
    /// categories is not ours.
    #[must_use]
    fn wants(event: &RecordedEvent) -> bool {
        let is_of_type = |wanted: &&str| {
            event.event_type.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Self::WANTS.iter().any(is_of_type) && event.event_type.split('.').next() == Some(event.category())
    }
}

/// Why events could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("the read model could not be written")]
    Database(#[from] sqlx::Error),
    #[error("the value of a column could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the event at position {position} speaks of the order {order_id}, which was never placed")]
    UnknownOrder { order_id: domain::OrderId, position: i64 },
}

impl ApplyError {
    /// Whether it is the events that cannot be applied, and not the database that is in trouble: another try gives the
    /// same.
    #[must_use]
    pub fn is_about_events(&self) -> bool {
        match self {
            Self::Json(_) | Self::UnknownOrder { .. } => true,
            Self::Database(sqlx::Error::Encode(_)) => true,
            // Values that no column takes, and rows that break a rule of their table.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Database(_) => false,
        }
    }
}
