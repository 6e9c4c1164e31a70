//! Expected revisions, repeats, and refusals.

use eventstore::{CurrentRevision, Error, EventData, ReadStreamOptions, StreamState};
use tonic::Code;

use crate::support::{all_of, append, at, event, events, expecting, revisions, soon, start};

async fn stream_length(running: &crate::support::Running, stream: &str) -> usize {
    all_of(running.client.read_stream(stream, &ReadStreamOptions::default()).await.unwrap()).await.len()
}

#[tokio::test]
async fn an_append_answers_with_the_last_events_revision_and_position() {
    let running = start().await;
    let first = append(&running.client, "cart-1", events(3)).await;
    assert_eq!((first.next_expected_version, at(first.position)), (2, (3, 3)));
    let second = append(&running.client, "cart-2", events(1)).await;
    assert_eq!((second.next_expected_version, at(second.position)), (0, (4, 4)));
}

#[tokio::test]
async fn every_unmet_expectation_is_refused_and_says_what_is_there() {
    let running = start().await;
    append(&running.client, "full", events(2)).await;
    let cases = [
        ("full", StreamState::NoStream, CurrentRevision::Current(1)),
        ("full", StreamState::StreamRevision(0), CurrentRevision::Current(1)),
        ("full", StreamState::StreamRevision(2), CurrentRevision::Current(1)),
        ("empty", StreamState::StreamExists, CurrentRevision::NoStream),
        ("empty", StreamState::StreamRevision(0), CurrentRevision::NoStream),
    ];
    for (stream, expected, found) in cases {
        let refused = running.client.append_to_stream(stream, &expecting(expected), events(1)).await;
        match refused {
            Err(Error::WrongExpectedVersion { expected: e, current }) => {
                assert_eq!((e, current), (expected, found), "{stream}");
            }
            other => panic!("{stream} {expected:?}: {other:?}"),
        }
    }
    assert_eq!(stream_length(&running, "full").await, 2);
}

#[tokio::test]
async fn every_met_expectation_is_taken() {
    let running = start().await;
    for (n, expected) in
        [StreamState::NoStream, StreamState::StreamRevision(0), StreamState::StreamExists, StreamState::Any]
            .into_iter()
            .enumerate()
    {
        let written = running.client.append_to_stream("s", &expecting(expected), events(1)).await.unwrap();
        assert_eq!(written.next_expected_version, n as u64);
    }
}

#[tokio::test]
async fn a_stream_with_nothing_but_metadata_exists() {
    let running = start().await;
    append(&running.client, "$$s", vec![event("$metadata", 0)]).await;
    let exists = expecting(StreamState::StreamExists);
    let written = running.client.append_to_stream("s", &exists, events(1)).await.unwrap();
    assert_eq!(written.next_expected_version, 0);
}

#[tokio::test]
async fn an_append_with_one_id_many_times_is_recognised_when_it_is_repeated() {
    let running = start().await;
    let batch = vec![event("counted.v1", 1); 6];
    // Of an id's uses the first counts, unless the expectation says where to look.
    for (state, revision) in [(StreamState::Any, 5), (StreamState::Any, 0), (StreamState::NoStream, 5)] {
        let written = running.client.append_to_stream("s", &expecting(state), batch.clone()).await.unwrap();
        assert_eq!(written.next_expected_version, revision);
    }
    assert_eq!(stream_length(&running, "s").await, 6);
}

#[tokio::test]
async fn of_many_writers_with_the_same_expectation_one_wins() {
    let running = start().await;
    let attempts = (0..20).map(|_| {
        let client = running.client.clone();
        tokio::spawn(async move {
            client.append_to_stream("hot", &expecting(StreamState::NoStream), events(1)).await
        })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match soon(attempt).await.unwrap() {
            Ok(_) => won += 1,
            Err(Error::WrongExpectedVersion { current, .. }) => {
                assert_eq!(current, CurrentRevision::Current(0))
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
}

/// Appends the same events twice and expects the same answer.
async fn repeat(running: &crate::support::Running, stream: &str, state: StreamState, batch: Vec<EventData>) {
    let first = running.client.append_to_stream(stream, &expecting(state), batch.clone()).await.unwrap();
    append(&running.client, "other", events(1)).await;
    let again = running.client.append_to_stream(stream, &expecting(state), batch).await.unwrap();
    assert_eq!(again.next_expected_version, first.next_expected_version, "{state:?}");
    assert_eq!(at(again.position), at(first.position), "{state:?}");
}

#[tokio::test]
async fn a_repeated_append_is_taken_once_and_answered_alike() {
    let running = start().await;
    repeat(&running, "s", StreamState::NoStream, events(2)).await;
    repeat(&running, "s", StreamState::StreamRevision(1), events(2)).await;
    repeat(&running, "s", StreamState::StreamExists, events(2)).await;
    repeat(&running, "s", StreamState::Any, events(2)).await;
    assert_eq!(stream_length(&running, "s").await, 8);
}

#[tokio::test]
async fn an_exact_repeat_is_recognised_after_later_appends_and_a_restart() {
    let running = start().await;
    let batch = events(2);
    let first =
        running.client.append_to_stream("s", &expecting(StreamState::NoStream), batch.clone()).await.unwrap();
    append(&running.client, "s", events(5)).await;
    let running = running.restart().await;
    let again =
        running.client.append_to_stream("s", &expecting(StreamState::NoStream), batch.clone()).await.unwrap();
    assert_eq!(at(again.position), at(first.position));
    let again = running.client.append_to_stream("s", &expecting(StreamState::Any), batch).await.unwrap();
    assert_eq!(at(again.position), at(first.position));
    assert_eq!(stream_length(&running, "s").await, 7);
}

#[tokio::test]
async fn partly_repeated_appends_are_refused() {
    let running = start().await;
    let old = event("t", 0);
    running.client.append_to_stream("s", &expecting(StreamState::NoStream), vec![old.clone()]).await.unwrap();
    for state in [StreamState::Any, StreamState::NoStream] {
        let mixed = vec![old.clone(), event("t", 1)];
        let refused = running.client.append_to_stream("s", &expecting(state), mixed).await;
        assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "{state:?}: {refused:?}");
    }
    assert_eq!(stream_length(&running, "s").await, 1);
}

#[tokio::test]
async fn an_id_may_be_used_again_at_the_next_revision() {
    let running = start().await;
    let same = event("t", 0);
    running
        .client
        .append_to_stream("s", &expecting(StreamState::NoStream), vec![same.clone()])
        .await
        .unwrap();
    let next = running
        .client
        .append_to_stream("s", &expecting(StreamState::StreamRevision(0)), vec![same])
        .await
        .unwrap();
    assert_eq!(next.next_expected_version, 1);
}

#[tokio::test]
async fn too_large_an_append_is_refused_and_the_connection_lives_on() {
    let running = start().await;
    let large = |bytes: usize| EventData::binary("blob", vec![0_u8; bytes].into());
    let refused = running
        .client
        .append_to_stream("s", &expecting(StreamState::Any), vec![large(1024 * 1024 + 1)])
        .await;
    match refused {
        Err(Error::Grpc { code, message }) => {
            assert_eq!(code, Code::InvalidArgument);
            assert!(message.contains("Maximum Append Size of 1048576 Exceeded"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let many = (0..40).map(|_| large(100_000)).collect::<Vec<_>>();
    let refused = running.client.append_to_stream("s", &expecting(StreamState::Any), many).await;
    assert!(matches!(refused, Err(Error::Grpc { code: Code::InvalidArgument, .. })), "{refused:?}");
    append(&running.client, "s", vec![large(1024 * 1024 - 100)]).await;
    let read = all_of(running.client.read_stream("s", &ReadStreamOptions::default()).await.unwrap()).await;
    assert_eq!(revisions(&read), [0]);
    assert_eq!(read[0].get_original_event().data.len(), 1024 * 1024 - 100);
}

#[tokio::test]
async fn plain_appends_do_not_wait_for_a_delayed_acknowledgement() {
    let running = start().await;
    append(&running.client, "s", events(1)).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = std::time::Instant::now();
        append(&running.client, "s", events(1)).await;
        times.push(started.elapsed());
    }
    times.sort();
    assert!(times[25].as_millis() < 30, "median {:?}", times[25]);
}
