//! Buying, from the first line to the door, and all the ways in which it ends early.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn from_cart_to_delivery(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1250, 10).await;
    shop.define("BOWL", 800, 5).await;

    let order_id = shop.order(&[("MUG", 2), ("BOWL", 1)], 3300).await;
    let paid = shop.pay(&order_id, 3300).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
    let path = format!("/orders/{order_id}");
    let shipped = shop.post_as_operator(&format!("{path}/shipment"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(shipped["status"], "shipped");
    let delivered =
        shop.post_as_operator(&format!("{path}/delivery"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(delivered["status"], "delivered");

    let order = shop.get_now(&path).await.expect(StatusCode::OK);
    assert_eq!(order["status"], "delivered");
    assert_eq!(order["total"], gbp(3300));
    assert_eq!(order["lines"].as_array().unwrap().len(), 2);
    let mug = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!((&mug["available"], &mug["reserved"]), (&json!(8), &json!(0)));
}

#[sqlx::test(migrations = false)]
async fn a_cart_that_stock_cannot_fill_hears_what_is_left_and_can_be_changed(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.define("BOWL", 500, 1).await;

    let cart_id = shop.cart(&[("MUG", 2), ("BOWL", 3)]).await;
    let problem = shop.check_out(&cart_id, 3500).await.expect_problem(StatusCode::CONFLICT, "sold-out");
    assert_eq!(problem["skus"], json!([{ "sku": "BOWL", "asked": 3, "available": 1, "on_hold": 0 }]));
    let cart = shop.get_now(&format!("/carts/{cart_id}")).await.expect(StatusCode::OK);
    let bowls = cart["lines"][1]["line_id"].clone();
    let fewer = json!({ "lines": [{ "line_id": bowls, "sku": "BOWL", "quantity": 1 }] });
    shop.post(&format!("/carts/{cart_id}/lines"), fewer).await.expect(StatusCode::OK);
    let order = shop.check_out(&cart_id, 2500).await.expect(StatusCode::OK);
    assert_eq!(order["status"], "pending");
}

/// Each cart is told that there is a bowl left; stock decides. Who waits hears from stock what is left, like those who
/// come later; who does not wait finds the order cancelled, with the reason.
#[sqlx::test(migrations = false)]
async fn of_orders_for_the_last_unit_one_holds_it_and_the_others_hear_what_is_left(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    shop.define("BOWL", 500, 1).await;
    let mut carts = vec![];
    for _ in 0..8 {
        carts.push(shop.cart(&[("MUG", 2), ("BOWL", 1)]).await);
    }
    let replies = futures::future::join_all(carts.iter().map(|cart| shop.check_out(cart, 2500))).await;
    let mut too_late = vec![];
    for (cart_id, reply) in carts.iter().zip(replies) {
        if reply.status == StatusCode::OK {
            assert_eq!(reply.body["status"], "pending");
            continue;
        }
        let problem = reply.expect_problem(StatusCode::CONFLICT, "sold-out");
        let short = json!([{ "sku": "BOWL", "asked": 1, "available": 0, "on_hold": 1 }]);
        assert_eq!(problem["skus"], short);
        if let Some(order_id) = problem["order_id"].as_str() {
            too_late.push((cart_id, order_id.to_owned()));
        }
    }
    assert!(!too_late.is_empty(), "nobody was too late by a hair");
    for (cart_id, order_id) in &too_late {
        shop.pay_by("pm_card_visa", order_id, 2500)
            .await
            .expect_problem(StatusCode::CONFLICT, "wrong-order-status");
        let again = json!({ "total": gbp(2500), "country": "United Kingdom" });
        let again =
            shop.post(&format!("/carts/{cart_id}/checkout"), again).await.expect(StatusCode::ACCEPTED);
        assert_eq!((&again["status"], &again["order_id"]), (&json!("cancelled"), &json!(order_id)));
        let refused = json!([{ "sku": "BOWL", "available": 0 }]);
        assert_eq!(again["cancel_reason"], json!({ "kind": "out_of_stock", "refused": refused }));
    }
    let stock = settled_stock(&shop, "MUG").await;
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(98), &json!(2)));
}

#[sqlx::test(migrations = false)]
async fn a_checkout_that_confirms_another_total_than_was_sold_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let order = shop.check_out(&cart_id, 1000).await.expect(StatusCode::OK);
    let problem = shop.check_out(&cart_id, 5).await.expect_problem(StatusCode::CONFLICT, "cart-checked-out");
    assert_eq!((&problem["order_id"], &problem["total"]), (&order["order_id"], &gbp(1000)));
    let again = shop.check_out(&cart_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(again["order_id"], order["order_id"]);
}

#[sqlx::test(migrations = false)]
async fn a_cancelled_order_gives_back_what_it_held(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 4)], 4000).await;
    shop.pay(&order_id, 4000).await.expect(StatusCode::OK);

    let cancel = shop.request(Method::POST, &format!("/orders/{order_id}/cancellation"));
    let reason = json!({ "reason": "changed my mind" });
    let cancelled = cancel.header("prefer", "wait=20").json(&reason).send().await.expect(StatusCode::OK);
    assert_eq!(cancelled["status"], "cancelled");
    let stock = settled_stock(&shop, "MUG").await;
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(10), &json!(0)));

    let refund = json!({ "amount": gbp(4000), "reference": "bank 1" });
    let refunded = shop.post_as_operator(&format!("/orders/{order_id}/refunds"), refund).await;
    assert_eq!(refunded.expect(StatusCode::OK)["status"], "refunded");
}

#[sqlx::test(migrations = false)]
async fn money_may_come_in_parts(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    assert_eq!(shop.pay(&order_id, 400).await.expect(StatusCode::OK)["status"], "pending");
    let problem = shop.pay(&order_id, 700).await.expect_problem(StatusCode::CONFLICT, "payment-not-due");
    assert_eq!(problem["due"], 600);
    assert_eq!(shop.pay(&order_id, 600).await.expect(StatusCode::OK)["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn a_price_that_moved_must_be_confirmed(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[("MUG", 2)]).await;
    let reprice = shop.request(Method::PUT, "/products/MUG/price").operator();
    reprice.json(&json!({ "price": gbp(1100) })).send().await.expect(StatusCode::OK);

    let problem = shop.check_out(&cart_id, 2000).await.expect_problem(StatusCode::CONFLICT, "price-changed");
    assert_eq!((&problem["expected"], &problem["total"]), (&gbp(2000), &gbp(2200)));
    assert_eq!(problem["shipping"], Value::Null);
    let line = &problem["lines"][0];
    assert_eq!((&line["old"], &line["new"], &line["quantity"]), (&gbp(1000), &gbp(1100), &json!(2)));
    shop.check_out(&cart_id, 2200).await.expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn many_shoppers_never_get_more_than_there_is(pool: PgPool) {
    const UNITS: u32 = 20;
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, UNITS).await;
    let buy = async |_: u32| {
        let cart_id = shop.cart(&[("MUG", 1)]).await;
        let order = shop.check_out(&cart_id, 1000).await;
        if order.status == StatusCode::CONFLICT {
            order.expect_problem(StatusCode::CONFLICT, "sold-out");
            return false;
        }
        let order = order.expect(StatusCode::OK);
        let order_id = order["order_id"].as_str().unwrap().to_owned();
        let held = order["status"] == "pending";
        if held {
            let paid = shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
            assert_eq!(paid["status"], "processing");
        }
        held
    };
    let bought = futures::future::join_all((0..60).map(buy)).await;
    assert_eq!(bought.iter().filter(|held| **held).count(), UNITS as usize);
    let stock = settled_stock(&shop, "MUG").await;
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(0), &json!(UNITS)));
}

/// A SKU's stock when the whole log is applied.
async fn settled_stock(shop: &Shop, sku: &str) -> Value {
    shop.get_now(&format!("/stock/{sku}")).await.expect(StatusCode::OK)
}
