//! Many appends over one call.

use eventstore::{Error, ReadStreamOptions, StreamState};
use futures::future::join_all;
use tonic::Code;

use crate::support::{all_of, events, revisions, soon, start};

#[tokio::test]
async fn many_appends_at_once_are_all_answered() {
    let running = start().await;
    let session = running.client.batch_append(&eventstore::BatchAppendOptions::default()).await.unwrap();
    let appends = (0..300_u64).map(|n| {
        let stream = format!("s-{}", n % 10);
        let session = &session;
        async move { session.append_to_stream(stream, StreamState::Any, events(2)).await.unwrap() }
    });
    let results = soon(join_all(appends)).await;
    let mut positions: Vec<u64> = results.iter().map(|r| r.current_position().unwrap().commit).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=300).map(|n| n * 2).collect::<Vec<_>>());
    let read = all_of(running.client.read_stream("s-3", &ReadStreamOptions::default()).await.unwrap()).await;
    assert_eq!(revisions(&read), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_conflict_is_an_item_of_its_own() {
    let running = start().await;
    let open =
        || async { running.client.batch_append(&eventstore::BatchAppendOptions::default()).await.unwrap() };
    let session = open().await;
    let written = session.append_to_stream("s", StreamState::NoStream, events(1)).await.unwrap();
    assert_eq!(written.current_revision(), Some(0));
    assert_eq!(written.stream_name(), "s");
    let refused = soon(session.append_to_stream("s", StreamState::NoStream, events(1))).await;
    match refused {
        Err(Error::Grpc { code, .. }) => assert_eq!(code, Code::AlreadyExists),
        other => panic!("{other:?}"),
    }
    running.client.tombstone_stream("gone", &Default::default()).await.unwrap();
    match soon(open().await.append_to_stream("gone", StreamState::Any, events(1))).await {
        Err(Error::Grpc { code, .. }) => assert_eq!(code, Code::NotFound),
        other => panic!("{other:?}"),
    }
    // The client closes a session after a refusal; a new one goes on.
    let written =
        open().await.append_to_stream("s", StreamState::StreamRevision(0), events(1)).await.unwrap();
    assert_eq!(written.current_revision(), Some(1));
}

#[tokio::test]
async fn a_repeated_batch_is_taken_once() {
    let running = start().await;
    let session = running.client.batch_append(&eventstore::BatchAppendOptions::default()).await.unwrap();
    let batch = events(3);
    let first = session.append_to_stream("s", StreamState::NoStream, batch.clone()).await.unwrap();
    let again = session.append_to_stream("s", StreamState::NoStream, batch).await.unwrap();
    assert_eq!(first, again);
}
