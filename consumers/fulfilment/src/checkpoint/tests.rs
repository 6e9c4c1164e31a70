use super::super::open_orders::Parked;
use super::*;
use domain::{CartId, OrderId};
use embedded_event_store::{Config, EmbeddedEventStore};

fn orders(count: u128) -> Vec<Kept> {
    (0..count)
        .map(|number| Kept {
            order_id: OrderId(Uuid::from_u128(number)),
            deadline: Some(1_790_000_000 + i64::try_from(number).unwrap()),
            paying_until: (number % 7 == 0).then_some(1_790_000_900),
            is_asking: number % 5 == 0,
            parked: (number % 3 == 0).then(|| Parked {
                stream: format!("inventory-{}", "X".repeat(100)),
                cart: (number % 6 == 0).then_some((CartId(Uuid::max()), u64::MAX)),
            }),
        })
        .collect()
}

fn sorted(mut kept: Vec<Kept>) -> Vec<Kept> {
    kept.sort_by_key(|kept| kept.order_id.0);
    kept
}

/// An event store with something in it.
struct Store {
    server: EmbeddedEventStore,
    store: EventStore,
    _folder: tempfile::TempDir,
}

impl Store {
    /// With twenty events, so that there are places for checkpoints to name.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        let noise = (0..20).map(|_| foreign("noise.made.v1", "{}")).collect();
        store.append("noise-1", ExpectedRevision::NoStream, noise).await.unwrap();
        Self { server, store, _folder: folder }
    }

    async fn read(&self) -> Checkpoint {
        Checkpoint::read(&self.store).await.unwrap()
    }
}

fn foreign(event_type: &'static str, data: &str) -> NewEvent {
    NewEvent { id: Uuid::now_v7(), event_type, data: data.into(), metadata: b"{}".to_vec() }
}

#[tokio::test]
async fn a_hundred_thousand_open_orders_are_kept_and_read_again() {
    let store = Store::start().await;
    let mut checkpoint = store.read().await;
    assert!(checkpoint.position.is_none() && checkpoint.open_orders.is_empty());

    let many = orders(100_000);
    checkpoint.record(&store.store, Some(Position::new(7)), &many).await.unwrap();
    let read = store.read().await;
    assert_eq!(read.position, Some(Position::new(7)));
    assert_eq!(sorted(read.open_orders), many);

    // A new one that was not written to its end does not count.
    let torn = Recorded {
        position: Some(Position::new(9)),
        open_orders: orders(3),
        part: 0,
        parts: 2,
        ..Recorded::default()
    };
    store.store.append(CHECKPOINTS_STREAM, read.expected, vec![new_event(&torn).unwrap()]).await.unwrap();
    let mut read = store.read().await;
    assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 100_000));

    // The next one counts, also after a torn one.
    read.record(&store.store, Some(Position::new(11)), &orders(2)).await.unwrap();
    let read = store.read().await;
    assert_eq!((read.position, sorted(read.open_orders)), (Some(Position::new(11)), orders(2)));
    // Those who only watch it know how many events may come before the next one.
    let events = store.store.read_stream(CHECKPOINTS_STREAM, 0, usize::MAX);
    let events: Vec<RecordedEvent> = events.map(Result::unwrap).collect().await;
    let log = store.store.log_identity().await.unwrap();
    let said: Vec<Option<Reached>> = events.iter().map(|event| reached(event, Some(&log))).collect();
    let few = Reached { position: Some(Position::new(11)), events: 0 };
    assert_eq!(said.last(), Some(&Some(few)));
    assert!(said[0].unwrap().events >= 200_000);
    store.server.stop().await;
}

#[tokio::test]
async fn what_others_wrote_among_the_checkpoints_is_passed_over() {
    let store = Store::start().await;
    let mut checkpoint = store.read().await;
    checkpoint.record(&store.store, Some(Position::new(7)), &orders(3)).await.unwrap();
    let foreign = vec![
        foreign("somebody.wrote.v1", r#"{"position":9}"#),
        foreign(TYPE, r#"["no checkpoint"]"#),
        // A place that is still to come: of another log, or nobody's.
        foreign(TYPE, r#"{"position":9000000000}"#),
        foreign(TYPE, r#"{"position":9,"part":3,"parts":2}"#),
    ];
    store.store.append(CHECKPOINTS_STREAM, checkpoint.expected, foreign).await.unwrap();
    let mut read = store.read().await;
    assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 3));
    read.record(&store.store, Some(Position::new(8)), &orders(2)).await.unwrap();
    assert_eq!(store.read().await.position, Some(Position::new(8)));
    store.server.stop().await;
}

/// A log that the history was copied to: it begins with events of its own.
async fn copy_of(store: &Store) -> Store {
    let copy = Store::start().await;
    copy.store.log_identity().await.unwrap();
    let records = store.store.read_log(None);
    pin_mut!(records);
    while let Some(record) = records.try_next().await.unwrap() {
        if record.stream.starts_with("log-") || record.stream == "noise-1" {
            continue;
        }
        let expected = match record.revision.checked_sub(1) {
            None => ExpectedRevision::NoStream,
            Some(last) => ExpectedRevision::Exact(last),
        };
        copy.store.append_raw(&record.stream, expected, vec![record.event]).await.unwrap();
    }
    copy
}

/// Positions mean nothing in another log: the process goes on at the same event.
#[tokio::test]
async fn a_checkpoint_of_another_log_leads_to_the_same_event() {
    let store = Store::start().await;
    let shop = vec![foreign("order.placed.v1", "{}"), foreign("order.paid.v1", "{}")];
    let paid = store.store.append("order-1", ExpectedRevision::NoStream, shop).await.unwrap();
    let mut checkpoint = store.read().await;
    checkpoint.record(&store.store, Some(paid.position), &orders(3)).await.unwrap();

    let copy = copy_of(&store).await;
    let read = copy.read().await;
    let position = read.position.expect("the event is in the copy");
    let events = copy.store.read_all(Some(position), 1);
    pin_mut!(events);
    let event = events.try_next().await.unwrap().unwrap();
    assert_eq!((event.stream.as_str(), event.revision, event.position), ("order-1", 1, position));
    assert_ne!(position, paid.position);
    assert_eq!(sorted(read.open_orders), orders(3));

    // One that was recorded here counts here.
    let mut read = copy.read().await;
    read.record(&copy.store, Some(Position::new(7)), &orders(2)).await.unwrap();
    let read = copy.read().await;
    assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 2));
    store.server.stop().await;
    copy.server.stop().await;
}

/// Programs from before logs had ids recorded no more than the position.
#[tokio::test]
async fn an_old_checkpoint_counts_in_its_own_log_only() {
    let store = Store::start().await;
    let old = foreign(TYPE, r#"{"position":7}"#);
    store.store.append(CHECKPOINTS_STREAM, ExpectedRevision::NoStream, vec![old]).await.unwrap();
    assert_eq!(store.read().await.position, Some(Position::new(7)));
    let copy = copy_of(&store).await;
    assert_eq!(copy.read().await.position, None, "it begins from the beginning");
    store.server.stop().await;
    copy.server.stop().await;
}

#[tokio::test]
async fn a_deleted_stream_of_checkpoints_has_a_successor() {
    let store = Store::start().await;
    let mut checkpoint = store.read().await;
    checkpoint.record(&store.store, Some(Position::new(7)), &orders(3)).await.unwrap();
    store.store.tombstone(CHECKPOINTS_STREAM, checkpoint.expected).await.unwrap();
    assert!(checkpoint.record(&store.store, Some(Position::new(8)), &orders(3)).await.is_err());
    let mut read = store.read().await;
    assert_eq!((read.stream.name(), read.position), ("process-order_fulfilment-2", None));
    read.record(&store.store, Some(Position::new(9)), &orders(2)).await.unwrap();
    let read = store.read().await;
    assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(9)), 2));
    store.server.stop().await;
}
