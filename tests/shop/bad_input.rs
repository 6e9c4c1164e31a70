//! Bad input: a clear problem document, and nothing written.

use crate::harness::{Shop, gbp};
use domain::cart::MAX_CHANGES;
use event_store::Position;
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Nothing was written: the log ends where it ended, but for the process's own checkpoints.
struct Unchanged<'shop> {
    shop: &'shop Shop,
    last: Option<Position>,
}

impl<'shop> Unchanged<'shop> {
    async fn watch(shop: &'shop Shop) -> Self {
        Self { shop, last: last_event(shop).await }
    }

    async fn check(self) {
        assert_eq!(last_event(self.shop).await, self.last);
    }
}

async fn last_event(shop: &Shop) -> Option<Position> {
    let events = shop.events().read_all_backwards(None, 50).map(|event| event.unwrap());
    let mut events = std::pin::pin!(events.filter(|event| std::future::ready(event.category() != "process")));
    events.next().await.map(|event| event.position)
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_read_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[]).await;
    let lines = format!("/carts/{cart_id}/lines");
    let unchanged = Unchanged::watch(&shop).await;

    let post = |body: String| shop.request(Method::POST, &lines).body(body).send();
    post("{\"lines\": [".to_owned()).await.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    for array in ["[]", "[[]]", "{\"lines\": [[null, \"MUG\", 1, null]]}"] {
        post(array.to_owned()).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    for (name, value, problem) in [
        ("content-encoding", "gzip", "unsupported-encoding"),
        ("content-type", "application/json; charset=utf-16", "unsupported-charset"),
    ] {
        let request = shop.request(Method::POST, &lines).header(name, value).json(&mug);
        request.send().await.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem);
    }
    let two_tokens = shop.request(Method::POST, &lines).operator().header("authorization", "Bearer x");
    two_tokens.json(&mug).send().await.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    let two_tokens = shop.request(Method::GET, "/products").operator().operator();
    two_tokens.send().await.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    let huge = format!("{{\"lines\": [], \"padding\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
    post(huge).await.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large");
    for quantity in ["0", "-1", "1000000000000", "1.5", "\"2\"", "null", "99999999999999999999999"] {
        let body = format!("{{\"lines\": [{{\"sku\": \"MUG\", \"quantity\": {quantity}}}]}}");
        post(body).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let unknown = json!({ "lines": [{ "sku": "NO SUCH", "quantity": 1 }] });
    let problem = shop.post(&lines, unknown).await.expect_problem(StatusCode::NOT_FOUND, "unknown-sku");
    assert_eq!(problem["sku"], "NO SUCH");
    let without_type = shop.request(Method::POST, &lines).header("content-type", "text/plain");
    let without_type = without_type.json(&json!({})).header("content-type", "text/plain");
    assert!(without_type.send().await.status.is_client_error());
    unchanged.check().await;
}

#[sqlx::test(migrations = false)]
async fn a_body_is_no_larger_than_what_its_command_can_take(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[]).await;
    let lines = format!("/carts/{cart_id}/lines");
    let removals = format!("/carts/{cart_id}/lines/removals");
    let line_id = uuid::Uuid::nil();
    let line = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    let line_ids = json!({ "line_ids": [line_id] });
    let currency = json!({ "currency": "GBP" });
    for (path, body, kib) in
        [(&lines, line, 128), (&removals, line_ids, 32), (&"/carts".to_owned(), currency, 16)]
    {
        let body = body.to_string();
        let padded = |bytes: usize| body.clone() + &" ".repeat(bytes - body.len());
        let post = |bytes: usize| shop.request(Method::POST, path).body(padded(bytes));
        let largest = post(kib * 1024).send().await;
        assert!(largest.status.is_success(), "{path}: {largest:?}");
        let refused = post(kib * 1024 + 1).send().await;
        refused.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large");
        let of_operator = post(kib * 1024 + 1).operator().send().await;
        assert!(of_operator.status.is_success(), "{path}: {of_operator:?}");
    }
    for (path, field, item) in
        [(&lines, "lines", json!({ "sku": "MUG", "quantity": 1 })), (&removals, "line_ids", json!(line_id))]
    {
        for count in [0, 501] {
            let body = json!({ field: vec![item.clone(); count] });
            let refused = shop.request(Method::POST, path).json(&body).send().await;
            refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn what_the_cart_forbids_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let euro = json!({
        "sku": "TASSE", "merchant_id": "acme", "name": "Tasse", "price": { "amount": 900, "currency": "EUR" }
    });
    shop.post_as_operator("/products", euro).await.expect(StatusCode::CREATED);
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let other = shop.cart(&[]).await;
    shop.check_out(&cart_id, 1000).await.expect(StatusCode::OK);
    shop.get_now("/products").await.expect(StatusCode::OK);
    // The order's own events follow; only what the refused requests write counts.
    let quiet = Unchanged::watch(&shop).await;

    let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    let done = shop.post(&format!("/carts/{cart_id}/lines"), mug.clone()).await;
    done.expect_problem(StatusCode::CONFLICT, "cart-checked-out");
    let tasse = json!({ "lines": [{ "sku": "TASSE", "quantity": 1 }] });
    let problem = shop.post(&format!("/carts/{other}/lines"), tasse).await;
    let problem = problem.expect_problem(StatusCode::CONFLICT, "currency-mismatch");
    assert_eq!((&problem["expected"], &problem["given"]), (&json!("GBP"), &json!("EUR")));
    let nowhere = format!("/carts/{}/lines", uuid::Uuid::now_v7());
    shop.post(&nowhere, mug.clone()).await.expect_problem(StatusCode::NOT_FOUND, "unknown-cart");
    shop.post("/carts/not-an-id/lines", mug).await.expect_problem(StatusCode::NOT_FOUND, "not-found");
    shop.check_out(&other, 0).await.expect_problem(StatusCode::CONFLICT, "cart-empty");
    let too_many: Vec<Value> = (0..501).map(|_| json!({ "sku": "MUG", "quantity": 1 })).collect();
    let too_many = shop.post(&format!("/carts/{other}/lines"), json!({ "lines": too_many })).await;
    too_many.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    quiet.check().await;
}

#[sqlx::test(migrations = false)]
async fn what_stock_and_products_forbid_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 3).await;
    let unchanged = Unchanged::watch(&shop).await;
    let reply = shop.post_as_operator("/stock/NO-SUCH/receipts", json!({ "quantity": 1 })).await;
    reply.expect_problem(StatusCode::NOT_FOUND, "unknown-sku");
    let receipt = |quantity: u32| json!({ "quantity": quantity, "receipt_id": uuid::Uuid::nil() });
    for (quantity, id) in [(0, "invalid-request"), (1_000_000_001, "invalid-request")] {
        let reply = shop.post_as_operator("/stock/MUG/receipts", receipt(quantity)).await;
        reply.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, id);
    }
    let below = json!({ "delta": -4, "reason": "broken" });
    let problem = shop.post_as_operator("/stock/MUG/adjustments", below).await;
    let problem = problem.expect_problem(StatusCode::CONFLICT, "adjustment-below-reserved");
    assert_eq!(problem["available"], 3);
    let again = json!({ "sku": "MUG", "merchant_id": "acme", "name": "Another", "price": gbp(1) });
    shop.post_as_operator("/products", again).await.expect_problem(StatusCode::CONFLICT, "product-exists");
    let reply = shop.get("/nowhere").await;
    reply.expect_problem(StatusCode::NOT_FOUND, "not-found");
    let reply = shop.request(Method::PATCH, "/products/MUG").send().await;
    reply.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
    unchanged.check().await;
}

#[sqlx::test(migrations = false)]
async fn a_receipt_is_not_taken_for_another_one(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    let receive = |quantity: u32| {
        let receipt = json!({ "quantity": quantity, "receipt_id": uuid::Uuid::from_u128(7) });
        shop.post_as_operator("/stock/MUG/receipts", receipt)
    };
    receive(5).await.expect(StatusCode::CREATED);
    receive(5).await.expect(StatusCode::CREATED);
    let problem = receive(6).await.expect_problem(StatusCode::CONFLICT, "receipt-differs");
    assert_eq!(problem["recorded"], 5);
}

#[sqlx::test(migrations = false)]
async fn a_name_that_no_stream_can_have_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    // Then there are tables.
    shop.get_now("/products").await.expect(StatusCode::OK);
    let long = format!("order-{}", "x".repeat(7_000));
    let events = format!("/events?stream={long}");
    let events = shop.request(Method::GET, &events).operator().send().await;
    let problem = events.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    assert!(problem["detail"].as_str().unwrap().contains("4096 bytes"), "{problem}");
    let skip = json!({ "revision": 0, "reason": "none" });
    let skipped = shop.post_as_operator(&format!("/parked-streams/{long}/skip"), skip).await;
    skipped.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    for (method, path) in [
        (Method::POST, format!("/parked-streams/{long}/retry")),
        (Method::POST, format!("/projections/orders/parked/{long}/retry")),
        (Method::POST, "/projections/orders/parked/order-%00/retry".to_owned()),
        (Method::GET, format!("/products/{long}")),
        (Method::GET, format!("/stock/{long}/history")),
        (Method::GET, format!("/orders/{long}/history")),
    ] {
        let reply = shop.request(method, &path).operator().new_key().send().await;
        reply.expect_problem(StatusCode::NOT_FOUND, "not-found");
    }
    let longest = format!("/events?stream=order-{}", "x".repeat(4_090));
    let longest = shop.request(Method::GET, &longest).operator().send().await.expect(StatusCode::OK);
    assert_eq!(longest["items"], json!([]));
}

#[sqlx::test(migrations = false)]
async fn a_query_that_no_database_could_answer_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    shop.get_now("/sales/days").await.expect(StatusCode::OK);
    for path in [
        "/products?cursor=225c753030303022",
        "/products?cursor=xyz",
        "/sales/days?from=-9999-01-01&to=9999-12-31",
        "/orders?from=-9999-01-01",
        "/orders?cursor=5b222d393939392d30312d30315430303a30303a30305a222c22303030303030303022",
        "/sales/days?cursor=5b222d393939392d30312d3031222c22474250225d",
        "/products?min-position=soon",
        "/products?limit=0",
    ] {
        let reply = shop.request(Method::GET, path).operator().send().await;
        reply.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let ancient = shop.request(Method::POST, "/carts").operator();
    let ancient = ancient.header("emporium-occurred-at", "0000-01-01T00:00:00+23:00");
    let reply = ancient.json(&json!({ "currency": "GBP" })).send().await;
    reply.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
}

/// Anybody can change a cart, and each change is kept.
#[sqlx::test(migrations = false)]
async fn a_cart_that_was_changed_very_often_takes_no_more_changes(pool: PgPool) {
    const LINES: u64 = 500;
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[]).await;
    let path = format!("/carts/{cart_id}/lines");
    let mut lines: Vec<Value> = (0..LINES).map(|_| json!({ "sku": "MUG", "quantity": 1 })).collect();
    for quantity in 2..2 + u64::from(MAX_CHANGES) / LINES {
        let put = shop.post(&path, json!({ "lines": lines })).await.expect(StatusCode::OK);
        let ids = put["line_ids"].as_array().unwrap();
        let line = |id| json!({ "line_id": id, "sku": "MUG", "quantity": quantity });
        lines = ids.iter().map(line).collect();
    }
    let one_more = json!({ "lines": [lines[0]] });
    let refused = shop.post(&path, one_more).await.expect_problem(StatusCode::CONFLICT, "too-many-changes");
    assert_eq!(refused["max"], MAX_CHANGES);
    // What it has can still go out.
    let removed = json!({ "line_ids": [lines[0]["line_id"]] });
    shop.post(&format!("{path}/removals"), removed).await.expect(StatusCode::OK);
}
