//! Our client module on a cluster whose leader falls: it waits for the next one, and nothing is lost or repeated.

use crate::target::soon;
use crate::writers::{event, every_effect_is_exactly_once};
use cluster_front::{Cluster, Fall};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{AppendError, EventStore, ExpectedRevision, SubscriptionItem};
use futures::{StreamExt, TryStreamExt};
use rstest::rstest;
use std::pin::pin;
use std::time::Duration;
use tempfile::TempDir;

const NODES: usize = 3;

/// The nodes, and the store behind them.
struct Behind {
    cluster: Cluster,
    _store: EmbeddedEventStore,
    _folder: TempDir,
}

async fn behind() -> Behind {
    behind_nodes(NODES).await
}

async fn behind_nodes(nodes: usize) -> Behind {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let cluster = Cluster::start(store.address(), nodes).await.unwrap();
    Behind { cluster, _store: store, _folder: folder }
}

impl Behind {
    fn client(&self) -> EventStore {
        EventStore::connect(&self.cluster.connection_string()).unwrap()
    }
}

#[rstest]
#[case::killed(Fall::Killed)]
#[case::silent(Fall::Silent)]
#[case::deposed(Fall::Deposed)]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_leaders_costs_no_effect_and_repeats_none(#[case] how: Fall) {
    let behind = behind().await;
    let cluster = &behind.cluster;
    every_effect_is_exactly_once(&behind.client(), 3, async || {
        let next = cluster.leader().map_or(0, |leader| (leader + 1) % NODES);
        cluster.leader_falls(how);
        // For a while everybody still speaks of the old leader, and then of none.
        soon(cluster.refuses(1)).await;
        cluster.nobody_leads();
        soon(cluster.refuses(3)).await;
        cluster.elect(next);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_and_a_read_wait_until_there_is_a_leader() {
    let behind = behind().await;
    let store = behind.client();
    behind.cluster.nobody_leads();
    let events = vec![event()];
    let append = store.append("cart-1", ExpectedRevision::NoStream, events.clone());
    let election = async {
        behind.cluster.refuses(3).await;
        behind.cluster.elect(1);
    };
    let (appended, head, ()) = soon(async { tokio::join!(append, store.head(), election) }).await;
    assert_eq!(appended.unwrap().revision, 0);
    head.unwrap();
    let read: Vec<_> = soon(store.read_stream("cart-1", 0, 10).try_collect()).await.unwrap();
    assert_eq!(read.iter().map(|event| event.id).collect::<Vec<_>>(), [events[0].id]);
}

/// Only the follower is known by its address: whatever comes about goes by what the follower says.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_names_the_leader_and_everything_goes_there() {
    let behind = behind().await;
    behind.cluster.elect(2);
    let store = EventStore::connect(&behind.cluster.connection_string_of(1)).unwrap();
    let appended = soon(store.append("cart-1", ExpectedRevision::NoStream, vec![event()])).await.unwrap();

    let reader = store.another();
    let read: Vec<_> = soon(reader.read_stream("cart-1", 0, 10).try_collect()).await.unwrap();
    assert_eq!(read[0].position, appended.position);

    let follower = store.another();
    let mut items = pin!(follower.subscribe_all(None));
    while !matches!(soon(items.next()).await, Some(SubscriptionItem::Event(_))) {}

    soon(store.another().lock("named", |_| {})).await;
}

/// A request that is dropped is never answered. The deadline is shorter than what one request may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_asked_for_again_when_a_new_leader_drops_the_request() {
    let behind = behind().await;
    let store = behind.client();
    let held = soon(store.lock("turn", |_| {})).await;
    behind.cluster.leader_falls(Fall::Killed);
    soon(held.lost()).await;
    drop(held);
    behind.cluster.elect_without_groups(1);
    let election = async {
        behind.cluster.drops_requests_for_groups(1).await;
        behind.cluster.groups_are_read();
    };
    let lock = async { tokio::join!(store.lock("turn", |_| {}), election).0 };
    tokio::time::timeout(Duration::from_secs(8), lock).await.expect("it is got long before a request ends");
}

#[rstest]
#[case::killed(Fall::Killed)]
#[case::deposed(Fall::Deposed)]
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_lost_with_the_leader_and_got_from_the_next_one(#[case] how: Fall) {
    let behind = behind().await;
    let store = behind.client();
    for next in [1, 2] {
        let held = soon(store.lock("turn", |_| {})).await;
        behind.cluster.leader_falls(how);
        soon(held.lost()).await;
        behind.cluster.elect(next);
    }
    soon(store.lock("turn", |_| {})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_away_until_it_answers_a_probe() {
    let behind = behind().await;
    let store = behind.client();
    let append = |stream: &'static str| store.append(stream, ExpectedRevision::NoStream, vec![event()]);
    soon(append("cart-1")).await.unwrap();
    assert_eq!(store.away(), None);
    behind.cluster.nobody_leads();
    let failed = soon(async { tokio::join!(append("cart-2"), append("cart-3"), append("cart-4")) }).await;
    for failed in [failed.0, failed.1, failed.2] {
        assert!(matches!(failed, Err(AppendError::Unknown(_))), "{failed:?}");
    }
    let away = store.away().expect("three appends in a row got no answer");
    assert!(!away.error.is_empty());

    // Nobody asks any more, but the probe.
    soon(behind.cluster.refuses(2)).await;
    assert!(store.away().is_some());
    behind.cluster.elect(1);
    let is_back = async {
        while store.away().is_some() {
            tokio::task::yield_now().await;
        }
    };
    soon(is_back).await;
    // What became of the three is not known, and the probes have left nothing behind.
    let streams: Vec<_> =
        soon(store.read_all(None, 10).map_ok(|event| event.stream).try_collect()).await.unwrap();
    assert!(streams.iter().all(|stream| stream.starts_with("cart-")), "{streams:?}");
}

/// What a client of the official library has connected to stays connected when it is given up. A follower is there all the
/// time, and answers that it knows no leader.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_no_connections_behind() {
    let behind = behind().await;
    let store = behind.client();
    soon(store.append("cart-1", ExpectedRevision::NoStream, vec![event()])).await.unwrap();
    behind.cluster.nobody_leads();
    let calls = async {
        let appends = async {
            loop {
                let append = store.append("cart-2", ExpectedRevision::NoStream, vec![event()]);
                assert!(matches!(append.await, Err(AppendError::Unknown(_))));
            }
        };
        let reads = async { while store.head().await.is_err() {} };
        tokio::join!(appends, reads, store.lock("turn", |_| {}));
    };
    let outage = async {
        behind.cluster.refuses(20).await;
        let before = behind.cluster.connections();
        behind.cluster.refuses(60).await;
        (before, behind.cluster.connections())
    };
    let (before, after) = soon(async {
        tokio::select! {
            _ = calls => unreachable!("nobody leads"),
            counted = outage => counted,
        }
    })
    .await;
    assert!(after <= before + 10, "{before} connections have become {after}");
}

/// Such as a machine that is paused, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_for_a_while_has_no_more_connections_afterwards() {
    let behind = behind_nodes(1).await;
    let store = behind.client();
    let append = |stream: &'static str| store.append(stream, ExpectedRevision::NoStream, vec![event()]);
    soon(append("cart-1")).await.unwrap();
    store.head().await.unwrap();
    let before = behind.cluster.connections();
    behind.cluster.leader_falls(Fall::Silent);
    let calls = async { tokio::join!(append("cart-2"), append("cart-3"), store.head()) };
    let failed = soon(calls).await;
    assert!(failed.0.is_err() && failed.1.is_err() && failed.2.is_err(), "{failed:?}");

    behind.cluster.elect(0);
    soon(append("cart-4")).await.unwrap();
    store.head().await.unwrap();
    soon(behind.cluster.has_connections(before)).await;
}
