//! Writers and a reader that count every effect while the connection fails under them.

use crate::target::{fresh_category, soon};
use chrono::Utc;
use event_store::{
    AppendError, EventStore, ExpectedRevision, Metadata, NewEvent, RecordedEvent, SubscriptionItem,
};
use futures::StreamExt;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

const WRITERS: u64 = 6;

/// An event without news.
pub fn event() -> NewEvent {
    event_with(&serde_json::json!({}))
}

/// An event that says this.
pub fn event_with(data: &serde_json::Value) -> NewEvent {
    let id = Uuid::new_v4();
    let metadata = Metadata {
        correlation_id: id,
        causation_id: id,
        command_id: id,
        actor: "operator".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: String::new(),
        more: false,
    };
    NewEvent {
        id,
        event_type: "counted.v1",
        data: serde_json::to_vec(data).unwrap(),
        metadata: metadata.to_json(),
    }
}

/// Appends one event after the other to a stream of its own. An unknown outcome is asked for again.
async fn write(store: EventStore, stream: String, count: u64, taken: mpsc::UnboundedSender<()>) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for revision in 0..count {
        let event = event();
        let expected = revision.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        loop {
            match soon(store.append(&stream, expected, vec![event.clone()])).await {
                Ok(appended) => {
                    assert_eq!(appended.revision, revision, "{stream}");
                    break;
                }
                Err(AppendError::Unknown(_)) => {}
                Err(error) => panic!("{stream} at {revision}: {error}"),
            }
        }
        ids.push(event.id);
        taken.send(()).unwrap();
    }
    ids
}

/// What a subscriber saw, and how often it lost the connection.
async fn follow(store: EventStore, category: String, count: u64) -> (Vec<Arc<RecordedEvent>>, u64) {
    let mut items = pin!(store.subscribe_all(None));
    let (mut seen, mut lost) = (Vec::new(), 0);
    while (seen.len() as u64) < count {
        match soon(items.next()).await.unwrap() {
            SubscriptionItem::Event(event) if event.category() == category => seen.push(event),
            SubscriptionItem::Disconnected { .. } => lost += 1,
            SubscriptionItem::Event(_)
            | SubscriptionItem::StoresOwn(_)
            | SubscriptionItem::Checkpoint(_)
            | SubscriptionItem::CaughtUp => {}
        }
    }
    (seen, lost)
}

/// Writes and follows over a connection that `fail` breaks `failures` times, spread over the work. Every append must
/// have its effect once, and the subscriber must see it once.
pub async fn every_effect_is_exactly_once(store: &EventStore, failures: u64, mut fail: impl AsyncFnMut()) {
    const BETWEEN_FAILURES: u64 = 45;
    let appends = (failures + 1) * BETWEEN_FAILURES / WRITERS;
    let category = fresh_category();
    let (taken, mut progress) = mpsc::unbounded_channel();
    let streams: Vec<_> = (0..WRITERS).map(|writer| format!("{category}-{writer}")).collect();
    let writers: Vec<_> = streams
        .iter()
        .map(|stream| tokio::spawn(write(store.clone(), stream.clone(), appends, taken.clone())))
        .collect();
    let follower = tokio::spawn(follow(store.clone(), category, WRITERS * appends));
    for _ in 0..failures {
        for _ in 0..BETWEEN_FAILURES {
            soon(progress.recv()).await.expect("a writer still writes");
        }
        fail().await;
    }
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    let (seen, lost) = follower.await.unwrap();
    assert!(lost > 0, "the subscription never lost its connection");
    assert!(seen.is_sorted_by(|earlier, later| earlier.position < later.position), "out of order, or twice");
    for (stream, ids) in streams.iter().zip(written) {
        let read: Vec<_> =
            soon(store.read_stream(stream, 0, usize::MAX).map(|event| event.unwrap().id).collect()).await;
        assert_eq!(read, ids, "{stream}");
        let seen: Vec<_> =
            seen.iter().filter(|event| event.stream == *stream).map(|event| event.id).collect();
        assert_eq!(seen, ids, "{stream} as the subscriber saw it");
    }
}
