//! How far the projections have come, as this process knows it, and requests that wait for them.

use crate::answer::failed_read;
use crate::parameters::MinPosition;
use event_store::{EventStore, Position};
use http_boundary::{Health, Problem, process};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The channel on which projections announce, as `name:version:position`.
const CHANNEL: &str = "projection_advanced";
/// How long a request waits for its `min-position`.
const WAIT_AT_MOST: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// The name of this part in `/readyz`.
const PART: &str = "queries: database";

/// A projection whose tables we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadModel {
    Products,
    Carts,
    Orders,
    Stock,
    Sales,
}

impl ReadModel {
    const ALL: [Self; 5] = [Self::Products, Self::Carts, Self::Orders, Self::Stock, Self::Sales];

    /// The name and the version of its checkpoint.
    fn checkpoint(self) -> (&'static str, i32) {
        match self {
            Self::Products => ("products", 1),
            Self::Carts => ("carts", 1),
            Self::Orders => ("orders", 1),
            Self::Stock => ("stock", 1),
            Self::Sales => ("sales", 1),
        }
    }

    fn of(name: &str, version: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.checkpoint() == (name, version))
    }
}

/// The checkpoints. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Checkpoints {
    pool: PgPool,
    store: EventStore,
    positions: Arc<[watch::Sender<Option<Position>>; 5]>,
    /// Whether the listener is connected, so that the positions are the newest.
    is_listening: watch::Sender<bool>,
}

impl Checkpoints {
    pub fn new(pool: PgPool, store: EventStore, health: &Health) -> Self {
        health.is_ill(PART, "not connected yet");
        Self {
            pool,
            store,
            positions: Arc::new(std::array::from_fn(|_| watch::Sender::new(None))),
            is_listening: watch::Sender::new(false),
        }
    }

    /// A position up to which the read model is true at least; waits for `wanted` if it is given.
    ///
    /// # Errors
    /// 503 `position-not-reached` when the projection is not there in time.
    pub async fn reach(
        &self,
        model: ReadModel,
        wanted: Option<MinPosition>,
    ) -> Result<Option<Position>, Problem> {
        let wanted = match wanted {
            None => None,
            Some(MinPosition::At(position)) => Some(position),
            Some(MinPosition::Head) => self.store.head().await.map_err(failed_read)?,
        };
        let Some(wanted) = wanted else { return Ok(self.current(model).await) };
        let mut position = self.sender(model).subscribe();
        let reached = async {
            let reached = position.wait_for(|position| *position >= Some(wanted)).await;
            reached.ok().and_then(|reached| *reached)
        };
        if let Ok(reached) = tokio::time::timeout(WAIT_AT_MOST, reached).await {
            return Ok(reached);
        }
        // Perhaps we have only lost the connection that would have told us.
        match self.current(model).await {
            Some(current) if current >= wanted => Ok(Some(current)),
            current => Err(not_reached(wanted, current)),
        }
    }

    /// The newest position that is known. Asks the database only while nobody tells us.
    async fn current(&self, model: ReadModel) -> Option<Position> {
        if !*self.is_listening.borrow()
            && let Err(error) = self.load().await
        {
            // The query that follows meets the same trouble and reports it.
            tracing::debug!(%error, "the checkpoints cannot be read");
        }
        *self.sender(model).borrow()
    }

    fn sender(&self, model: ReadModel) -> &watch::Sender<Option<Position>> {
        &self.positions[model as usize]
    }

    /// Listens until told to stop; connects again when the connection is lost.
    pub async fn follow(&self, health: &Health, stop: &CancellationToken) {
        let mut delay = FIRST_RETRY;
        let mut is_logged = false;
        loop {
            let lost = tokio::select! {
                () = stop.cancelled() => return,
                lost = self.listen(health, &mut is_logged) => lost,
            };
            if *self.is_listening.borrow() {
                delay = FIRST_RETRY;
            }
            self.is_listening.send_replace(false);
            let has_no_tables = lost.as_ref().is_err_and(is_undefined_table);
            let error = lost.map_or_else(|error| process::with_causes(&error), |()| "it hung up".to_owned());
            if has_no_tables {
                tracing::debug!("the projections have not made their tables yet");
            } else if !is_logged {
                warn!(error, "the database is away; trying again until it is back");
                is_logged = true;
            }
            health.is_ill(PART, error);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(LAST_RETRY);
        }
    }

    /// Ends when the connection is lost.
    async fn listen(&self, health: &Health, is_logged: &mut bool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        // What moved before we listened was announced to nobody. A database that crashed may even have gone back.
        self.positions.iter().for_each(|position| {
            position.send_replace(None);
        });
        self.load().await?;
        self.is_listening.send_replace(true);
        health.is_well(PART);
        if std::mem::take(is_logged) {
            info!("the database is back");
        }
        while let Some(notification) = listener.try_recv().await? {
            match announced(notification.payload()) {
                Some((model, position)) => self.raise(model, position),
                None => tracing::debug!(payload = notification.payload(), "not a checkpoint of ours"),
            }
        }
        Ok(())
    }

    async fn load(&self) -> Result<(), sqlx::Error> {
        let checkpoints = sqlx::query!("SELECT name, version, position FROM projection_checkpoints")
            .fetch_all(&self.pool)
            .await?;
        for row in checkpoints {
            let position = row.position.and_then(|position| u64::try_from(position).ok());
            if let (Some(model), Some(position)) = (ReadModel::of(&row.name, row.version), position) {
                self.raise(model, Position::new(position));
            }
        }
        Ok(())
    }

    fn raise(&self, model: ReadModel, position: Position) {
        self.sender(model).send_if_modified(|known| {
            let is_new = Some(position) > *known;
            if is_new {
                *known = Some(position);
            }
            is_new
        });
    }
}

/// At a shop's first start the queries may be there before the projections have made the tables.
fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "42P01")
}

fn announced(payload: &str) -> Option<(ReadModel, Position)> {
    let mut parts = payload.split(':');
    let model = ReadModel::of(parts.next()?, parts.next()?.parse().ok()?)?;
    Some((model, parts.next()?.parse().ok()?))
}

pub fn not_reached(wanted: Position, reached: Option<Position>) -> Problem {
    Problem::new(
        axum::http::StatusCode::SERVICE_UNAVAILABLE,
        "position-not-reached",
        "The read model has not come that far yet",
        format!("Position {wanted} was not reached in time: ask again in a moment."),
    )
    .with("wanted", wanted.value())
    .with("reached", reached.map(Position::value))
    .retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_announcements_of_the_versions_that_it_serves() {
        assert_eq!(announced("stock:1:0"), Some((ReadModel::Stock, Position::new(0))));
        assert_eq!(
            announced("sales:1:18446744073709551615"),
            Some((ReadModel::Sales, Position::new(u64::MAX)))
        );
        for foreign in ["", "stock", "stock:1", "stock:2:7", "stock:1:-7", "weather:1:7"] {
            assert_eq!(announced(foreign), None, "{foreign}");
        }
    }
}
