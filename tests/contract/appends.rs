//! Expected states, atomicity, batches, limits.

use crate::target::{INVALID_ARGUMENT, RESOURCE_EXHAUSTED, all, event, events, fresh, soon, status, target};
use crate::writers::event_with;
use chrono::Utc;
use event_store::{AppendError, ExpectedRevision, MAX_APPEND_BYTES, Metadata};
use eventstore::{BatchAppendOptions, CurrentRevision, Error, EventData, StreamState};
use futures::future::join_all;

#[tokio::test]
async fn our_appends_are_answered_with_the_last_events_revision_and_position() {
    let target = target().await;
    let stream = fresh("cart");
    let sent: Vec<_> = (0..3).map(|n| event_with(&serde_json::json!({ "n": n }))).collect();
    let first = soon(target.store.append(&stream, ExpectedRevision::NoStream, sent.clone())).await.unwrap();
    assert_eq!(first.revision, 2);
    let next = vec![event_with(&serde_json::json!({}))];
    let second = soon(target.store.append(&stream, ExpectedRevision::Exact(2), next)).await.unwrap();
    assert_eq!(second.revision, 3);
    assert!(second.position > first.position);

    let read = all(target.store.read_stream(&stream, 0, 10)).await;
    assert_eq!((read[2].position, read[3].position), (first.position, second.position));
    for (sent, read) in sent.iter().zip(&read) {
        assert_eq!(
            (read.id, read.event_type.as_str(), &read.data[..]),
            (sent.id, "counted.v1", &sent.data[..])
        );
        let occurred_at = |metadata: &Metadata| metadata.occurred_at.timestamp_micros();
        assert_eq!(
            occurred_at(&read.metadata().unwrap()),
            occurred_at(&serde_json::from_slice(&sent.metadata).unwrap())
        );
        assert!((read.recorded_at - Utc::now()).num_minutes().abs() < 5, "{}", read.recorded_at);
    }
}

#[tokio::test]
async fn our_unmet_expectations_are_conflicts_and_harm_nobody_else() {
    let target = target().await;
    let stream = fresh("cart");
    let one = || vec![event_with(&serde_json::json!({}))];
    target.store.append(&stream, ExpectedRevision::NoStream, one()).await.unwrap();
    for expected in [ExpectedRevision::NoStream, ExpectedRevision::Exact(1), ExpectedRevision::Exact(9)] {
        let refused = soon(target.store.append(&stream, expected, one())).await;
        assert!(matches!(refused, Err(AppendError::Conflict)), "{expected:?}: {refused:?}");
    }
    // A refused item ends the session that all appends share: those that were under way with it are asked again.
    let appends = (0..40).map(|n| {
        let (store, stream) = (target.store.clone(), stream.clone());
        async move {
            if n % 4 == 0 {
                let refused = store.append(&stream, ExpectedRevision::NoStream, one()).await;
                assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
            } else {
                let taken = store.append(&fresh("cart"), ExpectedRevision::NoStream, one()).await;
                assert_eq!(taken.unwrap().revision, 0);
            }
        }
    });
    soon(join_all(appends)).await;
    assert_eq!(target.length(&stream).await, 1);
}

#[tokio::test]
async fn every_met_expectation_is_taken() {
    let target = target().await;
    let stream = fresh("cart");
    let states = [
        StreamState::NoStream,
        StreamState::StreamRevision(0),
        StreamState::StreamExists,
        StreamState::Any,
        StreamState::StreamRevision(3),
    ];
    for (revision, state) in (0..).zip(states) {
        let written = target.append_if(&stream, state, events(1)).await.unwrap();
        assert_eq!(written.next_expected_version, revision, "{state:?}");
    }
    let created = target.append_if(&fresh("cart"), StreamState::Any, events(2)).await.unwrap();
    assert_eq!(created.next_expected_version, 1);
}

#[tokio::test]
async fn every_unmet_expectation_is_refused_and_says_what_is_there() {
    let target = target().await;
    let (full, empty) = (fresh("cart"), fresh("cart"));
    target.append(&full, events(2)).await;
    let cases = [
        (&full, StreamState::NoStream, CurrentRevision::Current(1)),
        (&full, StreamState::StreamRevision(0), CurrentRevision::Current(1)),
        (&full, StreamState::StreamRevision(2), CurrentRevision::Current(1)),
        (&empty, StreamState::StreamExists, CurrentRevision::NoStream),
        (&empty, StreamState::StreamRevision(0), CurrentRevision::NoStream),
    ];
    for (stream, state, found) in cases {
        match target.append_if(stream, state, events(1)).await {
            Err(Error::WrongExpectedVersion { expected, current }) => {
                assert_eq!((expected, current), (state, found), "{stream}");
            }
            other => panic!("{stream} {state:?}: {other:?}"),
        }
    }
    assert_eq!((target.length(&full).await, target.length(&empty).await), (2, 0));
}

#[tokio::test]
async fn of_many_writers_with_the_same_expectation_one_wins() {
    let target = target().await;
    let stream = fresh("cart");
    let attempts = (0..20).map(|_| target.append_if(&stream, StreamState::NoStream, events(3)));
    let answers = join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert_eq!(target.length(&stream).await, 3);
}

#[tokio::test]
async fn an_appends_events_stand_together_in_the_log() {
    let target = target().await;
    let streams: Vec<_> = (0..6).map(|_| fresh("cart")).collect();
    let writers = streams.iter().map(|stream| {
        let target = &target;
        async move {
            for _ in 0..5 {
                target.append(stream, events(4)).await;
            }
        }
    });
    let before = target.store.head().await.unwrap();
    join_all(writers).await;
    let log = all(target.store.read_all(before, usize::MAX)).await;
    let mine: Vec<_> = log.iter().filter(|event| streams.contains(&event.stream)).collect();
    assert_eq!(mine.len(), 6 * 5 * 4);
    for append in mine.chunks(4) {
        assert!(append.iter().all(|event| event.stream == append[0].stream));
        let revisions: Vec<_> = append.iter().map(|event| event.revision).collect();
        assert_eq!(revisions, (revisions[0]..revisions[0] + 4).collect::<Vec<_>>());
        assert_eq!(revisions[0] % 4, 0);
    }
}

#[tokio::test]
async fn a_batch_session_takes_appends_to_many_streams() {
    let target = target().await;
    let session = target.client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let streams: Vec<_> = (0..20).map(|_| fresh("cart")).collect();
    let appends =
        streams.iter().map(|stream| session.append_to_stream(stream, StreamState::NoStream, events(2)));
    let mut positions = Vec::new();
    for (answer, stream) in soon(join_all(appends)).await.into_iter().zip(&streams) {
        let answer = answer.unwrap();
        assert_eq!((answer.stream_name(), answer.current_revision()), (stream.as_str(), Some(1)));
        positions.push(answer.current_position().unwrap().commit);
    }
    for (stream, position) in streams.iter().zip(positions) {
        let read = all(target.store.read_stream(stream, 0, 10)).await;
        assert_eq!(read.iter().map(|event| event.position.value()).max(), Some(position));
    }
    // There is something, so a second start of the stream is refused.
    let refused = soon(session.append_to_stream(&streams[0], StreamState::NoStream, events(1))).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(target.length(&streams[0]).await, 2);
}

#[tokio::test]
async fn too_large_an_append_is_refused_and_the_connection_lives_on() {
    let target = target().await;
    let stream = fresh("blob");
    let of_bytes = |bytes: usize| vec![EventData::binary("blob", vec![7; bytes].into())];
    let larger = target.append_if(&stream, StreamState::Any, of_bytes(8 * MAX_APPEND_BYTES)).await;
    assert_eq!(status(larger), INVALID_ARGUMENT);
    // A message that no server reads to its end.
    let huge = target.append_if(&stream, StreamState::Any, of_bytes(16 * 1024 * 1024 + 1000)).await;
    assert_eq!(status(huge), RESOURCE_EXHAUSTED);
    let large = vec![7; MAX_APPEND_BYTES];
    let written = target.append(&stream, vec![EventData::binary("blob", large.clone().into())]).await;
    assert_eq!(written.next_expected_version, 0);
    let read = all(target.store.read_stream(&stream, 0, 1)).await;
    assert!(read[0].data == large);

    let ours = event_with(&serde_json::Value::from("x".repeat(MAX_APPEND_BYTES)));
    let refused = target.store.append(&fresh("cart"), ExpectedRevision::NoStream, vec![ours]).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { max: MAX_APPEND_BYTES, .. })), "{refused:?}");
}

#[tokio::test]
async fn names_and_payloads_of_any_language_and_any_bytes_come_back() {
    let target = target().await;
    let stream = fresh("Übergröße 注文/§");
    let bytes: Vec<u8> = (0..=255).collect();
    let binary = EventData::binary("räw", bytes.clone().into()).metadata(bytes.clone().into());
    target.append(&stream, vec![binary, event("größe", 1)]).await;
    let read = all(target.store.read_stream(&stream, 0, 10)).await;
    assert_eq!((read[0].stream.as_str(), read[0].event_type.as_str()), (stream.as_str(), "räw"));
    assert_eq!((&read[0].data[..], &read[0].metadata[..]), (&bytes[..], &bytes[..]));
    assert_eq!((read[1].event_type.as_str(), &read[1].data[..]), ("größe", &br#"{"n":1}"#[..]));
}
