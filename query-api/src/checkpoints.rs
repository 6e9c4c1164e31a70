//! How far the projections have come, as this process knows it, and requests that wait for them.

mod shown;
mod waiters;

use crate::answer::failed_read;
use crate::freshness::{Freshness, MinPosition, Reached, is_in_sight};
use crate::places::Places;
use event_store::{EventStore, LogId, Position};
use http_boundary::{Health, Problem, process};
use shown::Shown;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Acquire, Connection, PgPool};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The channel on which projections announce, as `name:version:shard:position`.
const ADVANCED: &str = "projection_advanced";
/// The channel on which it is announced that a projection's versions have changed.
const VERSIONS: &str = "projection_versions";
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// After how long without a word the database is asked whether it is still there, and how soon it must say so.
const PING_AFTER: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

macro_rules! read_models {
    ($($model:ident = $name:literal),+ $(,)?) => {
        /// A projection whose tables we read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ReadModel {
            $($model),+
        }

        impl ReadModel {
            const ALL: [Self; [$($name),+].len()] = [$(Self::$model),+];

            /// The projection's name.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$model => $name,)+
                }
            }
        }
    };
}

// Each of them, and its projection's name.
read_models! {
    Products = "products",
    Carts = "carts",
    Orders = "orders",
    Stock = "stock",
    Sales = "sales",
    AnalyticsSales = "analytics_sales",
    AnalyticsOrders = "analytics_orders",
    AnalyticsCarts = "analytics_carts",
    AnalyticsStock = "analytics_stock",
    Trail = "trail",
}

impl ReadModel {
    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }
}

/// How far the version that serves has come, in each of its shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    version: i32,
    /// The log whose places its positions are; none if nobody knows, or if that log has lost its end.
    log_id: Option<LogId>,
    shards: Vec<Option<Position>>,
}

impl Served {
    /// Which version it is.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// The log that it shows.
    pub fn log_id(&self) -> Option<LogId> {
        self.log_id
    }

    /// Whether it has come to this place in this log.
    fn has_come_to(&self, log_id: LogId, wanted: Position) -> bool {
        self.log_id == Some(log_id) && self.position() >= Some(wanted)
    }

    /// The position up to which all of it is true at least.
    fn position(&self) -> Option<Position> {
        self.shards.iter().copied().min().flatten()
    }
}

/// The checkpoints in one database. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Checkpoints {
    pool: PgPool,
    store: EventStore,
    /// The name of this part in `/readyz`.
    part: &'static str,
    shown: Arc<[Shown; ReadModel::ALL.len()]>,
    /// For those who wait for a position.
    waiting: Places,
    /// When the last look began that somebody asked for; locked while it is under way.
    last_load: Arc<Mutex<Option<Instant>>>,
    /// Whether the listener is connected, so that the positions are the newest.
    is_listening: watch::Sender<bool>,
}

impl Checkpoints {
    pub fn new(
        part: &'static str,
        pool: PgPool,
        store: EventStore,
        health: &Health,
        waiting: Places,
    ) -> Self {
        health.is_ill(part, "not connected yet");
        Self {
            pool,
            store,
            part,
            shown: Arc::new(std::array::from_fn(|_| Shown::default())),
            waiting,
            last_load: Arc::default(),
            is_listening: watch::Sender::new(false),
        }
    }

    /// Waits until the read model is as fresh as is wanted; at once if nothing is.
    ///
    /// # Errors
    /// 503 `position-not-reached` when the projection is not there in time, or at once when the log is not nearly so long; 503
    /// `read-model-of-another-log` while it shows another log than the present one, 409 `position-of-another-log` when the
    /// position is none of this log; 429 `too-many-live-pages` or 503 `overloaded` when too many wait.
    pub async fn reach(&self, model: ReadModel, freshness: Freshness) -> Result<Reached, Problem> {
        // Its rows are places in the log.
        let is_all_places = model == ReadModel::Trail;
        if freshness.wanted.is_none() && !is_all_places {
            return Ok(self.as_it_is(model, freshness).await);
        }
        let log_id = freshness.log_id(&self.store).await?;
        let wanted = match freshness.wanted {
            None => None,
            Some(MinPosition::At(position)) => Some(position),
            Some(MinPosition::Head) => {
                let before = self.current(model).await.position();
                let head = self.store.head().await.map_err(failed_read)?;
                // What has been applied is in the log, unless that was restored from a backup.
                if before > head {
                    return Err(freshness.of_another_log());
                }
                head
            }
        };
        if self.shows_another_log(model, log_id).await {
            return Err(freshness.of_another_log());
        }
        let Some(wanted) = wanted else { return Ok(self.as_it_is(model, freshness).await) };
        let shown = self.shown(model);
        // Most of what is wanted is there, and then nobody waits.
        if let Some(reached) = shown.has_reached(log_id, wanted) {
            return Ok(freshness.reached(Some(reached)).in_log(Some(log_id)));
        }
        self.see(model, freshness, wanted).await?;
        let _place = self.waiting.take(freshness.asker)?;
        let reached = shown.reach(log_id, wanted);
        if let Ok(position) = tokio::time::timeout(freshness.patience(), reached).await {
            return Ok(freshness.reached(position).in_log(Some(log_id)));
        }
        // Perhaps we have only lost the connection that would have told us.
        let served = self.current(model).await;
        if served.has_come_to(log_id, wanted) {
            return Ok(freshness.reached(served.position()).in_log(Some(log_id)));
        }
        Err(freshness.not_reached(wanted, served.position()))
    }

    /// Sees to it that the position may be reached soon. The log is asked only when the read model is far from it.
    async fn see(&self, model: ReadModel, freshness: Freshness, wanted: Position) -> Result<(), Problem> {
        let served = self.position(model);
        if is_in_sight(wanted, served) || is_in_sight(wanted, self.store.head().await.map_err(failed_read)?) {
            return Ok(());
        }
        Err(freshness.out_of_sight(wanted, served))
    }

    /// Sees to it that the read model shows the present log: its rows' positions are compared with places in it.
    ///
    /// # Errors
    /// 503 `read-model-of-another-log` while it does not.
    pub async fn show_this_log(&self, model: ReadModel, freshness: Freshness) -> Result<(), Problem> {
        let log_id = freshness.log_id(&self.store).await?;
        if self.shows_another_log(model, log_id).await { Err(freshness.of_another_log()) } else { Ok(()) }
    }

    async fn as_it_is(&self, model: ReadModel, freshness: Freshness) -> Reached {
        let served = self.current(model).await;
        freshness.reached(served.position()).in_log(served.log_id)
    }

    /// Whether what serves was filled from another log, and has not made way yet for what is being filled from this one.
    async fn shows_another_log(&self, model: ReadModel, log_id: LogId) -> bool {
        let served = self.current(model).await;
        served.position().is_some() && served.log_id != Some(log_id)
    }

    /// What is known to serve. Asks the database only while nobody tells us.
    async fn current(&self, model: ReadModel) -> Served {
        if !*self.is_listening.borrow()
            && let Err(error) = self.load_for_all().await
        {
            // The query that follows meets the same trouble and reports it.
            tracing::debug!(%error, "the checkpoints cannot be read");
        }
        self.shown(model).served.borrow().clone()
    }

    /// Loads, once for all who ask meanwhile: with the database away they would take its connections from each other.
    async fn load_for_all(&self) -> Result<(), sqlx::Error> {
        let asked = Instant::now();
        let mut begun = self.last_load.lock().await;
        if begun.is_some_and(|begun| begun >= asked) {
            return Ok(());
        }
        *begun = Some(Instant::now());
        self.load().await
    }

    /// How far it has come, as far as is known here.
    pub fn position(&self, model: ReadModel) -> Option<Position> {
        self.shown(model).served.borrow().position()
    }

    /// Changes whenever it has moved on.
    pub fn moves(&self, model: ReadModel) -> watch::Receiver<Served> {
        self.shown(model).served.subscribe()
    }

    fn shown(&self, model: ReadModel) -> &Shown {
        &self.shown[model as usize]
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
            let lacks_tables = lost.as_ref().is_err_and(lacks_tables);
            let error = lost.map_or_else(|error| process::with_causes(&error), |()| "it hung up".to_owned());
            if lacks_tables {
                tracing::debug!("the projections have not made their tables yet");
            } else if !is_logged {
                warn!(error, "the database is away; trying again until it is back");
                is_logged = true;
            }
            health.is_ill(self.part, error);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(LAST_RETRY);
        }
    }

    /// Ends when the connection is lost.
    async fn listen(&self, health: &Health, is_logged: &mut bool) -> Result<(), sqlx::Error> {
        // Of its own: a connection on which nothing comes any more is never given back.
        let own = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let own = own.connect_lazy_with((*self.pool.connect_options()).clone());
        let mut listener = PgListener::connect_with(&own).await?;
        listener.eager_reconnect(false);
        listener.listen_all([ADVANCED, VERSIONS]).await?;
        // What moved before we listened was announced to nobody. A database that crashed may even have gone back.
        self.shown.iter().for_each(|shown| shown.replace(Served::default()));
        self.load().await?;
        self.is_listening.send_replace(true);
        health.is_well(self.part);
        if std::mem::take(is_logged) {
            info!("the database is back");
        }
        loop {
            let Ok(received) = tokio::time::timeout(PING_AFTER, listener.try_recv()).await else {
                // A machine that has lost its power does not hang up.
                ping(&mut listener).await?;
                continue;
            };
            let Some(notification) = received? else { return Ok(()) };
            if notification.channel() == VERSIONS {
                self.load().await?;
                continue;
            }
            match shown::announced(notification.payload()) {
                Some(announced) => self.shown(announced.model).raise(&announced),
                None => tracing::debug!(payload = notification.payload(), "not a checkpoint of ours"),
            }
        }
    }

    /// Which versions serve, and how far they have come.
    async fn load(&self) -> Result<(), sqlx::Error> {
        let rows = sqlx::query!(
            r#"SELECT v.name, v.version, v.shards, v.log_id, c.shard AS "shard?", c.position,
                      v.is_lost OR coalesce(bool_or(c.log_seems_short) OVER (PARTITION BY v.name, v.version), false)
                          AS "is_lost!"
               FROM projection_versions AS v LEFT JOIN projection_checkpoints AS c USING (name, version)
               WHERE v.state = 'serving'"#
        )
        .fetch_all(&self.pool)
        .await?;
        let mut serving: HashMap<ReadModel, Served> = HashMap::new();
        for row in rows {
            let Some(model) = ReadModel::of(&row.name) else { continue };
            let shards = vec![None; usize::try_from(row.shards).unwrap_or(1)];
            let log_id = row.log_id.filter(|_| !row.is_lost).map(LogId::new);
            let served = serving.entry(model).or_insert(Served { version: row.version, log_id, shards });
            let shard = row.shard.and_then(|shard| usize::try_from(shard).ok());
            if let Some(known) = shard.and_then(|shard| served.shards.get_mut(shard)) {
                *known = row.position.and_then(|position| u64::try_from(position).ok()).map(Position::new);
            }
        }
        for (model, served) in serving {
            self.shown(model).replace(served);
        }
        Ok(())
    }
}

/// Whether the connection still carries anything; no statement is run for that.
async fn ping(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let asking = async { listener.acquire().await?.ping().await };
    let silent = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it says nothing"));
    tokio::time::timeout(ANSWER_WITHIN, asking).await.map_err(silent)?
}

/// At a shop's first start the queries may be there before the projections have made the tables, and after an update before
/// these have their new columns.
fn lacks_tables(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "42P01" | "42703"))
}

#[cfg(test)]
mod tests;
