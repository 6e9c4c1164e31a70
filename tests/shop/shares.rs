//! Nobody gets more than a share: not of the requests, of the places for work, of the database, nor of the disk.

use crate::harness::{DEADLINE, Shop, Terms};
use crate::http::{Reply, Request};
use crate::limits::Limits;
use crate::services::QUERIES_AT_ONCE;
use chrono::Utc;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub async fn open(pool: &PgPool, limits: Limits) -> Shop {
    Shop::open_on(pool, Terms { limits, ..Terms::default() }).await
}

/// A request over a connection of its own.
pub fn ask(shop: &Shop, method: Method, path: &str) -> Request {
    Request::new(Client::new().request(method, shop_client::address_of(shop.url(), path)))
}

fn new_cart(shop: &Shop) -> Request {
    shop.request(Method::POST, "/carts").new_key().json(&json!({ "currency": "GBP" }))
}

/// Sends the request again and again, until it is refused.
async fn until_refused(request: impl Fn() -> Request) -> reqwest::Response {
    for _ in 0..10_000 {
        let response = request().send_raw().await;
        if !response.status().is_success() {
            return response;
        }
    }
    panic!("it is never refused");
}

/// How often a kind of refusal was counted.
async fn refused(shop: &Shop, problem: &str) -> u64 {
    let metrics = shop.metrics().await;
    let line = format!("emporium_refused_requests_total{{reason=\"{problem}\"}} ");
    let count = metrics.lines().find_map(|text| text.strip_prefix(&line));
    count.map_or(0, |count| count.parse().unwrap())
}

#[sqlx::test(migrations = false)]
async fn who_sends_too_much_is_told_when_to_come_again(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let response = until_refused(|| new_cart(&shop)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let wait: u64 = header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(header("ratelimit-policy"), "\"writes\";q=20;w=10");
    assert_eq!(header("ratelimit"), format!("\"writes\";r=0;t={wait}"));
    assert_eq!((header("x-ratelimit-limit"), header("x-ratelimit-remaining")), ("20".into(), "0".into()));
    assert_eq!(header("x-ratelimit-reset"), wait.to_string());
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "urn:emporium:problem:too-many-requests");
    assert!(refused(&shop, "too-many-requests").await >= 1);

    // Reads are counted apart, and operators not at all.
    for _ in 0..100 {
        shop.get("/products").await.expect(StatusCode::OK);
        new_cart(&shop).operator().send().await.expect(StatusCode::CREATED);
    }
    let with_another_token = new_cart(&shop).header("authorization", "Bearer guessed");
    let refusals = [StatusCode::TOO_MANY_REQUESTS, StatusCode::UNAUTHORIZED];
    assert!(refusals.contains(&with_another_token.send().await.status));
}

#[sqlx::test(migrations = false)]
async fn forged_webhooks_count_as_commands(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    let forged = || {
        let signature = format!("t={},v1={}", Utc::now().timestamp(), "5e".repeat(32));
        shop.request(Method::POST, "/webhooks/payments")
            .header("stripe-signature", &signature)
            .json(&json!({}))
    };
    forged().send().await.expect_problem(StatusCode::BAD_REQUEST, "invalid-webhook");
    let forging = async {
        loop {
            let response = forged().send_raw().await;
            if response.status() != StatusCode::BAD_REQUEST {
                return response;
            }
        }
    };
    let refused = tokio::time::timeout(DEADLINE, forging).await.expect("it is refused in time");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["ratelimit-policy"], "\"writes\";q=20;w=10");
    // At once, before it is looked at.
    let unsigned = shop.request(Method::POST, "/webhooks/payments").json(&json!({})).send().await;
    unsigned.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
}

#[sqlx::test(migrations = false)]
async fn a_webhook_that_cannot_be_the_gateways_is_refused_before_its_body_comes(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let signed = |at: i64| format!("stripe-signature: t={at},v1={}\r\n", "5e".repeat(32));
    let now = Utc::now().timestamp();
    for (header, bytes, status) in [
        (String::new(), 1_000, "400"),
        ("stripe-signature: t=1,v1=00\r\n".to_owned(), 1_000, "400"),
        (signed(now - 301), 1_000, "400"),
        (signed(now), 256 * 1024 + 1, "413"),
    ] {
        let mut client = TcpStream::connect(shop.url().trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "POST /v1/webhooks/payments HTTP/1.1\r\nhost: shop\r\n{header}content-length: {bytes}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // The connection ends with the answer, for the body is still to come.
        let answered = tokio::time::timeout(DEADLINE, client.read_to_string(&mut answer)).await;
        answered.expect("it is answered without its body").unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
}

#[sqlx::test(migrations = false)]
async fn queries_are_counted_by_address_too(pool: PgPool) {
    let shop = open(&pool, Limits { reads_per_second: 2, ..Limits::default() }).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/products/MUG").await.expect(StatusCode::OK);
    let response = until_refused(|| shop.request(Method::GET, "/products/MUG")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["ratelimit-policy"], "\"reads\";q=20;w=10");
    new_cart(&shop).send().await.expect(StatusCode::CREATED);
    shop.get_now("/products/MUG").await.expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_customers_of_a_proxy_are_told_apart_and_cannot_choose_who_they_are(pool: PgPool) {
    let limits = Limits { writes_per_second: 1, behind_a_proxy: true, ..Limits::default() };
    let shop = open(&pool, limits).await;
    let from = |forwarded: &str| new_cart(&shop).header("x-forwarded-for", forwarded);
    until_refused(|| from("198.51.100.1")).await;
    for forwarded in ["198.51.100.1", "203.0.113.5, 198.51.100.1"] {
        // A second may have passed: then one more is taken.
        let replies = [from(forwarded).send().await, from(forwarded).send().await];
        assert!(replies.iter().any(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS), "{forwarded}");
    }
    from("198.51.100.2").send().await.expect(StatusCode::CREATED);
}

#[sqlx::test(migrations = false)]
async fn a_header_of_nobodys_proxy_buys_nothing(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 1, ..Limits::default() }).await;
    let mut number = 0..;
    let mut another =
        || new_cart(&shop).header("x-forwarded-for", &format!("198.51.100.{}", number.next().unwrap()));
    for _ in 0..250 {
        let reply = another().send().await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
    }
    panic!("each request counts as another client's");
}

#[sqlx::test(migrations = false)]
async fn a_rush_of_new_carts_is_refused_at_once_and_keeps_no_operator_and_no_payment_out(pool: PgPool) {
    let shop = open(&pool, Limits { commands_in_work: 10, ..Limits::default() }).await;
    shop.define("MUG", 1000, 1_000).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let rush = async {
        let mut statuses = Vec::new();
        while !statuses.contains(&StatusCode::SERVICE_UNAVAILABLE) {
            let replies = join_all((0..200).map(|_| new_cart(&shop).send())).await;
            for reply in &replies {
                if reply.status != StatusCode::CREATED {
                    assert_eq!(reply.body["type"], "urn:emporium:problem:overloaded", "{reply:?}");
                    assert_eq!(reply.retry_after.as_deref(), Some("1"));
                }
            }
            statuses = replies.iter().map(|reply| reply.status).collect();
            assert!(statuses.contains(&StatusCode::CREATED));
        }
    };
    let others = async {
        for _ in 0..20 {
            let receipt = json!({ "quantity": 1 });
            shop.post_as_operator("/stock/MUG/receipts", receipt).await.expect(StatusCode::CREATED);
        }
        shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK)
    };
    let ((), paid) = tokio::time::timeout(DEADLINE, async { tokio::join!(rush, others) }).await.unwrap();
    assert_eq!(paid["status"], "processing");
    assert!(refused(&shop, "overloaded").await >= 1);
}

#[sqlx::test(migrations = false)]
async fn who_waits_for_a_gateway_that_never_answers_takes_no_place_from_others(pool: PgPool) {
    let shop = open(&pool, Limits { commands_in_work: 1, ..Limits::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let paying = shop.pay_by("pm_sandbox_never_answers", &order_id, 1000);
    let others = async {
        shop.get_when(&format!("/orders/{order_id}"), |order| order["payments"][0]["status"] == "requested")
            .await;
        for _ in 0..3 {
            shop.order(&[("MUG", 1)], 1000).await;
        }
    };
    // It waits for 20 seconds.
    tokio::select! {
        paid = paying => panic!("the gateway has answered: {paid:?}"),
        () = others => {}
    }
}

#[sqlx::test(migrations = false)]
async fn a_disk_that_fills_up_takes_no_new_carts_and_ends_what_was_begun(pool: PgPool) {
    let shop = open(&pool, Limits { kept_for_orders: u64::MAX, ..Limits::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let refused = shop.post("/carts", json!({ "currency": "GBP" })).await;
    assert_eq!(refused.retry_after.as_deref(), Some("60"));
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "storage-nearly-full");
    // A cart that was filled before.
    let opened =
        shop.post_as_operator("/carts", json!({ "currency": "GBP" })).await.expect(StatusCode::CREATED);
    let cart_id = opened["cart_id"].as_str().unwrap();
    let lines = format!("/carts/{cart_id}/lines");
    let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    let more = shop.post(&lines, mug.clone()).await;
    more.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "storage-nearly-full");
    shop.post_as_operator(&lines, mug).await.expect(StatusCode::OK);
    // So little is left that it is kept for payments.
    let path = format!("/carts/{cart_id}/checkout");
    let body = json!({ "total": { "amount": 1000, "currency": "GBP" }, "country": "GB" });
    let refused = shop.post(&path, body.clone()).await;
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "storage-nearly-full");
    let checkout =
        shop.request(Method::POST, &path).operator().new_key().header("prefer", "wait=20").json(&body);
    let order = checkout.send().await.expect(StatusCode::OK);
    let order_id = order["order_id"].as_str().unwrap();
    let paid = shop.pay_by("pm_card_visa", order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");

    let health = shop.health().await.body;
    let disk = &health["parts"]["disk"];
    let shoppers = json!("cannot fill carts or order; payments go on");
    assert_eq!((&disk["ready"], &disk["detail"]["shoppers"]), (&json!(true), &shoppers));
    let metrics = shop.metrics().await;
    assert!(metrics.contains("\nemporium_disk_free_bytes "));
}

#[sqlx::test(migrations = false)]
async fn a_flood_of_queries_is_refused_beyond_its_share_and_another_visitor_is_answered(pool: PgPool) {
    let limits = Limits { queries_waiting: 20, behind_a_proxy: true, ..Limits::default() };
    let shop = open(&pool, limits).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/products/MUG").await.expect(StatusCode::OK);
    let page = |from: &str| ask(&shop, Method::GET, "/products/MUG").header("x-forwarded-for", from).send();

    // Nothing is answered while the table is locked.
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE products IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut flood: FuturesUnordered<_> = (0..100).map(|_| page("198.51.100.1")).collect();
    // All that have neither a connection to the database nor one of their ten places.
    let refused: Vec<Reply> = flood.by_ref().take(100 - QUERIES_AT_ONCE.get() as usize - 10).collect().await;
    for reply in refused {
        assert_eq!(reply.retry_after.as_deref(), Some("1"));
        reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    }
    let visitor = page("203.0.113.5");
    let unlocked = async {
        // The visitor waits as well.
        while waiting(&shop).await < 11 {}
        lock.commit().await.unwrap();
    };
    let (visitor, ()) = tokio::join!(visitor, unlocked);
    visitor.expect(StatusCode::OK);
    for reply in flood.collect::<Vec<Reply>>().await {
        reply.expect(StatusCode::OK);
    }
}

/// Queries that wait for their turn.
async fn waiting(shop: &Shop) -> u64 {
    let metrics = shop.metrics().await;
    let count = metrics.lines().find_map(|text| text.strip_prefix("emporium_queries_waiting "));
    count.unwrap().parse().unwrap()
}
