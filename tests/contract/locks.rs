//! Named locks: of all that ask for one, exactly one holds it, and the next one gets it when that one is gone.

use crate::supervision::{client, reserved_address};
use crate::target::{events, fresh, soon, target};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{EventStore, ExpectedRevision, Lock, NotLocked};
use std::io::{BufRead, BufReader};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tcp_relay::{Flow, Relay};
use tokio::sync::mpsc;

const URL: &str = "CONTRACT_TEST_URL";
const HELD: &str = "the lock is held";

/// Somebody who waits for a lock, and what is heard of the waiting.
struct Waiter {
    got: tokio::task::JoinHandle<Lock>,
    heard: mpsc::UnboundedReceiver<NotLocked>,
}

impl Waiter {
    fn new(store: &EventStore, name: &str) -> Self {
        let (store, name) = (store.clone(), name.to_owned());
        let (say, heard) = mpsc::unbounded_channel();
        let waiting = move |error| say.send(error).unwrap_or_default();
        let got = tokio::spawn(async move { store.lock(&name, waiting).await });
        Self { got, heard }
    }

    /// Waits until it has asked once more and was told that somebody else holds the lock.
    async fn waits(&mut self) {
        while self.heard.try_recv().is_ok() {}
        while soon(self.heard.recv()).await.expect("it waits, and does not hold the lock")
            != NotLocked::HeldElsewhere
        {}
    }

    async fn gets_it(self) -> Lock {
        soon(self.got).await.unwrap()
    }
}

async fn lock(store: &EventStore, name: &str) -> Lock {
    soon(store.lock(name, |_| {})).await
}

#[tokio::test]
async fn one_holds_it_and_the_other_waits_until_it_is_let_go() {
    let target = target().await;
    let (name, other_name) = (fresh("lock"), fresh("lock"));
    let first = lock(&target.store, &name).await;
    let mut waiter = Waiter::new(&target.store, &name);
    waiter.waits().await;
    // Another lock is another matter.
    let other = lock(&target.store, &other_name).await;
    waiter.waits().await;
    drop(first);
    let second = waiter.gets_it().await;
    let mut waiter = Waiter::new(&target.store, &name);
    waiter.waits().await;
    for held in [&second, &other] {
        let lost = pin!(held.lost());
        assert!(futures::poll!(lost).is_pending());
    }
}

#[tokio::test]
async fn a_lock_whose_stream_is_deleted_is_lost_and_its_successor_is_held() {
    let target = target().await;
    let name = fresh("lock");
    let first = lock(&target.store, &name).await;
    assert!(!first.stream().is_successor());
    target.store.tombstone(first.stream().name(), ExpectedRevision::NoStream).await.unwrap();
    let reason = soon(first.lost()).await;
    assert!(reason.contains("deleted"), "{reason}");
    let second = lock(&target.store, &name).await;
    assert_eq!(second.stream().name(), format!("lock-{name}-2"));
    let mut waiter = Waiter::new(&target.store, &name);
    waiter.waits().await;
    drop(second);
    waiter.gets_it().await;
}

/// Its holder is given them, and must not hand them back or end over them.
#[tokio::test]
async fn events_of_others_in_its_stream_keep_nobody_from_taking_and_keeping_it() {
    let target = target().await;
    let name = fresh("lock");
    let stream = format!("lock-{name}");
    target.append(&stream, events(20)).await;
    let first = lock(&target.store, &name).await;
    assert_eq!(first.stream().name(), stream);
    let mut waiter = Waiter::new(&target.store, &name);
    waiter.waits().await;
    for _ in 0..2 {
        // More than its consumer holds at once.
        target.append(&stream, events(200)).await;
        waiter.waits().await;
        assert!(futures::poll!(pin!(first.lost())).is_pending());
    }
    drop(first);
    let second = waiter.gets_it().await;
    target.append(&stream, events(20)).await;
    let mut waiter = Waiter::new(&target.store, &name);
    waiter.waits().await;
    assert!(futures::poll!(pin!(second.lost())).is_pending());
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_gets_it_at_a_time() {
    let target = target().await;
    let name = fresh("lock");
    let (say, mut heard) = mpsc::unbounded_channel();
    for _ in 0..4 {
        let (store, name, say) = (target.store.clone(), name.clone(), say.clone());
        tokio::spawn(async move {
            let held = store.lock(&name, |_| {}).await;
            say.send(held).unwrap();
        });
    }
    for _ in 0..4 {
        let held = soon(heard.recv()).await.unwrap();
        Waiter::new(&target.store, &name).waits().await;
        assert!(heard.try_recv().is_err(), "two hold it");
        drop(held);
    }
}

/// A process that holds a lock, and dies with its owner.
struct Holder(Child);

impl Holder {
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["locks::a_holder_to_be_killed", "--exact", "--ignored", "--nocapture"])
            .env(URL, url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let holder = Self(child);
        assert!(lines.map_while(Result::ok).any(|line| line.contains(HELD)), "the holder has ended");
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Not a test: the process that the test below kills.
#[tokio::test]
#[ignore = "it is started by the test that kills it"]
async fn a_holder_to_be_killed() {
    let url = std::env::var(URL).expect("the test that kills this process names the store");
    let store = EventStore::connect(&url).unwrap();
    let lock = lock(&store, "killed").await;
    println!("{HELD}");
    panic!("{}", lock.lost().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_killed_lets_go_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let url = server.connection_string();
    let holder = tokio::task::spawn_blocking(move || Holder::start(&url)).await.unwrap();
    let mut waiter = Waiter::new(&client(server.address()), "killed");
    waiter.waits().await;
    drop(holder);
    let killed = Instant::now();
    let _held = waiter.gets_it().await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_server_that_restarts_gives_it_to_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _reserved) = reserved_address();
    let start = || EmbeddedEventStore::start(Config { listen: address, ..Config::new(folder.path()) });
    let server = start().await.unwrap();
    let (one, other) = (client(address), client(address));
    let first = lock(&one, "restart").await;
    let mut waiter = Waiter::new(&other, "restart");
    waiter.waits().await;
    server.stop().await;
    soon(first.lost()).await;
    drop(first);

    let _server = start().await.unwrap();
    let mut again = Waiter::new(&one, "restart");
    let (_held, mut left) = tokio::select! {
        held = soon(&mut again.got) => (held.unwrap(), waiter),
        held = soon(&mut waiter.got) => (held.unwrap(), again),
    };
    left.waits().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_loses_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let relay = Relay::to(server.address()).unwrap();
    let held = lock(&client(relay.address()), "cut").await;
    let mut waiter = Waiter::new(&client(server.address()), "cut");
    waiter.waits().await;
    relay.cut();
    soon(held.lost()).await;
    let _held = waiter.gets_it().await;
}

#[tokio::test]
#[ignore = "it waits for the server's pings to be given up: 40 seconds"]
async fn a_network_that_goes_silent_loses_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let relay = Relay::to(server.address()).unwrap();
    let held = lock(&client(relay.address()), "silent").await;
    let waiter = Waiter::new(&client(server.address()), "silent");
    relay.set_both(Flow::Lost);
    let silent = Instant::now();
    soon(held.lost()).await;
    println!("the holder knows after {:?}", silent.elapsed());
    let _held = tokio::time::timeout(Duration::from_secs(60), waiter.got).await.expect("in time").unwrap();
    println!("the next one gets it after {:?}", silent.elapsed());
}
