//! The same shop served from two machines: each sees what the other did.

use crate::harness::{Shop, gbp};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_purchase_may_hop_between_machines_at_every_step(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let other = shop.second().await;
    shop.define("MUG", 1000, 10).await;
    for _ in 0..3 {
        let cart_id = shop.cart(&[]).await;
        let cart = format!("/carts/{cart_id}");
        let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
        other.post_as_operator(&format!("{cart}/lines"), mug.clone()).await.expect(StatusCode::OK);
        shop.post(&format!("{cart}/lines"), mug).await.expect(StatusCode::OK);
        let checkout = json!({ "total": gbp(2000), "country": "GB" });
        let order = other.post_as_operator(&format!("{cart}/checkout"), checkout).await;
        let order = order.expect(StatusCode::ACCEPTED);
        assert_eq!(order["status"], "pending");
        let order_id = order["order_id"].as_str().unwrap();
        assert_eq!(shop.pay(order_id, 2000).await.expect(StatusCode::OK)["status"], "processing");
        let shipped = other.post_as_operator(&format!("/orders/{order_id}/shipment"), json!({})).await;
        assert_eq!(shipped.expect(StatusCode::OK)["status"], "shipped");
        let delivered = shop.post_as_operator(&format!("/orders/{order_id}/delivery"), json!({})).await;
        assert_eq!(delivered.expect(StatusCode::OK)["status"], "delivered");
    }
    let stock = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!((&stock["available"], &stock["shipped"]), (&json!(4), &json!(6)));
}

#[sqlx::test(migrations = false)]
async fn two_machines_together_never_sell_more_than_there_is(pool: PgPool) {
    const UNITS: u32 = 15;
    let shop = Shop::open(&pool).await;
    let other = shop.second().await;
    shop.define("MUG", 1000, UNITS).await;
    let buy = async |index: u32| {
        let cart_id = shop.cart(&[("MUG", 1)]).await;
        let order = if index.is_multiple_of(2) {
            shop.check_out(&cart_id, 1000).await
        } else {
            let checkout = json!({ "total": gbp(1000), "country": "GB" });
            other.post_as_operator(&format!("/carts/{cart_id}/checkout"), checkout).await
        };
        // The others hear that it is sold out, at once or when stock has answered.
        order.status == StatusCode::ACCEPTED && order.body["status"] == "pending"
    };
    let held = futures::future::join_all((0..40).map(buy)).await;
    assert_eq!(held.iter().filter(|held| **held).count(), UNITS as usize);
}
