//! Parcels: each merchant sends its own lines, at once or bit by bit; and what sending costs.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn an_order_is_shipped_when_every_merchant_has_sent_its_lines(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let bowl = json!({ "sku": "BOWL", "merchant_id": "pottery", "name": "A bowl", "price": gbp(500) });
    shop.post_as_operator("/products", bowl).await.expect(StatusCode::CREATED);
    let receipt = json!({ "quantity": 10 });
    shop.post_as_operator("/stock/BOWL/receipts", receipt).await.expect(StatusCode::CREATED);
    let order_id = shop.order(&[("MUG", 3), ("BOWL", 1)], 3500).await;
    shop.pay_by("pm_card_visa", &order_id, 3500).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}");
    let lines = shop.get_now(&path).await.expect(StatusCode::OK)["lines"].clone();

    let parcel = json!({
        "merchant_id": "acme",
        "lines": [{ "line_id": lines[0]["line_id"], "quantity": 2 }],
        "tracking": { "carrier": "DHL", "number": "JD 1" },
    });
    let sent = send(&shop, &path, parcel).await;
    assert_eq!(sent["status"], "processing");
    let too_many =
        json!({ "merchant_id": "acme", "lines": [{ "line_id": lines[0]["line_id"], "quantity": 2 }] });
    shop.post_as_operator(&format!("{path}/shipments"), too_many)
        .await
        .expect_problem(StatusCode::CONFLICT, "too-many-units");
    let theirs =
        json!({ "merchant_id": "pottery", "lines": [{ "line_id": lines[0]["line_id"], "quantity": 1 }] });
    shop.post_as_operator(&format!("{path}/shipments"), theirs)
        .await
        .expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    let cancel = shop.request(Method::POST, &format!("{path}/cancellation"));
    let cancel = cancel.json(&json!({ "reason": "too late" })).send().await;
    cancel.expect_problem(StatusCode::CONFLICT, "partly-shipped");

    assert_eq!(send(&shop, &path, json!({ "merchant_id": "pottery" })).await["status"], "processing");
    assert_eq!(send(&shop, &path, json!({ "merchant_id": "acme" })).await["status"], "shipped");
    let stock = shop.get_when("/stock/MUG", |stock| stock["shipped"] == 3).await;
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(7), &json!(0)));

    let order = shop.get_now(&path).await.expect(StatusCode::OK);
    assert_eq!(order["shipments"][0]["tracking"], json!({ "carrier": "DHL", "number": "JD 1" }));
    let mut status = json!("shipped");
    for shipment in order["shipments"].as_array().unwrap() {
        assert_eq!(status, "shipped");
        let arrived = format!("{path}/shipments/{}/delivery", shipment["shipment_id"].as_str().unwrap());
        status = shop.post_as_operator(&arrived, json!({})).await.expect(StatusCode::OK)["status"].clone();
    }
    assert_eq!(status, "delivered");
}

async fn send(shop: &Shop, path: &str, parcel: Value) -> Value {
    shop.post_as_operator(&format!("{path}/shipments"), parcel).await.expect(StatusCode::OK)
}

#[sqlx::test(migrations = false)]
async fn the_charge_for_sending_is_a_part_of_the_total(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[("MUG", 2)]).await;
    let charge = shop.request(Method::PUT, &format!("/carts/{cart_id}/shipping"));
    let charge = charge.json(&json!({ "charge": gbp(450) })).send().await;
    charge.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    let charge = shop.request(Method::PUT, &format!("/carts/{cart_id}/shipping")).operator();
    charge.json(&json!({ "charge": gbp(450) })).send().await.expect(StatusCode::OK);
    let cart = shop.get_now(&format!("/carts/{cart_id}")).await.expect(StatusCode::OK);
    assert_eq!((&cart["total"], &cart["shipping"]), (&gbp(2450), &gbp(450)));
    let problem = shop.check_out(&cart_id, 2000).await.expect_problem(StatusCode::CONFLICT, "price-changed");
    assert_eq!((&problem["total"], &problem["shipping"]), (&gbp(2450), &gbp(450)));
    let of_line = |line: &Value| Some(line["new"]["amount"].as_i64()? * line["quantity"].as_i64()?);
    let lines: i64 = problem["lines"].as_array().unwrap().iter().map(|line| of_line(line).unwrap()).sum();
    assert_eq!(lines + 450, 2450);
    let order = shop.check_out(&cart_id, 2450).await.expect(StatusCode::ACCEPTED);
    let order_id = order["order_id"].as_str().unwrap();
    let order = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    assert_eq!((&order["total"], &order["shipping"]), (&gbp(2450), &gbp(450)));
}
