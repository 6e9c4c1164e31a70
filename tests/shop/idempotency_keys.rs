//! Idempotency keys where nothing changes, where nothing is answered yet, and where they are used for something else.

use crate::harness::{Shop, gbp};
use crate::http::Reply;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;

const KEY: &str = "b6a1c5de-7a0c-4e53-8f36-0d8b5d1f9e21";

async fn send(shop: &Shop, method: Method, path: &str, key: &str, body: &Value) -> Reply {
    shop.request(method, path).operator().key(key).json(body).send().await
}

/// The types of a stream's events.
async fn types(shop: &Shop, stream: &str) -> Vec<String> {
    let events = shop.get_now(&format!("/events?stream={stream}")).await.expect(StatusCode::OK);
    let types = events["items"].as_array().unwrap().iter();
    types.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[sqlx::test(migrations = false)]
async fn a_command_that_changed_nothing_is_known_after_a_crash_and_on_another_machine(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let cancel = format!("/orders/{order_id}/cancellation");
    let reason = json!({ "reason": "changed my mind" });
    send(&shop, Method::POST, &cancel, "the first cancellation", &reason).await.expect(StatusCode::OK);

    let first = send(&shop, Method::POST, &cancel, KEY, &reason).await;
    assert!(!first.replayed);
    let again = send(&shop, Method::POST, &cancel, KEY, &reason).await;
    assert!(again.replayed);
    assert_eq!((&again.body, &again.etag), (&first.body, &first.etag));

    let shop = shop.crash_and_reopen().await;
    let after_crash = send(&shop, Method::POST, &cancel, KEY, &reason).await;
    assert!(after_crash.replayed);
    assert_eq!((&after_crash.body, &after_crash.etag), (&first.body, &first.etag));
    let other = send(&shop, Method::POST, &cancel, KEY, &json!({ "reason": "another" })).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");

    let machine = shop.second().await;
    let elsewhere = shop.request(Method::POST, &cancel).operator().key(KEY).json(&reason).at(&machine);
    let elsewhere = elsewhere.send().await;
    assert!(elsewhere.replayed);
    assert_eq!((&elsewhere.body, &elsewhere.etag), (&first.body, &first.etag));

    // One mark, which every reader of the log passes over.
    let types = types(&shop, &format!("order-{order_id}")).await;
    assert_eq!(types.iter().filter(|name| *name == "command.noted.v1").count(), 1, "{types:?}");
    let order = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    assert_eq!(order["status"], "cancelled");
    shop.is_ready("order-fulfilment", None).await;
}

#[sqlx::test(migrations = false)]
async fn what_one_machine_took_another_does_not_refuse(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let machine = shop.second().await;
    shop.define("MUG", 1000, 1).await;
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let path = format!("/carts/{cart_id}/checkout");
    let body = json!({ "total": gbp(1000), "country": "GB" });
    let check_out = |key: &str| shop.request(Method::POST, &path).operator().key(key).json(&body);
    // The other machine has the open cart in memory, and soon all stock is gone.
    let lines = json!({ "lines": [{ "sku": "NO-SUCH-THING", "quantity": 1 }] });
    let look = shop.request(Method::POST, &format!("/carts/{cart_id}/lines")).new_key().json(&lines);
    look.at(&machine).send().await.expect_problem(StatusCode::NOT_FOUND, "unknown-sku");

    let first = check_out(KEY).header("prefer", "wait=20").send().await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let again = check_out(KEY).at(&machine).send().await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    assert!(again.replayed);
    assert_eq!(again.etag, first.etag);
}

#[sqlx::test(migrations = false)]
async fn a_key_is_busy_until_its_request_is_answered(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let path = format!("/orders/{order_id}/payments");
    let pay = |amount: i64| {
        let body = json!({ "amount": gbp(amount), "payment_method": "pm_sandbox_never_answers" });
        shop.request(Method::POST, &path).key(KEY).json(&body)
    };
    let waits = pay(1000).header("prefer", "wait=4").send();
    let meanwhile = async {
        let busy = loop {
            let reply = pay(1000).send().await;
            if reply.status != StatusCode::ACCEPTED {
                break reply;
            }
        };
        assert_eq!(busy.retry_after.as_deref(), Some("1"));
        busy.expect_problem(StatusCode::CONFLICT, "idempotency-key-in-flight");
        let other = pay(999).send().await;
        other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
    };
    let (waited, ()) = tokio::join!(waits, meanwhile);
    assert_eq!(waited.status, StatusCode::ACCEPTED, "{}", waited.body);
    let again = pay(1000).send().await;
    assert!(again.replayed);
    assert_eq!(again.expect(StatusCode::ACCEPTED)["payment_id"], waited.body["payment_id"]);
}

#[sqlx::test(migrations = false)]
async fn who_goes_away_leaves_the_key_free(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let path = format!("/orders/{order_id}/payments");
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    let pay = || shop.request(Method::POST, &path).key(KEY).json(&body);
    let hung = tokio::time::timeout(Duration::from_millis(500), pay().header("prefer", "wait=25").send());
    assert!(hung.await.is_err());
    let came_back = async {
        loop {
            let reply = pay().send().await;
            if reply.status == StatusCode::ACCEPTED {
                return reply;
            }
            assert_eq!(reply.body["type"], "urn:emporium:problem:idempotency-key-in-flight");
        }
    };
    let came_back = tokio::time::timeout(Duration::from_secs(15), came_back).await.expect("the key is free");
    assert!(came_back.replayed);
}

#[sqlx::test(migrations = false)]
async fn the_order_of_fields_and_white_space_make_no_other_request(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let send =
        |body: &'static str| shop.request(Method::POST, "/products").operator().key(KEY).body(body).send();
    let first =
        send(r#"{"sku":"MUG","merchant_id":"m","name":"Mug","price":{"amount":1,"currency":"GBP"}}"#).await;
    assert!(!first.replayed);
    let again = send(
        "{ \"price\": { \"currency\": \"GBP\", \"amount\": 1 },\n  \"name\": \"Mug\", \"sku\": \"MUG\", \"merchant_id\": \"m\" }",
    );
    let again = again.await;
    assert!(again.replayed, "{}", again.body);
    assert_eq!((again.status, &again.etag), (first.status, &first.etag));
    let other =
        send(r#"{"sku":"MUG","merchant_id":"m","name":"Mug","price":{"amount":2,"currency":"GBP"}}"#).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
}

#[sqlx::test(migrations = false)]
async fn a_key_is_for_one_address_unless_it_can_be_guessed(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    shop.define("BOWL", 1000, 0).await;
    let price = json!({ "price": gbp(1100) });
    send(&shop, Method::PUT, "/products/MUG/price", KEY, &price).await.expect(StatusCode::OK);
    let other = send(&shop, Method::PUT, "/products/BOWL/price", KEY, &price).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
    // A refused request has not used its key up.
    let refused = send(&shop, Method::PUT, "/products/NONE/price", "another", &price).await;
    refused.expect_problem(StatusCode::NOT_FOUND, "unknown-sku");
    send(&shop, Method::PUT, "/products/BOWL/price", "another", &price).await.expect(StatusCode::OK);

    // Shoppers are told apart by their keys alone.
    let (one, two) = (shop.cart(&[]).await, shop.cart(&[]).await);
    let lines = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    let put = |cart_id: &str, key: &str| {
        let request = shop.request(Method::POST, &format!("/carts/{cart_id}/lines"));
        request.key(key).json(&lines).send()
    };
    put(&one, "1").await.expect(StatusCode::OK);
    put(&two, "1").await.expect(StatusCode::OK);
    put(&one, KEY).await.expect(StatusCode::OK);
    let theirs = put(&two, KEY).await;
    theirs.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
}
