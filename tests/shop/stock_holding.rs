//! Goods that are held and not paid for: nobody takes a SKU off sale for nothing, and who pays can still buy.

use crate::harness::{Shop, Terms, gbp};
use crate::http::Reply;
use command_api::UnpaidArgs;
use event_store::EventStore;
use futures::{StreamExt, pin_mut};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// With the limits that a shop has by itself.
async fn ordinary_shop(pool: &PgPool) -> Shop {
    shop_with(pool, UnpaidArgs::default()).await
}

async fn shop_with(pool: &PgPool, unpaid: UnpaidArgs) -> Shop {
    Shop::open_on(pool, Terms { unpaid, ..Terms::default() }).await
}

/// Checks out a cart of so many mugs at 10 pounds and waits for what stock says.
async fn ask_for(shop: &Shop, mugs: u32) -> Reply {
    let cart_id = shop.cart(&[("MUG", mugs)]).await;
    shop.check_out(&cart_id, i64::from(mugs) * 1000).await
}

async fn ask_as_operator(shop: &Shop, mugs: u32) -> Reply {
    let cart_id = shop.cart(&[("MUG", mugs)]).await;
    let body = json!({ "total": gbp(i64::from(mugs) * 1000), "country": "GB" });
    let path = format!("/carts/{cart_id}/checkout");
    let request = shop.request(Method::POST, &path).operator().new_key().header("prefer", "wait=20");
    request.json(&body).send().await
}

fn id_of(order: &Value) -> &str {
    order["order_id"].as_str().unwrap()
}

async fn cancel(shop: &Shop, order_id: &str) {
    let path = format!("/orders/{order_id}/cancellation");
    shop.post(&path, json!({ "reason": "changed my mind" })).await.expect(StatusCode::OK);
}

async fn stock(shop: &Shop) -> Value {
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK)
}

/// What the order's first event says.
async fn placed(store: &EventStore, order_id: &str) -> Value {
    let events = store.read_stream(&format!("order-{order_id}"), 0, 1);
    pin_mut!(events);
    let placed = events.next().await.unwrap().unwrap();
    assert_eq!(placed.event_type, "order.placed.v1");
    serde_json::from_slice(&placed.data).unwrap()
}

/// Somebody asks for all that there is, in every size, again and again.
#[sqlx::test(migrations = false)]
async fn one_caller_cannot_take_a_sku_off_sale(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 60).await;
    for round in 0..3 {
        let mut held = vec![];
        for mugs in [60, 30, 29, 20, 10, 5, 1, 1] {
            let order = ask_for(&shop, mugs).await;
            if order.status == StatusCode::OK {
                held.push(id_of(&order.body).to_owned());
            }
        }
        let now = stock(&shop).await;
        assert_eq!(now["available"], 30, "round {round}: {now}");

        // Somebody else, who pays, buys what is left, and with it more than the attacker leaves at any time.
        let order = ask_for(&shop, 5).await.expect(StatusCode::OK);
        assert_eq!((&order["status"], &order["held_at_payment"]), (&json!("pending"), &json!(["MUG"])));
        let paid = shop.pay_by("pm_card_visa", id_of(&order), 5000).await.expect(StatusCode::OK);
        assert_eq!(paid["status"], "processing", "{paid}");
        cancel(&shop, id_of(&order)).await;
        for order_id in held {
            cancel(&shop, &order_id).await;
        }
    }
}

/// What is held only when it is paid goes to those who pay first.
#[sqlx::test(migrations = false)]
async fn goods_that_wait_for_their_money_go_to_whom_pays_first(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 2).await;
    let first = ask_for(&shop, 1).await.expect(StatusCode::OK);
    assert!(first.get("held_at_payment").is_none(), "{first}");
    let [second, third] = [ask_for(&shop, 1).await, ask_for(&shop, 1).await];
    let [second, third] = [second, third].map(|order| order.expect(StatusCode::OK));
    assert_eq!((&second["held_at_payment"], &third["held_at_payment"]), (&json!(["MUG"]), &json!(["MUG"])));
    let page = shop.get_now(&format!("/orders/{}", id_of(&second))).await.expect(StatusCode::OK);
    assert_eq!(page["stock"][0]["phase"], "at_payment", "{page}");

    let bought = shop.pay_by("pm_card_visa", id_of(&third), 1000).await.expect(StatusCode::OK);
    assert_eq!(bought["status"], "processing", "{bought}");
    let late = shop.pay_by("pm_card_visa", id_of(&second), 1000).await.expect(StatusCode::OK);
    assert_eq!((&late["status"], &late["payment_status"]), (&json!("cancelled"), &json!("voided")), "{late}");
    assert_eq!(late["cancel_reason"]["kind"], "out_of_stock", "{late}");
    // Money that an operator records counts as well.
    let paid = shop.pay(id_of(&first), 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing", "{paid}");
}

/// A card that authorises and is declined later held all units of a SKU until the order's deadline.
#[sqlx::test(migrations = false)]
async fn goods_beyond_the_share_go_back_when_their_money_is_declined_after_all(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 2).await;
    let [within, beyond] = [ask_for(&shop, 1).await, ask_for(&shop, 1).await];
    let [within, beyond] = [within, beyond].map(|order| order.expect(StatusCode::OK));
    assert_eq!(beyond["held_at_payment"], json!(["MUG"]), "{beyond}");
    let declined = shop.pay_by("pm_sandbox_capture_fails", id_of(&beyond), 1000).await.expect(StatusCode::OK);
    assert_eq!((&declined["payment_status"], &declined["status"]), (&json!("declined"), &json!("cancelled")));
    assert_eq!(stock(&shop).await["available"], 1);
    // An order within the share may be paid again.
    let declined = shop.pay_by("pm_sandbox_capture_fails", id_of(&within), 1000).await.expect(StatusCode::OK);
    assert_eq!((&declined["payment_status"], &declined["status"]), (&json!("declined"), &json!("pending")));
    let paid = shop.pay_by("pm_card_visa", id_of(&within), 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing", "{paid}");
}

#[sqlx::test(migrations = false)]
async fn what_an_operator_orders_is_held_whatever_others_hold(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 300).await;
    let too_many = ask_for(&shop, 101).await.expect_problem(StatusCode::CONFLICT, "too-many-units-of-sku");
    assert_eq!((&too_many["sku"], &too_many["max"]), (&json!("MUG"), &json!(100)), "{too_many}");
    let order = ask_as_operator(&shop, 250).await.expect(StatusCode::OK);
    assert!(order.get("held_at_payment").is_none(), "{order}");
    assert_eq!(stock(&shop).await["available"], 50);
}

#[sqlx::test(migrations = false)]
async fn an_address_has_so_many_unpaid_orders_and_no_more(pool: PgPool) {
    let shop = shop_with(&pool, UnpaidArgs { unpaid_orders_of_address: 2, ..UnpaidArgs::default() }).await;
    shop.define("MUG", 1000, 100).await;
    let first = ask_for(&shop, 1).await.expect(StatusCode::OK);
    let second = ask_for(&shop, 1).await.expect(StatusCode::OK);
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let refused = shop.check_out(&cart_id, 1000).await;
    let seconds: u64 = refused.retry_after.as_deref().unwrap().parse().unwrap();
    assert!((1..=901).contains(&seconds), "{seconds}");
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-unpaid-orders");
    ask_as_operator(&shop, 1).await.expect(StatusCode::OK);
    // A paid one is none, and neither is one that was called off. The cart is still the shopper's.
    shop.pay_by("pm_card_visa", id_of(&first), 1000).await.expect(StatusCode::OK);
    shop.check_out(&cart_id, 1000).await.expect(StatusCode::OK);
    ask_for(&shop, 1).await.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-unpaid-orders");
    cancel(&shop, id_of(&second)).await;
    ask_for(&shop, 1).await.expect(StatusCode::OK);
}

/// Who called such orders off could have any number of payments hang at the gateway.
#[sqlx::test(migrations = false)]
async fn an_order_that_was_called_off_counts_until_the_gateway_has_decided_its_payment(pool: PgPool) {
    let shop = shop_with(&pool, UnpaidArgs { unpaid_orders_of_address: 1, ..UnpaidArgs::default() }).await;
    shop.define("MUG", 1000, 100).await;
    let order = ask_for(&shop, 1).await.expect(StatusCode::OK);
    let path = format!("/orders/{}/payments", id_of(&order));
    let body = json!({ "amount": gbp(1000), "payment_method": "pm_sandbox_never_answers" });
    let pay = shop.request(Method::POST, &path).new_key().json(&body);
    pay.send().await.expect(StatusCode::ACCEPTED);
    cancel(&shop, id_of(&order)).await;
    shop.get_when("/stock/MUG", |stock| stock["available"] == 100).await;
    // The second one is refused after a look at the order.
    for _ in 0..2 {
        ask_for(&shop, 1).await.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-unpaid-orders");
    }
}

/// The process that counts an order is not always the one that settles it.
#[sqlx::test(migrations = false)]
async fn an_order_that_another_machine_settled_is_not_counted(pool: PgPool) {
    let shop = shop_with(&pool, UnpaidArgs { unpaid_orders_of_address: 1, ..UnpaidArgs::default() }).await;
    shop.is_ready("order-fulfilment", None).await;
    shop.define("MUG", 1000, 100).await;
    let second = shop.second().await;
    let check_out = async |cart_id: &str| {
        let path = format!("/carts/{cart_id}/checkout");
        let request = shop.request(Method::POST, &path).at(&second).new_key().header("prefer", "wait=20");
        request.json(&json!({ "total": gbp(1000), "country": "GB" })).send().await
    };
    let order = check_out(&shop.cart(&[("MUG", 1)]).await).await.expect(StatusCode::OK);
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    check_out(&cart_id).await.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-unpaid-orders");
    shop.pay_by("pm_card_visa", id_of(&order), 1000).await.expect(StatusCode::OK);
    let asking = async {
        // It looks once a second.
        while check_out(&cart_id).await.status != StatusCode::OK {}
    };
    tokio::time::timeout(crate::harness::DEADLINE, asking).await.expect("it is forgotten in time");
}

#[sqlx::test(migrations = false)]
async fn a_customer_has_so_many_unpaid_orders_and_no_more(pool: PgPool) {
    let shop = shop_with(&pool, UnpaidArgs { unpaid_orders_of_customer: 1, ..UnpaidArgs::default() }).await;
    shop.define("MUG", 1000, 100).await;
    let buy = async |customer: &str| {
        let cart = shop.post("/carts", json!({ "currency": "GBP", "customer_id": customer })).await;
        let cart = cart.expect(StatusCode::CREATED);
        let cart_id = cart["cart_id"].as_str().unwrap();
        let lines = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
        shop.post(&format!("/carts/{cart_id}/lines"), lines).await.expect(StatusCode::OK);
        shop.check_out(cart_id, 1000).await
    };
    buy("ada").await.expect(StatusCode::OK);
    buy("ada").await.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-unpaid-orders");
    buy("bob").await.expect(StatusCode::OK);
}

/// A penny that waits for a bank keeps nobody's goods.
#[sqlx::test(migrations = false)]
async fn a_shopper_pays_all_that_is_due_at_once(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order = ask_for(&shop, 1).await.expect(StatusCode::OK);
    let penny = shop.pay_by("pm_card_authenticationRequired", id_of(&order), 1).await;
    let penny = penny.expect_problem(StatusCode::CONFLICT, "payment-in-part");
    assert_eq!(penny["due"], 1000, "{penny}");
    // An operator may, and then the rest is due.
    let path = format!("/orders/{}/payments", id_of(&order));
    let voucher = json!({ "amount": gbp(400), "method": "voucher", "reference": "gift" });
    shop.post_as_operator(&path, voucher).await.expect(StatusCode::OK);
    let paid = shop.pay_by("pm_card_visa", id_of(&order), 600).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing", "{paid}");
}

#[sqlx::test(migrations = false)]
async fn orders_of_scarce_goods_wait_a_short_time(pool: PgPool) {
    let shop = ordinary_shop(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let events = shop.events();
    let first = ask_for(&shop, 5).await.expect(StatusCode::OK);
    assert_eq!(placed(&events, id_of(&first)).await["hold_seconds"], 900);
    let next = ask_for(&shop, 1).await.expect(StatusCode::OK);
    let next = placed(&events, id_of(&next)).await;
    assert_eq!((&next["hold_seconds"], &next["anonymous"]), (&json!(180), &json!(true)), "{next}");
    let known = ask_as_operator(&shop, 1).await.expect(StatusCode::OK);
    let known = placed(&events, id_of(&known)).await;
    assert_eq!((&known["hold_seconds"], known.get("anonymous")), (&json!(900), None), "{known}");
}
