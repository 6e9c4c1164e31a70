//! The history is verified by the service itself, from where it was verified last.

use super::{DEADLINE, History, Machine, key};
use crate::verification::{LOOK_EVERY, VerificationConfig, VerificationRunner};
use crate::{Figures, SealingArgs};
use audit_seal::chain::{self, Linked, START};
use audit_seal::verification::Verification;
use audit_seal::{Digest, VERIFICATIONS_STREAM, VERIFIED_TYPE};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use event_store::{EventStore, ExpectedRevision, RawEvent, RawRecord, SubscriptionItem};
use futures::{StreamExt, TryStreamExt, pin_mut};
use http_boundary::Health;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn runner(history: &History, config: VerificationConfig) -> VerificationRunner {
    let store = EventStore::connect(&history.server.connection_string()).unwrap();
    VerificationRunner::new(store, config, Health::default(), Figures::default())
}

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    sealing: SealingArgs,
}

/// As it is on a command line with these options.
fn with_options(options: &[&str]) -> VerificationConfig {
    let command_line = [&["command-api"], options].concat();
    CommandLine::parse_from(command_line).sealing.verification(key(1))
}

/// Verifies once and is stopped; gives what it wrote down.
async fn verified(history: &History, is_whole: bool) -> Verification {
    let before = verifications(&history.store).await.len();
    let config = VerificationConfig {
        key: key(1),
        keys: key(1).public().into(),
        every: Some(TimeDelta::zero()),
        is_whole,
    };
    let runner = runner(history, config);
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner.run(stop.clone()));
    let items = history.store.subscribe_all(None);
    pin_mut!(items);
    let waiting = async {
        let mut seen = 0;
        loop {
            let Some(SubscriptionItem::Event(event)) = items.next().await else { continue };
            if event.stream.starts_with(VERIFICATIONS_STREAM) && event.event_type == VERIFIED_TYPE {
                seen += 1;
                if seen > before {
                    return serde_json::from_slice(&event.data).unwrap();
                }
            }
        }
    };
    let verification = tokio::time::timeout(DEADLINE, waiting).await.expect("it is verified in time");
    stop.cancel();
    running.await.unwrap();
    verification
}

async fn verifications(store: &EventStore) -> Vec<RawRecord> {
    let records: Vec<RawRecord> = store.read_log(None).try_collect().await.unwrap();
    let is_one = |record: &RawRecord| {
        record.stream.starts_with(VERIFICATIONS_STREAM) && record.event.event_type == VERIFIED_TYPE
    };
    records.into_iter().filter(is_one).collect()
}

/// Twenty events under four seals.
async fn sealed() -> History {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 5);
    history.append(20).await;
    history.seals_of(20).await;
    machine.stop().await.unwrap();
    history
}

/// The same log in another store, where somebody has changed the event of this number: as if the data folder had been
/// written over while the store was stopped. A skilled forger computes the stream's links anew.
async fn changed_offline(history: &History, number: u64, is_skilled: bool) -> History {
    let forged = History::empty().await;
    let records: Vec<RawRecord> = history.store.read_log(None).try_collect().await.unwrap();
    let (mut link, mut fillers) = (START, 0);
    for mut record in records {
        if record.stream.starts_with('$') {
            // The store has its own; this stands in their place, so that all others stand in theirs.
            record = RawRecord {
                stream: "filler".to_owned(),
                revision: fillers,
                event: raw("filler", vec![]),
                ..record
            };
            fillers += 1;
        }
        if record.stream == "cart-1" {
            if record.revision == number {
                record.event.data = br#"{"number":1000000}"#.to_vec().into();
            }
            if is_skilled {
                link = chained_anew(&mut record, &link);
            }
        }
        let expected =
            record.revision.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        forged.store.append_raw(&record.stream, expected, vec![record.event]).await.unwrap();
    }
    forged
}

fn chained_anew(record: &mut RawRecord, previous: &Digest) -> Digest {
    let RawEvent { id, event_type, data, metadata, .. } = &record.event;
    let (stream, revision, open) = (record.stream.as_str(), record.revision, chain::split(metadata).0);
    let linked = Linked { stream, revision, id: *id, event_type, data, metadata: open };
    let link = chain::link(previous, &linked);
    record.event.metadata = chain::with_link([open, b"}"].concat(), &link).into();
    link
}

#[tokio::test]
async fn the_next_run_waits_until_it_is_due_whichever_process_asks() {
    let mut history = sealed().await;
    let every = TimeDelta::hours(24);
    let (one, mut last_run) = (runner(&history, with_options(&[])), None);
    one.turn(every, Utc::now(), &mut last_run).await.unwrap();
    let runs = verifications(&history.store).await;
    assert_eq!(runs.len(), 1, "the first run is as soon as there is a seal");
    let first: Verification = serde_json::from_slice(&runs[0].event.data).unwrap();
    let due = first.verified_at + every;

    let machine = Machine::sealing_every(&history, 5);
    history.append(10).await;
    history.seals_of(30).await;
    machine.stop().await.unwrap();
    let at = async |runner: &VerificationRunner, now, last_run: &mut Option<DateTime<Utc>>| {
        let pause = runner.turn(every, now, last_run).await.unwrap();
        let runs = verifications(&history.store).await;
        let last: Verification = serde_json::from_slice(&runs.last().unwrap().event.data).unwrap();
        (pause, runs.len(), last.size)
    };
    let (other, mut never) = (runner(&history, with_options(&[])), None);
    for (runner, last_run) in [(&one, &mut last_run), (&other, &mut never)] {
        assert_eq!(at(runner, due - TimeDelta::hours(1), last_run).await, (LOOK_EVERY, 1, 20));
        assert_eq!(at(runner, due - TimeDelta::seconds(1), last_run).await, (Duration::from_secs(1), 1, 20));
    }
    assert_eq!(at(&other, due, &mut never).await, (LOOK_EVERY, 2, 30));
    // The run that another process has made counts.
    assert_eq!(at(&one, due, &mut last_run).await.1, 2);
}

#[tokio::test]
async fn with_zero_hours_it_never_runs() {
    let history = sealed().await;
    assert_eq!(with_options(&[]).every, Some(TimeDelta::hours(24)));
    assert_eq!(with_options(&["--audit-verify-every-hours", "3"]).every, Some(TimeDelta::hours(3)));
    let runner = runner(&history, with_options(&["--audit-verify-every-hours", "0"]));
    let running = runner.run(CancellationToken::new());
    tokio::time::timeout(DEADLINE, running).await.expect("it ends at once");
    assert!(verifications(&history.store).await.is_empty());
}

#[tokio::test]
async fn verification_goes_on_in_a_successor_when_its_stream_is_deleted() {
    let history = sealed().await;
    verified(&history, false).await;
    history.store.tombstone(VERIFICATIONS_STREAM, ExpectedRevision::Exact(0)).await.unwrap();
    let again = verified(&history, false).await;
    assert_eq!((again.size, again.findings), (20, 0));
    let noted = verifications(&history.store).await;
    assert_eq!(noted.last().unwrap().stream, format!("{VERIFICATIONS_STREAM}-2"));
}

#[tokio::test]
async fn what_is_as_it_was_sealed_is_written_down_and_gone_on_from() {
    let mut history = sealed().await;
    let first = verified(&history, false).await;
    assert_eq!((first.size, first.findings, first.seal_revision), (20, 0, 3));
    assert_eq!(first.check(&key(1).public().into()), Ok(()));

    let machine = Machine::sealing_every(&history, 5);
    history.append(10).await;
    history.seals_of(30).await;
    machine.stop().await.unwrap();
    let next = verified(&history, false).await;
    assert_eq!((next.size, next.findings, next.seal_revision), (30, 0, 5));
    assert_eq!(verified(&history, false).await.size, 30);
}

#[tokio::test]
async fn a_change_that_was_made_while_the_store_was_stopped_is_found() {
    let forged = changed_offline(&sealed().await, 7, true).await;
    let found = verified(&forged, false).await;
    assert_eq!(found.findings, 3, "{:?}", found.first_findings);
    assert!(found.first_findings[0].starts_with("CHANGED  event 7 of cart-1 "), "{:?}", found.first_findings);
    // It does not go away because the next run begins after it.
    let next = verified(&forged, false).await;
    assert_eq!((next.findings, &next.first_findings), (3, &found.first_findings));
    assert_eq!(verified(&forged, true).await.findings, 3);
}

#[tokio::test]
async fn what_lies_before_the_last_verified_seal_is_looked_at_when_it_is_asked_for() {
    let history = sealed().await;
    verified(&history, false).await;
    let forged = changed_offline(&history, 7, false).await;
    assert_eq!(verified(&forged, false).await.findings, 0);
    assert_eq!(verified(&forged, true).await.findings, 1);
    // Whoever computes the links anew has changed the last verified event too.
    let forged = changed_offline(&history, 7, true).await;
    assert_eq!(verified(&forged, false).await.findings, 3);
}

#[tokio::test]
async fn nobody_without_the_key_can_say_that_everything_is_verified() {
    let history = sealed().await;
    let last = history.seals_of(20).await.pop().unwrap();
    let said = Verification::sign(&key(2), (&last, 3), (0, vec![]), Utc::now());
    let event = raw(VERIFIED_TYPE, serde_json::to_vec(&said).unwrap());
    let forged = changed_offline(&history, 7, true).await;
    forged.store.append_raw(VERIFICATIONS_STREAM, ExpectedRevision::NoStream, vec![event]).await.unwrap();
    assert_eq!(verified(&forged, false).await.findings, 3);
}

fn raw(event_type: &str, data: Vec<u8>) -> RawEvent {
    RawEvent {
        id: Uuid::new_v4(),
        event_type: event_type.to_owned(),
        is_json: true,
        data: data.into(),
        metadata: b"{}".to_vec().into(),
    }
}
