use super::config::Pace;
use super::leaves::Leaves;
use super::standing::{CannotSeal, is_at};
use super::{Figures, SealingConfig, SealingRunner};
use audit_seal::chain::{self, Linked, START};
use audit_seal::key::SealingKey;
use audit_seal::seal::Seal;
use audit_seal::verify::Finding;
use audit_seal::verify::{Found, Outcome, Verifier};
use audit_seal::{Digest, SEAL_TYPE, SEALS_STREAM, is_of_seals};
use bytes::Bytes;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{EventStore, ExpectedRevision, RawEvent, SubscriptionItem};
use futures::{StreamExt, TryStreamExt, pin_mut};
use http_boundary::Health;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const DEADLINE: Duration = Duration::from_secs(30);
/// Nothing waits that long in a test: seals are due by number.
const NEVER: Duration = Duration::from_secs(3600);

/// A store with one stream of facts.
pub struct History {
    pub server: EmbeddedEventStore,
    pub store: EventStore,
    _folder: TempDir,
    pub next: u64,
    pub link: Digest,
    pub is_linked: bool,
}

impl History {
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        Self { server, store, _folder: folder, next: 0, link: START, is_linked: true }
    }

    pub async fn append(&mut self, events: u64) {
        for _ in 0..events {
            let (id, data) = (Uuid::new_v4(), format!(r#"{{"number":{}}}"#, self.next));
            let metadata = br#"{"actor":"shopper"}"#.to_vec();
            let linked = Linked {
                stream: "cart-1",
                revision: self.next,
                id,
                event_type: "cart.item_added.v1",
                data: data.as_bytes(),
                metadata: if self.is_linked { chain::open(&metadata) } else { &metadata },
            };
            self.link = chain::link(&self.link, &linked);
            let metadata = if self.is_linked { chain::with_link(metadata, &self.link) } else { metadata };
            let event = RawEvent {
                id,
                event_type: "cart.item_added.v1".to_owned(),
                is_json: true,
                data: data.into(),
                metadata: metadata.into(),
            };
            let expected =
                self.next.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
            self.store.append_raw("cart-1", expected, vec![event]).await.unwrap();
            self.next += 1;
        }
    }

    /// Every seal, once so many events are sealed.
    pub async fn seals_of(&self, events: u64) -> Vec<Seal> {
        let items = self.store.subscribe_all(None);
        pin_mut!(items);
        let reading = async {
            let mut seals: Vec<Seal> = Vec::new();
            while seals.last().is_none_or(|seal| seal.size < events) {
                let Some(SubscriptionItem::Event(event)) = items.next().await else { continue };
                if is_of_seals(&event.stream) && event.event_type == SEAL_TYPE {
                    // Somebody may have written what is none.
                    seals.extend(serde_json::from_slice::<Seal>(&event.data).ok().filter(is_signed));
                }
            }
            seals
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("it is sealed in time")
    }

    pub async fn verified(&self, keys: &[&SealingKey]) -> Outcome {
        let mut verifier = Verifier::new(keys.iter().map(|key| key.public()).collect());
        let records = self.store.read_log(None);
        pin_mut!(records);
        while let Some(record) = records.try_next().await.unwrap() {
            verifier.add(&Found {
                stream: &record.stream,
                revision: record.revision,
                position: record.position.value(),
                id: record.event.id,
                event_type: &record.event.event_type,
                data: &record.event.data,
                metadata: &record.event.metadata,
            });
        }
        verifier.finish()
    }
}

fn is_signed(seal: &Seal) -> bool {
    let known = [key(1).public(), key(2).public()].into_iter().collect();
    seal.check(&known).is_ok()
}

/// A sealing process on a machine of its own.
pub struct Machine {
    stop: CancellationToken,
    task: JoinHandle<Result<(), CannotSeal>>,
}

pub fn key(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&[byte; 32])
}

fn pace(events: usize) -> Pace {
    Pace { every: NEVER, events }
}

impl Machine {
    fn start(history: &History, config: SealingConfig) -> Self {
        let store = EventStore::connect(&history.server.connection_string()).unwrap();
        let runner = SealingRunner::new(store, config, Health::default(), Figures::default());
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(runner.run(stop.clone())), stop }
    }

    pub fn sealing_every(history: &History, events: usize) -> Self {
        let config = SealingConfig { key: key(1), retired_keys: vec![], pace: pace(events) };
        Self::start(history, config)
    }

    pub async fn stop(self) -> Result<(), CannotSeal> {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it stops in time").unwrap()
    }

    /// As a kill would: nothing more is done.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn ends(self) -> CannotSeal {
        let ended = tokio::time::timeout(DEADLINE, self.task).await.expect("it ends in time");
        ended.unwrap().expect_err("it must not seal")
    }
}

fn sizes(seals: &[Seal]) -> Vec<u64> {
    seals.iter().map(|seal| seal.size).collect()
}

#[tokio::test]
async fn so_many_events_make_a_seal_and_an_orderly_end_seals_the_rest() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 5);
    history.append(12).await;
    assert_eq!(sizes(&history.seals_of(10).await), [5, 10]);
    machine.stop().await.unwrap();
    assert_eq!(sizes(&history.seals_of(12).await), [5, 10, 12]);
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed, outcome.unsealed), (vec![], 12, 0));
}

#[tokio::test]
async fn events_do_not_wait_longer_than_a_while() {
    let mut history = History::empty().await;
    let pace = Pace { every: Duration::from_millis(20), events: 1_000_000 };
    let machine = Machine::start(&history, SealingConfig { key: key(1), retired_keys: vec![], pace });
    for events in 1..=3 {
        history.append(1).await;
        assert_eq!(sizes(&history.seals_of(events).await), Vec::from_iter(1..=events));
    }
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_machine_is_gone_on_from_by_the_next_one() {
    let mut history = History::empty().await;
    for round in 1..=5 {
        let machine = Machine::sealing_every(&history, 4);
        // Some events are seen by a machine that dies before it has sealed them.
        history.append(6).await;
        history.seals_of(round * 6 - round * 6 % 4).await;
        machine.kill().await;
    }
    let machine = Machine::sealing_every(&history, 1);
    history.seals_of(30).await;
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 30));
}

#[tokio::test]
async fn one_of_two_machines_seals_and_the_other_takes_over() {
    let mut history = History::empty().await;
    let first = Machine::sealing_every(&history, 3);
    history.append(3).await;
    history.seals_of(3).await;
    let second = Machine::sealing_every(&history, 3);
    history.append(6).await;
    history.seals_of(9).await;
    first.kill().await;
    history.append(3).await;
    assert_eq!(sizes(&history.seals_of(12).await), [3, 6, 9, 12]);
    second.stop().await.unwrap();
    assert_eq!(history.verified(&[&key(1)]).await.findings, []);
}

/// The lock may be held twice for a moment, or be got round: the seals stay one after the other.
#[tokio::test]
async fn two_machines_that_both_think_it_is_their_turn_never_fork_the_seals() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    history.seals_of(2).await;
    // Somebody with the key seals beside the machine.
    history.append(1).await;
    let seals = history.seals_of(2).await;
    let mut frontier = seals[0].tree().unwrap();
    let leaf = audit_seal::merkle::leaf(&history.link);
    frontier.push(leaf);
    let position = history.store.head().await.unwrap().unwrap().value();
    let beside = Seal::sign(&key(1), &frontier, Some(&seals[0]), &[leaf], (position, chrono::Utc::now()));
    let event = RawEvent {
        id: Uuid::new_v4(),
        event_type: SEAL_TYPE.to_owned(),
        is_json: true,
        data: serde_json::to_vec(&beside).unwrap().into(),
        metadata: Bytes::from_static(b"{}"),
    };
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(0), vec![event]).await.unwrap();
    // The machine still thinks that the third event is to be sealed, is refused, and looks again.
    history.append(3).await;
    assert_eq!(sizes(&history.seals_of(5).await), [2, 3, 5]);
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 6));
}

#[tokio::test]
async fn a_history_from_before_there_were_chains_is_sealed_from_its_first_event() {
    let mut history = History::empty().await;
    history.is_linked = false;
    history.append(7).await;
    let machine = Machine::sealing_every(&history, 5);
    history.seals_of(5).await;
    machine.kill().await;
    // The next machine does not remember the links before the last seal.
    history.is_linked = true;
    history.append(5).await;
    let machine = Machine::sealing_every(&history, 1);
    history.seals_of(12).await;
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 12));
}

#[tokio::test]
async fn a_history_in_another_store_is_sealed_on_where_it_was_left() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 4);
    history.append(8).await;
    history.seals_of(8).await;
    machine.stop().await.unwrap();

    // In the copy everything stands elsewhere, for more stands before it than the store's own events here.
    let mut copy = History::empty().await;
    let strangers = (0..20).map(|_| raw("note.v1", b"{}")).collect();
    copy.store.append_raw("notes", ExpectedRevision::NoStream, strangers).await.unwrap();
    let records: Vec<_> = history.store.read_log(None).try_collect().await.unwrap();
    for record in records.into_iter().filter(|record| !record.stream.starts_with('$')) {
        let expected =
            record.revision.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        copy.store.append_raw(&record.stream, expected, vec![record.event]).await.unwrap();
    }
    (copy.next, copy.link) = (history.next, history.link);
    let last = history.seals_of(8).await.pop().unwrap();
    for (store, is_here) in [(&history.store, true), (&copy.store, false)] {
        let mut leaves = Leaves::new(store.clone());
        assert_eq!(is_at(&last, store, &mut leaves).await, is_here);
    }
    let machine = Machine::sealing_every(&copy, 4);
    copy.append(4).await;
    assert_eq!(sizes(&copy.seals_of(12).await), [4, 8, 12]);
    machine.stop().await.unwrap();
    assert_eq!(copy.verified(&[&key(1)]).await.findings, []);
}

#[tokio::test]
async fn another_key_seals_only_after_the_old_one_was_named() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    history.seals_of(2).await;
    machine.stop().await.unwrap();

    let other = SealingConfig { key: key(2), retired_keys: vec![], pace: pace(2) };
    let refused = Machine::start(&history, other.clone()).ends().await;
    assert!(
        matches!(&refused, CannotSeal::FalseSeal { why } if why.contains(&key(1).public().name())),
        "{refused}"
    );

    let machine = Machine::start(&history, SealingConfig { retired_keys: vec![key(1).public()], ..other });
    history.append(2).await;
    history.seals_of(4).await;
    machine.stop().await.unwrap();
    assert_eq!(history.verified(&[&key(1), &key(2)]).await.findings, []);
}

#[tokio::test]
async fn a_log_that_was_changed_below_the_last_seal_is_not_sealed_on() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    let seals = history.seals_of(4).await;
    machine.stop().await.unwrap();

    let mut forged = History::empty().await;
    forged.append(4).await;
    for (revision, seal) in (0..).zip(&seals) {
        let event = RawEvent {
            id: Uuid::new_v4(),
            event_type: SEAL_TYPE.to_owned(),
            is_json: true,
            data: serde_json::to_vec(seal).unwrap().into(),
            metadata: Bytes::new(),
        };
        let expected =
            u64::checked_sub(revision, 1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        forged.store.append_raw(SEALS_STREAM, expected, vec![event]).await.unwrap();
    }
    let refused = Machine::sealing_every(&forged, 2).ends().await;
    assert!(matches!(refused, CannotSeal::NotAsSealed), "{refused}");
}

fn raw(event_type: &str, data: &[u8]) -> RawEvent {
    RawEvent {
        id: Uuid::new_v4(),
        event_type: event_type.to_owned(),
        is_json: true,
        data: Bytes::copy_from_slice(data),
        metadata: Bytes::new(),
    }
}

#[tokio::test]
async fn what_others_wrote_among_the_seals_is_passed_over() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    let last = history.seals_of(4).await.pop().unwrap();
    machine.stop().await.unwrap();
    let forged = serde_json::to_vec(&Seal { position: last.position + 1, ..last }).unwrap();
    let foreign = vec![raw("somebody.wrote.v1", b"{}"), raw(SEAL_TYPE, b"{}"), raw(SEAL_TYPE, &forged)];
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(1), foreign).await.unwrap();

    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    assert_eq!(sizes(&history.seals_of(6).await), [2, 4, 6]);
    machine.stop().await.unwrap();
    let findings = history.verified(&[&key(1)]).await.findings;
    assert!(
        matches!(&findings[..], [Finding::FalseSeal { .. }, Finding::FalseSeal { .. }]),
        "what passes for a seal is named, and the seals are one chain: {findings:?}"
    );
}

#[tokio::test]
async fn a_deleted_stream_of_seals_has_a_successor_and_the_chain_goes_on() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    history.seals_of(4).await;
    history.store.tombstone(SEALS_STREAM, ExpectedRevision::Exact(1)).await.unwrap();
    // The machine notices at its next seal; another one at its start.
    history.append(2).await;
    history.seals_of(6).await;
    machine.kill().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    assert_eq!(sizes(&history.seals_of(8).await), [2, 4, 6, 8]);
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!(outcome.sealed, 8);
    assert!(
        matches!(&outcome.findings[..], [Finding::Foreign { event }] if event.stream == SEALS_STREAM),
        "the deletion is named, and nothing else is wrong: {:?}",
        outcome.findings
    );
}
