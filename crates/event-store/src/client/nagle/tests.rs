use super::sockets;
use crate::{EventStore, NagleError};
use embedded_event_store::{Config, EmbeddedEventStore};
use rustix::net::getsockname;
use rustix::net::sockopt::tcp_nodelay;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tcp_relay::Relay;
use tempfile::TempDir;

/// Where a connection begins on this side, and whether it has TCP_NODELAY.
type Connection = (SocketAddr, bool);

fn connections_to(server: SocketAddr) -> Vec<Connection> {
    let mut connections = Vec::new();
    let looked = sockets::each_connection(|peer, socket| {
        if peer == server {
            let from = SocketAddr::try_from(getsockname(socket)?).unwrap();
            connections.push((from, tcp_nodelay(socket)?));
        }
        Ok(())
    });
    looked.unwrap();
    connections
}

async fn server() -> (EmbeddedEventStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap(), folder)
}

/// Waits until the connections to the server are as wanted; `call` is made before each look.
async fn comes_to(
    server: SocketAddr,
    call: impl AsyncFn(),
    is_wanted: impl Fn(&[Connection]) -> bool,
) -> Vec<Connection> {
    let looking = async {
        loop {
            call().await;
            let connections = connections_to(server);
            if is_wanted(&connections) {
                return connections;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.expect("it comes to that in time")
}

fn all_are_set(connections: &[Connection]) -> bool {
    !connections.is_empty() && connections.iter().all(|(_, is_set)| *is_set)
}

#[tokio::test]
async fn a_connection_has_it_once_it_has_brought_an_answer() {
    let (server, _folder) = server().await;
    let store = EventStore::connect(&server.connection_string()).unwrap();
    store.head().await.unwrap();
    comes_to(server.address(), async || {}, all_are_set).await;
}

#[tokio::test]
async fn a_connection_that_the_client_makes_again_by_itself_has_it_too() {
    let (server, _folder) = server().await;
    let relay = Relay::to(server.address()).unwrap();
    let store = EventStore::connect(&format!("esdb://{}?tls=false", relay.address())).unwrap();
    store.head().await.unwrap();
    let first = comes_to(relay.address(), async || {}, all_are_set).await;
    relay.cut();
    // The client notices that its idle connection has ended, and makes another one for the next call. Nothing fails.
    comes_to(relay.address(), async || {}, <[_]>::is_empty).await;
    let calls = async || {
        store.head().await.unwrap();
    };
    let again = comes_to(relay.address(), calls, all_are_set).await;
    assert_ne!(again, first);
}

#[tokio::test]
async fn a_node_that_the_client_finds_by_gossip_has_it_too() {
    let (server, _folder) = server().await;
    let relay = Relay::to(server.address()).unwrap();
    let url = format!("esdb+discover://{}?tls=false&discoveryInterval=20", relay.address());
    let store = EventStore::connect(&url).unwrap();
    store.head().await.unwrap();
    comes_to(server.address(), async || {}, all_are_set).await;
}

#[tokio::test]
async fn connections_that_are_not_there_are_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("esdb://[::1]:{}?tls=false", nobody.port()).parse().unwrap();
    let error = super::Nagle::of(&settings).switch_off().await.unwrap_err();
    assert!(matches!(error, NagleError::NotFound { .. } | NagleError::Unresolved { .. }), "{error}");
    assert!(error.to_string().contains(&nobody.port().to_string()), "{error}");
}
