//! Payments on which the shopper's bank asks the shopper first (3-D Secure): through the page, back, and on.

use crate::harness::{Shop, Terms, gbp};
use payment_gateway::IntentStatus;
use reqwest::{Method, Response, StatusCode, redirect};
use serde_json::{Value, json};
use sqlx::PgPool;

const CARD: &str = "pm_sandbox_requires_action";
const RETURN_URL: &str = "https://shop.example/paid?order=7";

async fn shop_with_order(pool: &PgPool, terms: Terms) -> (Shop, String) {
    let shop = Shop::open_on(pool, terms).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    (shop, order_id)
}

/// Pays, and gives the page where the shopper is to go, as the answer and as the order name it.
async fn pay(shop: &Shop, order_id: &str) -> String {
    let body = json!({ "amount": gbp(1000), "payment_method": CARD, "return_url": RETURN_URL });
    let pay = shop.request(Method::POST, &format!("/orders/{order_id}/payments")).new_key();
    // The wait ends when there is something for the shopper to do.
    let waiting = pay.header("prefer", "wait=20").json(&body).send().await.expect(StatusCode::ACCEPTED);
    assert_eq!(
        (&waiting["payment_status"], &waiting["status"]),
        (&json!("requires_action"), &json!("pending"))
    );
    let page = waiting["redirect_url"].as_str().expect("a page").to_owned();
    let order = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    let payment = &order["payments"][0];
    assert_eq!((&payment["status"], &payment["redirect_url"]), (&json!("requires_action"), &json!(page)));
    page
}

/// A browser that shows where it is sent.
fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap()
}

/// Presses one of the page's buttons.
async fn decide(page: &str, decision: &str) -> Response {
    let browser = browser();
    let shown = browser.get(page).send().await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK);
    assert_eq!(shown.headers()["content-type"], "text/html; charset=utf-8");
    let text = shown.text().await.unwrap();
    assert!(
        text.contains(&format!("name=\"decision\" value=\"{decision}\"")) && text.contains("1000 GBP"),
        "{text}"
    );
    let form = "application/x-www-form-urlencoded";
    let pressed = browser.post(page).header("content-type", form).body(format!("decision={decision}"));
    let pressed = pressed.send().await.unwrap();
    assert_eq!(pressed.status(), StatusCode::SEE_OTHER);
    pressed
}

fn goes_back(response: &Response, intent: &Value, how: &str) {
    let intent = intent.as_str().unwrap();
    let expected = format!("{RETURN_URL}&payment_intent={intent}&redirect_status={how}");
    assert_eq!(response.headers()["location"], *expected);
}

#[sqlx::test(migrations = false)]
async fn a_shopper_who_approves_has_paid(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool, Terms::default()).await;
    let page = pay(&shop, &order_id).await;
    let back = decide(&page, "approve").await;
    let paid = shop.get_when(&format!("/orders/{order_id}"), |order| order["status"] == "processing").await;
    let payment = &paid["payments"][0];
    assert_eq!((&payment["status"], payment.get("redirect_url")), (&json!("captured"), None));
    goes_back(&back, &payment["intent"], "succeeded");
    let received: Vec<i64> =
        shop.intents().await.iter().map(|intent| intent.amount_received.unwrap()).collect();
    assert_eq!(received, [1000]);
    // Pressing the button once more changes nothing.
    let form = "application/x-www-form-urlencoded";
    let again = browser().post(&page).header("content-type", form).body("decision=refuse");
    goes_back(&again.send().await.unwrap(), &payment["intent"], "succeeded");
}

#[sqlx::test(migrations = false)]
async fn a_shopper_who_refuses_may_pay_in_another_way(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool, Terms::default()).await;
    let page = pay(&shop, &order_id).await;
    let back = decide(&page, "refuse").await;
    let path = format!("/orders/{order_id}");
    let declined = |order: &Value| order["payments"][0]["status"] == "declined";
    let order = shop.get_when(&path, declined).await;
    goes_back(&back, &order["payments"][0]["intent"], "failed");
    assert_eq!(order["status"], "pending");
    let paid = shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn a_shopper_who_never_goes_there_loses_the_order_and_the_payment_is_called_off(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool, Terms { hold_seconds: 5, ..Terms::default() }).await;
    let page = pay(&shop, &order_id).await;
    let path = format!("/orders/{order_id}");
    let voided = |order: &Value| order["payments"][0]["status"] == "voided";
    let order = shop.get_when(&path, voided).await;
    assert_eq!((&order["status"], &order["cancel_reason"]["kind"]), (&json!("cancelled"), &json!("expired")));
    shop.get_when("/stock/MUG", |stock| stock["available"] == 10).await;
    let [intent] = &shop.intents().await[..] else { panic!("one payment is one intent") };
    assert_eq!(intent.status, IntentStatus::Canceled);
    // Too late: the page has nothing to press any more.
    let text = browser().get(&page).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("is not made") && !text.contains("<button"), "{text}");
}

#[sqlx::test(migrations = false)]
async fn a_way_back_that_no_browser_should_take_is_refused(pool: PgPool) {
    let (shop, order_id) = shop_with_order(&pool, Terms::default()).await;
    let path = format!("/orders/{order_id}/payments");
    for return_url in ["javascript:alert(1)", "/paid", "https://shop.example/a b"] {
        let body = json!({ "amount": gbp(1000), "payment_method": CARD, "return_url": return_url });
        shop.post(&path, body).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
}
