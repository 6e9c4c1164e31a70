//! Follows the log and appends the seals.

use super::config::SealingConfig;
use super::figures::Figures;
use super::forged::Forged;
use super::leaves::Leaves;
use super::own_streams::OwnStreams;
use super::standing::{CannotSeal, Standing, seal_of};
use audit_seal::seal::Seal;
use audit_seal::stream::Fault;
use audit_seal::{Digest, SEAL_TYPE, SEALS_STREAM, is_fact};
use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use consumer_runner::OwnForm;
use consumer_runner::elsewhere::{self, Elsewhere, Reached};
use event_chains::found;
use event_store::{
    AppendError, Appended, EventStore, EventStoreError, ExpectedRevision, Lock, Metadata, NewEvent,
    NotLocked, OwnStream, Position, RecordedEvent, SubscriptionItem,
};
use futures::{StreamExt, pin_mut};
use http_boundary::Health;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The process's name in `/readyz`.
pub const PART: &str = "audit-sealing";
/// What `/readyz` says of its own streams that somebody has deleted.
const DELETED: &str = "audit-sealing: deleted streams";
/// The lock that the one who works holds.
const LOCK: &str = "audit_sealing";
const ACTOR: &str = "audit_sealing";
/// How long the last seal may hold up the end of the process.
const LAST_SEAL_WITHIN: Duration = Duration::from_secs(2);
/// How long an event may wait for its seal in another process before it is said that nothing is done there; longer if seals
/// are further apart.
const OTHERS_PATIENCE: Duration = Duration::from_secs(60);
/// How long a process that failed leaves the turn to others.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a turn is over.
enum Ended {
    Stopped,
    LostTurn(String),
}

/// Seals the history of this shop.
pub struct SealingRunner {
    store: EventStore,
    config: SealingConfig,
    health: Health,
    figures: Figures,
    forged: Forged,
    own_streams: OwnStreams,
    elsewhere: Elsewhere,
}

/// What is seen and not sealed yet.
struct Work {
    standing: Standing,
    leaves: Leaves,
    since: Vec<Digest>,
}

impl SealingRunner {
    /// Ready to work.
    pub fn new(store: EventStore, config: SealingConfig, health: Health, figures: Figures) -> Self {
        health.is_ill(PART, "it has not begun yet");
        let forged = Forged::new(health.clone(), figures.clone());
        let own_streams = OwnStreams::new(config.known_keys(), vec![]);
        let keys = config.known_keys();
        let reached = move |event: &RecordedEvent| {
            let seal = seal_of(event).ok().filter(|seal| seal.check(&keys).is_ok())?;
            Some(Reached { position: Some(Position::new(seal.position)), events: 0 })
        };
        let work = elsewhere::Work {
            part: PART,
            lock: LOCK,
            figure: "audit_sealing_standstill_seconds",
            stream: SEALS_STREAM,
            reached: Box::new(reached),
            is_work: Box::new(|event| is_fact(&event.stream, &event.event_type)),
            patience: OTHERS_PATIENCE.max(3 * config.pace.every),
        };
        let elsewhere = Elsewhere::new(store.clone(), &health, work);
        Self { store, config, health, figures, forged, own_streams, elsewhere }
    }

    /// Tells of strangers' events in the streams that the other consumers keep for themselves too.
    #[must_use]
    pub fn watching_over(self, consumers: Vec<OwnForm>) -> Self {
        let own_streams = OwnStreams::new(self.config.known_keys(), consumers);
        Self { own_streams, ..self }
    }

    /// Says at once that another process does not work.
    #[cfg(test)]
    #[must_use]
    pub fn without_patience(self) -> Self {
        Self { elsewhere: self.elsewhere.without_patience(), ..self }
    }

    /// Works until told to stop, whenever it is this process's turn.
    ///
    /// # Errors
    /// When the last seal must not be gone on from. The lock is then free for a process that knows better.
    pub async fn run(self, stop: CancellationToken) -> Result<(), CannotSeal> {
        let worked = self.work(stop).await;
        self.figures.nothing_waits();
        worked
    }

    async fn work(&self, stop: CancellationToken) -> Result<(), CannotSeal> {
        // A wrong key is told at the start, not when this process takes over some day.
        let checked = stop.run_until_cancelled(self.standing()).await;
        checked.transpose()?;
        while let Some(lock) = stop.run_until_cancelled(self.take_turn()).await {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                reason = lock.lost() => Ended::LostTurn(reason),
                place = self.place() => self.follow(place?, &lock, &stop).await,
            };
            match ended {
                Ended::Stopped => return Ok(()),
                Ended::LostTurn(reason) => self.has_lost(&reason),
            }
            drop(lock);
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn take_turn(&self) -> Lock {
        let lock = self.store.lock(LOCK, |error| match error {
            NotLocked::HeldElsewhere => self.elsewhere.is_held(),
            NotLocked::Unavailable(_) | NotLocked::Refused(_) => {
                self.elsewhere.is_not_held();
                tracing::warn!(%error, "the sealing of the history cannot ask for its turn: asking again");
                self.health.is_ill(PART, error.to_string());
            }
        });
        let lock = tokio::select! {
            lock = lock => lock,
            never = self.elsewhere.watch() => match never {},
        };
        self.elsewhere.is_not_held();
        tracing::info!(key = self.config.key.public().name(), "this process seals the history");
        lock
    }

    fn has_lost(&self, reason: &str) {
        tracing::warn!(reason, "the sealing of the history has lost its turn: it waits for the next one");
        self.health.is_ill(PART, format!("it has lost its turn: {reason}"));
        self.figures.nothing_waits();
    }

    /// It works without them, and somebody has to know.
    fn report_deleted(&self, lock: &Lock, standing: &Standing) {
        let notices = [lock.stream(), &standing.stream].into_iter().filter_map(OwnStream::notice);
        let notices = Vec::from_iter(notices).join("; ");
        if !notices.is_empty() {
            tracing::error!(notices, "the sealing goes on with successors of deleted streams");
            self.health.is_well_so(DELETED, notices);
        }
    }

    /// The last seal, patiently while the store is away.
    async fn standing(&self) -> Result<Standing, CannotSeal> {
        let keys = self.config.known_keys();
        let read = || Standing::read(&self.store, &keys);
        self.patiently(read).await
    }

    /// The same, and where to go on in the log.
    async fn place(&self) -> Result<Standing, CannotSeal> {
        let keys = self.config.known_keys();
        let find = || async {
            let mut standing = Standing::read(&self.store, &keys).await?;
            standing.find_place(&self.store).await?;
            Ok(standing)
        };
        self.patiently(find).await
    }

    async fn patiently<F>(&self, read: impl FnMut() -> F) -> Result<Standing, CannotSeal>
    where
        F: Future<Output = Result<Standing, CannotSeal>>,
    {
        let patiently = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times();
        read.retry(patiently)
            .when(|error| matches!(error, CannotSeal::Store(_)))
            .notify(|error, _| self.health.is_ill(PART, error.to_string()))
            .await
    }

    async fn follow(&self, standing: Standing, lock: &Lock, stop: &CancellationToken) -> Ended {
        if let Some(seal) = &standing.last {
            self.figures.sealed(seal);
        }
        self.report_deleted(lock, &standing);
        self.health.is_well_so(PART, "it catches up with the log");
        let items = self.store.subscribe_all(standing.position);
        let lost = lock.lost();
        pin_mut!(items, lost);
        let leaves = Leaves::new(self.store.clone());
        let mut work = Work { standing, leaves, since: Vec::new() };
        let every = self.config.pace.every;
        let mut due = tokio::time::interval_at(Instant::now() + every, every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_due = tokio::select! {
                () = stop.cancelled() => break,
                reason = &mut lost => return Ended::LostTurn(reason),
                _ = due.tick() => true,
                item = items.next() => match item {
                    Some(item) => match self.take(item, &mut work).await {
                        Ok(is_due) => is_due,
                        Err(error) => return Ended::LostTurn(error.to_string()),
                    },
                    None => return Ended::LostTurn("the subscription has ended".to_owned()),
                },
            };
            if is_due && let Err(error) = self.seal(&mut work).await {
                return Ended::LostTurn(format!("a seal was not taken: {error}"));
            }
        }
        // What came last need not wait for the next start.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_SEAL_WITHIN, self.seal(&mut work)).await {
            tracing::warn!(%error, "the last events are sealed at the next start");
        }
        Ended::Stopped
    }

    /// Looks at the next item of the log; says whether so many events wait that a seal is due.
    async fn take(&self, item: SubscriptionItem, work: &mut Work) -> Result<bool, EventStoreError> {
        match item {
            SubscriptionItem::Event(event) if is_fact(&event.stream, &event.event_type) => {
                if let Some(fault) = work.add(&event).await? {
                    self.forged.tell(&event, fault);
                }
                self.figures.waits(event.recorded_at);
                return Ok(work.since.len() >= self.config.pace.events);
            }
            SubscriptionItem::Event(event) => {
                if let Some(fault) = self.own_streams.fault(&event) {
                    self.forged.tell(&event, fault);
                }
            }
            SubscriptionItem::StoresOwn(event) => {
                if let Some(fault) = Fault::of_stores_own(&found(&event)) {
                    self.forged.tell(&event, fault);
                }
            }
            SubscriptionItem::CaughtUp => self.health.is_well(PART),
            SubscriptionItem::Disconnected { error } => {
                let why = error.interruption();
                tracing::warn!(why, "the sealing of the history cannot follow the log: connecting again");
                self.health.is_well_so(PART, format!("{why}; it goes on after the last event"));
            }
            SubscriptionItem::Checkpoint(_) => {}
        }
        Ok(false)
    }

    /// Seals what was seen since the last time, if it was anything.
    async fn seal(&self, work: &mut Work) -> Result<(), AppendError> {
        let (Some(position), false) = (work.standing.position, work.since.is_empty()) else { return Ok(()) };
        let at = (position.value(), Utc::now());
        let standing = &mut work.standing;
        let seal = Seal::sign(&self.config.key, &standing.frontier, standing.last.as_ref(), &work.since, at);
        let event = new_event(&seal, at.1)?;
        let appended = self.append(&standing.stream, standing.expected, event).await?;
        tracing::debug!(size = seal.size, revision = appended.revision, "sealed");
        self.figures.sealed(&seal);
        standing.expected = ExpectedRevision::Exact(appended.revision);
        standing.last = Some(seal);
        work.since.clear();
        Ok(())
    }

    /// Appends a seal; says so while that takes long.
    async fn append(
        &self,
        stream: &OwnStream,
        expected: ExpectedRevision,
        seal: NewEvent,
    ) -> Result<Appended, AppendError> {
        let append = self.store.append(stream.name(), expected, vec![seal]);
        pin_mut!(append);
        if let Ok(appended) = tokio::time::timeout(self.config.pace.every, &mut append).await {
            return appended;
        }
        self.health.is_ill(PART, "it is behind: a seal waits for the event store's answer");
        let appended = append.await?;
        self.health.is_well(PART);
        Ok(appended)
    }
}

impl Work {
    /// Takes an event as it stands, and says what is wrong with it.
    async fn add(&mut self, event: &RecordedEvent) -> Result<Option<Fault>, EventStoreError> {
        let (leaf, fault) = self.leaves.checked(event).await?;
        self.standing.frontier.push(leaf);
        self.standing.position = Some(event.position);
        self.since.push(leaf);
        Ok(fault)
    }
}

fn new_event(seal: &Seal, now: DateTime<Utc>) -> Result<NewEvent, AppendError> {
    let id = Uuid::now_v7();
    Ok(NewEvent {
        id,
        event_type: SEAL_TYPE,
        data: serde_json::to_vec(seal).map_err(|error| AppendError::Refused(error.to_string()))?,
        metadata: Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: ACTOR.to_owned(),
            occurred_at: now,
            fingerprint: String::new(),
            more: false,
        }
        .to_json(),
    })
}
