//! Money through the gateway in currencies that it does not count as ISO 4217 does: Stripe's kronur have two decimals,
//! its ariary have none, and the last of a dinar's three is always 0.

use crate::harness::Shop;
use crate::http::Reply;
use payment_gateway::{Intent, IntentStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// A shop, as those see it who pay in one currency. There is one thing to buy for them, with the currency's code as its
/// SKU.
struct InCurrency<'shop> {
    shop: &'shop Shop,
    currency: &'static str,
}

impl<'shop> InCurrency<'shop> {
    async fn sell(shop: &'shop Shop, currency: &'static str, price: i64) -> Self {
        let this = Self { shop, currency };
        let price = this.money(price);
        let product = json!({ "sku": currency, "merchant_id": "acme", "name": "Mug", "price": price });
        shop.post_as_operator("/products", product).await.expect(StatusCode::CREATED);
        let path = format!("/stock/{currency}/receipts");
        shop.post_as_operator(&path, json!({ "quantity": 100 })).await.expect(StatusCode::CREATED);
        this
    }

    fn money(&self, amount: i64) -> Value {
        json!({ "amount": amount, "currency": self.currency })
    }

    async fn cart(&self, units: u32) -> String {
        let opened = self.shop.post("/carts", json!({ "currency": self.currency })).await;
        let cart_id = opened.expect(StatusCode::CREATED)["cart_id"].as_str().unwrap().to_owned();
        let lines = json!({ "lines": [{ "sku": self.currency, "quantity": units }] });
        self.shop.post(&format!("/carts/{cart_id}/lines"), lines).await.expect(StatusCode::OK);
        cart_id
    }

    async fn check_out(&self, cart_id: &str, total: i64) -> Reply {
        let body = json!({ "total": self.money(total), "country": "Iceland" });
        let request = self.shop.request(Method::POST, &format!("/carts/{cart_id}/checkout"));
        request.new_key().header("prefer", "wait=20").json(&body).send().await
    }

    async fn order(&self, units: u32, total: i64) -> String {
        let cart_id = self.cart(units).await;
        let placed = self.check_out(&cart_id, total).await.expect(StatusCode::OK);
        placed["order_id"].as_str().unwrap().to_owned()
    }

    async fn pay(&self, order_id: &str, amount: i64) -> Reply {
        let body = json!({ "amount": self.money(amount), "payment_method": "pm_card_visa" });
        let request = self.shop.request(Method::POST, &format!("/orders/{order_id}/payments"));
        request.new_key().header("prefer", "wait=20").json(&body).send().await
    }

    async fn refund(&self, order_id: &str, amount: i64) -> Reply {
        let body = json!({ "amount": self.money(amount) });
        let request = self.shop.request(Method::POST, &format!("/orders/{order_id}/refunds"));
        request.operator().new_key().header("prefer", "wait=20").json(&body).send().await
    }

    /// Something in the gateway's own books, in its own units.
    async fn book(&self, path: &str) -> Value {
        let url = format!("{}/v1/{path}", self.shop.gateway_url());
        let asking = reqwest::Client::new().get(url).bearer_auth(sandbox_gateway::DEFAULT_SECRET_KEY);
        serde_json::from_str(&asking.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    /// What the gateway took for the only payment in this currency and gave back, in its own units.
    async fn books(&self) -> (Intent, [i64; 2]) {
        let intents = self.shop.intents().await;
        let intent = intents.into_iter().find(|intent| intent.currency == self.currency).unwrap();
        let taken = self.book(&format!("payment_intents/{}", intent.id)).await;
        let back = self.book(&format!("refunds?payment_intent={}", intent.id)).await;
        let back =
            back["data"].as_array().unwrap().iter().map(|refund| refund["amount"].as_i64().unwrap()).sum();
        (intent, [taken["amount_received"].as_i64().unwrap(), back])
    }
}

/// What the shop counts, and what the gateway does: the price, a part of it that goes back, and all of it.
#[sqlx::test(migrations = false)]
async fn what_the_gateway_takes_and_gives_back_is_what_the_shop_says(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for (currency, price, part, in_its_units) in [
        ("ISK", 1_250, 250, 125_000),
        ("UGX", 5_000, 1, 500_000),
        ("KWD", 5_120, 1_010, 5_120),
        ("MGA", 450_000, 100_000, 4_500),
        ("JPY", 500, 7, 500),
        ("HUF", 123_450, 55, 123_450),
        // A million rupiah: nine digits, which only few currencies may have.
        ("IDR", 100_000_000, 250_000, 100_000_000),
    ] {
        pays_and_gets_back(&InCurrency::sell(&shop, currency, price).await, price, part, in_its_units).await;
    }
}

async fn pays_and_gets_back(shop: &InCurrency<'_>, price: i64, part: i64, in_its_units: i64) {
    let order_id = shop.order(1, price).await;
    let paid = shop.pay(&order_id, price).await.expect(StatusCode::OK);
    assert_eq!((&paid["payment_status"], &paid["status"]), (&json!("captured"), &json!("processing")));
    let (intent, _) = shop.books().await;
    assert_eq!((intent.amount_received, &intent.status), (Some(price), &IntentStatus::Succeeded));

    let back = shop.refund(&order_id, part).await.expect(StatusCode::OK);
    assert_eq!(back["refund_status"], "done");
    let reason = json!({ "reason": "changed my mind" });
    shop.shop.post(&format!("/orders/{order_id}/cancellation"), reason).await.expect(StatusCode::OK);
    let is_back = |order: &Value| order["status"] == "refunded";
    let order = shop.shop.get_when(&format!("/orders/{order_id}"), is_back).await;
    assert_eq!((&order["paid"], &order["refunded"]), (&shop.money(price), &shop.money(price)));
    assert_eq!(shop.books().await, (intent, [in_its_units, in_its_units]));
}

/// What the gateway could never take is refused before anything is locked or held.
#[sqlx::test(migrations = false)]
async fn a_checkout_of_what_the_gateway_cannot_take_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for (currency, price, field, expected) in [
        ("KWD", 1_005, "multiple_of", json!(10)),
        ("MGA", 1_050, "multiple_of", json!(100)),
        ("ISK", 1_000_000, "max", json!(999_999)),
        ("GBP", 100_000_000, "max", json!(99_999_999)),
        ("IDR", 1_000_000_000_000, "max", json!(999_999_999_999_i64)),
        ("IQD", 1_000, "max", Value::Null),
    ] {
        cannot_be_checked_out(&InCurrency::sell(&shop, currency, price).await, price, (field, expected))
            .await;
    }
}

async fn cannot_be_checked_out(shop: &InCurrency<'_>, price: i64, (field, expected): (&str, Value)) {
    let cart_id = shop.cart(1).await;
    let wrong = shop.check_out(&cart_id, price + 1).await;
    wrong.expect_problem(StatusCode::CONFLICT, "price-changed");
    let refused = shop.check_out(&cart_id, price).await;
    let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "amount-not-payable");
    assert_eq!((&refused["amount"], &refused[field]), (&shop.money(price), &expected));
    let cart = shop.shop.get_now(&format!("/carts/{cart_id}")).await.expect(StatusCode::OK);
    assert_eq!(cart["status"], "open");
    let stock = shop.shop.get_now(&format!("/stock/{}", shop.currency)).await.expect(StatusCode::OK);
    assert_eq!(stock["available"], 100);
    // An operator takes the money another way.
    let body = json!({ "total": shop.money(price), "country": "Iceland" });
    let placed = shop.shop.post_as_operator(&format!("/carts/{cart_id}/checkout"), body).await;
    placed.expect(StatusCode::ACCEPTED);
}

#[sqlx::test(migrations = false)]
async fn parts_that_the_gateway_cannot_take_or_give_back_are_refused(pool: PgPool) {
    // Two of them are an amount that the gateway takes, and one is none.
    let shop = Shop::open(&pool).await;
    let shop = InCurrency::sell(&shop, "KWD", 1_005).await;
    let order_id = shop.order(2, 2_010).await;
    let refused = shop.pay(&order_id, 1_005).await;
    let refused = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "amount-not-payable");
    assert_eq!((&refused["amount"], &refused["multiple_of"]), (&shop.money(1_005), &json!(10)));
    assert!(shop.shop.intents().await.is_empty(), "the gateway was not asked");
    shop.pay(&order_id, 2_010).await.expect(StatusCode::OK);

    let refused = shop.refund(&order_id, 1_005).await;
    refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "amount-not-payable");
    // Nor is the price of what is not sent.
    let order = shop.shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    let line = json!({ "line_id": order["lines"][0]["line_id"], "quantity": 1 });
    let parcel = json!({ "merchant_id": "acme", "lines": [line] });
    shop.shop.post_as_operator(&format!("/orders/{order_id}/shipments"), parcel).await.expect(StatusCode::OK);
    let rest = format!("/orders/{order_id}/unshipped/cancellation");
    let refused = shop.shop.post_as_operator(&rest, json!({ "reason": "burnt" })).await;
    refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "amount-not-payable");
    let refund = json!({ "reason": "burnt", "refund": shop.money(1_000) });
    shop.shop.post_as_operator(&rest, refund).await.expect(StatusCode::OK);
    let is_back = |order: &Value| order["refunded"] == shop.money(1_000);
    shop.shop.get_when(&format!("/orders/{order_id}"), is_back).await;
    // What people give back may be anything.
    let by_hand = json!({ "amount": shop.money(5), "reference": "cash" });
    shop.shop.post_as_operator(&format!("/orders/{order_id}/refunds"), by_hand).await.expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn a_currency_that_nobody_knows_is_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for currency in ["ZZZ", "XAU", "HRK", "CLF"] {
        let opened = shop.post("/carts", json!({ "currency": currency })).await;
        let problem = opened.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "unknown-currency");
        assert_eq!(problem["currency"], currency);
        let price = json!({ "amount": 100, "currency": currency });
        let mug = json!({ "sku": "MUG", "merchant_id": "acme", "name": "Mug", "price": price });
        let defined = shop.post_as_operator("/products", mug).await;
        defined.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "unknown-currency");
    }
}
