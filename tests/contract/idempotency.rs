//! An append that is asked again with the same event ids.

use crate::target::{Target, event, events, fresh, target};
use eventstore::{Error, EventData, StreamState};

/// Appends the same events again and expects the first answer.
async fn repeat(target: &Target, stream: &str, state: StreamState, batch: Vec<EventData>) {
    let first = target.append_if(stream, state, batch.clone()).await.unwrap();
    target.append(&fresh("other"), events(1)).await;
    let again = target.append_if(stream, state, batch).await.unwrap();
    assert_eq!(again.next_expected_version, first.next_expected_version, "{state:?}");
    assert_eq!(again.position.commit, first.position.commit, "{state:?}");
}

#[tokio::test]
async fn a_repeat_is_taken_once_and_answered_alike() {
    let target = target().await;
    let stream = fresh("cart");
    repeat(&target, &stream, StreamState::NoStream, events(2)).await;
    repeat(&target, &stream, StreamState::StreamRevision(1), events(2)).await;
    repeat(&target, &stream, StreamState::StreamExists, events(2)).await;
    repeat(&target, &stream, StreamState::Any, events(2)).await;
    repeat(&target, &stream, StreamState::StreamRevision(7), events(1)).await;
    assert_eq!(target.length(&stream).await, 9);
}

#[tokio::test]
async fn an_exact_repeat_is_recognised_after_later_appends() {
    let target = target().await;
    let stream = fresh("cart");
    let (created, added) = (events(2), events(3));
    let first = target.append_if(&stream, StreamState::NoStream, created.clone()).await.unwrap();
    let second = target.append_if(&stream, StreamState::StreamRevision(1), added.clone()).await.unwrap();
    target.append(&stream, events(20)).await;
    let again = target.append_if(&stream, StreamState::NoStream, created).await.unwrap();
    assert_eq!((again.next_expected_version, again.position.commit), (1, first.position.commit));
    let again = target.append_if(&stream, StreamState::StreamRevision(1), added).await.unwrap();
    assert_eq!((again.next_expected_version, again.position.commit), (4, second.position.commit));
    assert_eq!(target.length(&stream).await, 25);
}

#[tokio::test]
async fn a_partly_repeated_append_is_refused() {
    let target = target().await;
    let stream = fresh("cart");
    let old = event("t", 0);
    target.append_if(&stream, StreamState::NoStream, vec![old.clone()]).await.unwrap();
    for state in [StreamState::Any, StreamState::NoStream] {
        let mixed = vec![old.clone(), event("t", 1)];
        let refused = target.append_if(&stream, state, mixed).await;
        assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{state:?}: {refused:?}");
    }
    assert_eq!(target.length(&stream).await, 1);
}

#[tokio::test]
async fn other_events_at_the_same_place_are_no_repeat() {
    let target = target().await;
    let stream = fresh("cart");
    target.append_if(&stream, StreamState::NoStream, events(2)).await.unwrap();
    let refused = target.append_if(&stream, StreamState::NoStream, events(2)).await;
    assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{refused:?}");
    assert_eq!(target.length(&stream).await, 2);
}

#[tokio::test]
async fn an_id_may_be_used_again_at_the_next_revision_and_in_another_stream() {
    let target = target().await;
    let (stream, other) = (fresh("cart"), fresh("cart"));
    let same = event("t", 0);
    target.append_if(&stream, StreamState::NoStream, vec![same.clone()]).await.unwrap();
    let next = target.append_if(&stream, StreamState::StreamRevision(0), vec![same.clone()]).await.unwrap();
    assert_eq!(next.next_expected_version, 1);
    target.append_if(&other, StreamState::NoStream, vec![same]).await.unwrap();
    assert_eq!((target.length(&stream).await, target.length(&other).await), (2, 1));
}
