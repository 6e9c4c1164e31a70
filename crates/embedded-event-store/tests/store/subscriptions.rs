//! Following the log: from history into live, gapless and in order.

use eventstore::{
    Client, Error, EventData, Position, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions,
    Subscription, SubscriptionEvent, SubscriptionFilter, TombstoneStreamOptions,
};

use crate::support::{append, confirmed, event, events, next, soon, start};

fn after(position: u64) -> SubscribeToAllOptions {
    SubscribeToAllOptions::default()
        .position(StreamPosition::Position(Position { commit: position, prepare: position }))
}

/// The positions of the next `count` events; whatever else comes is passed over.
async fn next_positions(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.len() < count {
        if let SubscriptionEvent::EventAppeared(event) = next(subscription).await {
            positions.push(event.get_original_event().position.commit);
        }
    }
    positions
}

fn writers(client: &Client, writers: u64, appends: u64) -> Vec<tokio::task::JoinHandle<()>> {
    (0..writers)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for n in 0..appends {
                    append(&client, &format!("w-{writer}"), vec![event("t", n), event("u", n)]).await;
                }
            })
        })
        .collect()
}

#[tokio::test]
async fn from_history_into_live_while_many_write() {
    let running = start().await;
    append(&running.client, "before", events(1000)).await;
    let writers = writers(&running.client, 8, 50);
    let mut early = running.client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    confirmed(&mut early).await;
    let mut late = running.client.subscribe_to_all(&after(700)).await;
    assert_eq!(next_positions(&mut early, 1800).await, (1..=1800).collect::<Vec<_>>());
    assert_eq!(next_positions(&mut late, 1100).await, (701..=1800).collect::<Vec<_>>());
    for writer in writers {
        soon(writer).await.unwrap();
    }
}

#[tokio::test]
async fn one_streams_subscriber_gets_that_stream_only_and_all_of_it() {
    let running = start().await;
    append(&running.client, "w-3", events(10)).await;
    let writers = writers(&running.client, 6, 40);
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(4));
    let mut subscription = running.client.subscribe_to_stream("w-3", &options).await;
    let mut revisions = Vec::new();
    while revisions.len() < 85 {
        if let SubscriptionEvent::EventAppeared(event) = next(&mut subscription).await {
            assert_eq!(event.get_original_stream_id(), "w-3");
            revisions.push(event.get_original_event().revision);
        }
    }
    assert_eq!(revisions, (5..90).collect::<Vec<_>>());
    for writer in writers {
        soon(writer).await.unwrap();
    }
}

#[tokio::test]
async fn caught_up_comes_between_history_and_live() {
    let running = start().await;
    append(&running.client, "s", events(2)).await;
    let mut subscription = running.client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    confirmed(&mut subscription).await;
    assert_eq!(next_positions(&mut subscription, 2).await, [1, 2]);
    match next(&mut subscription).await {
        SubscriptionEvent::CaughtUp(Some(caught_up)) => assert_eq!(caught_up.position.unwrap().commit, 2),
        other => panic!("{other:?}"),
    }
    append(&running.client, "s", events(1)).await;
    assert_eq!(next_positions(&mut subscription, 1).await, [3]);
}

#[tokio::test]
async fn a_subscription_from_the_end_gets_only_what_comes() {
    let running = start().await;
    append(&running.client, "s", events(5)).await;
    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut all = running.client.subscribe_to_all(&options).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::End);
    let mut stream = running.client.subscribe_to_stream("s", &options).await;
    let mut unborn = running.client.subscribe_to_stream("unborn", &SubscribeToStreamOptions::default()).await;
    for subscription in [&mut all, &mut stream, &mut unborn] {
        confirmed(subscription).await;
        assert!(matches!(next(subscription).await, SubscriptionEvent::CaughtUp(_)));
    }
    append(&running.client, "s", events(1)).await;
    append(&running.client, "unborn", events(1)).await;
    assert_eq!(next_positions(&mut all, 2).await, [6, 7]);
    assert_eq!(next_positions(&mut stream, 1).await, [6]);
    assert_eq!(next_positions(&mut unborn, 1).await, [7]);
}

#[tokio::test]
async fn who_follows_a_stream_gets_what_is_written_even_if_it_is_hidden_and_the_last_event_of_all() {
    let running = start().await;
    append(&running.client, "s", events(2)).await;
    let metadata = EventData::json("$metadata", &serde_json::json!({ "$tb": 5 })).unwrap();
    append(&running.client, "$$s", vec![metadata]).await;
    let mut subscription =
        running.client.subscribe_to_stream("s", &SubscribeToStreamOptions::default()).await;
    confirmed(&mut subscription).await;
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::CaughtUp(_)));
    append(&running.client, "s", events(1)).await;
    running.client.tombstone_stream("s", &TombstoneStreamOptions::default()).await.unwrap();
    for revision in [2, i64::MAX as u64] {
        match next(&mut subscription).await {
            SubscriptionEvent::EventAppeared(event) => {
                assert_eq!(event.get_original_event().revision, revision);
            }
            other => panic!("{other:?}"),
        }
    }
    let ended = soon(subscription.next_subscription_event()).await;
    assert!(matches!(ended, Err(Error::ResourceDeleted)), "{ended:?}");
}

#[tokio::test]
async fn a_filter_tells_checkpoints_through_history_and_at_the_head() {
    let running = start().await;
    append(&running.client, "noise", events(100)).await;
    append(&running.client, "cart-1", events(1)).await;
    append(&running.client, "noise", events(20)).await;
    let filter = SubscriptionFilter::on_stream_name().add_prefix("cart-").max(25);
    let mut subscription =
        running.client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter)).await;
    confirmed(&mut subscription).await;
    let mut told = Vec::new();
    loop {
        match next(&mut subscription).await {
            SubscriptionEvent::Checkpoint(position) => told.push(position.commit),
            SubscriptionEvent::EventAppeared(event) => {
                told.push(event.get_original_event().position.commit + 1000)
            }
            SubscriptionEvent::CaughtUp(_) => break,
            other => panic!("{other:?}"),
        }
    }
    // One at the end of each page of 25 that had no event of ours names the page's beginning.
    assert_eq!(told, [26, 51, 76, 1101, 101]);
    append(&running.client, "noise", events(24)).await;
    append(&running.client, "noise", events(1)).await;
    match next(&mut subscription).await {
        SubscriptionEvent::Checkpoint(position) => assert_eq!(position.commit, 146),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_filter_may_look_ahead_and_by_type() {
    let running = start().await;
    append(&running.client, "s", vec![event("$system", 0), event("order.placed.v1", 1), event("other", 2)])
        .await;
    let filter = SubscriptionFilter::on_event_type().regex("^(?!\\$|other)");
    let mut subscription =
        running.client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter)).await;
    append(&running.client, "s", vec![event("order.placed.v1", 3)]).await;
    assert_eq!(next_positions(&mut subscription, 2).await, [2, 4]);
}

#[tokio::test]
async fn a_filter_that_is_no_expression_is_refused() {
    let running = start().await;
    let filter = SubscriptionFilter::on_event_type().regex("(");
    let mut subscription =
        running.client.subscribe_to_all(&SubscribeToAllOptions::default().filter(filter)).await;
    let refused = soon(subscription.next_subscription_event()).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_checkpoint_of_another_store_is_refused() {
    let running = start().await;
    append(&running.client, "s", events(1)).await;
    let mut subscription = running.client.subscribe_to_all(&after(2)).await;
    let refused = soon(subscription.next_subscription_event()).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_slow_reader_gets_everything_once_it_reads() {
    let running = start().await;
    let mut all = running.client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    confirmed(&mut all).await;
    let mut one = running
        .client
        .subscribe_to_stream("s", &SubscribeToStreamOptions::default().start_from(StreamPosition::Start))
        .await;
    confirmed(&mut one).await;
    // More than the shared records hold, so that both must go back to the disk.
    let large = || (0..4).map(|n| EventData::binary(format!("t{n}"), vec![7; 250_000].into())).collect();
    for _ in 0..30 {
        append(&running.client, "s", large()).await;
    }
    assert_eq!(next_positions(&mut one, 120).await, (1..=120).collect::<Vec<_>>());
    assert_eq!(next_positions(&mut all, 120).await, (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn stopping_ends_subscriptions_with_an_error() {
    let running = start().await;
    let mut subscription = running.client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    confirmed(&mut subscription).await;
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::CaughtUp(_)));
    soon(running.store.stop()).await;
    let ended = soon(subscription.next_subscription_event()).await;
    assert!(matches!(&ended, Err(Error::ServerError(message)) if message.contains("stopping")), "{ended:?}");
}
