//! What a stream's metadata says, and what it hides.

use crate::target::{Target, all, events, fresh, soon, target};
use eventstore::{
    AppendToStreamOptions, Error, StreamMetadata, StreamMetadataBuilder, StreamMetadataResult, StreamState,
};
use std::time::Duration;

async fn set(
    target: &Target,
    stream: &str,
    state: StreamState,
    metadata: &StreamMetadata,
) -> Result<u64, Error> {
    let options = AppendToStreamOptions::default().stream_state(state);
    let written = soon(target.client.set_stream_metadata(stream, &options, metadata)).await?;
    Ok(written.next_expected_version)
}

async fn visible(target: &Target, stream: &str) -> Vec<u64> {
    all(target.store.read_stream(stream, 0, usize::MAX)).await.iter().map(|event| event.revision).collect()
}

#[tokio::test]
async fn it_is_kept_with_a_revision_of_its_own() {
    let target = target().await;
    let stream = fresh("cart");
    let options = eventstore::ReadStreamOptions::default();
    let none = target.client.get_stream_metadata(stream.as_str(), &options).await.unwrap();
    assert!(matches!(none, StreamMetadataResult::NotFound));

    let metadata = StreamMetadataBuilder::new().max_count(12).insert_custom_property("owner", "me").build();
    assert_eq!(set(&target, &stream, StreamState::NoStream, &metadata).await.unwrap(), 0);
    let refused = set(&target, &stream, StreamState::NoStream, &StreamMetadata::default()).await;
    assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{refused:?}");
    assert_eq!(set(&target, &stream, StreamState::StreamRevision(0), &metadata).await.unwrap(), 1);

    let StreamMetadataResult::Success(kept) =
        target.client.get_stream_metadata(stream.as_str(), &options).await.unwrap()
    else {
        panic!("there is metadata");
    };
    assert_eq!((kept.version(), kept.metadata()), (1, &metadata));
    // Of the metadata itself only the newest is to be seen.
    assert_eq!(visible(&target, &format!("$${stream}")).await, [1]);
}

#[tokio::test]
async fn it_hides_the_oldest_events_at_once() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(6)).await;
    let limit = |metadata: StreamMetadataBuilder| {
        let (target, stream) = (&target, stream.as_str());
        async move {
            set(target, stream, StreamState::Any, &metadata.build()).await.unwrap();
            visible(target, stream).await
        }
    };
    assert_eq!(limit(StreamMetadataBuilder::new().max_count(2)).await, [4, 5]);
    assert_eq!(limit(StreamMetadataBuilder::new().truncate_before(3)).await, [3, 4, 5]);
    assert_eq!(limit(StreamMetadataBuilder::new().truncate_before(1).max_count(4)).await, [2, 3, 4, 5]);
    assert_eq!(
        limit(StreamMetadataBuilder::new().max_age(Duration::from_secs(3600))).await,
        [0, 1, 2, 3, 4, 5]
    );
    assert_eq!(limit(StreamMetadataBuilder::new().max_count(100)).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_count_moves_on_with_the_stream_and_truncation_does_not_renumber() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(3)).await;
    let metadata = StreamMetadataBuilder::new().max_count(2).build();
    set(&target, &stream, StreamState::NoStream, &metadata).await.unwrap();
    let written = target.append_if(&stream, StreamState::StreamRevision(2), events(2)).await.unwrap();
    assert_eq!(written.next_expected_version, 4);
    assert_eq!(visible(&target, &stream).await, [3, 4]);
    let backwards = all(target.store.read_stream_backwards(&stream, None, 10)).await;
    assert_eq!(backwards.iter().map(|event| event.revision).collect::<Vec<_>>(), [4, 3]);
}
