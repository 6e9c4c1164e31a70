//! Parcels: each merchant sends its own lines, at once or bit by bit; and what sending costs.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Mugs of acme and bowls of the pottery, ten of each, and a paid order of three mugs and two bowls: 4000.
async fn shop_of_two_merchants(pool: &PgPool) -> (Shop, String) {
    let shop = Shop::open(pool).await;
    shop.define("MUG", 1000, 10).await;
    let bowl = json!({ "sku": "BOWL", "merchant_id": "pottery", "name": "A bowl", "price": gbp(500) });
    shop.post_as_operator("/products", bowl).await.expect(StatusCode::CREATED);
    let receipt = json!({ "quantity": 10 });
    shop.post_as_operator("/stock/BOWL/receipts", receipt).await.expect(StatusCode::CREATED);
    let order_id = shop.order(&[("MUG", 3), ("BOWL", 2)], 4000).await;
    (shop, order_id)
}

/// Units of a SKU, once all that happened is there: available, reserved, shipped.
async fn stock_is(shop: &Shop, sku: &str, units: [u64; 3]) {
    let is_so = |stock: &Value| [&stock["available"], &stock["reserved"], &stock["shipped"]] == units;
    shop.get_when(&format!("/stock/{sku}"), is_so).await;
}

async fn give_up(shop: &Shop, path: &str, body: Value) -> crate::http::Reply {
    let request = shop.request(Method::POST, &format!("{path}/unshipped/cancellation"));
    request.operator().new_key().header("prefer", "wait=20").json(&body).send().await
}

#[sqlx::test(migrations = false)]
async fn each_parcel_leaves_the_stock(pool: PgPool) {
    let (shop, order_id) = shop_of_two_merchants(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 4000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}");
    let lines = shop.get_now(&path).await.expect(StatusCode::OK)["lines"].clone();
    let one = json!({ "merchant_id": "acme", "lines": [{ "line_id": lines[0]["line_id"], "quantity": 1 }] });
    send(&shop, &path, one.clone()).await;
    stock_is(&shop, "MUG", [7, 2, 1]).await;
    send(&shop, &path, one).await;
    stock_is(&shop, "MUG", [7, 1, 2]).await;
    let order = shop.get_now(&path).await.expect(StatusCode::OK);
    let mugs = json!({ "sku": "MUG", "quantity": 3, "phase": "committed", "shipped": 2, "released": 0 });
    assert_eq!(order["stock"][1], mugs);
    send(&shop, &path, json!({ "merchant_id": "acme" })).await;
    stock_is(&shop, "MUG", [7, 0, 3]).await;
    stock_is(&shop, "BOWL", [8, 2, 0]).await;
}

/// A bowl is on its way when the others burn.
#[sqlx::test(migrations = false)]
async fn what_cannot_be_sent_is_given_up_and_the_order_goes_on(pool: PgPool) {
    let (shop, order_id) = shop_of_two_merchants(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 4000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}");
    let lines = shop.get_now(&path).await.expect(StatusCode::OK)["lines"].clone();
    let one =
        json!({ "merchant_id": "pottery", "lines": [{ "line_id": lines[1]["line_id"], "quantity": 1 }] });
    let parcel = send(&shop, &path, one).await;
    let burnt = json!({ "delta": -9, "reason": "burnt" });
    let adjust = "/stock/BOWL/adjustments";
    let refused = shop.post_as_operator(adjust, burnt.clone()).await;
    refused.expect_problem(StatusCode::CONFLICT, "adjustment-below-reserved");

    let nobody = shop.request(Method::POST, &format!("{path}/unshipped/cancellation")).new_key();
    let nobody = nobody.json(&json!({ "reason": "burnt" })).send().await;
    nobody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    let body = json!({ "reason": "burnt", "merchant_id": "pottery" });
    let given_up = give_up(&shop, &path, body.clone()).await.expect(StatusCode::OK);
    assert_eq!((&given_up["status"], &given_up["refund_status"]), (&json!("processing"), &json!("done")));
    // Twice is once.
    give_up(&shop, &path, body).await.expect(StatusCode::OK);
    stock_is(&shop, "BOWL", [9, 0, 1]).await;
    shop.post_as_operator(adjust, burnt).await.expect(StatusCode::CREATED);
    stock_is(&shop, "BOWL", [0, 0, 1]).await;

    assert_eq!(send(&shop, &path, json!({ "merchant_id": "acme" })).await["status"], "shipped");
    let order = shop.get_now(&path).await.expect(StatusCode::OK);
    assert_eq!((&order["refunded"], &order["lines"][1]["given_up"]), (&gbp(500), &json!(1)));
    assert_eq!((&order["to_refund"], order["refunds"].as_array().unwrap().len()), (&Value::Null, 1));
    for shipment in [&parcel["shipment_id"], &order["shipments"][1]["shipment_id"]] {
        let arrived = format!("{path}/shipments/{}/delivery", shipment.as_str().unwrap());
        shop.post_as_operator(&arrived, json!({})).await.expect(StatusCode::OK);
    }
    assert_eq!(shop.get_now(&path).await.expect(StatusCode::OK)["status"], "delivered");
}

/// The gift card paid the most: people give back what the gateway never had, and the list says whose it is.
#[sqlx::test(migrations = false)]
async fn what_is_given_up_and_came_by_hand_is_owed_until_people_give_it_back(pool: PgPool) {
    let (shop, order_id) = shop_of_two_merchants(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 700).await.expect(StatusCode::OK);
    shop.pay(&order_id, 3300).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}");
    send(&shop, &path, json!({ "merchant_id": "acme" })).await;
    let given_up = give_up(&shop, &path, json!({ "reason": "burnt" })).await.expect(StatusCode::OK);
    assert_eq!(given_up["status"], "shipped");
    stock_is(&shop, "BOWL", [10, 0, 0]).await;
    let owed = shop.get_now("/orders?to_refund=true").await.expect(StatusCode::OK);
    assert_eq!(owed["items"][0]["to_refund"], gbp(300));
    let refund = json!({ "amount": gbp(300), "reference": "cash" });
    shop.post_as_operator(&format!("{path}/refunds"), refund).await.expect(StatusCode::OK);
    let owed = shop.get_now("/orders?to_refund=true").await.expect(StatusCode::OK);
    assert_eq!(owed["items"], json!([]));
    assert_eq!(shop.get_now(&path).await.expect(StatusCode::OK)["refunded"], gbp(1000));
}

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
    let order = shop.check_out(&cart_id, 2450).await.expect(StatusCode::OK);
    let order_id = order["order_id"].as_str().unwrap();
    let order = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    assert_eq!((&order["total"], &order["shipping"]), (&gbp(2450), &gbp(450)));
}
