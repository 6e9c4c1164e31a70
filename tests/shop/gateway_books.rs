//! The gateway's books against ours: answers that never come, money that is not what was asked for, and people who
//! work at the gateway itself.

use crate::harness::{Shop, Terms, gbp};
use payment_gateway::{Charge, IntentStatus, RefundRequest};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

async fn shop_with_order(pool: &PgPool) -> (Shop, String) {
    let shop = Shop::open(pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    (shop, order_id)
}

async fn order_when(shop: &Shop, order_id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    shop.get_when(&format!("/orders/{order_id}"), is_wanted).await
}

async fn pay_as(shop: &Shop, order_id: &str, key: &str, body: &Value) -> crate::http::Reply {
    let request = shop.request(Method::POST, &format!("/orders/{order_id}/payments"));
    request.key(key).header("prefer", "wait=20").json(body).send().await
}

fn by_card(amount: i64) -> Value {
    json!({ "amount": gbp(amount), "payment_method": "pm_card_visa" })
}

async fn ship(shop: &Shop, order_id: &str) -> StatusCode {
    shop.post_as_operator(&format!("/orders/{order_id}/shipment"), json!({})).await.status
}

async fn cancel(shop: &Shop, order_id: &str) {
    let path = format!("/orders/{order_id}/cancellation");
    shop.post(&path, json!({ "reason": "changed my mind" })).await.expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn one_key_on_two_orders_pays_both(pool: PgPool) {
    let (shop, first) = shop_with_order(&pool).await;
    let second = shop.order(&[("MUG", 1)], 1000).await;
    let mut ids = Vec::new();
    for order_id in [&first, &second] {
        let paid = pay_as(&shop, order_id, "1", &by_card(1000)).await.expect(StatusCode::OK);
        assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
        ids.push(paid["payment_id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    // A repetition is the same payment.
    let again = pay_as(&shop, &first, "1", &by_card(1000)).await.expect(StatusCode::OK);
    assert_eq!(again["payment_id"], ids[0]);
    assert_eq!(shop.intents().await.len(), 2);
}

#[sqlx::test(migrations = false)]
async fn one_payment_id_on_two_orders_pays_both(pool: PgPool) {
    let (shop, first) = shop_with_order(&pool).await;
    let second = shop.order(&[("MUG", 1)], 1000).await;
    let mut body = by_card(1000);
    body["payment_id"] = json!(Uuid::now_v7());
    for order_id in [&first, &second] {
        let paid = pay_as(&shop, order_id, &Uuid::new_v4().to_string(), &body).await.expect(StatusCode::OK);
        assert_eq!(paid["payment_status"], "captured");
        cancel(&shop, order_id).await;
        order_when(&shop, order_id, |order| order["status"] == "refunded").await;
    }
}

#[sqlx::test(migrations = false)]
async fn another_card_under_the_id_of_a_payment_is_refused(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let mut body =
        json!({ "amount": gbp(1000), "payment_method": "pm_card_chargeDeclinedInsufficientFunds" });
    body["payment_id"] = json!(Uuid::now_v7());
    let declined = pay_as(&shop, &order_id, "the first key", &body).await.expect(StatusCode::OK);
    assert_eq!(declined["payment_status"], "declined");
    assert_eq!(declined["decline_code"], "insufficient_funds");
    assert!(declined["failure"].as_str().unwrap().contains("not enough money"), "{declined}");
    body["payment_method"] = json!("pm_card_visa");
    let other = pay_as(&shop, &order_id, "the second key", &body).await;
    other.expect_problem(StatusCode::CONFLICT, "payment-differs");
}

#[sqlx::test(migrations = false)]
async fn two_keys_on_one_request_are_refused(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let request = shop.request(Method::POST, &format!("/orders/{order_id}/payments"));
    let both = request.key("one").key("two").json(&by_card(1000)).send().await;
    both.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    assert_eq!(shop.intents().await.len(), 0);
}

#[sqlx::test(migrations = false)]
async fn an_answer_that_is_an_error_for_ever_is_looked_up(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let paid = shop.pay_by("pm_sandbox_answers_500", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
    let other = shop.order(&[("MUG", 1)], 1000).await;
    let paid = shop.pay_by("pm_sandbox_capture_answers_500", &other, 1000).await.expect(StatusCode::OK);
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
    let received: Vec<i64> =
        shop.intents().await.iter().map(|intent| intent.amount_received.unwrap()).collect();
    assert_eq!(received, [1000, 1000]);
}

#[sqlx::test(migrations = false)]
async fn a_payment_that_is_never_answered_keeps_the_shop_ready(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let pay = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    pay.json(&body).send().await.expect(StatusCode::ACCEPTED);
    let another = shop.pay_by("pm_card_visa", &order_id, 1000).await;
    another.expect_problem(StatusCode::CONFLICT, "payment-under-way");
    cancel(&shop, &order_id).await;
    let waits = "1 payment waits for the payment gateway: the log says more";
    shop.is_ready("payment-gateway", Some(waits)).await;
    assert_eq!(shop.health().await.expect(StatusCode::OK)["ready"], true);
    // The gateway answers others.
    let other = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay_by("pm_card_visa", &other, 1000).await.expect(StatusCode::OK);
    shop.is_ready("payment-gateway", Some(waits)).await;
}

#[sqlx::test(migrations = false)]
async fn less_money_than_was_asked_for_is_let_go(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let declined = shop.pay_by("pm_sandbox_holds_less", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&declined["payment_status"], &declined["due"]), (&json!("declined"), &gbp(1000)));
    assert_eq!(declined["decline_code"], "amount_differs");
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    assert_eq!(intent.status, IntentStatus::Canceled);
}

#[sqlx::test(migrations = false)]
async fn what_people_take_at_the_gateway_is_booked_as_they_took_it(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 400).await.expect(StatusCode::OK);
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    shop.gateway_client().capture(&intent.id, (100, "GBP"), "by hand").await.unwrap();
    let order = order_when(&shop, &order_id, |order| order["paid"] == gbp(100)).await;
    assert_eq!((&order["status"], &order["payments"][0]["amount"]), (&json!("pending"), &gbp(100)));
    shop.pay_by("pm_card_visa", &order_id, 901).await.expect_problem(StatusCode::CONFLICT, "payment-not-due");
    let paid = shop.pay_by("pm_card_visa", &order_id, 900).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
    assert_eq!(order_when(&shop, &order_id, |_| true).await["paid"], gbp(1000));
}

#[sqlx::test(migrations = false)]
async fn an_intent_that_only_says_to_be_the_payment_is_not_believed(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    // Slow: it waits for the gateway's word, as a webhook brings it.
    let payment_id = Uuid::now_v7();
    let mut body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    body["payment_id"] = json!(payment_id);
    let request = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    request.json(&body).send().await.expect(StatusCode::ACCEPTED);
    let (order, currency) = (order_id.parse().unwrap(), "GBP");
    // It is made without our key: the payment's own request hangs.
    let penny = Charge {
        order_id: order,
        payment_id,
        amount: 1,
        currency,
        payment_method: "pm_card_visa",
        return_url: None,
    };
    let penny = shop.gateway_client().authorize(&penny).await.unwrap();
    shop.gateway_client().capture(&penny.id, (1, "GBP"), "by hand").await.unwrap();
    // The payment itself, which the gateway has not answered, is found by its amount.
    shop.is_ready("payment-gateway", Some("1 payment waits for the payment gateway: the log says more"))
        .await;
    let order = order_when(&shop, &order_id, |_| true).await;
    assert_eq!((&order["status"], &order["paid"]), (&json!("pending"), &gbp(0)));
    assert_eq!(order["payments"][0]["status"], "requested");
}

#[sqlx::test(migrations = false)]
async fn money_that_people_give_back_at_the_gateway_keeps_the_goods_in_the_house(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    let gateway = shop.gateway_client();
    let (intent_id, currency) = (intent.id.as_str(), "GBP");
    let back = |amount| RefundRequest { intent_id, refund_id: Uuid::new_v4(), amount, currency };
    gateway.refund(&back(300)).await.unwrap();
    let order = order_when(&shop, &order_id, |order| order["refunded"] == gbp(300)).await;
    assert_eq!((&order["status"], &order["refunds"][0]["status"]), (&json!("processing"), &json!("done")));
    gateway.refund(&back(700)).await.unwrap();
    let order = order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
    assert_eq!(order["refunded"], gbp(1000));
    assert_eq!(ship(&shop, &order_id).await, StatusCode::CONFLICT);
    shop.get_when("/stock/MUG", |stock| stock["available"] == 10).await;
}

#[sqlx::test(migrations = false)]
async fn a_cancellation_finds_what_people_gave_back_unheard(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { tells_of_refunds: false, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    let (intent_id, refund_id) = (intent.id.as_str(), Uuid::new_v4());
    let back = RefundRequest { intent_id, refund_id, amount: 400, currency: "GBP" };
    shop.gateway_client().refund(&back).await.unwrap();
    cancel(&shop, &order_id).await;
    let order = order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
    assert_eq!(order["refunded"], gbp(1000));
    let amounts: Vec<i64> = shop
        .gateway_client()
        .refunds(None, None)
        .await
        .unwrap()
        .items
        .iter()
        .map(|back| back.amount.unwrap())
        .collect();
    assert_eq!(amounts, [600, 400]);
}

#[sqlx::test(migrations = false)]
async fn a_refund_that_is_on_its_way_has_not_arrived(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_sandbox_slow_refund", &order_id, 1000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}/refunds");
    shop.post_as_operator(&path, json!({ "amount": gbp(300) })).await.expect(StatusCode::OK);
    // Another one need not wait for it.
    shop.post_as_operator(&path, json!({ "amount": gbp(200) })).await.expect(StatusCode::OK);
    let order = order_when(&shop, &order_id, |order| order["refunded"] == gbp(500)).await;
    let done = |event: &&Value| event["type"] == "order.refund_recorded.v1";
    assert_eq!(order["history"].as_array().unwrap().iter().filter(done).count(), 2);
}

#[sqlx::test(migrations = false)]
async fn a_refund_that_fails_on_its_way_is_not_done(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_sandbox_slow_refund_fails", &order_id, 1000).await.expect(StatusCode::OK);
    cancel(&shop, &order_id).await;
    let order = order_when(&shop, &order_id, |order| order["refunds"][0]["status"] == "refused").await;
    assert_eq!((&order["status"], &order["refunded"]), (&json!("cancelled"), &gbp(0)));
    // So people give it back.
    let by_hand = json!({ "amount": gbp(1000), "reference": "cheque 12" });
    shop.post_as_operator(&format!("/orders/{order_id}/refunds"), by_hand).await.expect(StatusCode::OK);
    order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
}
