//! Keeps a worker at each share of each version of a projection that this program can fill.

use crate::backoff::Backoff;
use crate::board::Board;
use crate::config::ReadModelArgs;
use crate::fact::stored_position;
use crate::projection::Projection;
use crate::provenance::{self, OtherShop};
use crate::share::Share;
use crate::status::{State, Status};
use crate::versions::{self, NewVersion, Switch, VERSIONS_CHANNEL, Version, VersionError, VersionState};
use crate::worker::Worker;
use event_store::{EventStore, EventStoreError, LogId, LogIdentity, Position};
use http_boundary::process::with_causes;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

/// How often the versions are looked at, whether or not anything was announced.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a version that has caught up tries to serve, at the least.
const SWITCH_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// One projection, in all its versions.
pub struct Supervisor<P> {
    projection: P,
    store: EventStore,
    database: PgConnectOptions,
    board: Board,
    asked: watch::Sender<u64>,
    /// What it says before the first look; were it dropped, that would pass for a panic.
    starting: watch::Sender<Status>,
    read_models: ReadModelArgs,
}

impl<P: Projection> Supervisor<P> {
    pub fn new(
        projection: P,
        store: EventStore,
        database: PgConnectOptions,
        board: Board,
        read_models: ReadModelArgs,
    ) -> Self {
        let starting = watch::Sender::new(Status::new(Share::whole(P::NAME, 0)));
        board.add(starting.subscribe());
        Self { projection, store, database, board, asked: watch::Sender::new(0), starting, read_models }
    }

    /// Runs the workers until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(self.database.clone());
        let mut workers = Workers {
            head: None,
            told_of_log: None,
            other_shop: OtherShop::default(),
            switching: Backoff::new(LOOK_EVERY, SWITCH_AT_LEAST_EVERY),
            newer: None,
            running: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let mut is_logged = false;
        while !stop.is_cancelled() {
            let lost = tokio::select! {
                () = stop.cancelled() => break,
                lost = self.watch(&pool, &mut workers, &stop) => lost,
            };
            if let Err(VersionError::EventStore(error)) = &lost {
                let error = error.to_string();
                self.starting.send_modify(|status| status.state = State::EventStoreAway { error });
            }
            if let Err(error) = lost
                && !std::mem::replace(&mut is_logged, true)
            {
                let error = with_causes(&error);
                warn!(projection = P::NAME, error, "the versions cannot be looked at; trying again");
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
        }
        while workers.tasks.join_next().await.is_some() {}
        self.starting.send_modify(|status| status.state = State::Stopped);
        pool.close().await;
    }

    /// Looks at the versions whenever something is announced, and now and then. Ends when the connection is lost.
    async fn watch(
        &self,
        pool: &PgPool,
        workers: &mut Workers,
        stop: &CancellationToken,
    ) -> Result<(), VersionError> {
        let mut log = self.log().await?;
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(VERSIONS_CHANNEL).await?;
        loop {
            // Something may have been imported since.
            log.identity = self.store.log_identity().await?;
            self.look(&mut *pool.acquire().await?, &log, workers, stop).await?;
            if let Ok(announced) = tokio::time::timeout(LOOK_EVERY, listener.recv()).await {
                announced?;
                self.asked.send_modify(|count| *count += 1);
            }
        }
    }

    async fn log(&self) -> Result<OurLog, EventStoreError> {
        let identity = self.store.log_identity().await?;
        Ok(OurLog { identity, first_event: provenance::first_event(&self.store).await? })
    }

    async fn look(
        &self,
        connection: &mut PgConnection,
        log: &OurLog,
        workers: &mut Workers,
        stop: &CancellationToken,
    ) -> Result<(), VersionError> {
        versions::ensure::<P>(connection).await?;
        provenance::adopt(connection, P::NAME, &log.identity, log.first_event).await?;
        let log_id = log.identity.id();
        let mut all = versions::list(connection, P::NAME).await?;
        // Two that replace each other's tables would never end.
        if let Some(other) = workers.other_shop.look(connection, P::NAME, &all, log_id).await? {
            self.fills_nothing(State::of_another_shop(other, log_id));
            return Ok(());
        }
        let other = provenance::other_history(&all, &log.identity);
        if let Some(other) = other.filter(|_| !self.read_models.replace_read_models) {
            self.fills_nothing(State::of_another_history(other, log_id));
            return Ok(());
        }
        self.tell_of_another_log(&all, log_id, workers);
        if is_to_be_made(&all, P::VERSION, log_id) {
            // Nobody would ever finish it.
            let unfinished =
                all.iter().find(|version| version.state == VersionState::Building && !version.is_of(log_id));
            if unfinished.is_some_and(|version| version.rules == P::VERSION) {
                versions::abandon(connection, P::NAME).await?;
            }
            let new = NewVersion { rules: P::VERSION, shards: 1, switches: true };
            match versions::make(connection, P::NAME, P::TABLES, new).await {
                Ok(version) => info!(projection = P::NAME, version, "the rules are new: rebuilding"),
                // Another process was quicker; or it has newer rules, which is told below; or somebody holds what would be
                // dropped, and the next look tries again.
                Err(
                    VersionError::Rebuilding { .. } | VersionError::NewerRules { .. } | VersionError::Busy,
                ) => {}
                Err(error) => return Err(error),
            }
            all = versions::list(connection, P::NAME).await?;
        }
        // Where nothing that serves tells how far a version must have come, it is what was in the log at the last look.
        let is_behind_another_log = serving(&all).is_some_and(|serving| !serving.is_of(log_id));
        let head = if is_behind_another_log { self.store.head().await? } else { None };
        let end = std::mem::replace(&mut workers.head, head).and_then(stored_position);
        for ready in all.iter().filter(|version| is_to_switch(version, &all, P::VERSION, (log_id, end))) {
            self.let_serve(connection, (ready.version, log_id), workers).await?;
        }
        self.tell_of_newer_rules(&all, workers);
        self.start_and_stop(&all, log_id, workers, stop);
        Ok(())
    }

    /// Switches to a version that has caught up, if nothing speaks against it.
    async fn let_serve(
        &self,
        connection: &mut PgConnection,
        (version, log_id): (i32, LogId),
        workers: &mut Workers,
    ) -> Result<(), VersionError> {
        if !workers.switching.is_due(Instant::now()) {
            return Ok(());
        }
        let to =
            Switch { to: Some(version), rules: P::VERSION, even_with_parked: false, log_id: Some(log_id) };
        match versions::switch(connection, P::NAME, P::TABLES, to).await {
            Ok(version) => {
                info!(projection = P::NAME, version, "caught up: it serves now");
                workers.switching.reset();
            }
            // Each try keeps queries waiting, or the version that serves: not all the time.
            Err(VersionError::Busy | VersionError::Behind { .. }) => workers.switching.failed(Instant::now()),
            Err(error @ VersionError::Parked { .. }) => {
                warn!(projection = P::NAME, version, %error, "it has caught up and does not serve");
                workers.switching.failed(Instant::now());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Says in the log of this process that what serves is of another log, once for each such version.
    fn tell_of_another_log(&self, all: &[Version], log_id: LogId, workers: &mut Workers) {
        let other = serving(all).filter(|serving| !serving.is_of(log_id));
        let told = std::mem::replace(&mut workers.told_of_log, other.map(|other| other.version));
        if let Some(other) = other.filter(|other| told != Some(other.version)) {
            warn!(
                projection = P::NAME,
                version = other.version,
                filled_from = ?other.log_id.map(|log_id| log_id.to_string()),
                present_log = %log_id,
                is_lost = other.is_lost,
                "what serves was filled from another log than the present one, or from one that has lost its end: another \
                 version is filled alongside"
            );
        }
    }

    /// Says on the board, and once in the log of this process, why the tables are not filled from the present log.
    fn fills_nothing(&self, why: State) {
        let is_new = self.starting.send_if_modified(|status| {
            let is_new = status.state != why;
            status.state = why;
            is_new
        });
        if is_new {
            let status = self.starting.subscribe();
            let error = status.borrow().is_of_another_history().unwrap_or_default().to_owned();
            error!(projection = P::NAME, error, "the tables are not filled from the present log");
            self.board.add(status);
        }
    }

    fn start_and_stop(
        &self,
        all: &[Version],
        log_id: LogId,
        workers: &mut Workers,
        stop: &CancellationToken,
    ) {
        let mine = all.iter().filter(|version| version.rules == P::VERSION && version.is_of(log_id));
        let shares: Vec<_> =
            mine.flat_map(|version| Share::all_of(P::NAME, version.version, version.shards)).collect();
        workers.running.retain(|share, (_, end)| {
            let stays = shares.contains(share);
            if !stays {
                end.cancel();
                self.board.remove(*share);
            }
            stays
        });
        for share in shares {
            workers.running.entry(share).or_insert_with(|| {
                let (store, database) = (self.store.clone(), self.database.clone());
                let worker = Worker::new(self.projection, share, store, database, self.asked.subscribe());
                self.board.add(worker.status());
                let end = stop.child_token();
                let task = workers.tasks.spawn(worker.run(end.clone()));
                (task, end)
            });
        }
        self.board.remove(Share::whole(P::NAME, 0));
        // Should it happen again, it is told again.
        self.starting.send_if_modified(|status| {
            std::mem::replace(&mut status.state, State::Starting) != State::Starting
        });
    }

    /// Says on the board why this program cannot keep the tables up to date, as long as that is so.
    fn tell_of_newer_rules(&self, all: &[Version], workers: &mut Workers) {
        let newer = newer_rules_keep(all, P::VERSION);
        let told = workers.newer;
        workers.newer = newer.map(|newer| newer.version);
        if let Some(version) = told.filter(|_| told != workers.newer) {
            self.board.remove(Share::whole(P::NAME, version));
        }
        let Some(newer) = newer.filter(|_| told != workers.newer) else { return };
        let error = format!(
            "version {} is filled by newer rules ({}) than this program's ({}): run the newer program{}",
            newer.version,
            newer.rules,
            P::VERSION,
            if newer.state == VersionState::Building { ", or abandon that version" } else { "" }
        );
        error!(projection = P::NAME, error, "the tables are not kept up to date by this program");
        let mut status = Status::new(Share::whole(P::NAME, newer.version));
        status.state = State::Failed { error };
        self.board.add(watch::Sender::new(status).subscribe());
    }
}

/// The version because of which a program with these rules can fill none: one of newer rules that serves, or that is
/// being filled while what serves is of older rules.
fn newer_rules_keep(all: &[Version], rules: i32) -> Option<&Version> {
    let is_served_older =
        all.iter().any(|version| version.state == VersionState::Serving && version.rules < rules);
    let has_none = all.iter().all(|version| version.rules != rules);
    all.iter().filter(|version| version.rules > rules).find(|version| match version.state {
        VersionState::Serving => true,
        VersionState::Building => is_served_older && has_none,
        VersionState::Standby => false,
    })
}

/// The log that this process follows.
struct OurLog {
    identity: LogIdentity,
    first_event: Option<Uuid>,
}

fn serving(all: &[Version]) -> Option<&Version> {
    all.iter().find(|version| version.state == VersionState::Serving)
}

/// Whether the tables that serve were filled by older rules than ours or from another log, and nobody fills others by ours
/// from this one.
fn is_to_be_made(all: &[Version], rules: i32, log_id: LogId) -> bool {
    let serves_no_more = serving(all).is_some_and(|serving| serving.rules < rules || !serving.is_of(log_id));
    serves_no_more && !all.iter().any(|version| version.rules == rules && version.is_of(log_id))
}

struct Workers {
    /// The log's end at the look before.
    head: Option<Position>,
    /// The version of another log of which the log of this process tells.
    told_of_log: Option<i32>,
    /// Who else keeps the tables up to date, from another log.
    other_shop: OtherShop,
    /// When to try a switch again that was not possible.
    switching: Backoff,
    /// The version of newer rules of which the board tells.
    newer: Option<i32>,
    running: HashMap<Share, (tokio::task::AbortHandle, CancellationToken)>,
    tasks: JoinSet<()>,
}

/// Whether a version is to serve now. One that was filled from another log makes way for any that has come to the log's
/// end as it was at the last look.
fn is_to_switch(version: &Version, all: &[Version], rules: i32, (log_id, end): (LogId, Option<i64>)) -> bool {
    let Some(serving) = serving(all).filter(|serving| serving.version != version.version) else {
        return false;
    };
    if serving.is_of(log_id) {
        return version.state == VersionState::Building
            && version.switches
            && version.is_of(log_id)
            && version.position >= serving.position;
    }
    version.rules == rules && version.is_of(log_id) && end.is_some() && version.position >= end
}
