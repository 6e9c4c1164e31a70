//! Buying while the event store's cluster changes its leaders, and while it has none.

use crate::harness::{DEADLINE, Shop, gbp};
use cluster_front::{Cluster, Fall};
use futures::TryStreamExt;
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const STOCK: u32 = 1_000;
const BUYERS: usize = 3;
/// Leaders that fall in one test.
const CHANGES: usize = 2;
/// Whoever waits for one request as long as it may take is late.
const GOES_ON_WITHIN: Duration = Duration::from_secs(9);

/// Sends a request with the same key until its answer is as wanted, as a client should that meets an outage.
async fn insist(shop: &Shop, path: &str, body: Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let key = Uuid::new_v4().to_string();
    loop {
        let request = shop.request(Method::POST, path).operator().key(&key).header("prefer", "wait=20");
        let reply = request.json(&body).send().await;
        if !reply.status.is_success() {
            reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "event-store-unavailable");
        } else if is_wanted(&reply.body) {
            return reply.body;
        }
    }
}

/// Buys a mug, and waits until its order is paid and its goods are committed: fulfilment has done its work. The order's id.
async fn buys(shop: &Shop) -> String {
    let opened = insist(shop, "/carts", json!({ "currency": "GBP" }), |_| true).await;
    let cart = format!("/carts/{}", opened["cart_id"].as_str().unwrap());
    let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    insist(shop, &format!("{cart}/lines"), mug, |_| true).await;
    let checkout = json!({ "total": gbp(1000), "country": "GB" });
    let order = insist(shop, &format!("{cart}/checkout"), checkout, |_| true).await;
    let order_id = order["order_id"].as_str().unwrap().to_owned();
    let payment = json!({ "amount": gbp(1000), "method": "card", "reference": "till 1" });
    let is_processing = |order: &Value| order["status"] == "processing";
    insist(shop, &format!("/orders/{order_id}/payments"), payment, is_processing).await;
    order_id
}

/// Each order that was acknowledged is there, paid once, with its mug, and there are no others.
async fn every_purchase_is_there_once(shop: &Shop, orders: &[String]) {
    let events: Vec<_> = shop.events().read_all(None, usize::MAX).try_collect().await.unwrap();
    for kind in ["order.placed.v1", "order.paid.v1", "order.processing_started.v1"] {
        let streams = events.iter().filter(|event| event.event_type == kind);
        let mut streams: Vec<_> = streams.map(|event| event.stream.as_str()).collect();
        streams.sort_unstable();
        let mut acknowledged: Vec<_> = orders.iter().map(|order| format!("order-{order}")).collect();
        acknowledged.sort_unstable();
        assert_eq!(streams, acknowledged, "{kind}");
    }
    // Sold units are reserved until they are shipped.
    let sold = u32::try_from(orders.len()).unwrap();
    let stock = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(STOCK - sold), &json!(sold)));
}

/// From the fall of the leader to the moment at which the next one does all of its work.
async fn passes_on(cluster: &Cluster, how: Fall, drops_requests: bool) {
    let next = cluster.leader().map_or(0, |leader| (leader + 1) % 3);
    cluster.leader_falls(how);
    cluster.refuses(1).await;
    cluster.nobody_leads();
    cluster.refuses(2).await;
    if drops_requests {
        cluster.elect_without_groups(next);
        cluster.drops_requests_for_groups(1).await;
        cluster.groups_are_read();
    } else {
        cluster.elect(next);
    }
}

async fn purchases_go_on(pool: &PgPool, how: Fall, drops_requests: bool) {
    let shop = Shop::open_on_cluster(pool).await;
    shop.define("MUG", 1000, STOCK).await;
    let stop = CancellationToken::new();
    let (bought, mut acknowledged) = mpsc::unbounded_channel();
    let buying = join_all((0..BUYERS).map(|_| async {
        while !stop.is_cancelled() {
            bought.send(buys(&shop).await).unwrap();
        }
    }));
    let mut orders = Vec::new();
    let changes = async {
        for _ in 0..CHANGES {
            for _ in 0..BUYERS {
                orders.extend(timeout(DEADLINE, acknowledged.recv()).await.expect("purchases go on"));
            }
            timeout(DEADLINE, passes_on(shop.cluster(), how, drops_requests)).await.expect("all notice it");
            while let Ok(before) = acknowledged.try_recv() {
                orders.push(before);
            }
            let elected = Instant::now();
            orders.extend(timeout(GOES_ON_WITHIN, acknowledged.recv()).await.expect("purchases go on soon"));
            println!(
                "failover: {how:?}, a purchase {:.1} s after the election",
                elected.elapsed().as_secs_f64()
            );
        }
        stop.cancel();
    };
    tokio::join!(changes, buying);
    while let Ok(order) = acknowledged.try_recv() {
        orders.push(order);
    }
    every_purchase_is_there_once(&shop, &orders).await;
}

#[sqlx::test(migrations = false)]
async fn purchases_go_on_when_the_leader_is_killed(pool: PgPool) {
    purchases_go_on(&pool, Fall::Killed, false).await;
}

#[sqlx::test(migrations = false)]
async fn purchases_go_on_when_the_leader_becomes_a_follower(pool: PgPool) {
    purchases_go_on(&pool, Fall::Deposed, false).await;
}

#[sqlx::test(migrations = false)]
async fn purchases_go_on_when_the_leader_falls_silent(pool: PgPool) {
    purchases_go_on(&pool, Fall::Silent, false).await;
}

#[sqlx::test(migrations = false)]
async fn purchases_go_on_when_the_next_leader_drops_the_request_for_the_turn(pool: PgPool) {
    purchases_go_on(&pool, Fall::Killed, true).await;
}

#[sqlx::test(migrations = false)]
async fn without_a_leader_commands_are_refused_at_once_and_pages_go_on(pool: PgPool) {
    let shop = Shop::open_on_cluster(&pool).await;
    shop.define("MUG", 1000, STOCK).await;
    let order = format!("/orders/{}", buys(&shop).await);
    let pages = [order.as_str(), "/stock/MUG", "/products/MUG"];
    for page in pages {
        shop.get_now(page).await.expect(StatusCode::OK);
    }

    shop.cluster().nobody_leads();
    let open_a_cart = || shop.post("/carts", json!({ "currency": "GBP" }));
    for reply in join_all((0..3).map(|_| open_a_cart())).await {
        reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "event-store-unavailable");
    }
    // These have waited. The next one does not: it is not even tried.
    let refused = open_a_cart().await;
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    let refused = refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "event-store-unavailable");
    assert!(refused["detail"].as_str().unwrap().contains("Nothing was changed"), "{refused}");
    let health = shop.health().await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health["parts"]["event-store"]["ready"], false, "{health}");
    assert!(shop.metrics().await.contains("emporium_event_store_away 1"));
    for page in pages {
        shop.request(Method::GET, page).operator().send().await.expect(StatusCode::OK);
    }

    shop.cluster().elect(1);
    shop.is_ready("event-store", None).await;
    shop.is_ready("order-fulfilment", None).await;
    let orders = [order.rsplit('/').next().unwrap().to_owned(), buys(&shop).await];
    assert!(shop.metrics().await.contains("emporium_event_store_away 0"));
    every_purchase_is_there_once(&shop, &orders).await;
}
