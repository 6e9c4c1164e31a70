//! The store in a process of its own, killed without warning again and again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embedded_event_store::{Config, EmbeddedEventStore};
use eventstore::{
    Client, EventData, ReadAllOptions, ResolvedEvent, StreamPosition, StreamState, SubscribeToAllOptions,
    SubscriptionEvent,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{all_of, append, event, expecting, soon};

const FOLDER: &str = "EMBEDDED_EVENT_STORE_TEST_FOLDER";
const ADDRESS: &str = "the store is at ";
/// How often the store is killed; for example 200 in a long run.
const ROUNDS: &str = "EMBEDDED_EVENT_STORE_TEST_KILLS";
const DEFAULT_ROUNDS: u64 = 12;
const WRITERS: u64 = 16;
/// Every so many-th writer appends large batches, so that many a kill comes in the middle of a write.
const LARGE: u64 = 4;
const LARGE_EVENTS: u64 = 25;
const LARGE_BYTES: usize = 4000;
/// Every so many-th time the store is killed while it opens.
const WHILE_OPENING: u64 = 5;

/// Not a test: the process that the test below kills.
#[tokio::test]
#[ignore = "it is started by the test that kills it"]
async fn a_store_to_be_killed() {
    let folder = std::env::var(FOLDER).expect("the test that kills this process names the folder");
    let store = EmbeddedEventStore::start(Config::on_any_port(folder)).await.unwrap();
    println!("\n{ADDRESS}{}", store.connection_string());
    panic!("{}", store.died().await);
}

/// Starts the process that is to be killed.
pub fn start_process(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["killing::a_store_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// A client of the process, as soon as it says its address.
pub fn client_of(child: &mut Child) -> Client {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| line.strip_prefix(ADDRESS).map(str::to_owned));
    Client::new(address.expect("the store says its address").parse().unwrap()).unwrap()
}

fn spawn(folder: &Path) -> (Child, Client) {
    let mut child = start_process(folder).spawn().unwrap();
    let client = client_of(&mut child);
    (child, client)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills a store at some moment while it opens.
async fn kill_while_opening(folder: &Path) {
    let child = start_process(folder).stderr(Stdio::null()).spawn().unwrap();
    // There is nothing to wait for: the moment is to be any.
    let moment = Duration::from_micros(below(40_000));
    assert!(tokio::time::timeout(moment, std::future::pending::<()>()).await.is_err());
    kill(child);
}

/// A random number.
fn below(limit: u64) -> u64 {
    Uuid::new_v4().as_u64_pair().1 % limit
}

/// What somebody outside knows of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    stream: String,
    revision: u64,
    position: u64,
}

type Ledger = Arc<Mutex<HashMap<Uuid, Known>>>;

/// Appends until the store is gone; notes what was acknowledged.
async fn write(client: Client, writer: u64, acknowledged: Ledger, progress: mpsc::UnboundedSender<()>) {
    let stream = format!("w-{writer}");
    let is_large = writer.is_multiple_of(LARGE);
    loop {
        let ids: Vec<Uuid> = (0..if is_large { LARGE_EVENTS } else { 1 }).map(|_| Uuid::new_v4()).collect();
        let events = ids.iter().map(|id| {
            let data = vec![id.as_bytes()[0]; if is_large { LARGE_BYTES } else { 100 }];
            EventData::binary("t", data.into()).id(*id)
        });
        let events: Vec<_> = events.collect();
        let Ok(written) =
            client.append_to_stream(stream.as_str(), &expecting(StreamState::Any), events).await
        else {
            return;
        };
        let (revision, position) = (written.next_expected_version, written.position.commit);
        let mut ledger = acknowledged.lock().unwrap();
        for (before, id) in (0..).zip(ids.into_iter().rev()) {
            let known =
                Known { stream: stream.clone(), revision: revision - before, position: position - before };
            ledger.insert(id, known);
        }
        drop(ledger);
        if progress.send(()).is_err() {
            return;
        }
    }
}

/// Reads until the store is gone; notes what was seen.
async fn watch(client: Client, seen: Ledger) {
    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut subscription = client.subscribe_to_all(&options).await;
    while let Ok(message) = subscription.next_subscription_event().await {
        if let SubscriptionEvent::EventAppeared(event) = message {
            let event = event.get_original_event();
            let (stream, revision, position) =
                (event.stream_id().to_owned(), event.revision, event.position.commit);
            seen.lock().unwrap().insert(event.id, Known { stream, revision, position });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_or_seen_is_lost_by_a_kill() {
    let rounds = std::env::var(ROUNDS).map_or(DEFAULT_ROUNDS, |rounds| rounds.parse().unwrap());
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let (acknowledged, seen) = (Ledger::default(), Ledger::default());
    for round in 0..rounds {
        if round % WHILE_OPENING == 0 {
            kill_while_opening(folder.path()).await;
        }
        let (child, client) = spawn(folder.path());
        append(&client, "rounds", vec![event("t", round)]).await;
        let watcher = tokio::spawn(watch(client.clone(), Arc::clone(&seen)));
        let (progress, mut acknowledgements) = mpsc::unbounded_channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| tokio::spawn(write(client.clone(), n, Arc::clone(&acknowledged), progress.clone())))
            .collect();
        for _ in 0..20 + below(300) {
            soon(acknowledgements.recv()).await.expect("writers go on until the store is killed");
        }
        kill(child);
        for task in writers.into_iter().chain([watcher]) {
            soon(task).await.unwrap();
        }
    }
    let (child, client) = spawn(folder.path());
    let all = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    kill(child);
    check(&all, [(&acknowledged, "acknowledged"), (&seen, "seen")]);
    let count = |ledger: &Ledger| ledger.lock().unwrap().len();
    println!(
        "{rounds} kills in {:?}: {} events acknowledged, {} seen, {} found",
        begun.elapsed(),
        count(&acknowledged),
        count(&seen),
        all.len()
    );
}

fn check(all: &[ResolvedEvent], ledgers: [(&Ledger, &str); 2]) {
    let mut found = HashMap::new();
    let mut next = HashMap::<String, u64>::new();
    for (expected, event) in (1..).zip(all) {
        let event = event.get_original_event();
        let (stream, revision, position) =
            (event.stream_id().to_owned(), event.revision, event.position.commit);
        assert_eq!(position, expected, "the log has no gaps");
        let numbered = next.entry(stream.clone()).or_default();
        assert_eq!(revision, *numbered, "{stream} has no gaps");
        *numbered += 1;
        assert!(
            found.insert(event.id, Known { stream, revision, position }).is_none(),
            "no event is there twice"
        );
    }
    for (ledger, name) in ledgers {
        let ledger = ledger.lock().unwrap();
        assert!(ledger.len() > 100, "{name}: {}", ledger.len());
        for (id, known) in ledger.iter() {
            assert_eq!(found.get(id), Some(known), "{name} and then lost or changed");
        }
    }
}
