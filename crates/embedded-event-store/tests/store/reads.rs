//! Reading streams and the whole log.

use eventstore::{
    AppendToStreamOptions, Client, Error, EventData, Position, ReadAllOptions, ReadEvent, ReadStreamOptions,
    StreamPosition, StreamState, SubscriptionFilter,
};
use uuid::Uuid;

use crate::support::{all_of, append, at, event, events, expecting, positions, revisions, start};

async fn read(client: &Client, options: ReadStreamOptions) -> Vec<u64> {
    revisions(&all_of(client.read_stream("s", &options).await.unwrap()).await)
}

async fn read_all(client: &Client, options: ReadAllOptions) -> Vec<u64> {
    positions(&all_of(client.read_all(&options).await.unwrap()).await)
}

fn from(revision: u64) -> ReadStreamOptions {
    ReadStreamOptions::default().position(StreamPosition::Position(revision))
}

fn from_position(position: u64) -> ReadAllOptions {
    ReadAllOptions::default()
        .position(StreamPosition::Position(Position { commit: position, prepare: position }))
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_written() {
    let running = start().await;
    let id = Uuid::new_v4();
    let json = EventData::json("order.placed.v1", &serde_json::json!({"total": 12}))
        .unwrap()
        .id(id)
        .metadata(b"{\"actor\":\"me\"}".as_slice().into());
    let bytes = EventData::binary("blob", vec![0, 255, 7].into());
    let before = chrono_seconds();
    append(&running.client, "ord\u{e9}r-1", vec![json, bytes]).await;
    let read =
        all_of(running.client.read_stream("ord\u{e9}r-1", &ReadStreamOptions::default()).await.unwrap())
            .await;
    let [first, second] = [&read[0], &read[1]].map(|e| e.event.as_ref().unwrap());
    assert_eq!(first.id, id);
    assert_eq!(first.stream_id(), "ord\u{e9}r-1");
    assert_eq!(first.event_type, "order.placed.v1");
    assert!(first.is_json);
    assert_eq!(&first.data[..], b"{\"total\":12}");
    assert_eq!(&first.custom_metadata[..], b"{\"actor\":\"me\"}");
    assert_eq!(at(first.position), (1, 1));
    let created = u64::try_from(first.created.timestamp()).unwrap();
    assert!((before..=chrono_seconds()).contains(&created), "{created}");
    assert!(!second.is_json);
    assert_eq!(&second.data[..], [0, 255, 7]);
    assert_eq!((second.revision, at(second.position)), (1, (2, 2)));
    assert!(read[0].link.is_none());
}

fn chrono_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_stream_is_read_from_anywhere_both_ways() {
    let running = start().await;
    for _ in 0..10 {
        append(&running.client, "s", events(1)).await;
        append(&running.client, "between", events(1)).await;
    }
    let client = &running.client;
    let (forwards, backwards) = (ReadStreamOptions::default(), || ReadStreamOptions::default().backwards());
    assert_eq!(read(client, forwards).await, (0..10).collect::<Vec<_>>());
    assert_eq!(read(client, from(7)).await, [7, 8, 9]);
    assert_eq!(read(client, from(2).max_count(3)).await, [2, 3, 4]);
    assert_eq!(read(client, from(10)).await, [0_u64; 0]);
    assert_eq!(
        read(client, backwards().position(StreamPosition::End)).await,
        (0..10).rev().collect::<Vec<_>>()
    );
    assert_eq!(read(client, from(2).backwards()).await, [2, 1, 0]);
    assert_eq!(read(client, from(99).backwards().max_count(2)).await, [9, 8]);
}

#[tokio::test]
async fn the_whole_log_is_read_from_anywhere_both_ways() {
    let running = start().await;
    append(&running.client, "a", events(5)).await;
    append(&running.client, "b", events(5)).await;
    let client = &running.client;
    assert_eq!(read_all(client, ReadAllOptions::default()).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(read_all(client, from_position(8)).await, [8, 9, 10]);
    assert_eq!(read_all(client, from_position(3).max_count(2)).await, [3, 4]);
    assert_eq!(read_all(client, from_position(4).backwards()).await, [3, 2, 1]);
    let end = ReadAllOptions::default().backwards().position(StreamPosition::End);
    assert_eq!(read_all(client, end.max_count(3)).await, [10, 9, 8]);
}

#[tokio::test]
async fn the_whole_log_is_read_through_a_filter() {
    let running = start().await;
    for n in 0..6 {
        append(&running.client, &format!("cart-{n}"), vec![event("cart.opened.v1", n)]).await;
        append(&running.client, &format!("order-{n}"), vec![event("order.placed.v1", n)]).await;
    }
    let by_name = SubscriptionFilter::on_stream_name().add_prefix("cart-").add_prefix("order-5");
    let read = read_all(&running.client, ReadAllOptions::default().filter(by_name)).await;
    assert_eq!(read, [1, 3, 5, 7, 9, 11, 12]);
    let by_type = SubscriptionFilter::on_event_type().regex("^(?!cart\\.)");
    let read = read_all(&running.client, ReadAllOptions::default().filter(by_type).max_count(2)).await;
    assert_eq!(read, [2, 4]);
}

#[tokio::test]
async fn a_missing_stream_is_said_to_be_missing() {
    let running = start().await;
    let mut read = running.client.read_stream("nothing", &ReadStreamOptions::default()).await.unwrap();
    assert!(matches!(read.next().await, Err(Error::ResourceNotFound)));
}

#[tokio::test]
async fn long_streams_are_read_whole() {
    let running = start().await;
    for _ in 0..5 {
        append(&running.client, "s", events(1000)).await;
    }
    let client = &running.client;
    assert_eq!(read(client, ReadStreamOptions::default()).await, (0..5000).collect::<Vec<_>>());
    let backwards = ReadStreamOptions::default().backwards().position(StreamPosition::End);
    assert_eq!(read(client, backwards).await, (0..5000).rev().collect::<Vec<_>>());
    assert_eq!(read_all(client, ReadAllOptions::default()).await, (1..=5000).collect::<Vec<_>>());
    let large: Vec<_> = (0..8).map(|_| EventData::binary("blob", vec![1; 120_000].into())).collect();
    client.append_to_stream("s", &AppendToStreamOptions::default(), large).await.unwrap();
    assert_eq!(read(client, from(4999)).await, (4999..5008).collect::<Vec<_>>());
}

#[tokio::test]
async fn links_are_followed_on_demand() {
    let running = start().await;
    append(&running.client, "source", events(3)).await;
    let link = |target: &'static str| EventData::binary("$>", target.as_bytes().into());
    append(&running.client, "s", vec![link("1@source"), link("9@source"), event("own", 0)]).await;
    let options = ReadStreamOptions::default();
    let plain = all_of(running.client.read_stream("s", &options).await.unwrap()).await;
    assert!(plain.iter().all(|e| e.link.is_none()));
    let options = options.resolve_link_tos();
    let followed = all_of(running.client.read_stream("s", &options).await.unwrap()).await;
    assert_eq!(followed[0].event.as_ref().unwrap().stream_id(), "source");
    assert_eq!(followed[0].event.as_ref().unwrap().revision, 1);
    assert_eq!(followed[0].link.as_ref().unwrap().revision, 0);
    assert_eq!(followed[0].commit_position, Some(4));
    assert!(followed[1].event.is_none() && followed[1].link.is_some());
    assert!(followed[2].event.is_some() && followed[2].link.is_none());
}

#[tokio::test]
async fn a_client_finds_the_store_by_gossip() {
    let running = start().await;
    let address = running.store.address();
    let settings = format!("esdb+discover://{address}?tls=false&nodePreference=leader").parse().unwrap();
    let discovering = Client::new(settings).unwrap();
    append(&discovering, "s", events(1)).await;
    assert_eq!(read(&running.client, ReadStreamOptions::default()).await, [0]);
}

/// What a read says besides its events: where the stream begins and ends, and how many events came in between.
async fn ends(client: &Client, options: &ReadStreamOptions) -> (Option<u64>, usize, Option<u64>) {
    let mut read = client.read_stream("s", options).await.unwrap();
    let (mut first, mut count, mut last) = (None, 0, None);
    while let Some(event) = read.next_read_event().await.unwrap() {
        match event {
            ReadEvent::FirstStreamPosition(revision) => {
                assert_eq!((count, last), (0, None), "it comes before the events");
                first = Some(revision);
            }
            ReadEvent::Event(_) => count += 1,
            ReadEvent::LastStreamPosition(revision) => last = Some(revision),
            ReadEvent::LastAllStreamPosition(position) => panic!("{position:?}"),
        }
    }
    (first, count, last)
}

#[tokio::test]
async fn a_read_tells_where_a_truncated_stream_begins_and_where_it_ends() {
    let running = start().await;
    let client = &running.client;
    append(client, "s", events(5)).await;
    let all = ReadStreamOptions::default();
    assert_eq!(ends(client, &all).await, (None, 5, Some(4)));
    let metadata = eventstore::StreamMetadataBuilder::new().truncate_before(3).build();
    client.set_stream_metadata("s", &expecting(StreamState::NoStream), &metadata).await.unwrap();
    assert_eq!(ends(client, &all).await, (None, 2, Some(4)), "a page with events needs no hint");
    let from = |revision| all.clone().position(StreamPosition::Position(revision));
    assert_eq!(ends(client, &from(2).max_count(1)).await, (Some(3), 1, Some(4)));
    assert_eq!(ends(client, &from(3)).await, (None, 2, Some(4)));
    assert_eq!(ends(client, &from(9)).await, (Some(5), 0, Some(4)));
    let backwards = all.clone().backwards().position(StreamPosition::End);
    assert_eq!(ends(client, &backwards).await, (None, 2, Some(4)));
}
