use super::super::guard::Guard;
use super::super::parked::ParkedStreams;
use super::super::reader;
use super::*;
use chrono::Utc;
use domain::cart::{Cart, Command, NewLine};
use domain::{LineId, Money, Quantity, Sku};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{EventStore, Position};
use http::Extensions;
use http_boundary::{Client, ClientShare};
use tokio::sync::Semaphore;
use uuid::Uuid;

fn large() -> Loaded<Cart> {
    let mut loaded = Loaded::empty();
    let end = End { revision: 0, position: Position::new(0) };
    (0..=FEW_PARTS).for_each(|_| loaded.remember(Uuid::new_v4(), "a request", end));
    loaded
}

fn shared(store: EventStore, room: usize) -> Shared {
    Shared {
        store,
        writers: Writers::OnlyUs,
        guard: Guard::default(),
        parked: Arc::<ParkedStreams>::default(),
        room: Arc::new(Semaphore::new(room)),
        long_reads: reader::turns(),
    }
}

#[test]
fn large_states_share_the_room_that_there_is_and_small_ones_need_none() {
    let store = EventStore::connect("esdb://127.0.0.1:1?tls=false").unwrap();
    let stream = Stream::<Cart>::new("cart-1".to_owned(), shared(store, large().parts()), None);
    let first = stream.keep(large());
    assert!(first.is_some() && stream.keep(large()).is_none());
    assert!(stream.keep(Loaded::empty()).is_some());
    drop(first);
    assert!(stream.keep(large()).is_some());
}

fn envelope() -> Envelope {
    let id = Uuid::now_v7();
    Envelope {
        command_id: id,
        correlation_id: id,
        causation_id: id,
        actor: "test".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: crate::Fingerprint::none(),
    }
}

/// A stream as another process would have it, with nothing in memory: a cart with so many events.
async fn cart(name: &str, shared: &Shared, events: usize) -> Arc<Stream<Cart>> {
    let stream = || Arc::new(Stream::<Cart>::new(name.to_owned(), shared.clone(), None));
    let writer = stream();
    let open = Command::Open { currency: "GBP".parse().unwrap(), customer_id: None };
    writer.execute(open, envelope()).await.unwrap();
    let line = || NewLine {
        line_id: LineId(Uuid::now_v7()),
        sku: Sku::new("MUG").unwrap(),
        quantity: Quantity::new(1).unwrap(),
        unit_price: Money::new(1, "GBP".parse().unwrap()).unwrap(),
        agreed: false,
    };
    let lines = (1..events).map(|_| line()).collect();
    writer.execute(Command::PutLines { lines }, envelope()).await.unwrap();
    stream()
}

fn client(address: u8) -> Client {
    Client { address: [192, 0, 2, address].into(), connection: address.into(), is_busy: false }
}

fn reader(address: u8) -> Option<Arc<Reader>> {
    let mut extensions = Extensions::new();
    extensions.insert(client(address));
    extensions.insert(ClientShare::without_limits(client(address)));
    Reader::of(&extensions)
}

#[tokio::test]
async fn a_long_stream_is_read_when_it_is_its_clients_turn_and_for_the_shop_itself_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let shared = shared(store, 0);
    let [long, short] = [cart("cart-1", &shared, 301).await, cart("cart-2", &shared, 100).await];
    let _first = shared.long_reads.take(client(1)).await.unwrap();
    let second = shared.long_reads.take(client(2)).await.unwrap();
    let next_revision = |stream: &Arc<Stream<Cart>>| {
        let stream = Arc::clone(stream);
        async move { stream.view(None, Loaded::next_revision).await.unwrap() }
    };
    // All places are taken: a short one waits for none, and the operator and order fulfilment wait for nobody.
    assert_eq!(Reader::work(reader(3), next_revision(&short)).await, 100);
    assert_eq!(Reader::work(None, next_revision(&long)).await, 301);
    let read = Reader::work(reader(3), next_revision(&long));
    let waits = async {
        while shared.long_reads.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(second);
    };
    let (read, ()) = tokio::join!(read, waits);
    assert_eq!(read, 301);
}
