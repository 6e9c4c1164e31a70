//! What a checkout and a payment answer: the outcome if it is there in time, otherwise where to ask for it.

use crate::harness::{Shop, Terms, gbp};
use crate::http::Request;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

async fn checkout(shop: &Shop) -> Request {
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    shop.request(Method::POST, &format!("/carts/{cart_id}/checkout")).new_key()
}

#[sqlx::test(migrations = false)]
async fn whoever_does_not_wait_is_told_where_the_outcome_will_be(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let body = json!({ "total": gbp(1000), "country": "GB" });
    let placed = checkout(&shop).await.json(&body).send().await;
    assert_eq!((placed.status, &placed.preference_applied), (StatusCode::ACCEPTED, &None));
    // At once, however far the read models have come.
    let read = |location: &str| shop.request(Method::GET, location).header("prefer", "wait=25").send();
    let order = read(placed.location.as_deref().unwrap()).await.expect(StatusCode::OK);
    assert_eq!(order["order_id"], placed.body["order_id"]);

    let path = format!("/orders/{}/payments", order["order_id"].as_str().unwrap());
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    let paying = shop.request(Method::POST, &path).new_key().json(&body).send().await;
    assert_eq!((paying.status, &paying.preference_applied), (StatusCode::ACCEPTED, &None));
    let order = read(paying.location.as_deref().unwrap()).await.expect(StatusCode::OK);
    assert_eq!(order["payments"][0]["payment_id"], paying.body["payment_id"]);
}

#[sqlx::test(migrations = false)]
async fn whoever_waits_is_told_the_outcome(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let body = json!({ "total": gbp(1000), "country": "GB" });
    let held = checkout(&shop).await.header("prefer", "wait=20").json(&body).send().await;
    assert_eq!((held.status, held.preference_applied.as_deref()), (StatusCode::OK, Some("wait=20")));
    assert_eq!(held.body["status"], "pending");
    let order_id = held.body["order_id"].as_str().unwrap();
    let paid = shop.pay_by("pm_card_visa", order_id, 1000).await;
    assert_eq!((paid.status, paid.preference_applied.as_deref()), (StatusCode::OK, Some("wait=20")));
    assert_eq!(paid.body["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn only_an_operator_lets_an_order_wait_longer_than_the_shop_does(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { hold_seconds: 60, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let body = |seconds: u32| json!({ "total": gbp(1000), "country": "GB", "hold_seconds": seconds });
    for seconds in [0, 61, 9_999_999] {
        let refused = checkout(&shop).await.json(&body(seconds)).send().await;
        let problem = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
        assert!(problem["detail"].as_str().unwrap().contains("from 1 to 60"), "{problem}");
    }
    let stock = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!(stock["available"], 10);
    checkout(&shop).await.json(&body(60)).send().await.expect(StatusCode::ACCEPTED);
    checkout(&shop).await.operator().json(&body(61)).send().await.expect(StatusCode::ACCEPTED);
}

#[sqlx::test(migrations = false)]
async fn money_moves_only_under_a_key_and_only_if_it_is_any(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    shop.pay_by("pm_card_visa", &order_id, 2000).await.expect(StatusCode::OK);
    for (path, body) in [
        ("refunds", json!({ "amount": gbp(100) })),
        ("refunds", json!({ "amount": gbp(100), "reference": "till 1" })),
        ("unshipped/cancellation", json!({ "reason": "burnt" })),
    ] {
        let request = shop.request(Method::POST, &format!("/orders/{order_id}/{path}")).operator();
        let refused = request.json(&body).send().await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "idempotency-key-missing");
    }
    for path in ["refunds", "payments"] {
        let nothing = json!({ "amount": gbp(0), "reference": "till 1", "method": "card" });
        let nothing = if path == "refunds" { json!({ "amount": gbp(0) }) } else { nothing };
        let refused = shop.post_as_operator(&format!("/orders/{order_id}/{path}"), nothing).await;
        refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let order = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    assert_eq!((&order["status"], &order["refunds"]), (&json!("processing"), &json!([])));
}
