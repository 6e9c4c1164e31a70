//! Reading streams and the log, both ways, from any point.

use crate::target::{all, all_of, event, events, fresh, fresh_category, revisions, soon, target};
use event_store::RecordedEvent;
use eventstore::{
    Error, EventData, ReadAllOptions, ReadEvent, ReadStreamOptions, StreamPosition, SubscriptionFilter,
};

fn ours(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.revision).collect()
}

#[tokio::test]
async fn a_stream_is_read_both_ways_from_any_revision() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(10)).await;
    let store = &target.store;
    assert_eq!(ours(&all(store.read_stream(&stream, 0, usize::MAX)).await), (0..10).collect::<Vec<_>>());
    assert_eq!(ours(&all(store.read_stream(&stream, 4, 3)).await), [4, 5, 6]);
    assert_eq!(ours(&all(store.read_stream(&stream, 9, 3)).await), [9]);
    assert!(all(store.read_stream(&stream, 10, 3)).await.is_empty());
    assert!(all(store.read_stream(&stream, 5000, 3)).await.is_empty());
    assert_eq!(ours(&all(store.read_stream_backwards(&stream, None, 2)).await), [9, 8]);
    assert_eq!(ours(&all(store.read_stream_backwards(&stream, Some(3), 9)).await), [3, 2, 1, 0]);
    assert_eq!(ours(&all(store.read_stream_backwards(&stream, Some(0), 9)).await), [0]);
}

#[tokio::test]
async fn a_stream_that_is_not_there_has_no_events_and_says_so() {
    let target = target().await;
    let stream = fresh("cart");
    assert_eq!(all(target.store.read_stream(&stream, 0, 10)).await, []);
    assert_eq!(all(target.store.read_stream_backwards(&stream, None, 10)).await, []);
    let read = target.client.read_stream(stream, &ReadStreamOptions::default()).await.unwrap();
    assert!(matches!(all_of(read).await, Err(Error::ResourceNotFound)));
}

#[tokio::test]
async fn long_reads_are_whole_and_end_with_the_streams_last_revision() {
    let target = target().await;
    let stream = fresh("cart");
    for _ in 0..3 {
        target.append(&stream, events(700)).await;
    }
    for (options, first) in [
        (ReadStreamOptions::default().position(StreamPosition::Start), 0),
        (ReadStreamOptions::default().position(StreamPosition::End).backwards(), 2099),
    ] {
        let mut read = target.client.read_stream(stream.as_str(), &options).await.unwrap();
        let (mut seen, mut last) = (Vec::new(), None);
        while let Some(message) = soon(read.next_read_event()).await.unwrap() {
            match message {
                ReadEvent::Event(event) => seen.push(event.get_original_event().revision),
                ReadEvent::LastStreamPosition(revision) => last = Some(revision),
                ReadEvent::FirstStreamPosition(_) | ReadEvent::LastAllStreamPosition(_) => {}
            }
        }
        assert_eq!((seen.first(), last), (Some(&first), Some(2099)));
        seen.sort_unstable();
        assert_eq!(seen, (0..2100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_log_is_read_forwards_from_a_position_and_backwards_before_it() {
    let target = target().await;
    let stream = fresh("cart");
    target.append(&stream, events(5)).await;
    let at: Vec<_> = all(target.store.read_stream(&stream, 0, 5)).await.iter().map(|e| e.position).collect();
    assert!(at.is_sorted_by(|earlier, later| earlier < later));
    let mine = |events: Vec<RecordedEvent>| {
        ours(&events.into_iter().filter(|event| event.stream == stream).collect::<Vec<_>>())
    };
    assert_eq!(mine(all(target.store.read_all(Some(at[2]), 3)).await), [2, 3, 4]);
    assert_eq!(mine(all(target.store.read_all_backwards(Some(at[2]), 2)).await), [1, 0]);
    assert_eq!(mine(all(target.store.read_all_between(at[1], at[3])).await), [1, 2, 3]);
    assert_eq!(mine(all(target.store.read_all_between(at[2], at[2])).await), [2]);
    assert_eq!(mine(all(target.store.read_all_between(at[3], at[1])).await), Vec::<u64>::new());
    assert!(target.store.head().await.unwrap() >= Some(at[4]));
    let newest = all(target.store.read_all_backwards(None, 200)).await;
    assert!(newest.iter().any(|event| event.position == at[4]));
    assert!(newest.windows(2).all(|pair| pair[0].position > pair[1].position));
    assert!(newest.iter().all(|event| !event.event_type.starts_with('$')), "the store's own are left out");
}

#[tokio::test]
async fn the_log_is_filtered_by_prefix_and_by_expression() {
    let target = target().await;
    let category = fresh_category();
    for n in 0..4 {
        let kind = if n % 2 == 0 { "even" } else { "odd" };
        target.append(&format!("{category}-{n}"), vec![event(&format!("{category}.{kind}"), n)]).await;
        target.append(&fresh("noise"), events(20)).await;
    }
    let cases = [
        (SubscriptionFilter::on_stream_name().add_prefix(format!("{category}-")), vec![0, 1, 2, 3]),
        (SubscriptionFilter::on_stream_name().regex(format!("^{category}-[12]$")), vec![1, 2]),
        (SubscriptionFilter::on_event_type().add_prefix(format!("{category}.o")), vec![1, 3]),
        (SubscriptionFilter::on_event_type().regex(format!("^(?!{category}.odd){category}")), vec![0, 2]),
    ];
    for (filter, expected) in cases {
        let number = |event: &eventstore::ResolvedEvent| {
            event.get_original_event().as_json::<serde_json::Value>().unwrap()["n"].as_u64().unwrap()
        };
        let options = ReadAllOptions::default().position(StreamPosition::Start).filter(filter.clone());
        let read = all_of(target.client.read_all(&options).await.unwrap()).await.unwrap();
        assert_eq!(read.iter().map(number).collect::<Vec<_>>(), expected, "{filter:?}");
        let options = ReadAllOptions::default().position(StreamPosition::End).backwards().filter(filter);
        let read = all_of(target.client.read_all(&options.max_count(1)).await.unwrap()).await.unwrap();
        assert_eq!(read.iter().map(number).collect::<Vec<_>>(), expected[expected.len() - 1..]);
    }
}

#[tokio::test]
async fn links_are_followed_when_that_is_asked_for() {
    let target = target().await;
    let (stream, links) = (fresh("cart"), fresh("links"));
    target.append(&stream, events(3)).await;
    let link = |to: String| EventData::binary("$>", to.into());
    target.append(&links, vec![link(format!("2@{stream}")), link(format!("0@{stream}"))]).await;

    let plain = target.client.read_stream(links.as_str(), &ReadStreamOptions::default()).await.unwrap();
    for event in all_of(plain).await.unwrap() {
        assert_eq!((event.get_original_event().event_type.as_str(), event.link.is_none()), ("$>", true));
    }
    let options = ReadStreamOptions::default().resolve_link_tos();
    let followed = all_of(target.client.read_stream(links.as_str(), &options).await.unwrap()).await.unwrap();
    assert_eq!(revisions(&followed), [0, 1], "the original event is the link");
    let found: Vec<_> = followed
        .iter()
        .map(|event| event.event.as_ref().map(|event| (event.stream_id().to_owned(), event.revision)))
        .collect();
    assert_eq!(found, [Some((stream.clone(), 2)), Some((stream, 0))]);
}
