//! Listeners who come back after a long time: what they have missed is told as they read it, and held nowhere.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::cart::{Cart, Event, ItemAdded, ItemQuantityChanged, Opened};
use domain::stored::StoredEvent;
use domain::{CartId, LineId, Money, Quantity};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{EventStore, ExpectedRevision, Metadata, NewEvent, Position};
use futures::{Stream, StreamExt};
use http_boundary::{
    Client, ClientLimitArgs, ClientLimits, ClientShare, HttpLimits, OperatorToken, Refusals, serve,
};
use query_api::LiveArgs;
use query_api::asker::Asker;
use query_api::live::told::{BrokenOff, Moment};
use query_api::live::{Events, Log};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVENTS: u32 = 10_000;
const LINES: u32 = 200;
/// Listeners of ten addresses.
const LISTENERS: u8 = 100;
/// What they may take together: if each held what it has missed, it would be ten times as much.
const BYTES: u64 = 60 * 1024 * 1024;

fn new_event(event: &Event) -> NewEvent {
    let id = Uuid::now_v7();
    let metadata = Metadata {
        correlation_id: id,
        causation_id: id,
        command_id: id,
        actor: "shopper".to_owned(),
        occurred_at: chrono::Utc::now(),
        fingerprint: String::new(),
        more: false,
    };
    NewEvent { id, event_type: event.type_name(), data: event.payload(), metadata: metadata.to_json() }
}

/// A cart with some lines, whose quantities go to and fro.
fn history() -> Vec<NewEvent> {
    let currency = "GBP".parse().unwrap();
    let line_id = |number: u32| LineId(Uuid::from_u128(number.into()));
    let quantity = |units: u32| Quantity::new(i64::from(units)).unwrap();
    let opened = Event::Opened(Opened { currency, customer_id: None });
    let added = (0..LINES).map(|number| {
        Event::ItemAdded(ItemAdded {
            line_id: line_id(number),
            sku: format!("SKU-{number}").parse().unwrap(),
            quantity: quantity(1),
            unit_price: Money::new(100, currency).unwrap(),
            agreed: false,
        })
    });
    let changed = (LINES + 1..EVENTS).map(|number| {
        let changed =
            ItemQuantityChanged { line_id: line_id(number % LINES), quantity: quantity(1 + number % 9) };
        Event::ItemQuantityChanged(changed)
    });
    std::iter::once(opened).chain(added).chain(changed).map(|event| new_event(&event)).collect()
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// The revisions of the next moments.
async fn revisions(moments: impl Stream<Item = Result<Arc<Moment>, BrokenOff>>, count: usize) -> Vec<u64> {
    let revisions = moments.take(count).map(|moment| moment.unwrap().revision);
    tokio::time::timeout(Duration::from_secs(60), revisions.collect()).await.expect("it is told in time")
}

fn asker(number: u8) -> Asker {
    let client =
        Client { address: [192, 0, 2, number % 10].into(), connection: number.into(), is_busy: false };
    Asker { client, is_operator: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_missed_ten_thousand_events_each_take_little_and_hear_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let cart_id = CartId(Uuid::new_v4());
    let stream = format!("cart-{cart_id}");
    // Something else is before it: the cart's first event is one that they have missed.
    store.append("cart-other", ExpectedRevision::NoStream, history()[..1].to_vec()).await.unwrap();
    write(&store, &stream, &history()).await;
    let live = Events::new(Log::new(store.clone(), LiveArgs::DEFAULT), Duration::from_secs(60));
    let missed_all = async |number| {
        let moments =
            live.follow::<Cart>(cart_id, Some(Position::new(0)), unlimited(asker(number))).await.unwrap();
        Box::pin(moments)
    };
    // One who reads at once; it also warms up what is needed in any case.
    let all: Vec<u64> = (0..u64::from(EVENTS)).collect();
    assert_eq!(revisions(missed_all(0).await, all.len()).await, all);

    let before = resident();
    let mut slow = Vec::new();
    for number in 1..=LISTENERS {
        let mut moments = missed_all(number).await;
        assert_eq!(moments.next().await.unwrap().unwrap().revision, 0);
        slow.push(moments);
    }
    let taken = resident().saturating_sub(before);
    println!("{LISTENERS} listeners take {taken} bytes");
    assert!(taken < BYTES, "{LISTENERS} listeners take {taken} bytes");
    // They are in nobody's way, and one of them that reads on hears the rest.
    let quick = Asker { is_operator: true, ..asker(0) };
    let mut current = Box::pin(live.follow::<Cart>(cart_id, None, unlimited(quick)).await.unwrap());
    assert_eq!(current.next().await.unwrap().unwrap().revision, u64::from(EVENTS) - 1);
    assert_eq!(revisions(slow.pop().unwrap(), all.len() - 1).await, all[1..]);
}

async fn write(store: &EventStore, stream: &str, events: &[NewEvent]) {
    let mut expected = ExpectedRevision::NoStream;
    for events in events.chunks(500) {
        let appended = store.append(stream, expected, events.to_vec()).await.unwrap();
        expected = ExpectedRevision::Exact(appended.revision);
    }
}

/// Hears of a cart's whole past, and says of how many events.
async fn hear_all(
    State((live, cart_id)): State<(Events, CartId)>,
    client: Client,
    share: ClientShare,
) -> String {
    let asker = Asker { client, is_operator: false };
    let moments = live.follow::<Cart>(cart_id, Some(Position::new(0)), (asker, share)).await.unwrap();
    revisions(moments, MISSED).await.len().to_string()
}

const MISSED: usize = 1_000;

/// The status with which a request is answered that comes from this address.
async fn ask(service: SocketAddr, from: [u8; 4]) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(service).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is answered in time").unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_past_told_pays_for_what_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let cart_id = CartId(Uuid::new_v4());
    store.append("cart-other", ExpectedRevision::NoStream, history()[..1].to_vec()).await.unwrap();
    write(&store, &format!("cart-{cart_id}"), &history()[..MISSED]).await;
    let live = Events::new(Log::new(store, LiveArgs::DEFAULT), Duration::from_secs(60));
    // To read the events twice is worth forty requests, of eighty; to tell them is worth as many again.
    let limits = ClientLimitArgs {
        reads_per_second_by_address: 1,
        burst_seconds_by_address: NonZeroU32::new(80).unwrap(),
        ..ClientLimitArgs::without_limits()
    };
    let clients = ClientLimits::new(&limits, OperatorToken::new("secret"), Refusals::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(hear_all)).with_state((live, cart_id));
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    tokio::spawn(async move { serve(listener, router, clients, &HttpLimits::default(), stop).await });
    assert_eq!(ask(service, [127, 0, 7, 1]).await, "200");
    assert_eq!(ask(service, [127, 0, 7, 1]).await, "429");
    assert_eq!(ask(service, [127, 0, 7, 2]).await, "200");
}

/// Without a limit to what it may ask for.
fn unlimited(asker: Asker) -> (Asker, ClientShare) {
    (asker, ClientShare::without_limits(asker.client))
}
