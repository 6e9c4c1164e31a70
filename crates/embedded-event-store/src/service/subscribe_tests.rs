use bytes::Bytes;
use futures::StreamExt;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::config::Config;
use crate::log::record::ProposedEvent;
use crate::log::writer::Expected;

/// A store that keeps only a few events in memory.
fn forgetful() -> (TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { tail_cache_bytes: 8 * 1024, ..Config::new(folder.path()) };
    let (store, _writer) = Store::open(&config, watch::channel(false).0).unwrap();
    (folder, store)
}

async fn append(store: &Store, count: usize) {
    let event = |_| ProposedEvent {
        id: Uuid::new_v4(),
        event_type: "t".into(),
        is_json: false,
        metadata: Bytes::new(),
        data: vec![0; 1000].into(),
    };
    let events = (0..count).map(event).collect();
    store.append("s".into(), Expected::Any, events).await.unwrap().wait().await.unwrap();
}

/// What a reader is told that is slow once: the positions or revisions of events, and everything else as it is.
async fn told(
    store: &Store,
    messages: impl Stream<Item = Result<Message, ReadError>>,
    place: impl Fn(&Resolved) -> u64,
) -> Vec<Result<u64, Message>> {
    let mut messages = Box::pin(messages);
    let mut told = Vec::new();
    for (appended, messages_then) in [(0, 1), (1, 1), (50, 52)] {
        if appended > 0 {
            append(store, appended).await;
        }
        for _ in 0..messages_then {
            told.push(match messages.next().await.unwrap().unwrap() {
                Message::Event(event) => Ok(place(&event)),
                other => Err(other),
            });
        }
    }
    told
}

fn events(places: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Result<u64, Message>> {
    places.map(Ok)
}

#[tokio::test]
async fn a_reader_of_the_whole_log_is_told_that_it_fell_behind_and_that_it_caught_up() {
    let (_folder, store) = forgetful();
    let subscription = AllSubscription {
        from: From::Start,
        filter: None,
        resolve_links: false,
        reader: store.access().own_rights(),
    };
    let messages = store.subscribe_to_all(subscription).unwrap();
    let told = told(&store, messages, |event| event.event.as_ref().unwrap().position()).await;
    let expected: Vec<_> = [Err(Message::CaughtUp { revision: None, position: None })]
        .into_iter()
        .chain(events(1..=1))
        .chain([Err(Message::FellBehind { revision: None, position: Some(1) })])
        .chain(events(2..=51))
        .chain([Err(Message::CaughtUp { revision: None, position: Some(51) })])
        .collect();
    assert_eq!(told, expected);
    store.stop_writing();
}

#[tokio::test]
async fn a_reader_of_a_stream_is_told_that_it_fell_behind_and_that_it_caught_up() {
    let (_folder, store) = forgetful();
    let subscription = StreamSubscription {
        stream: "s".into(),
        from: From::Start,
        resolve_links: false,
        reader: store.access().own_rights(),
    };
    let messages = store.subscribe_to_stream(subscription).await.unwrap();
    let told = told(&store, messages, |event| event.event.as_ref().unwrap().revision()).await;
    let expected: Vec<_> = [Err(Message::CaughtUp { revision: None, position: None })]
        .into_iter()
        .chain(events(0..=0))
        .chain([Err(Message::FellBehind { revision: Some(0), position: None })])
        .chain(events(1..=50))
        .chain([Err(Message::CaughtUp { revision: Some(50), position: None })])
        .collect();
    assert_eq!(told, expected);
    store.stop_writing();
}
