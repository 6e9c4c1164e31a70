//! A process that has no descriptor left, and connections that do not behave.

#[cfg(target_os = "linux")]
use std::process::Child;
use std::time::Duration;

use embedded_event_store::{Config, EmbeddedEventStore};
#[cfg(target_os = "linux")]
use eventstore::Error;
use eventstore::{Client, EventData, ReadAllOptions, StreamState};
#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::killing::{client_of, start_process};
use crate::support::{all_of, append, client, event, events, expecting, positions, soon};

/// How often the store loses its descriptors.
const ROUNDS: u64 = 2;
const MOST_APPENDS: u64 = 1000;
#[cfg(target_os = "linux")]
const MAXIMUM: u64 = 1000;
/// The gRPC status.
#[cfg(target_os = "linux")]
const RESOURCE_EXHAUSTED: i32 = 8;

/// About 400 KB in events.
fn some() -> Vec<EventData> {
    (0..100).map(|n: u8| EventData::binary("t", vec![n; 4000].into())).collect()
}

/// Sets how many descriptors a process may have.
#[cfg(target_os = "linux")]
fn limit(child: &Child, current: u64) {
    let limit = Rlimit { current: Some(current), maximum: Some(MAXIMUM) };
    prlimit(Some(Pid::from_child(child)), Resource::Nofile, limit).unwrap();
}

#[cfg(target_os = "linux")]
async fn count(client: &Client) -> usize {
    let all = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    assert!(positions(&all).into_iter().eq(1..=all.len() as u64));
    all.len()
}

/// The limit is set from outside, to less than the store has open: nothing more can be opened, and the database's work
/// in the background fails.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_without_descriptors_refuses_and_goes_on_when_it_has_some_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_process(folder.path()).spawn().unwrap();
    let writer = client_of(&mut child);
    let mut acknowledged = 0;
    append(&writer, "s", some()).await;
    acknowledged += 1;
    for _ in 0..ROUNDS {
        limit(&child, 3);
        let mut refused = None;
        for _ in 0..MOST_APPENDS {
            match soon(writer.append_to_stream("s", &expecting(StreamState::Any), some())).await {
                Ok(_) => acknowledged += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.expect("the store comes to need a file");
        assert!(child.try_wait().unwrap().is_none(), "the process ended: {refused}");
        // A client that heard of a broken connection would make another one, and could not be let in.
        assert!(
            matches!(refused, Error::Grpc { code, .. } if code as i32 == RESOURCE_EXHAUSTED),
            "{refused}"
        );
        assert!(refused.to_string().contains("descriptor"), "{refused}");
        limit(&child, MAXIMUM);
        let taken = async {
            while writer.append_to_stream("s", &expecting(StreamState::Any), some()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        soon(taken).await;
        acknowledged += 1;
        assert_eq!(soon(count(&writer)).await, acknowledged * 100);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let store = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    assert_eq!(count(&client(&store)).await, acknowledged * 100);
}

#[tokio::test]
async fn silent_connections_keep_no_client_out_and_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::on_any_port(folder.path());
    config.connections.most = 4;
    let store = EmbeddedEventStore::start(config).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(store.address()).await.unwrap());
    }
    soon(append(&client(&store), "s", events(1))).await;
    // The store's own words come first: it greets whoever connects.
    let closed = async { while silent[0].read(&mut [0; 64]).await.is_ok_and(|bytes| bytes > 0) {} };
    soon(closed).await;
}

#[tokio::test]
async fn a_connection_without_a_call_in_time_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::on_any_port(folder.path());
    config.connections.head = Duration::from_millis(100);
    let store = EmbeddedEventStore::start(config).await.unwrap();
    let mut silent = TcpStream::connect(store.address()).await.unwrap();
    let closed = async { while silent.read(&mut [0; 64]).await.is_ok_and(|bytes| bytes > 0) {} };
    soon(closed).await;
}

#[tokio::test]
async fn a_client_whose_idle_connection_was_closed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::on_any_port(folder.path());
    config.connections.idle = Duration::from_millis(50);
    let store = EmbeddedEventStore::start(config).await.unwrap();
    let client = client(&store);
    for n in 0..5 {
        soon(append(&client, "s", vec![event("t", n)])).await;
        let closed = async {
            while store.open_connections() > 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(closed).await;
    }
}
