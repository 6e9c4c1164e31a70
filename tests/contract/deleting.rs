//! Deleting for now and for ever.

use crate::target::{FAILED_PRECONDITION, all, all_of, events, fresh, soon, status, target};
use eventstore::{
    AppendToStreamOptions, DeleteStreamOptions, Error, ReadStreamOptions, StreamMetadataBuilder,
    StreamMetadataResult, StreamState, SubscribeToStreamOptions, SubscriptionEvent, TombstoneStreamOptions,
};

fn delete_if(state: StreamState) -> DeleteStreamOptions {
    DeleteStreamOptions::default().stream_state(state)
}

fn close_if(state: StreamState) -> TombstoneStreamOptions {
    TombstoneStreamOptions::default().stream_state(state)
}

#[tokio::test]
async fn a_deleted_stream_is_not_found_and_goes_on_where_it_was() {
    let target = target().await;
    let stream = fresh("cart");
    let written = target.append(&stream, events(3)).await;
    let deleted = delete_if(StreamState::StreamRevision(2));
    let deleted = soon(target.client.delete_stream(stream.as_str(), &deleted)).await.unwrap();
    assert!(deleted.unwrap().commit > written.position.commit);

    let read = target.client.read_stream(stream.as_str(), &ReadStreamOptions::default()).await.unwrap();
    assert!(matches!(all_of(read).await, Err(Error::ResourceNotFound)));
    assert_eq!(all(target.store.read_stream(&stream, 0, 10)).await, []);

    let written = target.append_if(&stream, StreamState::NoStream, events(2)).await.unwrap();
    assert_eq!(written.next_expected_version, 4);
    let read = all(target.store.read_stream(&stream, 0, 10)).await;
    assert_eq!(read.iter().map(|event| event.revision).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test]
async fn an_unmet_expectation_keeps_the_stream() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(2)).await;
    for state in [StreamState::StreamRevision(0), StreamState::StreamRevision(5), StreamState::NoStream] {
        let refused = soon(target.client.delete_stream(stream.as_str(), &delete_if(state))).await;
        assert_eq!(status(refused), FAILED_PRECONDITION, "{state:?}");
        let refused = soon(target.client.tombstone_stream(stream.as_str(), &close_if(state))).await;
        assert_eq!(status(refused), FAILED_PRECONDITION, "{state:?}");
    }
    assert_eq!(target.length(&stream).await, 2);
}

#[tokio::test]
async fn a_tombstone_ends_a_stream_for_ever() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(2)).await;
    let mut subscription =
        target.client.subscribe_to_stream(stream.as_str(), &SubscribeToStreamOptions::default()).await;
    while !matches!(
        soon(subscription.next_subscription_event()).await.unwrap(),
        SubscriptionEvent::CaughtUp(..)
    ) {}

    soon(target.client.tombstone_stream(stream.as_str(), &close_if(StreamState::StreamRevision(1))))
        .await
        .unwrap()
        .expect("a tombstone has a position");

    let read = target.client.read_stream(stream.as_str(), &ReadStreamOptions::default()).await;
    let read = match read {
        Ok(read) => all_of(read).await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(matches!(read, Err(Error::ResourceDeleted)), "{read:?}");
    for state in [StreamState::Any, StreamState::NoStream, StreamState::StreamRevision(1)] {
        let refused = target.append_if(&stream, state, events(1)).await;
        assert!(matches!(refused, Err(Error::ResourceDeleted)), "{state:?}: {refused:?}");
    }
    let again = soon(target.client.tombstone_stream(stream.as_str(), &close_if(StreamState::Any))).await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
    let again = soon(target.client.delete_stream(stream.as_str(), &delete_if(StreamState::Any))).await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
    let read = futures::StreamExt::collect::<Vec<_>>(target.store.read_stream(&stream, 0, 1));
    let read = soon(read).await;
    assert!(matches!(&read[..], [Err(event_store::EventStoreError::Deleted)]), "{read:?}");
}

#[tokio::test]
async fn a_stream_that_never_was_can_be_closed() {
    let target = target().await;
    let stream = fresh("cart");
    soon(target.client.tombstone_stream(stream.as_str(), &close_if(StreamState::NoStream))).await.unwrap();
    let refused = target.append_if(&stream, StreamState::NoStream, events(1)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
}

#[tokio::test]
async fn a_stream_that_never_was_cannot_be_deleted() {
    let target = target().await;
    let stream = fresh("cart");
    for state in [StreamState::Any, StreamState::NoStream, StreamState::StreamExists] {
        let refused = soon(target.client.delete_stream(stream.as_str(), &delete_if(state))).await;
        assert_eq!(status(refused), FAILED_PRECONDITION, "{state:?}");
    }
    target.append_if(&stream, StreamState::NoStream, events(1)).await.unwrap();
    assert_eq!(target.length(&stream).await, 1);
}

#[tokio::test]
async fn a_deleted_stream_is_not_one_that_exists() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(1)).await;
    for _ in 0..2 {
        soon(target.client.delete_stream(stream.as_str(), &delete_if(StreamState::Any))).await.unwrap();
    }
    let again =
        soon(target.client.delete_stream(stream.as_str(), &delete_if(StreamState::StreamExists))).await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
}

#[tokio::test]
async fn a_closed_stream_takes_its_metadata_along() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(1)).await;
    soon(target.client.tombstone_stream(stream.as_str(), &close_if(StreamState::Any))).await.unwrap();
    for state in [StreamState::NoStream, StreamState::Any] {
        let options = AppendToStreamOptions::default().stream_state(state);
        let metadata = StreamMetadataBuilder::new().max_count(7).build();
        let refused = soon(target.client.set_stream_metadata(stream.as_str(), &options, &metadata)).await;
        assert!(matches!(refused, Err(Error::ResourceDeleted)), "{state:?}: {refused:?}");
    }
    let read = target.client.get_stream_metadata(stream.as_str(), &ReadStreamOptions::default()).await;
    assert!(matches!(read, Ok(StreamMetadataResult::Deleted) | Err(Error::ResourceDeleted)), "{read:?}");
    let refused = target.append_if(&stream, StreamState::Any, events(1)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
}
