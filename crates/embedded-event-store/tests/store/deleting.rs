//! Deleted streams and what metadata hides.

use std::time::Duration;

use eventstore::{
    Client, DeleteStreamOptions, Error, EventData, ReadAllOptions, ReadStreamOptions, StreamMetadata,
    StreamMetadataResult, StreamPosition, StreamState, TombstoneStreamOptions,
};

use crate::support::{all_of, append, events, expecting, revisions, start};

async fn read(client: &Client, stream: &str) -> Result<Vec<u64>, Error> {
    let mut read = client.read_stream(stream, &ReadStreamOptions::default()).await?;
    let mut found = Vec::new();
    while let Some(event) = read.next().await? {
        found.push(event.get_original_event().revision);
    }
    Ok(found)
}

async fn set_metadata(client: &Client, json: &str) {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    append(client, "$$s", vec![EventData::json("$metadata", &json).unwrap()]).await;
}

#[tokio::test]
async fn a_deleted_stream_is_gone_and_may_go_on_with_the_next_number() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(3)).await;
    client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    assert!(matches!(read(client, "s").await, Err(Error::ResourceNotFound)));
    let running = running.restart().await;
    let client = &running.client;
    assert!(matches!(read(client, "s").await, Err(Error::ResourceNotFound)));
    let batch = events(2);
    let written =
        client.append_to_stream("s", &expecting(StreamState::NoStream), batch.clone()).await.unwrap();
    assert_eq!(written.next_expected_version, 4);
    assert_eq!(read(client, "s").await.unwrap(), [3, 4]);
    // A retry that expects no stream looks at the stream's real beginning, as on the protocol's own server.
    let again = client.append_to_stream("s", &expecting(StreamState::NoStream), batch).await;
    assert!(matches!(again, Err(Error::WrongExpectedVersion { .. })), "{again:?}");
}

#[tokio::test]
async fn what_is_appended_to_a_deleted_stream_that_had_only_metadata_is_read() {
    let running = start().await;
    let client = &running.client;
    set_metadata(client, r#"{"a":1}"#).await;
    client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    assert_eq!(append(client, "s", events(1)).await.next_expected_version, 0);
    let running = running.restart().await;
    assert_eq!(read(&running.client, "s").await.unwrap(), [0]);
    let exists = expecting(StreamState::StreamExists);
    running.client.append_to_stream("s", &exists, events(1)).await.unwrap();
}

#[tokio::test]
async fn the_retry_of_an_append_does_not_bring_a_deleted_stream_back() {
    let running = start().await;
    let client = &running.client;
    let old = events(1);
    let first = expecting(StreamState::NoStream);
    client.append_to_stream("s", &first, old.clone()).await.unwrap();
    client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    for state in [StreamState::NoStream, StreamState::Any] {
        let again = client.append_to_stream("s", &expecting(state), old.clone()).await.unwrap();
        assert_eq!(again.next_expected_version, 0);
        let more = old.iter().cloned().chain(events(1)).collect::<Vec<_>>();
        let refused = client.append_to_stream("s", &expecting(state), more).await;
        assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{state:?}: {refused:?}");
    }
    assert!(matches!(read(client, "s").await, Err(Error::ResourceNotFound)));
}

#[tokio::test]
async fn ids_that_stand_elsewhere_in_the_stream_do_not_meet_an_expectation() {
    let running = start().await;
    let client = &running.client;
    let old = events(3);
    client.append_to_stream("s", &expecting(StreamState::NoStream), old.clone()).await.unwrap();
    set_metadata(client, r#"{"$tb":2}"#).await;
    let last = vec![old[2].clone()];
    let refused = client.append_to_stream("s", &expecting(StreamState::NoStream), last.clone()).await;
    assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{refused:?}");
    let again = client.append_to_stream("s", &expecting(StreamState::StreamRevision(1)), last).await.unwrap();
    assert_eq!(again.next_expected_version, 2);
}

#[tokio::test]
async fn a_delete_leaves_no_other_metadata_and_a_stream_that_goes_on_shows_that_after_its_events() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(3)).await;
    set_metadata(client, r#"{"$maxCount":2,"x":1}"#).await;
    client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    append(client, "s", events(1)).await;
    let log = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    let newest = |back: usize| log[log.len() - back].get_original_event();
    let text = |back: usize| String::from_utf8_lossy(&newest(back).data).into_owned();
    assert_eq!((newest(3).stream_id(), text(3).as_str()), ("$$s", r#"{"$tb":9223372036854775807}"#));
    assert_eq!((newest(2).stream_id(), newest(2).revision), ("s", 3));
    assert_eq!((newest(1).stream_id(), text(1).as_str()), ("$$s", r#"{"$tb":3}"#));
}

#[tokio::test]
async fn paging_backwards_ends_at_the_oldest_event_that_is_kept() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(3)).await;
    set_metadata(client, r#"{"$tb":2}"#).await;
    for position in [StreamPosition::Position(0), StreamPosition::Position(1)] {
        let before = ReadStreamOptions::default().backwards().position(position).max_count(5);
        let found = all_of(client.read_stream("s", &before).await.unwrap()).await;
        assert_eq!(revisions(&found), [0_u64; 0], "{position:?}");
    }
}

#[tokio::test]
async fn new_metadata_for_a_deleted_stream_does_not_bring_its_events_back() {
    let running = start().await;
    append(&running.client, "s", events(3)).await;
    running.client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    set_metadata(&running.client, r#"{"$maxCount":100,"key":"kept"}"#).await;
    let running = running.restart().await;
    let client = &running.client;
    assert_eq!(read(client, "s").await.unwrap(), [0_u64; 0]);
    let found = client.get_stream_metadata("s", &ReadStreamOptions::default()).await.unwrap();
    let StreamMetadataResult::Success(found) = found else { panic!("{found:?}") };
    let metadata = found.metadata();
    assert_eq!((metadata.max_count, metadata.truncate_before), (Some(100), Some(3)));
    assert_eq!(metadata.custom_properties["key"], "kept");
    let written = client.append_to_stream("s", &expecting(StreamState::StreamRevision(2)), events(1)).await;
    assert_eq!(written.unwrap().next_expected_version, 3);
    assert_eq!(read(client, "s").await.unwrap(), [3]);
}

#[tokio::test]
async fn a_deleted_stream_does_not_exist() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(1)).await;
    client.delete_stream("s", &DeleteStreamOptions::default()).await.unwrap();
    let exists = StreamState::StreamExists;
    let refused = client.append_to_stream("s", &expecting(exists), events(1)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    let refused = client.delete_stream("s", &DeleteStreamOptions::default().stream_state(exists)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    let refused = client.tombstone_stream("s", &TombstoneStreamOptions::default().stream_state(exists)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
}

#[tokio::test]
async fn a_delete_with_an_unmet_expectation_is_refused() {
    let running = start().await;
    append(&running.client, "s", events(3)).await;
    let wrong = DeleteStreamOptions::default().stream_state(StreamState::StreamRevision(1));
    let refused = running.client.delete_stream("s", &wrong).await;
    assert!(
        matches!(&refused, Err(Error::Grpc { message, .. }) if message.contains("WrongExpectedVersion")),
        "{refused:?}"
    );
    assert_eq!(read(&running.client, "s").await.unwrap(), [0, 1, 2]);
}

#[tokio::test]
async fn a_tombstone_is_for_ever() {
    let running = start().await;
    append(&running.client, "s", events(2)).await;
    running.client.tombstone_stream("s", &TombstoneStreamOptions::default()).await.unwrap();
    let running = running.restart().await;
    let client = &running.client;
    assert!(matches!(read(client, "s").await, Err(Error::ResourceDeleted)));
    assert!(matches!(read(client, "$$s").await, Err(Error::ResourceDeleted)));
    for state in [StreamState::Any, StreamState::NoStream, StreamState::StreamRevision(1)] {
        let refused = client.append_to_stream("s", &expecting(state), events(1)).await;
        assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    }
    let refused = client.delete_stream("s", &DeleteStreamOptions::default()).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)));
    let log = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    let last = log.last().unwrap().get_original_event();
    assert_eq!((last.event_type.as_str(), last.revision), ("$streamDeleted", i64::MAX as u64));
}

#[tokio::test]
async fn metadata_limits_what_is_read() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(10)).await;
    set_metadata(client, r#"{"$maxCount":3}"#).await;
    assert_eq!(read(client, "s").await.unwrap(), [7, 8, 9]);
    append(client, "s", events(1)).await;
    assert_eq!(read(client, "s").await.unwrap(), [8, 9, 10]);
    set_metadata(client, r#"{"$tb":5}"#).await;
    assert_eq!(read(client, "s").await.unwrap(), [5, 6, 7, 8, 9, 10]);
    let backwards = ReadStreamOptions::default().backwards().position(StreamPosition::End).max_count(100);
    let read_backwards = all_of(client.read_stream("s", &backwards).await.unwrap()).await;
    assert_eq!(revisions(&read_backwards), [10, 9, 8, 7, 6, 5]);
    for says_nothing in [r#"{"$maxAge":0,"$maxCount":0}"#, r#"{"$maxCount":1,"$acl":5}"#] {
        set_metadata(client, says_nothing).await;
        assert_eq!(read(client, "s").await.unwrap(), (0..11).collect::<Vec<_>>());
    }
    let not_json = EventData::binary("$metadata", r#"{"$maxCount":1}"#.as_bytes().to_vec().into());
    append(client, "$$s", vec![not_json]).await;
    assert_eq!(read(client, "s").await.unwrap(), (0..11).collect::<Vec<_>>());
    set_metadata(client, r#"{"$maxAge":3600}"#).await;
    assert_eq!(read(client, "s").await.unwrap(), (0..11).collect::<Vec<_>>());
    assert_eq!(read(client, "$$s").await.unwrap(), [5]);
}

#[tokio::test]
async fn the_clients_own_metadata_calls_work() {
    let running = start().await;
    append(&running.client, "s", events(5)).await;
    let metadata =
        eventstore::StreamMetadataBuilder::new().max_count(2).max_age(Duration::from_secs(60)).build();
    set(&running.client, &metadata).await;
    assert_eq!(read(&running.client, "s").await.unwrap(), [3, 4]);
    let found = running.client.get_stream_metadata("s", &ReadStreamOptions::default()).await.unwrap();
    let StreamMetadataResult::Success(found) = found else { panic!("{found:?}") };
    assert_eq!(found.metadata().max_count, Some(2));
}

async fn set(client: &Client, metadata: &StreamMetadata) {
    client.set_stream_metadata("s", &expecting(StreamState::NoStream), metadata).await.unwrap();
}
