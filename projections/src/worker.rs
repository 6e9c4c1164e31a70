//! One task for each share of a projection: from the subscription to the tables.

mod ended;

use crate::checkpoint::{StepError, hold, load, try_own};
use crate::gathering::Gathering;
use crate::pace::Pace;
use crate::parking::{self, Park};
use crate::priority;
use crate::projection::Projection;
use crate::provenance;
use crate::share::Share;
use crate::status::{State, Status};
use crate::step::{Batch, step};
use ended::Ended;
use event_store::{EventStore, EventStoreError, Position, SubscriptionItem};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http_boundary::process::with_causes;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often a second runner looks whether the first one has ended.
const TAKE_OVER_INTERVAL: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How long a transaction that is under way may take when the service stops; what is not committed then is
/// applied again at the next start.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs one share of a projection.
pub struct Worker<P> {
    projection: P,
    share: Share,
    store: EventStore,
    database: PgConnectOptions,
    status: watch::Sender<Status>,
    /// Counts up whenever somebody has looked at parked streams.
    asked: watch::Receiver<u64>,
}

/// A transaction under way. It owns the connection and hands it back with the outcome.
type Writing<'a> = BoxFuture<'a, Written>;

/// A transaction that has ended.
struct Written {
    connection: PgConnection,
    outcome: Result<Vec<Park>, StepError>,
    upto: i64,
    count: usize,
}

impl<P: Projection> Worker<P> {
    /// A worker that connects when it runs.
    pub fn new(
        projection: P,
        share: Share,
        store: EventStore,
        database: PgConnectOptions,
        asked: watch::Receiver<u64>,
    ) -> Self {
        let database = database
            .application_name(&format!("emporium-projection-{}", P::NAME))
            // While another version serves, this one's tables are in a schema of their own.
            .options([("synchronous_commit", "off"), ("search_path", &format!("{},public", share.schema()))])
            // A batch that gives way to others may take its time: nothing is wrong then.
            .disable_statement_logging();
        let status = watch::Sender::new(Status::new(share));
        Self { projection, share, store, database, status, asked }
    }

    /// What it says of itself, now and later.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Works until it is told to stop, or must: then its status says why. While the database is away it tries
    /// again.
    pub async fn run(self, stop: CancellationToken) {
        let mut delay = FIRST_RETRY;
        let mut is_away = false;
        loop {
            let before = self.status.borrow().position;
            let ended = match self.session(&stop).await {
                Ok(()) => {
                    self.set_state(State::Stopped);
                    return;
                }
                Err(ended) => ended,
            };
            let error = with_causes(&ended);
            if !ended.is_passing() {
                error!(projection = P::NAME, error, "the projection has stopped");
                self.set_state(State::Failed { error });
                return;
            }
            if self.status.borrow().position != before {
                (delay, is_away) = (FIRST_RETRY, false);
            }
            if matches!(ended, Ended::Step(StepError::Gone { .. })) {
                // The supervisor is about to end this, unless a version of the same number is made.
                self.set_state(State::Starting);
            } else {
                if !is_away {
                    warn!(projection = P::NAME, error, "the database is away; trying again until it is back");
                    is_away = true;
                }
                self.set_state(State::DatabaseAway { error });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(LAST_RETRY);
        }
    }

    /// From the stored checkpoint on, as long as the database answers.
    async fn session(&self, stop: &CancellationToken) -> Result<(), Ended> {
        let opened = async {
            let mut connection = PgConnection::connect_with(&self.database).await?;
            priority::share(&mut connection).await?;
            while !try_own(&mut connection, &self.share).await? {
                if self.set_state(State::Waiting) {
                    info!(projection = P::NAME, "another runner is at work; waiting to take over");
                }
                tokio::time::sleep(TAKE_OVER_INTERVAL).await;
            }
            let position = load(&mut connection, &self.share).await?;
            Ok::<_, StepError>((connection, position))
        };
        let (mut connection, mut from) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = opened => opened?,
        };
        match stop.run_until_cancelled(self.look_for_what_was_applied(&mut connection, from)).await {
            None => return Ok(()),
            Some(found) => found?,
        }
        info!(
            projection = P::NAME,
            version = self.share.version,
            shard = self.share.shard,
            ?from,
            "projecting"
        );
        self.status.send_modify(|status| {
            status.position = from.and_then(position_of);
            status.state = State::Running;
        });
        let mut asked = self.asked.clone();
        loop {
            asked.mark_unchanged();
            // A version of the same number may have taken the place of this one.
            hold(&mut connection, &self.share, from).await?;
            self.take_up_what_is_asked(&mut connection, from).await?;
            let followed = self.follow(connection, from, &mut asked, stop).await?;
            let Some((back, reached)) = followed else { return Ok(()) };
            (connection, from) = (back, reached);
        }
    }

    /// Whether the log still has what was applied. As long as that is not known, queries of this version are answered like
    /// those of another log's.
    async fn look_for_what_was_applied(
        &self,
        connection: &mut PgConnection,
        from: Option<i64>,
    ) -> Result<(), Ended> {
        let Some(reached) = from.and_then(position_of) else { return Ok(()) };
        let seems_short = !self.store.goes_to(reached).await?;
        provenance::note_whether_the_log_seems_short(connection, &self.share, seems_short).await?;
        if seems_short {
            let error = format!(
                "the log does not go as far as position {reached} that was applied last: it was restored from a backup, or the \
                 event store's node is behind the others; that is decided within seconds"
            );
            warn!(projection = P::NAME, version = self.share.version, error);
            self.set_state(State::LogSeemsShort { error });
        }
        if !provenance::has_what_was_applied(connection, &self.store, &self.share, reached).await? {
            return Err(Ended::Lost(reached));
        }
        if seems_short {
            provenance::note_whether_the_log_seems_short(connection, &self.share, false).await?;
        }
        Ok(())
    }

    /// Tries the parked streams again that somebody has looked at.
    async fn take_up_what_is_asked(
        &self,
        connection: &mut PgConnection,
        from: Option<i64>,
    ) -> Result<(), Ended> {
        for asked in parking::asked(connection, &self.share).await? {
            let taken_up =
                parking::take_up(&self.projection, connection, &self.store, &self.share, (&asked, from));
            match taken_up.await? {
                None => info!(projection = P::NAME, ?asked, "a parked stream follows again"),
                Some(still) => self.warn_of(&still),
            }
        }
        Ok(())
    }

    fn warn_of(&self, park: &Park) {
        warn!(
            projection = P::NAME,
            version = self.share.version,
            stream = park.stream,
            revision = park.revision,
            event_type = park.event_type,
            error = park.error,
            "a stream is parked: what is wrong with this event?"
        );
    }

    /// Gathers from the subscription while a transaction is under way, and begins the next one when the
    /// subscription has nothing more at the moment, or there is enough. Ends when told to stop (none), or when
    /// somebody has looked at parked streams.
    async fn follow(
        &self,
        mut connection: PgConnection,
        mut from: Option<i64>,
        asked: &mut watch::Receiver<u64>,
        stop: &CancellationToken,
    ) -> Result<Option<(PgConnection, Option<i64>)>, Ended> {
        let parked = parking::parked(&mut connection, &self.share).await?;
        self.status.send_modify(|status| status.parked = parked.len());
        // By its contract the subscription never ends; should it, that must be seen.
        let ended = SubscriptionItem::Disconnected {
            error: EventStoreError::Unavailable("the subscription has ended".to_owned()),
        };
        let ended = futures::stream::once(std::future::ready(ended));
        let mut events = Box::pin(self.store.subscribe_all(from.and_then(position_of)).chain(ended));
        let mut gathering = Gathering::<P>::new(self.share, from, parked);
        let mut idle = Some(connection);
        let mut writing: Option<Writing<'_>> = None;
        let mut pace = Pace::new();
        loop {
            let pause = pace.pause(&gathering);
            tokio::select! {
                // The order matters: first all that is there is gathered, then a transaction begins.
                biased;
                () = stop.cancelled() => break,
                Ok(()) = asked.changed(), if idle.is_some() => {
                    return Ok(idle.map(|connection| (connection, from)));
                }
                written = or_never(&mut writing) => {
                    writing = None;
                    idle = Some(written.connection);
                    let parks = written.outcome?;
                    from = Some(written.upto);
                    pace.finished(written.count);
                    for park in parks {
                        self.warn_of(&park);
                        gathering.park(park.stream);
                    }
                    self.advanced(written.upto, written.count, gathering.parked());
                }
                // Without a budget: a task that must yield would take that for a pause of the subscription.
                Some(item) = tokio::task::unconstrained(events.next()), if gathering.has_room() => {
                    self.gather(&mut gathering, item);
                }
                () = rest(pause), if idle.is_some() && !gathering.is_empty() => {
                    if let (Some(connection), Some(batch)) = (idle.take(), gathering.take()) {
                        pace.started();
                        writing = Some(self.write(connection, from, batch));
                    }
                }
            }
        }
        self.finish(writing, idle).await;
        Ok(None)
    }

    fn gather(&self, gathering: &mut Gathering<P>, item: SubscriptionItem) {
        match item {
            SubscriptionItem::Event(event) => gathering.add(&event),
            SubscriptionItem::Checkpoint(position) => gathering.add_checkpoint(position, None),
            SubscriptionItem::StoresOwn(event) => gathering.add_checkpoint(event.position, Some(event.id)),
            SubscriptionItem::CaughtUp => {}
            SubscriptionItem::Disconnected { error } => return self.interrupted(&error),
        }
        self.status.send_if_modified(|status| {
            let was_away =
                matches!(status.state, State::EventStoreAway { .. } | State::EventStoreAccessDenied { .. });
            if was_away {
                info!(projection = P::NAME, "the event store is back");
                status.state = State::Running;
            }
            was_away
        });
    }

    fn interrupted(&self, error: &EventStoreError) {
        if self.status.borrow().state == State::Running {
            let why = error.interruption();
            warn!(projection = P::NAME, why, "the log cannot be followed; the subscription tries again");
        }
        let is_denied = matches!(error, EventStoreError::AccessDenied);
        let error = error.to_string();
        self.set_state(match is_denied {
            true => State::EventStoreAccessDenied { error },
            false => State::EventStoreAway { error },
        });
    }

    fn write(&self, mut connection: PgConnection, from: Option<i64>, batch: Batch) -> Writing<'_> {
        async move {
            let outcome = step(&self.projection, &mut connection, &self.share, from, &batch).await;
            Written { connection, outcome, upto: batch.upto, count: batch.facts.len() }
        }
        .boxed()
    }

    fn advanced(&self, upto: i64, count: usize, parked: usize) {
        self.status.send_modify(|status| {
            status.position = position_of(upto);
            status.applied += u64::try_from(count).unwrap_or(u64::MAX);
            status.parked = parked;
        });
    }

    async fn finish(&self, writing: Option<Writing<'_>>, idle: Option<PgConnection>) {
        let closing = async {
            let connection = match writing {
                Some(writing) => Some(writing.await.connection),
                None => idle,
            };
            if let Some(connection) = connection {
                // Whatever goes wrong here, the checkpoint tells at the next start what is done.
                let _ = connection.close().await;
            }
        };
        if tokio::time::timeout(STOP_GRACE, closing).await.is_err() {
            warn!(
                projection = P::NAME,
                "the last transaction did not end in time and is left to the database"
            );
        }
    }

    /// Whether the state is another one than before.
    fn set_state(&self, state: State) -> bool {
        self.status.send_if_modified(|status| {
            let is_new = status.state != state;
            status.state = state;
            is_new
        })
    }
}

/// The outcome of the transaction, if one is under way; otherwise waits for ever.
async fn or_never(writing: &mut Option<Writing<'_>>) -> Written {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

/// A timer is only as fine as a millisecond, so no rest must be none.
async fn rest(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

fn position_of(stored: i64) -> Option<Position> {
    u64::try_from(stored).ok().map(Position::new)
}
