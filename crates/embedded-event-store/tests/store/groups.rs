//! Persistent subscriptions: making, changing, finding and deleting them, and what their consumers are told of it.

use std::time::Duration;

use eventstore::{
    Client, DeletePersistentSubscriptionOptions, Error, PersistentSubscription, PersistentSubscriptionEvent,
    PersistentSubscriptionOptions, PersistentSubscriptionToAllOptions, Position, RevisionOrPosition,
    StreamPosition, SubscribeToPersistentSubscriptionOptions, SubscriptionFilter, SystemConsumerStrategy,
};

use crate::support::{append, events, soon, start};

pub fn from_start() -> PersistentSubscriptionOptions {
    PersistentSubscriptionOptions::default().start_from(StreamPosition::Start)
}

/// Subscribes to a group of the stream `s`, and reads the confirmation.
pub async fn consume(client: &Client, group: &str, buffer: usize) -> PersistentSubscription {
    let options = SubscribeToPersistentSubscriptionOptions::default().buffer_size(buffer);
    let mut consumer = soon(client.subscribe_to_persistent_subscription("s", group, &options)).await.unwrap();
    let first = soon(consumer.next_subscription_event()).await.unwrap();
    match first {
        PersistentSubscriptionEvent::Confirmed(id) => assert_eq!(id, format!("s::{group}")),
        other => panic!("{other:?}"),
    }
    consumer
}

async fn delete(client: &Client, group: &str) -> eventstore::Result<()> {
    let options = DeletePersistentSubscriptionOptions::default();
    client.delete_persistent_subscription("s", group, &options).await
}

/// The consumer is told that it was dropped.
async fn dropped(consumer: &mut PersistentSubscription) {
    let end = soon(consumer.next_subscription_event()).await;
    assert!(matches!(&end, Err(Error::IllegalStateError(why)) if why.contains("dropped")), "{end:?}");
}

#[tokio::test]
async fn a_group_is_made_once_and_must_be_there_to_be_used() {
    let running = start().await;
    let client = &running.client;
    let options = from_start();
    client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let again = client.create_persistent_subscription("s", "g", &options).await;
    assert!(matches!(again, Err(Error::ResourceAlreadyExists)), "{again:?}");
    client.create_persistent_subscription("s", "other", &options).await.unwrap();
    client.create_persistent_subscription("other", "g", &options).await.unwrap();
    let missing = client.update_persistent_subscription("s", "none", &options).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    let missing = delete(client, "none").await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    let missing = client.subscribe_to_persistent_subscription("s", "none", &Default::default()).await;
    assert!(matches!(missing.err(), Some(Error::ResourceNotFound)));
    let missing = client.get_persistent_subscription_info("s", "none", &Default::default()).await;
    assert!(matches!(missing.err(), Some(Error::ResourceNotFound)));
    let missing = client.replay_parked_messages("s", "none", &Default::default()).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    let missing = client.list_persistent_subscriptions_for_stream("none", &Default::default()).await;
    assert!(matches!(missing.err(), Some(Error::ResourceNotFound)));
}

#[tokio::test]
async fn groups_are_listed_by_stream_and_survive_a_restart() {
    let running = start().await;
    assert!(running.client.list_all_persistent_subscriptions(&Default::default()).await.unwrap().is_empty());
    for (stream, group) in [("a", "one"), ("a", "two"), ("b", "one")] {
        running.client.create_persistent_subscription(stream, group, &from_start()).await.unwrap();
    }
    let to_all = PersistentSubscriptionToAllOptions::default();
    running.client.create_persistent_subscription_to_all("one", &to_all).await.unwrap();
    running.client.delete_persistent_subscription("a", "two", &Default::default()).await.unwrap();
    let running = running.restart().await;
    let all = running.client.list_all_persistent_subscriptions(&Default::default()).await.unwrap();
    let mut names: Vec<_> = all.iter().map(|g| (g.event_source.as_str(), g.group_name.as_str())).collect();
    names.sort_unstable();
    assert_eq!(names, [("$all", "one"), ("a", "one"), ("b", "one")]);
    // A source that had a group is known until the store starts again, and its groups are in the order of their making.
    for group in ["z", "y"] {
        running.client.create_persistent_subscription("c", group, &from_start()).await.unwrap();
    }
    let of_c =
        running.client.list_persistent_subscriptions_for_stream("c", &Default::default()).await.unwrap();
    assert_eq!(of_c.iter().map(|g| g.group_name.as_str()).collect::<Vec<_>>(), ["z", "y"]);
    for group in ["z", "y"] {
        running.client.delete_persistent_subscription("c", group, &Default::default()).await.unwrap();
    }
    let of_c =
        running.client.list_persistent_subscriptions_for_stream("c", &Default::default()).await.unwrap();
    assert!(of_c.is_empty());
    let of_a =
        running.client.list_persistent_subscriptions_for_stream("a", &Default::default()).await.unwrap();
    assert_eq!(of_a.iter().map(|g| g.group_name.as_str()).collect::<Vec<_>>(), ["one"]);
    let of_all = running.client.list_persistent_subscriptions_to_all(&Default::default()).await.unwrap();
    assert_eq!(of_all.len(), 1);
}

#[tokio::test]
async fn settings_are_kept_as_they_were_given() {
    let running = start().await;
    let options = PersistentSubscriptionOptions::default()
        .start_from(StreamPosition::Position(7))
        .resolve_link_tos(true)
        .extra_statistics(true)
        .message_timeout(Duration::from_millis(1234))
        .checkpoint_after(Duration::from_millis(4321))
        .max_retry_count(3)
        .live_buffer_size(11)
        .read_batch_size(12)
        .history_buffer_size(13)
        .checkpoint_lower_bound(14)
        .checkpoint_upper_bound(15)
        .max_subscriber_count(16)
        .consumer_strategy_name(SystemConsumerStrategy::Pinned);
    running.client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let running = running.restart().await;
    let info = running.client.get_persistent_subscription_info("s", "g", &Default::default()).await.unwrap();
    let settings = info.settings.unwrap();
    assert_eq!(settings.start_from, StreamPosition::Position(7));
    assert!(settings.resolve_link_tos && settings.extra_statistics);
    assert_eq!(settings.message_timeout, Duration::from_millis(1234));
    assert_eq!(settings.checkpoint_after, Duration::from_millis(4321));
    assert_eq!((settings.max_retry_count, settings.live_buffer_size, settings.read_batch_size), (3, 11, 12));
    assert_eq!((settings.history_buffer_size, settings.checkpoint_lower_bound), (13, 14));
    assert_eq!((settings.checkpoint_upper_bound, settings.max_subscriber_count), (15, 16));
    assert_eq!(settings.consumer_strategy_name, SystemConsumerStrategy::Pinned);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let running = start().await;
    let client = &running.client;
    let wrong = from_start().max_retry_count(-1);
    let refused = client.create_persistent_subscription("s", "g", &wrong).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
    let wrong = from_start().read_batch_size(20).history_buffer_size(20);
    let refused = client.create_persistent_subscription("s", "g", &wrong).await;
    assert!(matches!(&refused, Err(Error::ServerError(why)) if why.contains("BufferSize")), "{refused:?}");
    let filter = SubscriptionFilter::on_stream_name().regex("(");
    let wrong = PersistentSubscriptionToAllOptions::default().filter(filter);
    let refused = client.create_persistent_subscription_to_all("g", &wrong).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
    let beyond = StreamPosition::Position(Position { commit: 99, prepare: 99 });
    let wrong = PersistentSubscriptionToAllOptions::default().start_from(beyond);
    let refused = client.create_persistent_subscription_to_all("g", &wrong).await;
    let why = "Invalid Start From position";
    assert!(matches!(&refused, Err(Error::ServerError(text)) if text.contains(why)), "{refused:?}");
    assert!(client.list_all_persistent_subscriptions(&Default::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn deleting_drops_the_consumers_and_forgets_how_far_they_were() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(3)).await;
    let options = from_start().checkpoint_lower_bound(1).checkpoint_upper_bound(1);
    client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let mut consumer = consume(client, "g", 10).await;
    for revision in 0..3 {
        let event = soon(consumer.next()).await.unwrap();
        assert_eq!(event.get_original_event().revision, revision);
        consumer.ack(&event).await.unwrap();
    }
    delete(client, "g").await.unwrap();
    dropped(&mut consumer).await;
    let gone = client.get_persistent_subscription_info("s", "g", &Default::default()).await;
    assert!(matches!(gone.err(), Some(Error::ResourceNotFound)));
    client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let mut consumer = consume(client, "g", 10).await;
    assert_eq!(soon(consumer.next()).await.unwrap().get_original_event().revision, 0);
}

#[tokio::test]
async fn updating_and_restarting_drop_the_consumers_and_go_on_from_the_checkpoint() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(4)).await;
    let options = from_start().checkpoint_upper_bound(2);
    client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let mut consumer = consume(client, "g", 1).await;
    for revision in 0..2 {
        let event = soon(consumer.next()).await.unwrap();
        assert_eq!(event.get_original_event().revision, revision);
        consumer.ack(&event).await.unwrap();
    }
    // The third is there when both answers were heard.
    soon(consumer.next()).await.unwrap();
    client.update_persistent_subscription("s", "g", &options.clone().max_retry_count(77)).await.unwrap();
    dropped(&mut consumer).await;
    let info = client.get_persistent_subscription_info("s", "g", &Default::default()).await.unwrap();
    assert_eq!(info.settings.unwrap().max_retry_count, 77);
    assert_eq!(info.stats.last_checkpointed_event_revision, Some(1));
    let mut consumer = consume(client, "g", 1).await;
    let event = soon(consumer.next()).await.unwrap();
    assert_eq!(event.get_original_event().revision, 2);
    consumer.ack(&event).await.unwrap();
    soon(consumer.next()).await.unwrap();
    client.restart_persistent_subscription_subsystem(&Default::default()).await.unwrap();
    dropped(&mut consumer).await;
    // Nothing was noted since: what was done after the checkpoint comes again.
    let mut consumer = consume(client, "g", 1).await;
    assert_eq!(soon(consumer.next()).await.unwrap().get_original_event().revision, 2);
}

#[tokio::test]
async fn a_group_has_no_more_consumers_than_it_allows() {
    let running = start().await;
    let client = &running.client;
    let options = from_start().max_subscriber_count(1);
    client.create_persistent_subscription("s", "g", &options).await.unwrap();
    let first = consume(client, "g", 10).await;
    let second = client.subscribe_to_persistent_subscription("s", "g", &Default::default()).await;
    assert!(matches!(second.err(), Some(Error::Grpc { .. })));
    drop(first);
    // The place is free as soon as the store has noticed.
    let place = async {
        loop {
            let options = SubscribeToPersistentSubscriptionOptions::default();
            if let Ok(consumer) = client.subscribe_to_persistent_subscription("s", "g", &options).await {
                break consumer;
            }
        }
    };
    soon(place).await;
}

#[tokio::test]
async fn a_group_tells_who_consumes_and_how_far_it_is() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(5)).await;
    client.create_persistent_subscription("s", "g", &from_start()).await.unwrap();
    let mut consumer = consume(client, "g", 4).await;
    for _ in 0..4 {
        soon(consumer.next()).await.unwrap();
    }
    let info = client.get_persistent_subscription_info("s", "g", &Default::default()).await.unwrap();
    assert_eq!((info.event_source.as_str(), info.group_name.as_str()), ("s", "g"));
    assert_eq!(info.connections.len(), 1);
    let connection = &info.connections[0];
    assert_eq!((connection.from.as_str(), connection.username.as_str()), ("", "system"));
    assert_eq!((info.connections[0].in_flight_messages, info.connections[0].available_slots), (4, 0));
    assert_eq!((info.stats.total_items, info.stats.total_in_flight_messages), (4, 4));
    assert_eq!(info.stats.last_known_event_revision, Some(4));
    assert_eq!(info.stats.last_checkpointed_event_revision, None);
    let to_all = PersistentSubscriptionToAllOptions::default();
    client.create_persistent_subscription_to_all("g", &to_all).await.unwrap();
    let info = client.get_persistent_subscription_info_to_all("g", &Default::default()).await.unwrap();
    assert_eq!(info.settings.unwrap().start_from, StreamPosition::End);
    assert!(info.stats.last_known_position.unwrap().commit >= 5);
    let all = client.list_all_persistent_subscriptions(&Default::default()).await.unwrap();
    let of_stream = all.iter().find(|info| info.event_source == "s").unwrap();
    assert_eq!(
        of_stream.settings.as_ref().map(|settings| matches!(
            settings.start_from,
            StreamPosition::Start | StreamPosition::Position(RevisionOrPosition::Revision(0))
        )),
        Some(true)
    );
}

#[tokio::test]
async fn stopping_the_store_tells_consumers_that_it_is_away() {
    let running = start().await;
    running.client.create_persistent_subscription("s", "g", &from_start()).await.unwrap();
    let mut consumer = consume(&running.client, "g", 4).await;
    soon(running.store.stop()).await;
    let end = soon(consumer.next_subscription_event()).await;
    assert!(matches!(&end, Err(Error::ServerError(why)) if why.contains("stopping")), "{end:?}");
}
