use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::groups::settings::Start;
use crate::log::record::{Place, ProposedEvent, Record};

fn settings(strategy: Strategy) -> Settings {
    Settings {
        resolve_links: false,
        start_from: Start::Beginning,
        extra_statistics: false,
        max_retry_count: 2,
        message_timeout_ms: 1000,
        checkpoint_after_ms: 1000,
        min_checkpoint_count: 1,
        max_checkpoint_count: 10,
        max_subscriber_count: 0,
        live_buffer_size: 10,
        read_batch_size: 10,
        history_buffer_size: 10,
        strategy,
        filter: None,
    }
}

fn event(stream: &str, place: u64, id: u128) -> Resolved {
    let proposed = ProposedEvent {
        id: Uuid::from_u128(id),
        event_type: "t".into(),
        is_json: true,
        metadata: Bytes::from_static(b"{}"),
        data: Bytes::from_static(b"{}"),
    };
    let place = Place { stream, revision: place, position: place, created_ticks: 0 };
    Resolved { event: Some(Arc::new(Record::new(place, &proposed))), link: None }
}

fn with_messages(strategy: Strategy, count: u64) -> Deliveries {
    let mut deliveries = Deliveries::new(&settings(strategy), None);
    for place in 0..count {
        deliveries
            .add(Origin::Source(place), event(&format!("s-{}", place % 7), place, u128::from(place) + 1));
    }
    deliveries
}

fn join(deliveries: &mut Deliveries, slots: usize) -> (u64, mpsc::Receiver<Delivery>) {
    let (sender, receiver) = mpsc::channel(slots);
    let number = deliveries.join(Connecting {
        user: String::new(),
        connection_name: String::new(),
        slots,
        sender,
        end: Arc::new(OnceLock::new()),
    });
    (number, receiver)
}

/// What a consumer has been handed: revision and retries.
fn handed(receiver: &mut mpsc::Receiver<Delivery>) -> Vec<(u64, u32)> {
    std::iter::from_fn(|| receiver.try_recv().ok())
        .map(|delivery| (delivery.event.event.unwrap().revision(), delivery.retries))
        .collect()
}

fn places(receiver: &mut mpsc::Receiver<Delivery>) -> Vec<u64> {
    handed(receiver).into_iter().map(|(place, _)| place).collect()
}

fn id(place: u64) -> Uuid {
    Uuid::from_u128(u128::from(place) + 1)
}

#[test]
fn everything_before_the_oldest_unfinished_message_is_done() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 5);
    let (_, mut receiver) = join(&mut deliveries, 10);
    assert_eq!(deliveries.done_to(), None);
    deliveries.push(Instant::now());
    assert_eq!(places(&mut receiver), [0, 1, 2, 3, 4]);
    deliveries.ack(&[id(1), id(2)]);
    assert_eq!(deliveries.done_to(), None);
    deliveries.ack(&[id(0)]);
    assert_eq!((deliveries.done_to(), deliveries.finished()), (Some(2), 3));
    deliveries.nothing_up_to(9);
    deliveries.ack(&[id(3), id(4)]);
    assert_eq!(deliveries.done_to(), Some(9));
}

#[test]
fn nobody_gets_more_than_they_have_room_for() {
    let mut deliveries = with_messages(Strategy::DispatchToSingle, 7);
    let (_, mut first) = join(&mut deliveries, 3);
    let (_, mut second) = join(&mut deliveries, 2);
    deliveries.push(Instant::now());
    assert_eq!((places(&mut first), places(&mut second)), (vec![0, 1, 2], vec![3, 4]));
    deliveries.ack(&[id(1), id(4)]);
    deliveries.push(Instant::now());
    assert_eq!((places(&mut first), places(&mut second)), (vec![5], vec![6]));
}

#[test]
fn round_robin_takes_turns() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 6);
    let (_, mut first) = join(&mut deliveries, 10);
    let (_, mut second) = join(&mut deliveries, 10);
    deliveries.push(Instant::now());
    assert_eq!((places(&mut first), places(&mut second)), (vec![0, 2, 4], vec![1, 3, 5]));
}

#[test]
fn a_pinned_stream_stays_with_its_consumer_while_its_messages_are_there() {
    let mut deliveries = with_messages(Strategy::Pinned, 0);
    let (_, mut first) = join(&mut deliveries, 2);
    deliveries.add(Origin::Source(0), event("a", 0, 1));
    deliveries.push(Instant::now());
    let mut others: Vec<_> = (0..8).map(|_| join(&mut deliveries, 100)).collect();
    for place in 1..4 {
        deliveries.add(Origin::Source(place), event("a", place, u128::from(place) + 1));
    }
    deliveries.push(Instant::now());
    assert_eq!(places(&mut first), [0, 1], "the stream follows its first message, as far as there is room");
    assert!(others.iter_mut().all(|(_, receiver)| places(receiver).is_empty()));
    deliveries.ack(&[id(0), id(1)]);
    deliveries.push(Instant::now());
    let mut everybody: Vec<_> = others.iter_mut().map(|(_, receiver)| places(receiver)).collect();
    everybody.push(places(&mut first));
    everybody.retain(|got| !got.is_empty());
    assert_eq!(everybody, [[2, 3]], "one consumer has the rest");
}

#[test]
fn a_pinned_stream_does_not_hold_up_the_others() {
    let mut deliveries = with_messages(Strategy::Pinned, 0);
    let (_, mut first) = join(&mut deliveries, 1);
    let (_, mut second) = join(&mut deliveries, 1);
    // Some of many streams belong to each.
    for place in 0..50 {
        deliveries.add(Origin::Source(place), event(&format!("s-{place}"), place, u128::from(place) + 1));
    }
    deliveries.push(Instant::now());
    assert_eq!((places(&mut first).len(), places(&mut second).len()), (1, 1));
}

#[test]
fn what_takes_too_long_is_given_again_and_in_the_end_parked() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 1);
    let (_, mut receiver) = join(&mut deliveries, 10);
    let mut now = Instant::now();
    for retries in 0..3 {
        deliveries.push(now);
        assert_eq!(handed(&mut receiver), [(0, retries)]);
        assert!(deliveries.expire(now).is_empty());
        now = deliveries.next_deadline().unwrap();
        if retries < 2 {
            assert!(deliveries.expire(now).is_empty());
        }
    }
    let parked = deliveries.expire(now);
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].reason, "Reached retry count of 2");
    assert_eq!(deliveries.done_to(), None, "it is not done before the log has it");
    deliveries.finish(parked[0].entry.origin);
    assert_eq!(deliveries.done_to(), Some(0));
}

#[test]
fn a_message_may_take_half_a_second_even_if_it_may_take_no_time() {
    let none = Settings { message_timeout_ms: 0, ..settings(Strategy::RoundRobin) };
    let mut deliveries = Deliveries::new(&none, None);
    deliveries.add(Origin::Source(0), event("s", 0, 1));
    let (_, mut receiver) = join(&mut deliveries, 10);
    let now = Instant::now();
    deliveries.push(now);
    assert_eq!(handed(&mut receiver), [(0, 0)]);
    assert_eq!(deliveries.next_deadline(), Some(now + Duration::from_millis(500)));
}

#[test]
fn a_message_is_parked_with_the_words_of_the_consumer() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 1);
    let _consumer = join(&mut deliveries, 10);
    deliveries.push(Instant::now());
    let parked = deliveries.park(&[id(0)], "poison");
    assert_eq!(parked[0].reason, "Client explicitly NAK'ed message.\npoison");
}

#[test]
fn consumers_are_measured_if_the_group_wants_it() {
    for wanted in [true, false] {
        let measured = Settings { extra_statistics: wanted, ..settings(Strategy::RoundRobin) };
        let mut deliveries = Deliveries::new(&measured, None);
        deliveries.add(Origin::Source(0), event("s", 0, 1));
        let _consumer = join(&mut deliveries, 10);
        deliveries.push(Instant::now());
        assert!(deliveries.consumers.ask()[0].measurements.is_empty(), "nothing was answered yet");
        deliveries.ack(&[id(0)]);
        let names = deliveries.consumers.ask()[0].measurements.len();
        assert_eq!(names, if wanted { 14 } else { 0 });
    }
}

#[test]
fn a_late_answer_counts_while_the_message_waits_to_be_given_again() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 1);
    let (_, mut receiver) = join(&mut deliveries, 10);
    deliveries.push(Instant::now());
    deliveries.retry(&[id(0)]);
    deliveries.ack(&[id(0)]);
    deliveries.push(Instant::now());
    assert_eq!(handed(&mut receiver), [(0, 0)]);
    assert_eq!(deliveries.done_to(), Some(0));
}

#[test]
fn what_somebody_leaves_behind_goes_to_the_others_in_order_and_before_what_is_new() {
    let mut deliveries = with_messages(Strategy::DispatchToSingle, 8);
    let (gone, _receiver) = join(&mut deliveries, 5);
    deliveries.push(Instant::now());
    let (_, mut heir) = join(&mut deliveries, 10);
    assert!(deliveries.leave(gone).is_some());
    deliveries.push(Instant::now());
    let again = (0..5).map(|place| (place, 1));
    assert_eq!(handed(&mut heir), again.chain((5..8).map(|place| (place, 0))).collect::<Vec<_>>());
    assert!(deliveries.leave(gone).is_none());
}

#[test]
fn two_events_with_one_id_are_handed_out_one_after_the_other() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 0);
    let (_, mut receiver) = join(&mut deliveries, 10);
    for (place, same) in [(0, 7), (1, 7), (2, 8)] {
        deliveries.add(Origin::Source(place), event("s", place, same));
    }
    deliveries.push(Instant::now());
    assert_eq!(places(&mut receiver), [0, 2]);
    deliveries.ack(&[Uuid::from_u128(7)]);
    deliveries.push(Instant::now());
    assert_eq!(places(&mut receiver), [1]);
    assert_eq!(deliveries.done_to(), Some(0));
}

#[test]
fn parked_messages_that_are_given_again_do_not_hold_up_the_checkpoint() {
    let mut deliveries = with_messages(Strategy::RoundRobin, 2);
    let (_, mut receiver) = join(&mut deliveries, 10);
    deliveries.add(Origin::Parked(4), event("p", 4, 100));
    deliveries.push(Instant::now());
    assert_eq!(places(&mut receiver), [4, 0, 1]);
    deliveries.ack(&[id(0), id(1)]);
    assert_eq!((deliveries.done_to(), deliveries.oldest_replayed()), (Some(1), Some(4)));
    deliveries.ack(&[Uuid::from_u128(100)]);
    assert_eq!(deliveries.oldest_replayed(), None);
    assert_eq!(deliveries.finished(), 2);
}
