//! What dashboards and auditors see.

use crate::harness::{Shop, gbp};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_command_is_readable_at_its_own_position(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for price in 1..=20 {
        let product =
            json!({ "sku": format!("P{price}"), "merchant_id": "m", "name": "n", "price": gbp(price) });
        let reply = shop.post_as_operator("/products", product).await;
        let position = reply.position.expect("every accepted command has a position");
        let read = shop.get(&format!("/products/P{price}?min-position={position}")).await;
        assert!(read.position.unwrap() >= position);
        assert_eq!(read.expect(StatusCode::OK)["price"], gbp(price));
    }
}

#[sqlx::test(migrations = false)]
async fn a_position_that_is_not_there_is_not_pretended(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    let reply = shop.get("/products/MUG?min-position=9000000000000000").await;
    reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "position-not-reached");
}

#[sqlx::test(migrations = false)]
async fn lists_come_in_pages_that_miss_nothing(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for index in 0..7 {
        shop.define(&format!("P{index}"), 100 + index, 0).await;
    }
    let mut seen = Vec::new();
    let mut path = "/products?limit=3".to_owned();
    loop {
        let page = shop.get_now(&path).await.expect(StatusCode::OK);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|item| item["sku"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/products?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["P0", "P1", "P2", "P3", "P4", "P5", "P6"]);
}

#[sqlx::test(migrations = false)]
async fn sales_are_what_was_paid(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    shop.define("BOWL", 500, 100).await;
    let paid = shop.order(&[("MUG", 2), ("BOWL", 1)], 2500).await;
    shop.pay(&paid, 2500).await.expect(StatusCode::OK);
    let also_paid = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&also_paid, 1000).await.expect(StatusCode::OK);
    shop.order(&[("BOWL", 9)], 4500).await;

    let days = shop.get_now("/sales/days?currency=GBP").await.expect(StatusCode::OK);
    let day = &days["items"][0];
    assert_eq!(day["revenue"], gbp(3500));
    assert_eq!((&day["orders"], &day["lines"], &day["units"]), (&json!(2), &json!(3), &json!(4)));
    let skus = shop.get_now("/sales/skus?currency=GBP").await.expect(StatusCode::OK);
    assert_eq!(skus["items"][0]["sku"], "MUG");
    assert_eq!(skus["items"][0]["revenue"], gbp(3000));
    let countries = shop.get_now("/sales/countries?currency=GBP").await.expect(StatusCode::OK);
    assert_eq!(countries["items"][0]["country"], "GB");
    let merchants = shop.get_now("/sales/merchants?currency=GBP").await.expect(StatusCode::OK);
    assert_eq!(merchants["items"][0]["revenue"], gbp(3500));
}

#[sqlx::test(migrations = false)]
async fn an_auditor_reads_the_log_by_stream_and_by_position(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 5).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let events = shop.get_now(&format!("/events?stream=order-{order_id}")).await.expect(StatusCode::OK);
    let types: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "order.placed.v1",
            "order.reservations_answered.v1",
            "order.payment_recorded.v1",
            "order.paid.v1",
            "order.stock_committed.v1",
            "order.processing_started.v1"
        ]
    );
    // Somebody else's events are the first.
    let all = shop.get_now("/events?limit=6").await.expect(StatusCode::OK);
    let types: Vec<_> = all["items"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types[..5], ["weather.reported.v1"; 5]);
    assert_eq!(types[5], "product.defined.v1");
    let last = shop.get_now("/events?direction=backwards&limit=1").await.expect(StatusCode::OK);
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
}
