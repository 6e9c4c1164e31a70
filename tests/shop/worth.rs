//! What a request is worth: one that does the work of many counts as many.

use crate::http::Reply;
use crate::limits::Limits;
use crate::shares::{ask, open};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn each_line_of_a_cart_counts_as_a_command(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    shop.define("MUG", 1000, 1_000).await;
    let cart = shop.cart(&[]).await;
    let path = format!("/carts/{cart}/lines");
    let lines = |count| json!({ "lines": vec![json!({ "sku": "MUG", "quantity": 1 }); count] });
    // The burst is twenty. Busy connections have less: one second's worth.
    let put = |count| ask(&shop, Method::POST, &path).new_key().json(&lines(count)).send();
    put(12).await.expect(StatusCode::OK);
    let refused = put(12).await;
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    put(1).await.expect(StatusCode::OK);
    // So do those that are to be removed.
    let line_ids = json!({ "line_ids": vec![uuid::Uuid::nil(); 12] });
    let remove = ask(&shop, Method::POST, &format!("{path}/removals")).json(&line_ids).send().await;
    remove.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    // A request with more lines than a burst has is not refused for good; and the operator is not counted.
    ask(&shop, Method::POST, &path)
        .operator()
        .new_key()
        .json(&lines(100))
        .send()
        .await
        .expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn the_bytes_of_a_body_count_as_commands(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    let path = format!("/carts/{}/lines", uuid::Uuid::nil());
    // It need not even be JSON. The burst is twenty, and each counts as eight.
    let large = || ask(&shop, Method::POST, &path).body(" ".repeat(120 * 1024));
    large().send().await.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    let refused = join_all((0..4).map(|_| large().send())).await;
    assert!(refused.iter().any(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS), "{refused:?}");
    // The operator is not counted.
    for reply in join_all((0..4).map(|_| large().operator().send())).await {
        reply.expect_problem(StatusCode::BAD_REQUEST, "malformed-request");
    }
}

#[sqlx::test(migrations = false)]
async fn what_is_read_for_a_command_counts_as_commands(pool: PgPool) {
    let limits = Limits { writes_per_second: 1, behind_a_proxy: true, ..Limits::default() };
    let shop = open(&pool, limits).await;
    shop.define("MUG", 1000, 1_000).await;
    let lines = |count| json!({ "lines": vec![json!({ "sku": "MUG", "quantity": 1 }); count] });
    let mut carts = Vec::new();
    for _ in 0..3 {
        let opened = shop.post_as_operator("/carts", json!({ "currency": "GBP" })).await;
        let cart = format!("/carts/{}", opened.expect(StatusCode::CREATED)["cart_id"].as_str().unwrap());
        for _ in 0..4 {
            shop.post_as_operator(&format!("{cart}/lines"), lines(500)).await.expect(StatusCode::OK);
        }
        carts.push(cart);
    }
    // Then no cart is in memory.
    let shop = shop.crash_and_reopen().await;
    let from = |number: usize, method: Method, path: &str| {
        ask(&shop, method, path).header("x-forwarded-for", &format!("203.0.113.{number}")).new_key()
    };
    let total = json!({ "total": { "amount": 2_000_000, "currency": "GBP" }, "country": "GB" });
    let requests = [
        // It changes nothing.
        from(0, Method::DELETE, &format!("{}/lines/{}", carts[0], uuid::Uuid::nil())),
        // The cart has as many lines as it may have.
        from(1, Method::POST, &format!("{}/lines", carts[1])).json(&lines(1)),
        // There is not so much in stock, and the cart says how much is asked for.
        from(2, Method::POST, &format!("{}/checkout", carts[2])).json(&total),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let answered = request.send().await.status;
        let expected = if number == 0 { StatusCode::OK } else { StatusCode::CONFLICT };
        assert_eq!(answered, expected, "{number}");
        // 2,000 events are worth as much as a whole burst, which is ten.
        let next = || from(number, Method::POST, "/carts").json(&json!({ "currency": "GBP" })).send();
        let next = join_all((0..8).map(|_| next())).await;
        let is_refused = |reply: &Reply| reply.status == StatusCode::TOO_MANY_REQUESTS;
        assert!(next.iter().any(is_refused), "{number}: {next:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn each_sku_of_an_order_counts_as_a_command(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    let skus: Vec<String> = (0..30).map(|number| format!("MUG-{number}")).collect();
    for sku in &skus {
        shop.define(sku, 100, 1_000).await;
    }
    let filled = async |skus: &[String]| {
        let opened = shop.post_as_operator("/carts", json!({ "currency": "GBP" })).await;
        let cart_id = opened.expect(StatusCode::CREATED)["cart_id"].as_str().unwrap().to_owned();
        let lines: Vec<Value> = skus.iter().map(|sku| json!({ "sku": sku, "quantity": 1 })).collect();
        let put = shop.post_as_operator(&format!("/carts/{cart_id}/lines"), json!({ "lines": lines })).await;
        put.expect(StatusCode::OK);
        (format!("/carts/{cart_id}"), skus.len() * 100)
    };
    let check_out = async |(cart, total): &(String, usize)| {
        let body = json!({ "total": { "amount": total, "currency": "GBP" }, "country": "GB" });
        let path = format!("{cart}/checkout");
        ask(&shop, Method::POST, &path).new_key().header("prefer", "wait=20").json(&body).send().await
    };
    let large = filled(&skus).await;
    let usual = [filled(&skus[..3]).await, filled(&skus[..3]).await];
    // The burst is twenty, and the large one would take all of it.
    check_out(&usual[0]).await.expect(StatusCode::OK);
    let refused = check_out(&large).await;
    assert!(refused.retry_after.is_some(), "{refused:?}");
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-requests");
    check_out(&usual[1]).await.expect(StatusCode::OK);
    // Nothing was recorded of it, and the operator is not counted.
    let body = json!({ "total": { "amount": large.1, "currency": "GBP" }, "country": "GB" });
    let checkout = shop.request(Method::POST, &format!("{}/checkout", large.0)).operator().new_key();
    checkout.header("prefer", "wait=20").json(&body).send().await.expect(StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn another_payment_of_an_order_counts_as_the_commands_that_follow_from_it(pool: PgPool) {
    let shop = open(&pool, Limits { writes_per_second: 2, ..Limits::default() }).await;
    shop.define("MUG", 100, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 100).await;
    let body = json!({
        "amount": { "amount": 100, "currency": "GBP" }, "payment_method": "pm_card_chargeDeclined",
    });
    let path = format!("/orders/{order_id}/payments");
    // Each over a connection of its own, and none of them busy.
    let pay = || ask(&shop, Method::POST, &path).new_key().header("prefer", "wait=20").json(&body);
    let first = pay().send().await.expect(StatusCode::OK);
    assert_eq!(first["payment_status"], "declined", "{first}");
    // The burst is twenty, and each of the others counts as six.
    let mut answers = Vec::new();
    while answers.len() < 10 {
        let reply = pay().send().await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        answers.push(reply.expect(StatusCode::OK));
    }
    assert!((2..=6).contains(&answers.len()), "{answers:?}");
    // The operator is not counted.
    pay().operator().send().await.expect(StatusCode::OK);
}

/// How often a page of a cart with a thousand events is answered, over a connection of its own each time, before its address
/// has used up its share of twenty.
async fn answered_of_a_long_history(pool: &PgPool, page: &str) -> usize {
    let shop = open(pool, Limits { reads_per_second: 2, ..Limits::default() }).await;
    shop.define("MUG", 100, 10_000).await;
    let opened = shop.post_as_operator("/carts", json!({ "currency": "GBP" })).await;
    let cart_id = opened.expect(StatusCode::CREATED)["cart_id"].as_str().unwrap().to_owned();
    let lines = vec![json!({ "sku": "MUG", "quantity": 1 }); 500];
    for _ in 0..2 {
        let put = shop.post_as_operator(&format!("/carts/{cart_id}/lines"), json!({ "lines": lines })).await;
        put.expect(StatusCode::OK);
    }
    let mut answered = 0;
    loop {
        // A live page is left as soon as it has begun.
        let response = ask(&shop, Method::GET, &format!("/carts/{cart_id}{page}")).send_raw().await;
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => return answered,
            status => assert_eq!(status, StatusCode::OK),
        }
        answered += 1;
    }
}

#[sqlx::test(migrations = false)]
async fn a_difference_counts_by_the_events_that_are_read_for_it(pool: PgPool) {
    // Two times the whole history are twice what an address may ask for at once.
    let answered = answered_of_a_long_history(&pool, "/diff?from=revision:999").await;
    assert!((1..=3).contains(&answered), "{answered}");
}

#[sqlx::test(migrations = false)]
async fn a_point_before_everything_counts_by_the_events_that_are_looked_at_for_it(pool: PgPool) {
    let before = "2000-01-01T00:00:00Z";
    let answered = answered_of_a_long_history(&pool, &format!("/diff?from={before}&to={before}")).await;
    assert!((1..=3).contains(&answered), "{answered}");
}

#[sqlx::test(migrations = false)]
async fn the_past_counts_by_the_events_that_are_read_for_it(pool: PgPool) {
    let answered = answered_of_a_long_history(&pool, "?as_of=revision:999").await;
    assert!((1..=4).contains(&answered), "{answered}");
}

#[sqlx::test(migrations = false)]
async fn a_live_page_counts_by_the_events_that_are_read_for_it(pool: PgPool) {
    let answered = answered_of_a_long_history(&pool, "/live").await;
    assert!((1..=4).contains(&answered), "{answered}");
}
