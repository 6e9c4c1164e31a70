use bytes::Bytes;
use tokio::sync::watch;

use super::*;
use crate::config::Config;
use crate::wire::messages::StreamIdentifier;

fn id(number: u128) -> WireUuid {
    let (most, least) = Uuid::from_u128(number).as_u64_pair();
    let signed = |bits: u64| i64::from_be_bytes(bits.to_be_bytes());
    let structured = crate::wire::messages::uuid::Structured {
        most_significant_bits: signed(most),
        least_significant_bits: signed(least),
    };
    WireUuid { value: Some(crate::wire::messages::uuid::Value::Structured(structured)) }
}

fn part(batch: u128, first: bool, events: &[u128], bytes: usize, is_final: bool) -> BatchAppendReq {
    let proposed = |event: &u128| ProposedMessage {
        id: Some(id(*event)),
        metadata: [("type", "t"), ("content-type", "application/json")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        custom_metadata: Bytes::new(),
        data: vec![0; bytes].into(),
    };
    let options = Options {
        stream_identifier: Some(StreamIdentifier { stream_name: "s".into() }),
        expected_stream_position: Some(ExpectedStreamPosition::NoStream(())),
        deadline_option: None,
    };
    BatchAppendReq {
        correlation_id: Some(id(batch)),
        options: first.then_some(options),
        proposed_messages: events.iter().map(proposed).collect(),
        is_final,
    }
}

/// The whole append.
fn whole(ready: Option<Ready>) -> Incomplete {
    match ready {
        Some(Ready::Whole(append)) => append,
        _ => panic!("it is not whole"),
    }
}

fn session() -> Session {
    Session { incomplete: HashMap::new(), most_incomplete: INCOMPLETE, max_bytes: 1000 }
}

#[test]
fn parts_are_put_together_even_when_two_appends_alternate() {
    let mut session = session();
    assert!(session.accept(part(1, true, &[10, 11], 1, false)).unwrap().is_none());
    assert!(session.accept(part(2, true, &[20], 1, false)).unwrap().is_none());
    let second = whole(session.accept(part(2, false, &[], 1, true)).unwrap());
    let first = whole(session.accept(part(1, false, &[12], 1, true)).unwrap());
    let ids = |append: &Incomplete| append.events.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![10, 11, 12], vec![20]));
    assert_eq!(first.expected, Expected::NoStream);
    assert!(session.incomplete.is_empty());
}

#[test]
fn an_append_that_grows_too_large_keeps_no_events_and_is_refused_as_one_item() {
    let mut session = session();
    for n in 0..10 {
        assert!(session.accept(part(1, n == 0, &[n], 400, false)).unwrap().is_none());
    }
    let append = whole(session.accept(part(1, false, &[99], 400, true)).unwrap());
    assert!(append.events.is_empty());
    assert_eq!(append.refusal.unwrap().code, i32::from(Code::InvalidArgument));
}

#[test]
fn one_bad_part_is_refused_or_left_out_and_the_others_go_on() {
    let mut session = session();
    assert!(session.accept(part(1, false, &[1], 1, true)).unwrap().is_none(), "it never began");
    let mut nameless = part(1, true, &[1], 1, true);
    nameless.correlation_id = None;
    let Some(Ready::Refused(refused)) = session.accept(nameless).unwrap() else {
        panic!("it is not refused")
    };
    assert_eq!(refused.reply.err().unwrap().message, "BadRequest");
    let mut no_expectation = part(2, true, &[1], 1, true);
    no_expectation.options.as_mut().unwrap().expected_stream_position = None;
    assert_eq!(whole(session.accept(no_expectation).unwrap()).refusal.unwrap().message, "BadRequest");
    whole(session.accept(part(3, true, &[1], 1, true)).unwrap());
}

#[test]
fn incomplete_appends_are_bounded() {
    let mut session = session();
    for n in 0..INCOMPLETE {
        assert!(session.accept(part(n as u128 + 1, true, &[1], 1, false)).unwrap().is_none());
    }
    let Err(refused) = session.accept(part(9999, true, &[1], 1, false)) else { panic!("it has no bound") };
    assert_eq!(refused.code(), Code::ResourceExhausted);
}

#[test]
fn a_deadline_is_a_time_from_now_or_a_moment_and_what_has_passed_leaves_no_time() {
    let duration = |seconds| Some(DeadlineOption::Deadline(prost_types::Duration { seconds, nanos: 0 }));
    let moment = |at: SystemTime| Some(DeadlineOption::Deadline21100(at.into()));
    let hour = Duration::from_secs(3600);
    assert_eq!(time_left(None), None);
    assert_eq!(time_left(duration(3600)), Some(hour));
    assert_eq!(time_left(duration(-1)), Some(Duration::ZERO));
    let (seconds, nanos) = (1, 500_000_000);
    let with_a_fraction = Some(DeadlineOption::Deadline(prost_types::Duration { seconds, nanos }));
    assert_eq!(time_left(with_a_fraction), Some(Duration::from_millis(1_500)));
    assert_eq!(time_left(moment(SystemTime::now() - hour)), Some(Duration::ZERO));
    let left = time_left(moment(SystemTime::now() + hour)).unwrap();
    assert!(left > hour / 2 && left <= hour, "{left:?}");
    // Some clients say so when they mean never.
    assert!(time_left(duration(315_576_000_000)).is_some());
}

#[tokio::test]
async fn an_append_whose_deadline_has_passed_is_refused_and_one_in_time_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = Store::open(&Config::new(folder.path()), watch::channel(false).0).unwrap();
    for (seconds, written) in [(0, None), (3600, Some(0)), (315_576_000_000, Some(0))] {
        let mut request = part(1, true, &[10], 1, true);
        let deadline = DeadlineOption::Deadline(prost_types::Duration { seconds, nanos: 0 });
        request.options.as_mut().unwrap().deadline_option = Some(deadline);
        let append = whole(session().accept(request).unwrap());
        match append.hand_over(&store, &store.access().own_rights()).await.answer().await.result.unwrap() {
            BatchResult::Success(success) => {
                assert_eq!(
                    success.current_revision_option,
                    written.map(CurrentRevisionOption::CurrentRevision)
                );
            }
            BatchResult::Error(error) => {
                assert_eq!(written, None, "{error:?}");
                assert_eq!(error.code, i32::from(Code::DeadlineExceeded));
                assert!(error.details.unwrap().type_url.ends_with("event_store.client.Timeout"));
                assert_eq!(store.head(), 0, "nothing is written");
            }
        }
    }
    store.stop_writing();
    writer.join().unwrap();
}
