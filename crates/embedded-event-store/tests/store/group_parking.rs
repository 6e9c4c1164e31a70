//! Parked messages of a persistent subscription, and groups that follow the whole log.

use eventstore::{
    EventData, NakAction, PersistentSubscriptionToAllOptions, ReadStreamOptions, ReplayParkedMessagesOptions,
    StreamPosition, SubscriptionFilter,
};

use crate::group_delivery::{PARKED, create, done, given, parked, until};
use crate::groups::{consume, from_start};
use crate::support::{all_of, append, event, events, soon, start};

#[tokio::test]
async fn parked_messages_are_replayed_survive_a_restart_and_leave_when_they_are_done() {
    let running = start().await;
    append(&running.client, "s", events(5)).await;
    create(&running.client, &from_start().checkpoint_lower_bound(1)).await;
    let mut consumer = consume(&running.client, "g", 10).await;
    for revision in 0..5 {
        let (event, _) = given(&mut consumer).await;
        assert_eq!(event.get_original_event().revision, revision);
        consumer.nack(&event, NakAction::Park, "later").await.unwrap();
    }
    until(&running.client, parked(5)).await;
    drop(consumer);
    let running = running.restart().await;
    let client = &running.client;
    until(client, parked(5)).await;
    let mut consumer = consume(client, "g", 1).await;
    let two = ReplayParkedMessagesOptions::default().stop_at(2);
    client.replay_parked_messages("s", "g", &two).await.unwrap();
    let (event, retries) = given(&mut consumer).await;
    assert_eq!((event.event.as_ref().unwrap().revision, retries), (0, 0));
    assert_eq!(event.link.as_ref().unwrap().stream_id(), PARKED);
    consumer.ack(&event).await.unwrap();
    let (event, _) = given(&mut consumer).await;
    assert_eq!(event.event.as_ref().unwrap().revision, 1);
    consumer.nack(&event, NakAction::Park, "still not").await.unwrap();
    until(client, parked(4)).await;
    client.replay_parked_messages("s", "g", &Default::default()).await.unwrap();
    assert_eq!(done(&mut consumer, 4).await, [2, 3, 4, 1]);
    until(client, parked(0)).await;
    let running = running.restart().await;
    until(&running.client, parked(0)).await;
    let mut left = running.client.read_stream(PARKED, &ReadStreamOptions::default()).await.unwrap();
    assert!(left.next().await.unwrap().is_none(), "what is done is no longer parked");
}

#[tokio::test]
async fn a_replay_stops_at_a_number_of_the_parked_stream() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(6)).await;
    create(client, &from_start()).await;
    let mut consumer = consume(client, "g", 10).await;
    for _ in 0..6 {
        let (event, _) = given(&mut consumer).await;
        consumer.nack(&event, NakAction::Park, "later").await.unwrap();
    }
    until(client, parked(6)).await;
    // Whoever asks for 3 again gets nothing more.
    for (stop_at, expected) in [(1, vec![0]), (3, vec![1, 2]), (3, vec![]), (4, vec![3]), (100, vec![4, 5])] {
        let options = ReplayParkedMessagesOptions::default().stop_at(stop_at);
        client.replay_parked_messages("s", "g", &options).await.unwrap();
        assert_eq!(done(&mut consumer, expected.len()).await, expected, "{stop_at}");
    }
    until(client, parked(0)).await;
}

#[tokio::test]
async fn what_is_replayed_and_not_answered_is_still_parked_after_a_restart() {
    let running = start().await;
    append(&running.client, "s", events(1)).await;
    create(&running.client, &from_start()).await;
    let mut consumer = consume(&running.client, "g", 1).await;
    let (event, _) = given(&mut consumer).await;
    consumer.nack(&event, NakAction::Park, "later").await.unwrap();
    until(&running.client, parked(1)).await;
    running.client.replay_parked_messages("s", "g", &Default::default()).await.unwrap();
    assert_eq!(given(&mut consumer).await.0.event.unwrap().revision, 0);
    drop(consumer);
    let running = running.restart().await;
    until(&running.client, parked(1)).await;
}

#[tokio::test]
async fn a_group_of_the_whole_log_filters_parks_replays_and_goes_on_after_a_restart() {
    let running = start().await;
    let client = &running.client;
    let options = PersistentSubscriptionToAllOptions::default()
        .start_from(StreamPosition::Start)
        .checkpoint_lower_bound(1)
        .filter(SubscriptionFilter::on_event_type().regex("^order\\."));
    client.create_persistent_subscription_to_all("g", &options).await.unwrap();
    for n in 0..10 {
        append(client, "a", vec![event("order.placed.v1", n), event("other", n)]).await;
    }
    let mut consumer =
        client.subscribe_to_persistent_subscription_to_all("g", &Default::default()).await.unwrap();
    for n in 0..6 {
        let event = soon(consumer.next()).await.unwrap();
        assert_eq!(event.get_original_event().as_json::<serde_json::Value>().unwrap()["n"], n);
        if n == 3 {
            consumer.nack(&event, NakAction::Park, "poison").await.unwrap();
        } else {
            consumer.ack(&event).await.unwrap();
        }
    }
    let answered = async {
        loop {
            let asked =
                client.get_persistent_subscription_info_to_all("g", &Default::default()).await.unwrap();
            if asked.stats.parked_message_count == 1 && asked.stats.total_in_flight_messages == 4 {
                break;
            }
        }
    };
    soon(answered).await;
    drop(consumer);
    let running = running.restart().await;
    let client = &running.client;
    let mut consumer =
        client.subscribe_to_persistent_subscription_to_all("g", &Default::default()).await.unwrap();
    for n in 6..10 {
        let event = soon(consumer.next()).await.unwrap();
        assert_eq!(event.get_original_event().as_json::<serde_json::Value>().unwrap()["n"], n);
        consumer.ack(&event).await.unwrap();
    }
    client.replay_parked_messages_to_all("g", &Default::default()).await.unwrap();
    let event = soon(consumer.next()).await.unwrap();
    assert_eq!(event.event.unwrap().as_json::<serde_json::Value>().unwrap()["n"], 3);
}

#[tokio::test]
async fn a_group_of_the_whole_log_does_not_feed_on_its_own_traces() {
    let running = start().await;
    let client = &running.client;
    let options = PersistentSubscriptionToAllOptions::default()
        .start_from(StreamPosition::End)
        .checkpoint_lower_bound(1)
        .checkpoint_upper_bound(1);
    client.create_persistent_subscription_to_all("g", &options).await.unwrap();
    let mut consumer =
        client.subscribe_to_persistent_subscription_to_all("g", &Default::default()).await.unwrap();
    for n in 0..20 {
        append(client, "s", vec![event("t", n)]).await;
        loop {
            let event = soon(consumer.next()).await.unwrap();
            let recorded = event.get_original_event();
            assert!(!recorded.stream_id().contains("$persistentsubscription-"), "{}", recorded.stream_id());
            consumer.nack(&event, NakAction::Park, "all of them").await.unwrap();
            if recorded.stream_id() == "s" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_do_not_keep_the_store_from_starting() {
    let running = start().await;
    create(&running.client, &from_start()).await;
    let config = "$persistentSubscriptionConfig";
    let read = running.client.read_stream(config, &ReadStreamOptions::default()).await.unwrap();
    let stored = all_of(read).await.pop().unwrap();
    let mut stored: serde_json::Value = stored.get_original_event().as_json().unwrap();
    stored["entries"].as_array_mut().unwrap().push(serde_json::json!({ "stream": "of another age" }));
    append(&running.client, config, vec![EventData::json("$PersistentConfig", &stored).unwrap()]).await;
    let running = running.restart().await;
    let list = running.client.list_all_persistent_subscriptions(&Default::default()).await.unwrap();
    assert_eq!(list.len(), 1);
    append(&running.client, config, vec![EventData::binary("junk", "junk".into())]).await;
    let running = running.restart().await;
    assert!(running.client.list_all_persistent_subscriptions(&Default::default()).await.unwrap().is_empty());
    create(&running.client, &from_start()).await;
}
