//! Subscriptions: from history into live, in order, without a gap.

use crate::target::{Target, event, events, fresh, fresh_category, soon, target};
use event_store::{Position, SubscriptionItem};
use eventstore::{
    Client, ResolvedEvent, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions, Subscription,
    SubscriptionEvent, SubscriptionFilter,
};
use futures::future::join_all;
use futures::{Stream, StreamExt};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

async fn next(subscription: &mut Subscription) -> SubscriptionEvent {
    soon(subscription.next_subscription_event()).await.unwrap()
}

async fn confirmed(subscription: &mut Subscription) {
    assert!(matches!(next(subscription).await, SubscriptionEvent::Confirmed(_)));
}

/// The next events; whatever else comes is passed over.
async fn next_events(subscription: &mut Subscription, count: usize) -> Vec<ResolvedEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        if let SubscriptionEvent::EventAppeared(event) = next(subscription).await {
            events.push(event);
        }
    }
    events
}

fn revisions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.get_original_event().revision).collect()
}

/// Follows our module's subscription until it has brought `count` events of the category.
async fn follow(
    items: impl Stream<Item = SubscriptionItem>,
    category: &str,
    count: usize,
) -> Vec<Arc<event_store::RecordedEvent>> {
    let mut items = pin!(items);
    let mut seen = Vec::new();
    while seen.len() < count {
        match soon(items.next()).await.expect("a subscription never ends") {
            SubscriptionItem::Event(event) if event.category() == category => seen.push(event),
            SubscriptionItem::Disconnected { error } => panic!("the connection was lost: {error}"),
            SubscriptionItem::Event(_)
            | SubscriptionItem::StoresOwn(_)
            | SubscriptionItem::Checkpoint(_)
            | SubscriptionItem::CaughtUp => {}
        }
    }
    seen
}

async fn write(target: &Target, category: &str, writers: u64, appends: u64) {
    let writers = (0..writers).map(|writer| async move {
        for n in 0..appends {
            target.append(&format!("{category}-{writer}"), vec![event("t", n), event("u", n)]).await;
        }
    });
    join_all(writers).await;
}

#[tokio::test]
async fn our_subscription_goes_from_history_into_live_while_many_write() {
    let target = target().await;
    let category = fresh_category();
    let start = target.store.head().await.unwrap();
    write(&target, &category, 4, 20).await;
    let following = follow(target.store.subscribe_all(start), &category, 4 * 120);
    let (seen, ()) = tokio::join!(following, write(&target, &category, 4, 40));
    assert!(seen.is_sorted_by(|earlier, later| earlier.position < later.position));
    let mut next_revision = HashMap::<&str, u64>::new();
    for event in &seen {
        let expected = next_revision.entry(&event.stream).or_default();
        assert_eq!(event.revision, *expected, "{}", event.stream);
        *expected += 1;
    }
    // The same again, from the middle: what was delivered is not delivered twice, and nothing is left out.
    let middle = seen[100].position;
    let rest = follow(target.store.subscribe_all(Some(middle)), &category, seen.len() - 101).await;
    assert_eq!(rest, seen[101..]);
}

#[tokio::test]
async fn our_subscription_says_when_it_has_caught_up_and_how_far_it_is() {
    let target = target().await;
    let start = target.store.head().await.unwrap();
    target.append(&fresh("cart"), events(3)).await;
    let head = target.store.head().await.unwrap().unwrap();
    let mut items = pin!(target.store.subscribe_all(start));
    let mut reached = Position::new(0);
    loop {
        match soon(items.next()).await.unwrap() {
            SubscriptionItem::Event(event) | SubscriptionItem::StoresOwn(event) => {
                reached = reached.max(event.position);
            }
            SubscriptionItem::Checkpoint(position) => reached = reached.max(position),
            SubscriptionItem::CaughtUp => break,
            SubscriptionItem::Disconnected { error } => panic!("{error}"),
        }
    }
    assert!(reached >= head, "{reached} of {head}");
}

#[tokio::test]
async fn a_streams_subscription_begins_after_its_revision_and_goes_into_live() {
    let target = target().await;
    let category = fresh_category();
    let stream = format!("{category}-1");
    target.append(&stream, events(10)).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(4));
    let mut subscription = target.client.subscribe_to_stream(stream.as_str(), &options).await;
    confirmed(&mut subscription).await;
    let mut history = Vec::new();
    loop {
        match next(&mut subscription).await {
            SubscriptionEvent::EventAppeared(event) => history.push(event),
            SubscriptionEvent::CaughtUp(..) => break,
            _ => {}
        }
    }
    assert_eq!(revisions(&history), [5, 6, 7, 8, 9]);
    let ((), live) = tokio::join!(write(&target, &category, 3, 10), next_events(&mut subscription, 20));
    assert_eq!(revisions(&live), (10..30).collect::<Vec<_>>());
    assert!(live.iter().all(|event| event.get_original_stream_id() == stream));
}

#[tokio::test]
async fn a_subscription_from_the_end_gets_only_what_comes() {
    let target = target().await;
    let (stream, unborn) = (fresh("cart"), fresh("cart"));
    target.append(&stream, events(5)).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::End);
    let mut one = target.client.subscribe_to_stream(stream.as_str(), &options).await;
    let mut other = target.client.subscribe_to_stream(unborn.as_str(), &options).await;
    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut all = target.client.subscribe_to_all(&options).await;
    for subscription in [&mut one, &mut other, &mut all] {
        confirmed(subscription).await;
        assert!(matches!(next(subscription).await, SubscriptionEvent::CaughtUp(..)));
    }
    target.append(&stream, events(1)).await;
    target.append(&unborn, events(2)).await;
    assert_eq!(revisions(&next_events(&mut one, 1).await), [5]);
    assert_eq!(revisions(&next_events(&mut other, 2).await), [0, 1]);
    let mut mine = Vec::new();
    while mine.len() < 3 {
        let event = next_events(&mut all, 1).await.remove(0);
        if [&stream, &unborn].contains(&&event.get_original_stream_id().to_owned()) {
            mine.push(event.get_original_event().revision);
        }
    }
    assert_eq!(mine, [5, 0, 1]);
}

async fn filtered(client: &Client, filter: SubscriptionFilter) -> Subscription {
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start).filter(filter);
    let mut subscription = client.subscribe_to_all(&options).await;
    confirmed(&mut subscription).await;
    subscription
}

#[tokio::test]
async fn filters_let_through_what_they_name_in_history_and_live() {
    let target = target().await;
    let category = fresh_category();
    let round = async || {
        for n in 0..4 {
            target.append(&format!("{category}-{n}"), vec![event(&format!("{category}.{}", n % 2), n)]).await;
            target.append(&fresh("noise"), events(3)).await;
        }
    };
    round().await;
    let client = &target.client;
    let name = SubscriptionFilter::on_stream_name;
    let kind = SubscriptionFilter::on_event_type;
    let mut cases = [
        (filtered(client, name().add_prefix(format!("{category}-"))).await, vec![0, 1, 2, 3]),
        (filtered(client, name().regex(format!("^{category}-[03]$"))).await, vec![0, 3]),
        (filtered(client, kind().add_prefix(format!("{category}.1"))).await, vec![1, 3]),
        (filtered(client, kind().regex(format!("^(?!{category}.1){category}"))).await, vec![0, 2]),
    ];
    round().await;
    for (subscription, expected) in &mut cases {
        let seen = next_events(subscription, 2 * expected.len()).await;
        let names: Vec<_> = seen.iter().map(|event| event.get_original_stream_id().to_owned()).collect();
        let twice = expected.iter().chain(expected.iter());
        assert_eq!(names, twice.map(|n| format!("{category}-{n}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_filtered_subscription_tells_how_far_it_has_looked() {
    let target = target().await;
    let category = fresh_category();
    target.append(&format!("{category}-1"), events(1)).await;
    let filter = SubscriptionFilter::on_stream_name().add_prefix(format!("{category}-")).max(4);
    let mut subscription = filtered(&target.client, filter).await;
    let mine = next_events(&mut subscription, 1).await.remove(0).get_original_event().position.commit;
    let noise = target.append(&fresh("noise"), events(200)).await.position.commit;
    let mut told = Vec::new();
    while told.last().is_none_or(|last| *last <= mine) {
        match next(&mut subscription).await {
            SubscriptionEvent::Checkpoint(position) => told.push(position.commit),
            SubscriptionEvent::EventAppeared(event) => panic!("no business of ours: {event:?}"),
            _ => {}
        }
    }
    assert!(told.is_sorted() && told[told.len() - 1] > mine && mine < noise, "{told:?}, {mine}, {noise}");
    // To go on from there loses nothing.
    let checkpoint = eventstore::Position { commit: told[told.len() - 1], prepare: told[told.len() - 1] };
    target.append(&format!("{category}-1"), events(1)).await;
    let filter = SubscriptionFilter::on_stream_name().add_prefix(format!("{category}-"));
    let options =
        SubscribeToAllOptions::default().position(StreamPosition::Position(checkpoint)).filter(filter);
    let mut resumed = target.client.subscribe_to_all(&options).await;
    assert_eq!(revisions(&next_events(&mut resumed, 1).await), [1]);
}

#[tokio::test]
async fn many_subscribers_each_get_everything_in_order() {
    let target = target().await;
    let category = fresh_category();
    let stream = format!("{category}-0");
    target.append(&stream, events(10)).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let followers = (0..60).map(|_| async {
        let mut subscription = target.client.subscribe_to_stream(stream.as_str(), &options).await;
        revisions(&next_events(&mut subscription, 50).await)
    });
    let (followed, ()) = tokio::join!(join_all(followers), write(&target, &category, 1, 20));
    for seen in followed {
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_follower_that_falls_behind_what_is_shared_gets_everything_all_the_same() {
    const APPENDS: u64 = 11;
    const EVENTS: u64 = 2_000;
    let target = target().await;
    let category = fresh_category();
    let start = target.store.head().await.unwrap();
    let mut slow = pin!(target.store.subscribe_all(start));
    let mut quick = pin!(target.store.subscribe_all(start));
    // Both are live: what comes now reaches them through the one subscription that they share.
    for round in 0..3 {
        target.append(&format!("{category}-0"), events(1)).await;
        for items in [&mut slow, &mut quick] {
            assert_eq!(follow(items, &category, 1).await[0].revision, round);
        }
    }
    let writing = async {
        for append in 0..APPENDS {
            let batch = (0..EVENTS).map(|n| event("t", n)).collect();
            target.append(&format!("{category}-{}", append + 1), batch).await;
        }
    };
    let count = usize::try_from(APPENDS * EVENTS).unwrap();
    let (seen, ()) = tokio::join!(follow(&mut quick, &category, count), writing);
    assert_eq!(follow(&mut slow, &category, count).await, seen);
    assert!(seen.is_sorted_by(|earlier, later| earlier.position < later.position));
}
