//! What survives a restart, and who may open the folder.

use embedded_event_store::{Config, EmbeddedEventStore, OpenError, StartError};
use eventstore::{ReadAllOptions, ReadStreamOptions, StreamState, SubscribeToAllOptions};

use crate::support::{
    all_of, append, at, client, confirmed, events, expecting, positions, revisions, soon, start,
};

#[tokio::test]
async fn a_restart_keeps_everything_and_goes_on() {
    let running = start().await;
    append(&running.client, "a", events(1500)).await;
    append(&running.client, "b", events(2)).await;
    let running = running.restart().await;
    let all = all_of(running.client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    assert_eq!(positions(&all), (1..=1502).collect::<Vec<_>>());
    let a = all_of(running.client.read_stream("a", &ReadStreamOptions::default()).await.unwrap()).await;
    assert_eq!(revisions(&a), (0..1500).collect::<Vec<_>>());
    let next = running
        .client
        .append_to_stream("b", &expecting(StreamState::StreamRevision(1)), events(1))
        .await
        .unwrap();
    assert_eq!((next.next_expected_version, at(next.position)), (2, (1503, 1503)));
}

#[tokio::test]
async fn a_folder_is_opened_once_at_a_time() {
    let running = start().await;
    let second = EmbeddedEventStore::start(Config::on_any_port(running.folder.path())).await;
    match second {
        Err(StartError::Open(error @ OpenError::Locked { .. })) => {
            assert!(error.to_string().contains("in use by another event store"), "{error}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the folder was opened twice"),
    }
    append(&running.client, "s", events(1)).await;
    let running = running.restart().await;
    append(&running.client, "s", events(1)).await;
}

#[tokio::test]
async fn a_taken_address_is_said_and_the_folder_is_released() {
    let running = start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = Config { listen: running.store.address(), ..Config::new(folder.path()) };
    let refused = EmbeddedEventStore::start(config).await;
    assert!(matches!(refused, Err(StartError::Listen { .. })));
    let store = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    append(&client(&store), "s", events(1)).await;
    soon(store.stop()).await;
}

#[tokio::test]
async fn stopping_answers_the_appends_under_way() {
    let running = start().await;
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let client = running.client.clone();
            tokio::spawn(async move {
                let stream = format!("w-{n}");
                let mut written = 0;
                while client
                    .append_to_stream(stream.as_str(), &expecting(StreamState::Any), events(1))
                    .await
                    .is_ok()
                {
                    written += 1;
                }
                written
            })
        })
        .collect();
    append(&running.client, "s", events(1)).await;
    let running = running.restart().await;
    for (n, writer) in writers.into_iter().enumerate() {
        let acknowledged: usize = soon(writer).await.unwrap();
        let stream = format!("w-{n}");
        let read = running.client.read_stream(stream.as_str(), &ReadStreamOptions::default()).await.unwrap();
        let found = if acknowledged == 0 { 0 } else { all_of(read).await.len() };
        assert!(found >= acknowledged, "{stream}: {found} of {acknowledged}");
    }
}

#[tokio::test]
async fn a_dropped_store_ends_its_subscriptions() {
    let running = start().await;
    let mut subscription = running.client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    confirmed(&mut subscription).await;
    drop(running.store);
    while soon(subscription.next_subscription_event()).await.is_ok() {}
}

#[tokio::test]
async fn appends_are_refused_while_the_disk_has_too_little_room() {
    let folder = tempfile::tempdir().unwrap();
    let full = Config { reserved_disk_bytes: u64::MAX, ..Config::on_any_port(folder.path()) };
    let store = EmbeddedEventStore::start(full).await.unwrap();
    let refused =
        client(&store).append_to_stream("s", &expecting(StreamState::Any), events(1)).await.unwrap_err();
    assert!(refused.to_string().contains("make room"), "{refused}");
    soon(store.stop()).await;
    let store = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    append(&client(&store), "s", events(1)).await;
}
