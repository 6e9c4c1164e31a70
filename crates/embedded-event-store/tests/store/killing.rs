//! The store in a process of its own, killed without warning again and again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use embedded_event_store::{Config, EmbeddedEventStore};
use eventstore::{
    Client, ReadAllOptions, StreamPosition, StreamState, SubscribeToAllOptions, SubscriptionEvent,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{all_of, append, event, expecting, soon};

const FOLDER: &str = "EMBEDDED_EVENT_STORE_TEST_FOLDER";
const ADDRESS: &str = "the store is at ";
const ROUNDS: u64 = 8;
const WRITERS: u64 = 6;

/// Not a test: the process that the test below kills.
#[tokio::test]
#[ignore = "it is started by the test that kills it"]
async fn a_store_to_be_killed() {
    let folder = std::env::var(FOLDER).expect("the test that kills this process names the folder");
    let store = EmbeddedEventStore::start(Config::on_any_port(folder)).await.unwrap();
    println!("\n{ADDRESS}{}", store.connection_string());
    panic!("{}", store.died().await);
}

fn spawn(folder: &Path) -> (Child, Client) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["killing::a_store_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| line.strip_prefix(ADDRESS).map(str::to_owned));
    let settings = address.expect("the store says its address").parse().unwrap();
    (child, Client::new(settings).unwrap())
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
async fn write(client: Client, stream: String, acknowledged: Ledger, progress: mpsc::UnboundedSender<()>) {
    loop {
        let id = Uuid::new_v4();
        let event = event("t", 0).id(id);
        let expected = expecting(StreamState::Any);
        let Ok(written) = client.append_to_stream(stream.as_str(), &expected, vec![event]).await else {
            return;
        };
        let (revision, position) = (written.next_expected_version, written.position.commit);
        acknowledged.lock().unwrap().insert(id, Known { stream: stream.clone(), revision, position });
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
    let folder = tempfile::tempdir().unwrap();
    let (acknowledged, seen) = (Ledger::default(), Ledger::default());
    for round in 0..ROUNDS {
        let (mut child, client) = spawn(folder.path());
        append(&client, "rounds", vec![event("t", round)]).await;
        let watcher = tokio::spawn(watch(client.clone(), Arc::clone(&seen)));
        let (progress, mut acknowledgements) = mpsc::unbounded_channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let stream = format!("w-{n}");
                tokio::spawn(write(client.clone(), stream, Arc::clone(&acknowledged), progress.clone()))
            })
            .collect();
        // Another moment in every round.
        for _ in 0..20 + round * 37 {
            soon(acknowledgements.recv()).await.expect("writers go on until the store is killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for task in writers.into_iter().chain([watcher]) {
            soon(task).await.unwrap();
        }
    }
    let (mut child, client) = spawn(folder.path());
    let all = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut found = HashMap::new();
    let mut next = HashMap::<String, u64>::new();
    for (expected, event) in (1..).zip(&all) {
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
    for (ledger, name) in [(acknowledged, "acknowledged"), (seen, "seen")] {
        let ledger = ledger.lock().unwrap();
        assert!(ledger.len() > 100, "{name}: {}", ledger.len());
        for (id, known) in ledger.iter() {
            assert_eq!(found.get(id), Some(known), "{name} and then lost or changed");
        }
    }
}
