//! Money through the gateway: every way in which it can come, fail, be late, and go back.

use crate::harness::{Shop, Terms, gbp};
use payment_gateway::{Charge, Intent, IntentStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// A shop with mugs, and an order of one.
async fn shop_with_order(pool: &PgPool) -> (Shop, String) {
    let shop = Shop::open(pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    (shop, order_id)
}

/// An order that waits for its money only so long.
async fn short_lived_order(shop: &Shop, hold_seconds: u32) -> String {
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let body = json!({ "total": gbp(1000), "country": "GB", "hold_seconds": hold_seconds });
    let order = shop.post(&format!("/carts/{cart_id}/checkout"), body).await.expect(StatusCode::ACCEPTED);
    order["order_id"].as_str().unwrap().to_owned()
}

async fn order(shop: &Shop, order_id: &str) -> Value {
    shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK)
}

async fn order_when(shop: &Shop, order_id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    shop.get_when(&format!("/orders/{order_id}"), is_wanted).await
}

async fn available(shop: &Shop) -> Value {
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK)["available"].clone()
}

#[sqlx::test(migrations = false)]
async fn an_approved_payment_is_authorised_and_taken_once(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let paid = shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
    let order = order(&shop, &order_id).await;
    assert_eq!((&order["paid"], &order["payments"][0]["status"]), (&gbp(1000), &json!("captured")));
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    assert_eq!((intent.amount_received, &intent.status), (Some(1000), &IntentStatus::Succeeded));
    assert_eq!(order["payments"][0]["intent"], intent.id);
}

#[sqlx::test(migrations = false)]
async fn a_declined_payment_leaves_the_order_waiting_for_another(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let declined = shop.pay_by("pm_card_chargeDeclined", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&declined["payment_status"], &declined["status"]), (&json!("declined"), &json!("pending")));
    assert_eq!(declined["due"], gbp(1000));
    let paid = shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn a_slow_payment_is_told_by_the_gateway(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let paid = shop.pay_by("pm_sandbox_slow", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
}

#[sqlx::test(migrations = false)]
async fn an_answer_that_comes_too_late_is_asked_for_again(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let paid = shop.pay_by("pm_sandbox_answers_after_timeout", &order_id, 1000).await;
    assert_eq!(paid.expect(StatusCode::OK)["status"], "processing");
    let intents = shop.intents().await;
    assert_eq!(intents.iter().map(|intent| intent.amount_received).collect::<Vec<_>>(), [Some(1000)]);
}

#[sqlx::test(migrations = false)]
async fn webhooks_that_come_twice_and_out_of_order_have_one_effect(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let paid = shop.pay_by("pm_sandbox_answers_twice", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
    let order = order(&shop, &order_id).await;
    let captured = order["history"].as_array().unwrap().iter();
    assert_eq!(captured.filter(|event| event["type"] == "order.payment_captured.v1").count(), 1);
}

#[sqlx::test(migrations = false)]
async fn a_payment_that_cannot_be_taken_leaves_the_order_waiting(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let failed = shop.pay_by("pm_sandbox_capture_fails", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&failed["payment_status"], &failed["status"]), (&json!("declined"), &json!("pending")));
}

#[sqlx::test(migrations = false)]
async fn a_gift_card_and_a_card_pay_together_and_nothing_is_taken_before_all_is_there(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let part = shop.pay_by("pm_card_visa", &order_id, 700).await.expect(StatusCode::OK);
    assert_eq!((&part["payment_status"], &part["due"]), (&json!("authorized"), &gbp(300)));
    shop.pay_by("pm_card_visa", &order_id, 400).await.expect_problem(StatusCode::CONFLICT, "payment-not-due");
    let paid = shop.pay(&order_id, 300).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
    assert_eq!(order(&shop, &order_id).await["paid"], gbp(1000));
}

#[sqlx::test(migrations = false)]
async fn a_cancelled_order_gives_back_what_was_taken_and_lets_go_of_what_was_not(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let half_paid = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay_by("pm_card_visa", &half_paid, 400).await.expect(StatusCode::OK);
    for order_id in [&order_id, &half_paid] {
        let reason = json!({ "reason": "changed my mind" });
        let cancelled = shop.post(&format!("/orders/{order_id}/cancellation"), reason).await;
        cancelled.expect(StatusCode::OK);
    }
    order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
    order_when(&shop, &half_paid, |order| order["payments"][0]["status"] == "voided").await;
    assert_eq!(available(&shop).await, 10);
}

#[sqlx::test(migrations = false)]
async fn an_order_whose_money_does_not_come_is_cancelled_also_over_a_restart(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let first = short_lived_order(&shop, 1).await;
    let expired = order_when(&shop, &first, |order| order["status"] == "cancelled").await;
    assert_eq!(expired["cancel_reason"]["kind"], "expired");
    let second = short_lived_order(&shop, 2).await;
    let shop = shop.crash_and_reopen().await;
    order_when(&shop, &second, |order| order["status"] == "cancelled").await;
    shop.get_when("/stock/MUG", |stock| stock["available"] == 10).await;
}

#[sqlx::test(migrations = false)]
async fn a_payment_that_is_under_way_at_the_deadline_is_waited_for(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = short_lived_order(&shop, 1).await;
    // It answers after four seconds, and each attempt waits for two.
    let paid = shop.pay_by("pm_sandbox_answers_after_timeout", &order_id, 1000).await;
    assert_eq!(paid.expect(StatusCode::OK)["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn money_of_a_gift_card_goes_back_by_hand_and_is_owed_until_then(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let back = async |order_id: &str, amount: i64| {
        let refund = json!({ "amount": gbp(amount), "reference": "voucher" });
        shop.post_as_operator(&format!("/orders/{order_id}/refunds"), refund).await
    };
    // A part before it ships; all of it is a cancellation.
    assert_eq!(back(&order_id, 300).await.expect(StatusCode::OK)["refund_status"], "done");
    back(&order_id, 700).await.expect_problem(StatusCode::CONFLICT, "refund-too-large");
    let expiring = short_lived_order(&shop, 1).await;
    shop.pay(&expiring, 400).await.expect(StatusCode::OK);
    let expired = order_when(&shop, &expiring, |order| order["status"] == "cancelled").await;
    assert_eq!((&expired["paid"], &expired["to_refund"]), (&gbp(400), &gbp(400)));
    let owed = shop.get_now("/orders?to_refund=true").await.expect(StatusCode::OK);
    let owed: Vec<&Value> =
        owed["items"].as_array().unwrap().iter().map(|order| &order["order_id"]).collect();
    assert_eq!(owed, [&json!(expiring)]);
    assert_eq!(back(&expiring, 400).await.expect(StatusCode::OK)["status"], "refunded");
    let nothing = shop.get_now("/orders?to_refund=true").await.expect(StatusCode::OK);
    assert_eq!(nothing["items"], json!([]));
    let others = shop.get_now("/orders?to_refund=false").await.expect(StatusCode::OK);
    assert_eq!(others["items"].as_array().unwrap().len(), 2);
    // More than an order ever cost is a slip of the pen.
    shop.pay(&expiring, 5000).await.expect_problem(StatusCode::CONFLICT, "payment-not-due");
}

#[sqlx::test(migrations = false)]
async fn who_waits_for_a_refund_hears_how_each_part_of_it_stands(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 600).await.expect(StatusCode::OK);
    shop.pay_by("pm_card_visa", &order_id, 400).await.expect(StatusCode::OK);
    let refund = shop.request(Method::POST, &format!("/orders/{order_id}/refunds")).operator().new_key();
    let refund = refund.header("prefer", "wait=20").json(&json!({ "amount": gbp(700) })).send().await;
    let refund = refund.expect(StatusCode::OK);
    assert_eq!(refund["refund_status"], "done");
    let parts: Vec<_> = refund["refunds"].as_array().unwrap().iter().map(|part| &part["amount"]).collect();
    assert_eq!(parts, [&gbp(600), &gbp(100)]);
}

#[sqlx::test(migrations = false)]
async fn a_refunded_order_can_still_arrive(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}");
    shop.post_as_operator(&format!("{path}/shipment"), json!({})).await.expect(StatusCode::OK);
    let refund = json!({ "amount": gbp(1000) });
    shop.post_as_operator(&format!("{path}/refunds"), refund).await.expect(StatusCode::OK);
    order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
    let arrived = shop.post_as_operator(&format!("{path}/delivery"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(arrived["status"], "refunded");
    let order = order(&shop, &order_id).await;
    assert_eq!(order["status"], "refunded");
    let last = order["history"].as_array().unwrap().last().unwrap()["type"].clone();
    assert_eq!(last, "order.delivered.v1");
}

/// Neither a card that is declined nor a part of the money keeps the goods longer than the order waits for all of it.
#[sqlx::test(migrations = false)]
async fn payments_that_come_to_nothing_do_not_make_an_order_wait_longer(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let declined = short_lived_order(&shop, 2).await;
    let paid_in_part = short_lived_order(&shop, 2).await;
    let answer = shop.pay_by("pm_card_chargeDeclined", &declined, 1).await.expect(StatusCode::OK);
    assert_eq!(answer["payment_status"], "declined");
    let answer = shop.pay_by("pm_card_visa", &paid_in_part, 400).await.expect(StatusCode::OK);
    assert_eq!(answer["payment_status"], "authorized");
    for order_id in [&declined, &paid_in_part] {
        let expired = order_when(&shop, order_id, |order| order["status"] == "cancelled").await;
        assert_eq!(expired["cancel_reason"]["kind"], "expired");
    }
    shop.get_when("/stock/MUG", |stock| stock["available"] == 10).await;
}

/// The shop's own time is what a payment has, too.
#[sqlx::test(migrations = false)]
async fn a_payment_that_is_never_decided_keeps_an_order_no_longer_than_the_shop_says(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { hold_seconds: 2, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = short_lived_order(&shop, 1).await;
    let pay = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    pay.json(&body).send().await.expect(StatusCode::ACCEPTED);
    order_when(&shop, &order_id, |order| order["status"] == "cancelled").await;
}

#[sqlx::test(migrations = false)]
async fn a_refund_in_parts_goes_back_through_the_gateway(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order_id}/refunds");
    shop.post_as_operator(&path, json!({ "amount": gbp(1000) }))
        .await
        .expect_problem(StatusCode::CONFLICT, "refund-too-large");
    shop.post_as_operator(&path, json!({ "amount": gbp(300) })).await.expect(StatusCode::OK);
    order_when(&shop, &order_id, |order| order["refunded"] == gbp(300)).await;
    shop.post_as_operator(&format!("/orders/{order_id}/shipment"), json!({})).await.expect(StatusCode::OK);
    shop.post_as_operator(&path, json!({ "amount": gbp(700) })).await.expect(StatusCode::OK);
    let refunded = order_when(&shop, &order_id, |order| order["status"] == "refunded").await;
    assert_eq!(refunded["refunds"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrations = false)]
async fn money_that_was_taken_and_not_recorded_is_found_after_a_crash(pool: PgPool) {
    let (mut shop, order_id) = shop_with_order(&pool).await;
    let pay = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_card_visa" });
    // Without waiting: the crash finds the payment anywhere on its way.
    pay.json(&body).send().await.expect(StatusCode::ACCEPTED);
    shop = shop.crash_and_reopen().await;
    order_when(&shop, &order_id, |order| order["status"] == "processing").await;
    let received: Vec<i64> =
        shop.intents().await.iter().map(|intent| intent.amount_received.unwrap()).collect();
    assert_eq!(received, [1000]);
}

/// A shop that is so late with everything that the gateway has forgotten each key.
async fn late_shop_with_order(pool: &PgPool, hold_seconds: u32) -> (Shop, String) {
    let shop = Shop::open_on(pool, Terms { keeps_keys: 0, hold_seconds, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    (shop, order_id)
}

/// The gateway has done it, and the answer was lost. Gives the payment in the gateway's books and what the shopper hears.
async fn pay_after_the_answer_was_lost(shop: &Shop, order_id: &str, card: &str) -> (Intent, Value) {
    let payment_id = Uuid::now_v7();
    let charge = Charge {
        order_id: order_id.parse().unwrap(),
        payment_id,
        amount: 1000,
        currency: "GBP",
        payment_method: card,
        return_url: None,
    };
    let made = shop.gateway_client().authorize(&charge).await.unwrap();
    let body = json!({ "amount": gbp(1000), "payment_method": card, "payment_id": payment_id });
    let pay = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    (made, pay.header("prefer", "wait=20").json(&body).send().await.body)
}

#[sqlx::test(migrations = false)]
async fn a_payment_of_which_the_gateway_knows_no_more_comes_to_an_end_with_its_order(pool: PgPool) {
    let (shop, order_id) = late_shop_with_order(&pool, 3).await;
    let (_, waiting) = pay_after_the_answer_was_lost(&shop, &order_id, "pm_sandbox_requires_action").await;
    assert_eq!(waiting["payment_status"], "requires_action");
    let shop = shop.crash_and_reopen_with_empty_books().await;
    let is_declined = |order: &Value| order["payments"][0]["status"] == "declined";
    let order = order_when(&shop, &order_id, is_declined).await;
    let failure = order["payments"][0]["failure"].as_str().unwrap();
    assert!(failure.contains("knows nothing"), "{failure}");
    let cancelled = order_when(&shop, &order_id, |order| order["status"] == "cancelled").await;
    assert_eq!(cancelled["cancel_reason"]["kind"], "expired");
    shop.get_when("/stock/MUG", |stock| stock["available"] == 10).await;
}

#[sqlx::test(migrations = false)]
async fn a_payment_whose_key_is_forgotten_is_found_and_never_made_twice(pool: PgPool) {
    let (shop, order_id) = late_shop_with_order(&pool, 900).await;
    let (made, paid) = pay_after_the_answer_was_lost(&shop, &order_id, "pm_card_visa").await;
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    assert_eq!((&intent.id, intent.amount_received), (&made.id, Some(1000)));

    // Money goes back once, too.
    let refund = format!("/orders/{order_id}/refunds");
    shop.post_as_operator(&refund, json!({ "amount": gbp(300) })).await.expect(StatusCode::OK);
    order_when(&shop, &order_id, |order| order["refunded"] == gbp(300)).await;
    assert_eq!(shop.gateway_client().refunds(None, None).await.unwrap().items.len(), 1);
}

#[sqlx::test(migrations = false)]
async fn a_refund_of_a_payment_of_which_the_gateway_knows_no_more_is_refused_in_time(pool: PgPool) {
    let (shop, order_id) = late_shop_with_order(&pool, 900).await;
    let (_, paid) = pay_after_the_answer_was_lost(&shop, &order_id, "pm_card_visa").await;
    assert_eq!(paid["payment_status"], "captured");
    let shop = shop.crash_and_reopen_with_empty_books().await;
    let refund = format!("/orders/{order_id}/refunds");
    shop.post_as_operator(&refund, json!({ "amount": gbp(300) })).await.expect(StatusCode::OK);
    order_when(&shop, &order_id, |order| order["refunds"][0]["status"] == "refused").await;
}

#[sqlx::test(migrations = false)]
async fn a_payment_that_never_reached_the_gateway_comes_to_an_end(pool: PgPool) {
    let (shop, order_id) = late_shop_with_order(&pool, 900).await;
    let lost = shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!((&lost["payment_status"], &lost["due"]), (&json!("declined"), &gbp(1000)));
    let order = order(&shop, &order_id).await;
    let failure = order["payments"][0]["failure"].as_str().unwrap();
    assert!(failure.contains("knows nothing"), "{failure}");
    // The order waits for other money, and nothing was asked of the gateway that could have made the payment.
    assert_eq!((&order["status"], shop.intents().await.len()), (&json!("pending"), 0));
    assert_eq!(shop.pay(&order_id, 1000).await.expect(StatusCode::OK)["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn a_payment_needs_a_key_and_one_way(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool).await;
    let path = format!("/orders/{order_id}/payments");
    let by_card = json!({ "amount": gbp(1000), "payment_method": "pm_card_visa" });
    let without = shop.request(Method::POST, &path).json(&by_card).send().await;
    without.expect_problem(StatusCode::BAD_REQUEST, "idempotency-key-missing");
    for body in [
        json!({ "amount": gbp(1000) }),
        json!({ "amount": gbp(1000), "payment_method": "pm", "method": "card" }),
    ] {
        shop.post(&path, body).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let checkout = shop.request(Method::POST, &format!("/carts/{cart_id}/checkout"));
    let checkout = checkout.json(&json!({ "total": gbp(1000), "country": "GB" })).send().await;
    checkout.expect_problem(StatusCode::BAD_REQUEST, "idempotency-key-missing");
}

#[sqlx::test(migrations = false)]
async fn a_webhook_that_nobody_signed_is_refused(pool: PgPool) {
    let (shop, _) = shop_with_order(&pool).await;
    let forged = shop.request(Method::POST, "/webhooks/payments");
    let forged = forged.header("stripe-signature", "t=1,v1=00").json(&json!({ "id": "evt_1" })).send().await;
    forged.expect_problem(StatusCode::BAD_REQUEST, "invalid-webhook");
}
