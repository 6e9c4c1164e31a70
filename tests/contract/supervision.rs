//! Our client module when the server or the network fails: it comes back by itself, and no effect is lost or repeated.

use crate::target::soon;
use crate::writers::{event, every_effect_is_exactly_once};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{AppendError, EventStore, EventStoreError, ExpectedRevision, SubscriptionItem};
use futures::StreamExt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use tcp_relay::{Flow, Relay};
use tokio::net::TcpSocket;

const FOLDER: &str = "CONTRACT_TEST_FOLDER";
const ADDRESS: &str = "CONTRACT_TEST_ADDRESS";

/// An address of this machine on which nobody listens yet, and what keeps it from being given to anybody else: as long
/// as the socket does not listen, a server that asks for just this address gets it all the same.
pub fn reserved_address() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

pub fn client(address: SocketAddr) -> EventStore {
    client_of(&address.to_string())
}

fn client_of(hosts: &str) -> EventStore {
    let quick = "tls=false&discoveryInterval=20&maxDiscoverAttempts=3";
    EventStore::connect(&format!("esdb://{hosts}?{quick}")).unwrap()
}

/// A server process that dies with its owner.
struct Process(Child);

impl Process {
    fn start(folder: &Path, address: SocketAddr) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["supervision::a_store_to_be_killed", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .env(ADDRESS, address.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: the process that the tests below kill.
#[tokio::test]
#[ignore = "it is started by the tests that kill it"]
async fn a_store_to_be_killed() {
    let folder = std::env::var(FOLDER).expect("the test that kills this process names the folder");
    let address = std::env::var(ADDRESS).expect("the test that kills this process names the address");
    let config = Config { listen: address.parse().unwrap(), ..Config::new(folder) };
    let store = EmbeddedEventStore::start(config).await.unwrap();
    panic!("{}", store.died().await);
}

#[tokio::test]
async fn a_server_that_is_down_at_first_use_is_found_when_it_is_up() {
    let (address, _reserved) = reserved_address();
    let store = client(address);
    let first = event();
    let append = || store.append("cart-1", ExpectedRevision::NoStream, vec![first.clone()]);
    let mut items = pin!(store.subscribe_all(None));
    assert!(matches!(soon(items.next()).await, Some(SubscriptionItem::Disconnected { .. })));
    let refused = soon(append()).await;
    assert!(matches!(refused, Err(AppendError::Unknown(_))), "{refused:?}");
    let refused = soon(store.head()).await;
    assert!(matches!(refused, Err(EventStoreError::Unavailable(_))), "{refused:?}");

    let folder = tempfile::tempdir().unwrap();
    let config = Config { listen: address, ..Config::new(folder.path()) };
    let server = EmbeddedEventStore::start(config).await.unwrap();
    assert_eq!(soon(append()).await.unwrap().revision, 0);
    assert!(soon(store.head()).await.unwrap().is_some());
    let delivered = loop {
        match soon(items.next()).await.unwrap() {
            SubscriptionItem::Event(event) => break event,
            SubscriptionItem::Disconnected { .. }
            | SubscriptionItem::StoresOwn(_)
            | SubscriptionItem::Checkpoint(_)
            | SubscriptionItem::CaughtUp => {}
        }
    };
    assert_eq!(delivered.id, first.id);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_costs_no_effect_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _reserved) = reserved_address();
    let mut process = Process::start(folder.path(), address);
    let store = client(address);
    every_effect_is_exactly_once(&store, 5, async || {
        process.kill();
        process = Process::start(folder.path(), address);
    })
    .await;
}

/// The nodes share one folder, in turn: what a cluster would have copied to the next leader is there.
#[tokio::test]
async fn a_leader_that_is_killed_and_replaced_by_another_node_costs_no_effect_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let ((first, _first), (second, _second)) = (reserved_address(), reserved_address());
    let mut process = Process::start(folder.path(), first);
    let store = client_of(&format!("{first},{second}"));
    let mut next_leaders = [second, first].into_iter().cycle();
    every_effect_is_exactly_once(&store, 4, async || {
        process.kill();
        process = Process::start(folder.path(), next_leaders.next().unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_in_order_and_comes_back_costs_no_effect_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _reserved) = reserved_address();
    let start = || EmbeddedEventStore::start(Config { listen: address, ..Config::new(folder.path()) });
    let mut server = Some(start().await.unwrap());
    let store = client(address);
    every_effect_is_exactly_once(&store, 3, async || {
        server.take().unwrap().stop().await;
        server = Some(start().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn connections_that_are_cut_cost_no_effect_and_repeat_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let relay = Relay::to(server.address()).unwrap();
    let store = client(relay.address());
    every_effect_is_exactly_once(&store, 20, async || relay.cut()).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_the_append_has_one_effect() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let relay = Relay::to(server.address()).unwrap();
    let (store, beside) = (client(relay.address()), client(server.address()));
    for revision in 0..5_u64 {
        let expected = revision.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        // The connection stands before its answers are lost.
        store.head().await.unwrap();
        let before = beside.head().await.unwrap();
        relay.set_answers(Flow::Lost);
        let event = event();
        let append = store.append("cart-1", expected, vec![event.clone()]);
        let lose = async {
            // The server has taken it, as somebody else sees; its answer is lost.
            let mut items = pin!(beside.subscribe_all(before));
            while !matches!(
                soon(items.next()).await,
                Some(SubscriptionItem::Event(seen)) if seen.id == event.id
            ) {}
            relay.set_answers(Flow::Through);
            relay.cut();
        };
        let (appended, ()) = tokio::join!(soon(append), lose);
        assert_eq!(appended.unwrap().revision, revision);
    }
    let read: Vec<_> = soon(beside.read_stream("cart-1", 0, 100).collect()).await;
    assert_eq!(read.len(), 5);
}

/// A client that is given up leaves a connection and memory behind, so a refusal must not cost one each time.
#[tokio::test]
async fn a_store_whose_disk_is_full_refuses_over_the_same_connection() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { reserved_disk_bytes: u64::MAX, ..Config::on_any_port(folder.path()) };
    let server = EmbeddedEventStore::start(config).await.unwrap();
    let store = client(server.address());
    let refused = async || {
        let appended = soon(store.append("s", ExpectedRevision::NoStream, vec![event()])).await;
        assert!(matches!(appended, Err(AppendError::Unknown(_))), "{appended:?}");
    };
    refused().await;
    let open = server.open_connections();
    for _ in 0..20 {
        refused().await;
    }
    assert_eq!(server.open_connections(), open);
    server.stop().await;
}
