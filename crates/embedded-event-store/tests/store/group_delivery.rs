//! What the consumers of a persistent subscription get: sharing, answers, timeouts, parking, replay, restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eventstore::{
    Client, Error, NakAction, PersistentSubscription, PersistentSubscriptionEvent,
    PersistentSubscriptionInfo, PersistentSubscriptionOptions, PersistentSubscriptionToAllOptions,
    ReadStreamOptions, ResolvedEvent, StreamPosition, SubscribeToPersistentSubscriptionOptions,
    SubscriptionFilter, SystemConsumerStrategy,
};

use crate::groups::{consume, from_start};
use crate::support::{all_of, append, events, soon, start};

pub const PARKED: &str = "$persistentsubscription-s::g-parked";
const CHECKPOINT: &str = "$persistentsubscription-s::g-checkpoint";

/// The next event, and how often it was given before.
pub async fn given(consumer: &mut PersistentSubscription) -> (ResolvedEvent, usize) {
    match soon(consumer.next_subscription_event()).await.unwrap() {
        PersistentSubscriptionEvent::EventAppeared { retry_count, event } => (event, retry_count),
        other => panic!("{other:?}"),
    }
}

/// The next events' revisions; each is acknowledged.
pub async fn done(consumer: &mut PersistentSubscription, count: usize) -> Vec<u64> {
    let mut revisions = Vec::new();
    for _ in 0..count {
        let (event, _) = given(consumer).await;
        consumer.ack(&event).await.unwrap();
        revisions.push(event.event.unwrap().revision);
    }
    revisions
}

pub async fn create(client: &Client, options: &PersistentSubscriptionOptions) {
    client.create_persistent_subscription("s", "g", options).await.unwrap();
}

/// Asks about the group until it is as it should be.
pub async fn until(client: &Client, holds: impl Fn(&PersistentSubscriptionInfo<u64>) -> bool) {
    let asking = async {
        loop {
            let info = client.get_persistent_subscription_info("s", "g", &Default::default()).await.unwrap();
            if holds(&info) {
                break;
            }
        }
    };
    soon(asking).await;
}

pub fn parked(count: usize) -> impl Fn(&PersistentSubscriptionInfo<u64>) -> bool {
    move |info| info.stats.parked_message_count == count
}

#[tokio::test]
async fn history_and_live_events_come_in_order_while_there_is_one_consumer() {
    let running = start().await;
    append(&running.client, "s", events(1200)).await;
    create(&running.client, &from_start()).await;
    let mut consumer = consume(&running.client, "g", 32).await;
    assert_eq!(done(&mut consumer, 1200).await, (0..1200).collect::<Vec<_>>());
    append(&running.client, "other", events(5)).await;
    append(&running.client, "s", events(30)).await;
    assert_eq!(done(&mut consumer, 30).await, (1200..1230).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_group_starts_where_it_was_told_to() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(5)).await;
    create(client, &PersistentSubscriptionOptions::default().start_from(StreamPosition::Position(3))).await;
    let end = PersistentSubscriptionOptions::default().start_from(StreamPosition::End);
    client.create_persistent_subscription("s", "end", &end).await.unwrap();
    append(client, "s", events(1)).await;
    let mut from_three = consume(client, "g", 10).await;
    assert_eq!(done(&mut from_three, 3).await, [3, 4, 5]);
    let mut from_end = consume(client, "end", 10).await;
    assert_eq!(done(&mut from_end, 1).await, [5]);
}

#[tokio::test]
async fn two_consumers_take_turns() {
    let running = start().await;
    create(&running.client, &from_start().consumer_strategy_name(SystemConsumerStrategy::RoundRobin)).await;
    let mut first = consume(&running.client, "g", 10).await;
    let mut second = consume(&running.client, "g", 10).await;
    append(&running.client, "s", events(20)).await;
    let first = tokio::spawn(async move { done(&mut first, 10).await });
    let second = tokio::spawn(async move { done(&mut second, 10).await });
    let (first, second) = (soon(first).await.unwrap(), soon(second).await.unwrap());
    let both: BTreeSet<_> = first.iter().chain(&second).copied().collect();
    assert_eq!(both, (0..20).collect());
    assert_eq!(first[..3], [0, 2, 4]);
}

#[tokio::test]
async fn the_second_consumer_gets_what_the_first_has_no_room_for() {
    let running = start().await;
    let strategy = SystemConsumerStrategy::DispatchToSingle;
    create(&running.client, &from_start().consumer_strategy_name(strategy)).await;
    let mut first = consume(&running.client, "g", 3).await;
    let mut second = consume(&running.client, "g", 10).await;
    append(&running.client, "s", events(5)).await;
    for revision in 0..3 {
        assert_eq!(given(&mut first).await.0.get_original_event().revision, revision);
    }
    assert_eq!(done(&mut second, 2).await, [3, 4]);
}

#[tokio::test]
async fn a_pinned_streams_events_go_to_one_consumer() {
    let running = start().await;
    let client = &running.client;
    let options = PersistentSubscriptionToAllOptions::default()
        .start_from(StreamPosition::Start)
        .consumer_strategy_name(SystemConsumerStrategy::Pinned)
        .filter(SubscriptionFilter::on_stream_name().add_prefix("cart-"));
    client.create_persistent_subscription_to_all("g", &options).await.unwrap();
    let buffer = SubscribeToPersistentSubscriptionOptions::default().buffer_size(100);
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let mut consumer = client.subscribe_to_persistent_subscription_to_all("g", &buffer).await.unwrap();
        let first = soon(consumer.next_subscription_event()).await.unwrap();
        assert!(matches!(first, PersistentSubscriptionEvent::Confirmed(_)));
        consumers.push(consumer);
    }
    for _ in 0..3 {
        for cart in 0..20 {
            append(client, &format!("cart-{cart}"), events(1)).await;
        }
        append(client, "noise", events(1)).await;
    }
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    for (number, mut consumer) in consumers.into_iter().enumerate() {
        let reports = reports.clone();
        tokio::spawn(async move {
            while let Ok(event) = consumer.next().await {
                let recorded = event.get_original_event();
                reports.send((recorded.stream_id().to_owned(), number, recorded.revision)).unwrap();
                consumer.ack(&event).await.unwrap();
            }
        });
    }
    let mut by_stream: BTreeMap<String, Vec<(usize, u64)>> = BTreeMap::new();
    for _ in 0..60 {
        let (stream, consumer, revision) = soon(reported.recv()).await.unwrap();
        by_stream.entry(stream).or_default().push((consumer, revision));
    }
    assert_eq!(by_stream.len(), 20);
    for (stream, got) in &by_stream {
        let consumer = got[0].0;
        assert_eq!(*got, (0..3).map(|revision| (consumer, revision)).collect::<Vec<_>>(), "{stream}");
    }
    let used: BTreeSet<_> = by_stream.values().map(|got| got[0].0).collect();
    assert_eq!(used.len(), 2, "both consumers have streams of their own");
}

#[tokio::test]
async fn what_a_dead_consumer_held_goes_to_the_other() {
    let running = start().await;
    append(&running.client, "s", events(6)).await;
    create(&running.client, &from_start().message_timeout(Duration::from_secs(3600))).await;
    let mut dying = consume(&running.client, "g", 4).await;
    for revision in 0..4 {
        assert_eq!(given(&mut dying).await.0.get_original_event().revision, revision);
    }
    let mut heir = consume(&running.client, "g", 10).await;
    assert_eq!(done(&mut heir, 2).await, [4, 5]);
    drop(dying);
    for revision in 0..4 {
        let (event, retries) = given(&mut heir).await;
        assert_eq!((event.get_original_event().revision, retries), (revision, 1));
        heir.ack(&event).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_given_again_and_then_parked() {
    let running = start().await;
    append(&running.client, "s", events(1)).await;
    create(&running.client, &from_start().message_timeout(Duration::from_millis(50)).max_retry_count(2))
        .await;
    let mut consumer = consume(&running.client, "g", 1).await;
    for expected in 0..3 {
        let (event, retries) = given(&mut consumer).await;
        assert_eq!((event.get_original_event().revision, retries), (0, expected));
    }
    until(&running.client, parked(1)).await;
    append(&running.client, "s", events(1)).await;
    assert_eq!(done(&mut consumer, 1).await, [1]);
}

#[tokio::test]
async fn each_kind_of_refusal_has_its_effect() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(4)).await;
    create(client, &from_start().message_timeout(Duration::from_secs(3600)).checkpoint_lower_bound(1)).await;
    let mut consumer = consume(client, "g", 1).await;
    let (event, _) = given(&mut consumer).await;
    consumer.nack(&event, NakAction::Retry, "once more").await.unwrap();
    let (event, retries) = given(&mut consumer).await;
    assert_eq!((event.get_original_event().revision, retries), (0, 1));
    consumer.nack(&event, NakAction::Skip, "never mind").await.unwrap();
    let (event, _) = given(&mut consumer).await;
    assert_eq!(event.get_original_event().revision, 1);
    consumer.nack(&event, NakAction::Park, "poison").await.unwrap();
    let (event, _) = given(&mut consumer).await;
    assert_eq!(event.get_original_event().revision, 2);
    consumer.nack(&event, NakAction::Stop, "enough").await.unwrap();
    let (event, retries) = given(&mut consumer).await;
    assert_eq!(
        (event.get_original_event().revision, retries),
        (3, 0),
        "the message is done, the consumer stays"
    );
    let links = client.read_stream(PARKED, &ReadStreamOptions::default()).await.unwrap();
    let links = all_of(links).await;
    assert_eq!(links.len(), 1);
    let link = links[0].get_original_event();
    assert_eq!((link.event_type.as_str(), &link.data[..]), ("$>", &b"1@s"[..]));
    let why = String::from_utf8_lossy(&link.custom_metadata);
    let lines: Vec<_> = why.lines().collect();
    assert!(lines[1].starts_with("  \"added\": \"20"), "{why}");
    assert_eq!(lines[2], "  \"reason\": \"Client explicitly NAK'ed message.\\npoison\",");
    assert_eq!((lines[0], lines[3], lines[4]), ("{", "  \"subscriptionEventNumber\": 1", "}"));
}

#[tokio::test]
async fn a_group_of_a_closed_stream_drops_its_consumers() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(1)).await;
    client.tombstone_stream("s", &Default::default()).await.unwrap();
    create(client, &from_start()).await;
    let mut consumer = consume(client, "g", 1).await;
    let end = soon(consumer.next_subscription_event()).await;
    assert!(matches!(&end, Err(Error::IllegalStateError(why)) if why.contains("dropped")), "{end:?}");
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_after_the_checkpoint() {
    let running = start().await;
    append(&running.client, "s", events(30)).await;
    let options = from_start().checkpoint_lower_bound(1).checkpoint_after(Duration::from_millis(10));
    create(&running.client, &options).await;
    let mut consumer = consume(&running.client, "g", 10).await;
    assert_eq!(done(&mut consumer, 12).await, (0..12).collect::<Vec<_>>());
    until(&running.client, |info| info.stats.last_checkpointed_event_revision == Some(11)).await;
    // Read, but not answered: these come again.
    for _ in 0..5 {
        given(&mut consumer).await;
    }
    let newest = ReadStreamOptions::default().backwards().position(StreamPosition::End);
    let checkpoints = all_of(running.client.read_stream(CHECKPOINT, &newest).await.unwrap()).await;
    let newest = checkpoints[0].get_original_event();
    assert_eq!((newest.event_type.as_str(), &newest.data[..]), ("$SubscriptionCheckpoint", &b"\"11\""[..]));
    assert!(checkpoints.len() <= 2, "old checkpoints are out of sight");
    drop(consumer);
    let running = running.restart().await;
    let mut consumer = consume(&running.client, "g", 10).await;
    assert_eq!(done(&mut consumer, 18).await, (12..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_unanswered_message_holds_the_checkpoint_back() {
    let running = start().await;
    append(&running.client, "s", events(5)).await;
    let options = from_start().checkpoint_upper_bound(1).message_timeout(Duration::from_secs(3600));
    create(&running.client, &options).await;
    let mut consumer = consume(&running.client, "g", 10).await;
    for revision in 0..5 {
        let (event, _) = given(&mut consumer).await;
        if revision != 2 {
            consumer.ack(&event).await.unwrap();
        }
    }
    until(&running.client, |info| info.stats.total_in_flight_messages == 1).await;
    drop(consumer);
    let running = running.restart().await;
    let mut consumer = consume(&running.client, "g", 10).await;
    assert_eq!(done(&mut consumer, 3).await, [2, 3, 4]);
}

#[tokio::test]
async fn links_are_followed_if_the_group_says_so() {
    let running = start().await;
    let client = &running.client;
    append(client, "order-1", events(1)).await;
    append(client, "s", vec![eventstore::EventData::binary("$>", "0@order-1".into())]).await;
    create(client, &from_start().resolve_link_tos(true)).await;
    let mut consumer = consume(client, "g", 1).await;
    let (event, _) = given(&mut consumer).await;
    assert_eq!(event.event.as_ref().unwrap().stream_id(), "order-1");
    assert_eq!(event.link.as_ref().unwrap().stream_id(), "s");
    consumer.ack(&event).await.unwrap();
    until(client, |info| info.stats.total_in_flight_messages == 0).await;
}
