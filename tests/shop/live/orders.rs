//! An order's life, event by event.

use super::{Listener, history};
use crate::harness::{DEADLINE, Shop, TOKEN, Terms, gbp};
use domain::order::{Event, Order, Placed};
use domain::stored::StoredEvent;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{EventStore, ExpectedRevision, Metadata, NewEvent, Position};
use futures::{StreamExt, pin_mut};
use http_boundary::{Client, ClientShare};
use query_api::LiveArgs;
use query_api::asker::Asker;
use query_api::live::told::BrokenOff;
use query_api::live::{Events, Log, NotFollowed};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn a_purchase_is_followed_live_and_a_listener_comes_back_without_loss_or_repetition(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let machine = shop.second().await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    let path = format!("/orders/{order_id}/live");
    let mut listener = Listener::connect(machine.url(), &path, None).await;
    let current = listener.next().await.unwrap();
    assert_eq!((current.name.as_str(), &current.data["status"]), ("current", &json!("pending")));
    let known = history(&shop, &format!("order-{order_id}")).await;
    assert_eq!(current.id, known.last().unwrap().0);

    // Half of the money, and a listener whose connection breaks after it has heard a part.
    let body = json!({ "amount": gbp(500), "method": "card", "reference": "till" });
    let pay = shop.post_as_operator(&format!("/orders/{order_id}/payments"), body).await;
    pay.expect(StatusCode::OK);
    let first = listener.next().await.unwrap();
    assert_eq!(first.name, "order.payment_recorded.v1");
    drop(listener);
    let paid = shop.pay_by("pm_sandbox_approve", &order_id, 1500).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");

    let mut back = Listener::connect(machine.url(), &path, Some(first.id)).await;
    let rest = back.until("processing").await;
    let mut all: Vec<(u64, String)> = vec![(first.id, first.name)];
    all.extend(rest.into_iter().map(|heard| (heard.id, heard.name)));
    assert_eq!(all, history(&shop, &format!("order-{order_id}")).await[known.len()..]);

    // Who has heard everything hears only what is new.
    let mut up_to_date = Listener::connect(machine.url(), &path, Some(all.last().unwrap().0)).await;
    shop.post_as_operator(&format!("/orders/{order_id}/shipment"), json!({})).await.expect(StatusCode::OK);
    let shipped = up_to_date.next().await.unwrap();
    assert_eq!((shipped.name.as_str(), &shipped.data["status"]), ("order.shipped.v1", &json!("shipped")));
    assert_eq!(back.next().await.unwrap(), shipped);
}

#[sqlx::test(migrations = false)]
async fn a_listener_to_whom_nothing_happens_gets_signs_of_life_and_then_the_next_event(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { live_heartbeat: 1, ..Terms::default() }).await;
    let machine = shop.second().await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let path = format!("/orders/{order_id}/live");
    let mut listener = Listener::connect(machine.url(), &path, None).await;
    let current = listener.next().await.unwrap();
    // Comments: no browser makes an event of them. They come sooner than where nothing was configured.
    let begin = Instant::now();
    for _ in 0..2 {
        let sign = listener.next_block().await.unwrap();
        assert!(sign.lines().all(|line| line.starts_with(':')) && !sign.is_empty(), "{sign:?}");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(query_api::Config::LIVE_HEARTBEAT),
        "{:?}",
        begin.elapsed()
    );
    let known = history(&shop, &format!("order-{order_id}")).await;
    assert_eq!(current.id, known.last().unwrap().0);
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(listener.next().await.unwrap().name, "order.payment_recorded.v1");
}

#[sqlx::test(migrations = false)]
async fn many_listen_and_all_streams_end_when_the_service_stops(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let machine = shop.second().await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let path = format!("/orders/{order_id}/live");
    let listeners = (0..200).map(|_| Listener::connect(machine.url(), &path, None));
    let mut listeners = futures::future::join_all(listeners).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let heard = futures::future::join_all(listeners.iter_mut().map(|listener| listener.until("processing")));
    let heard = heard.await;
    assert!(heard.iter().all(|each| *each == heard[0]));
    machine.stop_services();
    let ends = futures::future::join_all(listeners.iter_mut().map(Listener::next));
    assert!(ends.await.iter().all(Option::is_none));
}

#[sqlx::test(migrations = false)]
async fn an_unknown_order_and_an_unreadable_id_are_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let path = format!("/orders/{}/live", Uuid::new_v4());
    shop.get(&path).await.expect_problem(StatusCode::NOT_FOUND, "not-found");
    let request = shop.request(reqwest::Method::GET, &path).header("last-event-id", "yesterday");
    request.send().await.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_reads_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let live = Events::new(Log::new(store.clone(), LiveArgs::DEFAULT), LiveArgs::DEFAULT.live_replay_seconds);
    let asker = asker();
    let order_id = domain::OrderId(Uuid::new_v4());
    assert!(matches!(
        live.follow::<Order>(order_id, None, unlimited(asker)).await,
        Err(NotFollowed::Unknown)
    ));

    let stream = format!("order-{order_id}");
    let first = store.append(&stream, ExpectedRevision::NoStream, vec![placed()]).await.unwrap();
    let (slow, quick) = (
        live.follow::<Order>(order_id, None, unlimited(asker)).await.unwrap(),
        live.follow::<Order>(order_id, None, unlimited(asker)).await.unwrap(),
    );
    pin_mut!(slow, quick);
    assert_eq!(slow.next().await.unwrap().unwrap().position, first.position);
    assert_eq!(quick.next().await.unwrap().unwrap().position, first.position);
    // Far more than waits for anybody, while the slow one does not listen.
    for revision in 0..200 {
        store.append(&stream, ExpectedRevision::Exact(revision), vec![cancelled()]).await.unwrap();
        assert_eq!(quick.next().await.unwrap().unwrap().revision, revision + 1);
    }
    for revision in 1..=200 {
        assert_eq!(slow.next().await.unwrap().unwrap().revision, revision);
    }
}

fn asker() -> Asker {
    let client = Client { address: [127, 0, 0, 1].into(), connection: 1, is_busy: false };
    Asker { client, is_operator: false }
}

/// As many as may read what they have missed at once from one address take nothing of it: the next one waits until one of
/// them is broken off.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_what_it_missed_is_broken_off_and_goes_on_where_it_was() {
    const AT_ONCE: usize = 16;
    const EVENTS: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let live = Events::new(Log::new(store.clone(), LiveArgs::DEFAULT), Duration::from_secs(2));
    // The order's first event is one that they have missed.
    store.append("order-other", ExpectedRevision::NoStream, vec![placed()]).await.unwrap();
    let order_id = domain::OrderId(Uuid::new_v4());
    let events = std::iter::once(placed()).chain((1..EVENTS).map(|_| cancelled())).collect();
    store.append(&format!("order-{order_id}"), ExpectedRevision::NoStream, events).await.unwrap();
    let missed = async |after| {
        let moments = live.follow::<Order>(order_id, Some(after), unlimited(asker())).await.unwrap();
        Box::pin(moments)
    };

    let mut slow = Vec::new();
    for _ in 0..AT_ONCE {
        let mut moments = missed(Position::new(0)).await;
        let first = moments.next().await.unwrap().unwrap();
        assert_eq!(first.revision, 0);
        slow.push((moments, first.position));
    }
    let next = async { missed(Position::new(0)).await.next().await };
    let next = tokio::time::timeout(DEADLINE, next).await.expect("a replay ends that nobody takes");
    assert_eq!(next.unwrap().unwrap().revision, 0);

    let mut broken_off = 0;
    for (mut moments, mut last) in slow {
        let mut heard = 0;
        while heard < EVENTS - 1 {
            let moment = tokio::time::timeout(DEADLINE, moments.next()).await.expect("it is told in time");
            match moment.expect("it goes on, or says why not") {
                Ok(moment) => {
                    heard += 1;
                    assert_eq!(moment.revision, heard, "nothing is lost, and nothing comes twice");
                    last = moment.position;
                }
                Err(BrokenOff::TooSlow) => {
                    broken_off += 1;
                    moments = missed(last).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(broken_off > 0);
}

fn new_event(event: &Event) -> NewEvent {
    let id = Uuid::now_v7();
    NewEvent {
        id,
        event_type: event.type_name(),
        data: event.payload(),
        metadata: Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: TOKEN.to_owned(),
            occurred_at: chrono::Utc::now(),
            fingerprint: String::new(),
            more: false,
        }
        .to_json(),
    }
}

fn placed() -> NewEvent {
    let total = domain::Money::new(1000, "GBP".parse().unwrap()).unwrap();
    new_event(&Event::Placed(Placed {
        cart_id: domain::CartId(Uuid::new_v4()),
        customer_id: None,
        country: "GB".parse().unwrap(),
        lines: vec![],
        shipping: None,
        total,
        hold_seconds: None,
        anonymous: false,
    }))
}

fn cancelled() -> NewEvent {
    let reason = domain::order::CancelReason::Expired;
    new_event(&Event::Cancelled(domain::order::Cancelled { reason }))
}

/// Without a limit to what it may ask for.
fn unlimited(asker: Asker) -> (Asker, ClientShare) {
    (asker, ClientShare::without_limits(asker.client))
}
