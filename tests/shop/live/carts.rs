//! A cart's life, event by event, over connections that are cut anywhere.

use super::{Heard, Listener, history};
use crate::harness::{Shop, gbp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

/// Enough that a reconnection is sometimes far behind and sometimes has nothing to hear.
const LINES: usize = 60;

async fn fill(shop: &Shop, cart_id: &str) {
    for number in 0..LINES {
        let line = json!({ "lines": [{ "sku": "MUG", "quantity": 1 + number % 3 }] });
        let added = shop.post(&format!("/carts/{cart_id}/lines"), line).await.expect(StatusCode::OK);
        if number % 4 == 3 {
            let line_id = added["line_ids"][0].as_str().unwrap();
            let path = format!("/carts/{cart_id}/lines/{line_id}");
            shop.request(reqwest::Method::DELETE, &path).new_key().send().await.expect(StatusCode::OK);
        }
    }
    shop.request(reqwest::Method::DELETE, &format!("/carts/{cart_id}")).new_key().send().await;
}

/// Listens with one connection after the other, each of which is cut after some events, wherever that is.
async fn listen_in_pieces(url: &str, path: &str, seed: u64) -> Vec<Heard> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all: Vec<Heard> = Vec::new();
    loop {
        let mut listener = Listener::connect(url, path, all.last().map(|heard| heard.id)).await;
        for _ in 0..random.random_range(0..12) {
            let heard = listener.next().await.unwrap();
            let is_last = heard.data["status"] == "abandoned";
            all.push(heard);
            if is_last {
                return all;
            }
        }
    }
}

#[sqlx::test(migrations = false)]
async fn whatever_becomes_of_the_connections_each_event_is_heard_once_and_in_order(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    let cart_id = shop.cart(&[]).await;
    let path = format!("/carts/{cart_id}/live");
    let mut whole = Listener::connect(shop.url(), &path, None).await;
    let opened = whole.next().await.unwrap();
    assert_eq!((opened.name.as_str(), &opened.data["status"]), ("current", &json!("open")));
    let heard_so_far = opened.id;
    let in_pieces = (0..6).map(|seed| listen_in_pieces(shop.url(), &path, seed));
    let ((), uninterrupted, in_pieces) =
        tokio::join!(fill(&shop, &cart_id), whole.until("abandoned"), futures::future::join_all(in_pieces));
    let told: Vec<_> = uninterrupted.iter().map(|heard| (heard.id, heard.name.clone())).collect();
    assert_eq!(told, history(&shop, &format!("cart-{cart_id}")).await[1..]);
    for pieces in in_pieces {
        // Who comes without having heard anything begins with how it stands then.
        let (current, rest) = pieces.split_first().unwrap();
        assert_eq!(current.name, "current");
        let after: Vec<_> = uninterrupted.iter().filter(|heard| heard.id > current.id).cloned().collect();
        assert_eq!(rest, after);
        assert!(current.id >= heard_so_far);
    }
}

#[sqlx::test(migrations = false)]
async fn a_listener_sees_the_cart_that_the_page_shows(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.define("BOWL", 500, 10).await;
    let cart_id = shop.cart(&[("MUG", 2), ("BOWL", 1)]).await;
    let path = format!("/carts/{cart_id}/live");
    let mut listener = Listener::connect(shop.url(), &path, None).await;
    let current = listener.next().await.unwrap().data;
    let page = shop.get_now(&format!("/carts/{cart_id}")).await.expect(StatusCode::OK);
    for field in ["cart_id", "status", "line_count", "units", "total", "revision"] {
        assert_eq!(current[field], page[field], "{field}");
    }
    assert_eq!(current["total"], gbp(2500));
    let order = shop.check_out(&cart_id, 2500).await.expect(StatusCode::OK);
    let checked_out = listener.until("checked_out").await.pop().unwrap();
    assert_eq!(checked_out.name, "cart.checked_out.v1");
    assert_eq!(checked_out.data["order_id"], order["order_id"]);
    assert_eq!(checked_out.data["total"], gbp(2500));
    let position = checked_out.id;
    let page = shop.get(&format!("/carts/{cart_id}?min-position={position}")).await.expect(StatusCode::OK);
    assert_eq!(page["status"], "checked_out");
    let nobody: Value = shop
        .get(&format!("/carts/{}/live", uuid::Uuid::new_v4()))
        .await
        .expect_problem(StatusCode::NOT_FOUND, "not-found");
    assert!(nobody["detail"].as_str().unwrap().starts_with("No cart"));
}
