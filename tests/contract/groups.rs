//! Persistent subscriptions: the server remembers what a group has done.

use crate::target::{Target, event, events, fresh, soon, target};
use eventstore::{
    Error, GetPersistentSubscriptionInfoOptions, NakAction, PersistentSubscription,
    PersistentSubscriptionEvent, PersistentSubscriptionOptions, ResolvedEvent, StreamPosition,
    SubscribeToPersistentSubscriptionOptions,
};
use std::time::{Duration, Instant};

const GROUP: &str = "billing";

fn from_start() -> PersistentSubscriptionOptions {
    PersistentSubscriptionOptions::default().start_from(StreamPosition::Start)
}

async fn consumer(target: &Target, stream: &str) -> PersistentSubscription {
    let options = SubscribeToPersistentSubscriptionOptions::default();
    soon(target.client.subscribe_to_persistent_subscription(stream, GROUP, &options)).await.unwrap()
}

/// The next event, and how often it was delivered before.
async fn next(consumer: &mut PersistentSubscription) -> (ResolvedEvent, usize) {
    loop {
        match soon(consumer.next_subscription_event()).await.unwrap() {
            PersistentSubscriptionEvent::EventAppeared { event, retry_count } => return (event, retry_count),
            PersistentSubscriptionEvent::Confirmed(_) => {}
        }
    }
}

fn id(event: &ResolvedEvent) -> uuid::Uuid {
    event.event.as_ref().unwrap().id
}

/// Asks until so many events are parked.
async fn parked(target: &Target, stream: &str, expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let options = GetPersistentSubscriptionInfoOptions::default();
        let info = soon(target.client.get_persistent_subscription_info(stream, GROUP, &options)).await;
        let count = info.unwrap().stats.parked_message_count;
        if count == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{count} are parked, not {expected}");
    }
}

#[tokio::test]
async fn groups_are_made_once_changed_and_deleted() {
    let target = target().await;
    let client = &target.client;
    let stream = fresh("cart");
    target.append(&stream, events(1)).await;
    let options = PersistentSubscriptionOptions::default();
    let create = || client.create_persistent_subscription(stream.as_str(), GROUP, &options);
    let missing =
        soon(client.delete_persistent_subscription(stream.as_str(), GROUP, &Default::default())).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    soon(create()).await.unwrap();
    let again = soon(create()).await;
    assert!(matches!(again, Err(Error::ResourceAlreadyExists)), "{again:?}");

    let changed = from_start().max_retry_count(77);
    soon(client.update_persistent_subscription(stream.as_str(), GROUP, &changed)).await.unwrap();
    let listed =
        soon(client.list_persistent_subscriptions_for_stream(stream.as_str(), &Default::default())).await;
    let listed = listed.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].group_name.as_str(), listed[0].event_source.as_str()), (GROUP, stream.as_str()));
    assert_eq!(listed[0].settings.as_ref().map(|settings| settings.max_retry_count), Some(77));

    soon(client.delete_persistent_subscription(stream.as_str(), GROUP, &Default::default())).await.unwrap();
    let gone =
        soon(client.get_persistent_subscription_info(stream.as_str(), GROUP, &Default::default())).await;
    assert!(matches!(gone, Err(Error::ResourceNotFound)), "{:?}", gone.map(|_| ()));
}

#[tokio::test]
async fn what_is_acknowledged_does_not_come_again_what_is_parked_comes_when_it_is_replayed() {
    let target = target().await;
    let stream = fresh("cart");
    let sent = [event("t", 0), event("t", 1), event("t", 2)];
    target.append(&stream, sent.to_vec()).await;
    soon(target.client.create_persistent_subscription(stream.as_str(), GROUP, &from_start())).await.unwrap();
    let mut group = consumer(&target, &stream).await;
    let (first, _) = next(&mut group).await;
    let (second, _) = next(&mut group).await;
    let (third, retries) = next(&mut group).await;
    let revisions = [&first, &second, &third].map(|event| event.get_original_event().revision);
    assert_eq!((revisions, retries), ([0, 1, 2], 0));

    group.ack(&first).await.unwrap();
    group.nack(&second, NakAction::Park, "cannot be handled now").await.unwrap();
    group.nack(&third, NakAction::Retry, "once more").await.unwrap();
    let (retried, retries) = next(&mut group).await;
    assert_eq!((id(&retried), retries), (id(&third), 1));
    group.ack(&retried).await.unwrap();
    parked(&target, &stream, 1).await;

    soon(target.client.replay_parked_messages(stream.as_str(), GROUP, &Default::default())).await.unwrap();
    let (replayed, _) = next(&mut group).await;
    assert_eq!(id(&replayed), id(&second));
    group.ack(&replayed).await.unwrap();
    parked(&target, &stream, 0).await;

    target.append(&stream, events(1)).await;
    let (live, _) = next(&mut group).await;
    assert_eq!(live.get_original_event().revision, 3);
}

#[tokio::test]
async fn the_consumers_of_a_group_share_its_events() {
    let target = target().await;
    let stream = fresh("cart");
    soon(target.client.create_persistent_subscription(stream.as_str(), GROUP, &from_start())).await.unwrap();
    let mut one = consumer(&target, &stream).await;
    let mut other = consumer(&target, &stream).await;
    target.append(&stream, events(30)).await;
    let mut seen = Vec::new();
    while seen.len() < 30 {
        let (event, consumer) = tokio::select! {
            (event, _) = next(&mut one) => (event, &mut one),
            (event, _) = next(&mut other) => (event, &mut other),
        };
        seen.push(event.get_original_event().revision);
        consumer.ack(&event).await.unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
}
