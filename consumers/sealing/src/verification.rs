//! Verifies the history now and then, as `emporium audit verify` does: from the last seal that was verified up to the
//! newest one. How far it came, and what it found, is a signed event in the log, so that the next run, on whatever
//! machine, goes on from there.
//!
//! Of all processes one works, the one that holds the lock `audit_verification`. It keeps little in memory (the last
//! events of some streams, and what no seal covers yet), and rests as long as it works.

use super::figures::Figures;
use super::leaves::Leaves;
use super::run::Run;
use super::standing::is_at;
use audit_seal::key::{PublicKeys, SealingKey};
use audit_seal::seal::Seal;
use audit_seal::verification::Verification;
use audit_seal::{SEALS_STREAM, VERIFICATIONS_STREAM, VERIFIED_TYPE, is_fact, is_of_seals};
use chrono::{DateTime, TimeDelta, Utc};
use consumer_runner::elsewhere::{self, Elsewhere, Reached};
use event_chains::{self as chains, found_raw};
use event_store::{
    AppendError, EventStore, EventStoreError, ExpectedRevision, Lock, Metadata, NewEvent, NotLocked,
    OwnStream, Position, RecordedEvent,
};
use futures::TryStreamExt;
use http_boundary::Health;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The process's name in `/readyz`.
const PART: &str = "audit-verification";
const LOCK: &str = "audit_verification";
const ACTOR: &str = "audit_verification";
/// How often it is looked whether a run is due.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a process that failed leaves the turn to others.
const PAUSE: Duration = Duration::from_secs(5);
/// After so many events it rests as long as they took.
const REST_AFTER: u64 = 4_096;
/// After so many events it notes how far it is, so that a restart loses little.
const NOTE_AFTER: u64 = 1_000_000;
/// So many streams are kept in mind, at about 150 bytes each.
const MAX_STREAMS: usize = 100_000;

/// How the history is verified.
// Not Debug: it holds a secret.
#[derive(Clone)]
pub struct VerificationConfig {
    /// Signs what came of it.
    pub key: SealingKey,
    /// Keys whose seals are believed, the present one among them.
    pub keys: PublicKeys,
    /// Never without it.
    pub every: Option<TimeDelta>,
    /// Each run begins at the first event.
    pub is_whole: bool,
}

/// Verifies the history of this shop.
pub struct VerificationRunner {
    store: EventStore,
    config: VerificationConfig,
    health: Health,
    figures: Figures,
    elsewhere: Elsewhere,
}

/// What the log says of the runs so far.
struct Known {
    last: Option<Verification>,
    expected: ExpectedRevision,
    /// Where it is noted: somebody may have deleted the first stream for it.
    stream: OwnStream,
}

impl VerificationRunner {
    /// Ready to work.
    pub fn new(store: EventStore, config: VerificationConfig, health: Health, figures: Figures) -> Self {
        let keys = config.keys.clone();
        let reached = move |event: &RecordedEvent| {
            let last = serde_json::from_slice::<Verification>(&event.data).ok();
            let last = last.filter(|last| last.check(&keys).is_ok())?;
            Some(Reached { position: Some(Position::new(last.position)), events: 0 })
        };
        let work = elsewhere::Work {
            part: PART,
            lock: LOCK,
            figure: "audit_verification_standstill_seconds",
            stream: VERIFICATIONS_STREAM,
            reached: Box::new(reached),
            is_work: Box::new(|event| is_fact(&event.stream, &event.event_type)),
            // One run may have been missed, and the next one takes its time.
            patience: config.every.and_then(|every| (every * 2).to_std().ok()).unwrap_or(Duration::MAX),
        };
        let elsewhere = Elsewhere::new(store.clone(), &health, work);
        Self { store, config, health, figures, elsewhere }
    }

    /// Works until told to stop, whenever it is this process's turn.
    pub async fn run(self, stop: CancellationToken) {
        let Some(every) = self.config.every else { return };
        while let Some(lock) = stop.run_until_cancelled(self.take_turn()).await {
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                reason = lock.lost() => reason,
                reason = self.work(every) => reason,
            };
            tracing::warn!(reason, "the verification of the history is interrupted: it goes on in a moment");
            self.health.is_well_so(PART, format!("it is interrupted: {reason}"));
            drop(lock);
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn take_turn(&self) -> Lock {
        let lock = self.store.lock(LOCK, |error| match error {
            NotLocked::HeldElsewhere => self.elsewhere.is_held(),
            NotLocked::Unavailable(_) | NotLocked::Refused(_) => {
                self.elsewhere.is_not_held();
                self.health.is_well_so(PART, error.to_string());
            }
        });
        let lock = tokio::select! {
            lock = lock => lock,
            never = self.elsewhere.watch() => match never {},
        };
        self.elsewhere.is_not_held();
        lock
    }

    /// Verifies whenever it is time; ends with the reason why it cannot go on.
    async fn work(&self, every: TimeDelta) -> String {
        let mut last_run: Option<DateTime<Utc>> = None;
        loop {
            match self.turn(every, Utc::now(), &mut last_run).await {
                Ok(pause) => tokio::time::sleep(pause).await,
                Err(error) => return error,
            }
        }
    }

    /// Verifies if it is time at this moment; says how long to wait then.
    pub(super) async fn turn(
        &self,
        every: TimeDelta,
        now: DateTime<Utc>,
        last_run: &mut Option<DateTime<Utc>>,
    ) -> Result<Duration, String> {
        let known = self.known().await.map_err(|error| error.to_string())?;
        self.report(known.last.as_ref());
        let newest = self.newest_seal().await.map_err(|error| error.to_string())?;
        let ran_at = known.last.as_ref().map(|last| last.verified_at).max(*last_run);
        let wait = ran_at.and_then(|ran_at| (ran_at + every - now).to_std().ok());
        let wait = wait.filter(|wait| !wait.is_zero());
        let (Some(newest), None) = (newest, wait) else {
            return Ok(wait.unwrap_or(LOOK_EVERY).min(LOOK_EVERY));
        };
        *last_run = Some(now);
        self.verify(known, newest).await?;
        Ok(LOOK_EVERY.min(every.to_std().unwrap_or(LOOK_EVERY)))
    }

    /// The last run that one of our keys has signed. An event that nobody has signed is passed over, and what it says is
    /// verified again.
    async fn known(&self) -> Result<Known, EventStoreError> {
        let stream = self.store.own_stream(VERIFICATIONS_STREAM).await?;
        let mut events = pin!(self.store.read_stream_backwards(stream.name(), None, 100));
        let mut known = Known { last: None, expected: ExpectedRevision::NoStream, stream: stream.clone() };
        let mut not_ours = 0;
        while let Some(event) = events.try_next().await? {
            if known.expected == ExpectedRevision::NoStream {
                known.expected = ExpectedRevision::Exact(event.revision);
            }
            let read = serde_json::from_slice::<Verification>(&event.data).ok();
            known.last = read.filter(|read| read.check(&self.config.keys).is_ok());
            if known.last.is_some() {
                break;
            }
            not_ours += 1;
        }
        if not_ours > 0 {
            tracing::warn!(
                not_ours,
                "events that say how far the history was verified were not signed by this shop"
            );
        }
        Ok(known)
    }

    async fn newest_seal(&self) -> Result<Option<RecordedEvent>, EventStoreError> {
        let stream = self.store.own_stream(SEALS_STREAM).await?;
        let mut newest = pin!(self.store.read_stream_backwards(stream.name(), None, 1));
        newest.try_next().await
    }

    /// The seal that the last run has reached, to go on from; none if it is not there any more, or not for the events of
    /// this store.
    async fn reached_by(&self, last: &Verification) -> Result<Option<Seal>, EventStoreError> {
        let stream = self.store.own_stream(SEALS_STREAM).await?;
        let mut seals = pin!(self.store.read_stream(stream.name(), last.seal_revision, 1));
        let event = seals.try_next().await?;
        let seal = event.and_then(|event| serde_json::from_slice::<Seal>(&event.data).ok());
        let Some(seal) = seal.filter(|seal| last.is_of(seal)) else { return Ok(None) };
        let mut leaves = Leaves::new(self.store.clone());
        // In a store that the history was copied to, events stand elsewhere.
        Ok(is_at(&seal, &self.store, &mut leaves).await.then_some(seal))
    }

    /// One run, up to the newest seal.
    async fn verify(&self, mut known: Known, newest: RecordedEvent) -> Result<(), String> {
        let begun = Instant::now();
        let last = known.last.clone().filter(|_| !self.config.is_whole);
        let from = match &last {
            Some(last) => self.reached_by(last).await.map_err(|error| error.to_string())?,
            None => None,
        };
        if last.is_some() && from.is_none() {
            tracing::error!(
                "the seal that was verified last is not where it was: the whole history is verified"
            );
        }
        let before = last.filter(|_| from.is_some());
        let mut run = Run::begin(self.config.keys.clone(), from, before.as_ref());
        self.walk(&mut run, &mut known, newest.position).await?;
        run.finish();
        self.note(&run, &mut known).await?;
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(
            events = run.events(),
            findings = run.new_findings(),
            seconds,
            "the history is verified"
        );
        Ok(())
    }

    async fn walk(&self, run: &mut Run, known: &mut Known, to: Position) -> Result<(), String> {
        let failed = |error: EventStoreError| error.to_string();
        let mut records = pin!(self.store.read_log(run.begins_after()));
        let (mut worked, mut events, mut noted) = (Instant::now(), 0, 0);
        while let Some(record) = records.try_next().await.map_err(failed)? {
            if record.position > to {
                break;
            }
            if run.begins_after().is_some_and(|before| record.position <= before) {
                continue;
            }
            let found = found_raw(&record);
            if run.verifier.needs(&found) {
                let chain = chains::before(&self.store, &record.stream, record.revision).await;
                run.verifier.stands(&record.stream, chain.map_err(failed)?);
            }
            run.add(&found);
            if run.verifier.streams() > MAX_STREAMS {
                run.verifier.forget_streams();
            }
            events += 1;
            if events % REST_AFTER == 0 {
                tokio::time::sleep(worked.elapsed()).await;
                worked = Instant::now();
            }
            if is_of_seals(&record.stream) && events - noted >= NOTE_AFTER {
                noted = events;
                self.note(run, known).await?;
            }
        }
        Ok(())
    }

    /// Writes down how far it is, and tells.
    async fn note(&self, run: &Run, known: &mut Known) -> Result<(), String> {
        let Some((seal, revision)) = run.reached() else {
            // Not one seal could be believed: the next run begins where this one did.
            self.tell(run.findings(), run.first_findings(), None);
            return Ok(());
        };
        let findings = (run.findings(), run.first_findings().to_vec());
        let verification = Verification::sign(&self.config.key, (seal, *revision), findings, Utc::now());
        let event = new_event(&verification).map_err(|error| error.to_string())?;
        let appended = self.store.append(known.stream.name(), known.expected, vec![event]).await;
        let appended = appended.map_err(|error: AppendError| error.to_string())?;
        known.expected = ExpectedRevision::Exact(appended.revision);
        self.report(Some(&verification));
        known.last = Some(verification);
        Ok(())
    }

    fn report(&self, last: Option<&Verification>) {
        match last {
            None => self.health.is_well_so(PART, "nothing was verified yet"),
            Some(last) => self.tell(last.findings, &last.first_findings, Some(last)),
        }
    }

    fn tell(&self, findings: u64, first: &[String], last: Option<&Verification>) {
        self.figures.verified(last, findings);
        let upto = last.map_or_else(String::new, |last| {
            let time = last.verified_at.format("%Y-%m-%dT%H:%M:%SZ");
            format!("the first {} events were verified, the last of them at {time}: ", last.size)
        });
        let how = match (findings, first.first()) {
            (0, _) => format!("{upto}all are as they were sealed"),
            (_, first) => format!(
                "{upto}{findings} findings, the first: {}; `emporium audit verify` names all",
                first.map_or("", String::as_str)
            ),
        };
        self.health.is_well_so(PART, how);
    }
}

fn new_event(verification: &Verification) -> Result<NewEvent, serde_json::Error> {
    let id = Uuid::now_v7();
    Ok(NewEvent {
        id,
        event_type: VERIFIED_TYPE,
        data: serde_json::to_vec(verification)?,
        metadata: Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: ACTOR.to_owned(),
            occurred_at: verification.verified_at,
            fingerprint: String::new(),
            more: false,
        }
        .to_json(),
    })
}
