//! A repeated request gets the first answer, at any later time.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

const KEY: &str = "5a0b0c3e-5b0e-4f6e-9a86-2f4a1f1d3c77";

async fn open_cart(shop: &Shop, key: &str) -> crate::http::Reply {
    shop.request(Method::POST, "/carts").key(key).json(&json!({ "currency": "GBP" })).send().await
}

#[sqlx::test(migrations = false)]
async fn the_same_key_opens_the_same_cart_also_after_a_crash(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let first = open_cart(&shop, KEY).await;
    assert!(!first.replayed);
    let second = open_cart(&shop, KEY).await;
    assert!(second.replayed);
    assert_eq!((&second.body, second.position), (&first.body, first.position));
    assert_eq!(second.etag, first.etag);
    let shop = shop.crash_and_reopen().await;
    let third = open_cart(&shop, KEY).await;
    assert!(third.replayed);
    assert_eq!((&third.body, third.position), (&first.body, first.position));
}

#[sqlx::test(migrations = false)]
async fn the_same_key_for_another_request_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    open_cart(&shop, KEY).await.expect(StatusCode::CREATED);
    let other =
        shop.request(Method::POST, "/carts").key(KEY).json(&json!({ "currency": "EUR" })).send().await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
}

#[sqlx::test(migrations = false)]
async fn the_same_key_twice_at_once_is_taken_once(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    let reprice = |price: i64| {
        let request = shop.request(Method::PUT, "/products/MUG/price").operator().key(KEY);
        request.json(&json!({ "price": gbp(price) })).send()
    };
    let replies = futures::future::join_all([1001, 1002, 1001, 1002, 1001].map(reprice)).await;
    let accepted: Vec<_> = replies.iter().filter(|reply| reply.status.is_success()).collect();
    assert_eq!(accepted.iter().filter(|reply| !reply.replayed).count(), 1, "{replies:?}");
    assert!(accepted.iter().all(|reply| reply.body == accepted[0].body && reply.etag == accepted[0].etag));
    for refused in replies.iter().filter(|reply| !reply.status.is_success()) {
        let in_flight = refused.body["type"] == "urn:emporium:problem:idempotency-key-in-flight";
        assert!(in_flight || refused.body["type"] == "urn:emporium:problem:idempotency-key-reused");
    }
    let events = shop.get_now("/events?stream=product-MUG").await.expect(StatusCode::OK);
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrations = false)]
async fn a_repeat_is_answered_also_when_the_product_has_gone_meanwhile(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    let cart_id = shop.cart(&[]).await;
    let path = format!("/carts/{cart_id}/lines");
    let put = || {
        let request = shop.request(Method::POST, &path).key(KEY);
        request.json(&json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] })).send()
    };
    let line_ids = put().await.expect(StatusCode::OK);
    shop.request(Method::DELETE, "/products/MUG").operator().send().await.expect(StatusCode::OK);
    let again = put().await;
    assert!(again.replayed);
    assert_eq!(again.expect(StatusCode::OK), line_ids);
}

#[sqlx::test(migrations = false)]
async fn an_anonymous_key_must_be_beyond_guessing_and_callers_do_not_share_keys(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    open_cart(&shop, "1").await.expect_problem(StatusCode::BAD_REQUEST, "idempotency-key-too-short");
    let shopper = open_cart(&shop, KEY).await.expect(StatusCode::CREATED);
    let operator =
        shop.request(Method::POST, "/carts").operator().key(KEY).json(&json!({ "currency": "GBP" }));
    let operator = operator.send().await.expect(StatusCode::CREATED);
    assert_ne!(shopper["cart_id"], operator["cart_id"]);
}

#[sqlx::test(migrations = false)]
async fn repeating_every_step_of_a_purchase_changes_nothing(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let send = async |path: &str, body: Value| {
        let key = format!("{KEY}{path}");
        let request = || shop.request(Method::POST, path).operator().key(&key).header("prefer", "wait=20");
        let first = request().json(&body).send().await;
        assert!(first.status.is_success(), "{path}: {}", first.body);
        let again = request().json(&body).send().await;
        assert!(again.replayed, "{path}");
        assert_eq!((again.status, again.etag), (first.status, first.etag), "{path}");
        first.body
    };
    let cart = send("/carts", json!({ "currency": "GBP" })).await;
    let cart = format!("/carts/{}", cart["cart_id"].as_str().unwrap());
    let lines = json!({ "lines": [{ "sku": "MUG", "quantity": 2 }] });
    send(&format!("{cart}/lines"), lines).await;
    let order = send(&format!("{cart}/checkout"), json!({ "total": gbp(2000), "country": "GB" })).await;
    let order = format!("/orders/{}", order["order_id"].as_str().unwrap());
    let payment = json!({ "amount": gbp(2000), "method": "card", "reference": "till" });
    send(&format!("{order}/payments"), payment).await;
    send(&format!("{order}/shipment"), json!({})).await;
    send(&format!("{order}/delivery"), json!({})).await;

    let order = shop.get_now(&order).await.expect(StatusCode::OK);
    assert_eq!(order["lines"].as_array().unwrap().len(), 1);
    assert_eq!(order["payments"].as_array().unwrap().len(), 1);
}
