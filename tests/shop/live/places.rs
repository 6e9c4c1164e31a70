//! Live pages are shared out: an address has its share, and the operator and those who wait for a position a reserve.

use super::Listener;
use crate::harness::{DEADLINE, Shop, Terms};
use crate::limits::Limits;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use query_api::LiveArgs;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::json;
use sqlx::PgPool;

async fn watch(shop: &Shop, path: &str) -> Response {
    Client::new().get(shop_client::address_of(shop.url(), path)).send().await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn an_address_has_its_share_and_the_operator_and_those_who_wait_a_reserve(pool: PgPool) {
    let live = LiveArgs {
        live_places: 6,
        live_places_of_address: 3,
        live_places_of_connection: 3,
        live_places_reserved: 2,
        ..LiveArgs::DEFAULT
    };
    let shop = Shop::open_on(&pool, Terms { live, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let cart_id = shop.cart(&[]).await;
    let cart = format!("/carts/{cart_id}");
    let mut watching = Vec::new();
    for path in ["/stock/MUG/live", "/stock/MUG/live", &format!("{cart}/live")] {
        let response = watch(&shop, path).await;
        assert_eq!(response.status(), StatusCode::OK);
        watching.push(response);
    }
    for path in ["/stock/MUG/live", &format!("{cart}/live")] {
        let refused = shop.get(path).await;
        assert_eq!(refused.retry_after.as_deref(), Some("10"));
        let problem = refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-live-pages");
        assert_eq!(problem["max"], 3);
    }

    // Nobody is in the operator's way; but there are only so many places in all.
    let mut first = Listener::connect(shop.url(), "/sales/live", None).await;
    assert!(first.next().await.is_some());
    let _second = Listener::connect(shop.url(), "/sales/live", None).await;
    let _third = Listener::connect(shop.url(), "/sales/live", None).await;
    let refused = shop.request(Method::GET, "/sales/live").operator().send().await;
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded");

    // Whoever reads what was written a moment ago waits beside them.
    let known = shop.get_now(&format!("{cart}/history")).await.position.unwrap();
    let path = format!("{cart}/history?min-position={}", known + 1);
    let waiting = shop.request(Method::GET, &path).header("prefer", "wait=20").send();
    let line = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    let lines = format!("{cart}/lines");
    let (read, written) = tokio::join!(waiting, shop.post(&lines, line));
    written.expect(StatusCode::OK);
    assert_eq!(read.expect(StatusCode::OK)["items"][1]["type"], "cart.item_added.v1");

    // A place is free again when its listener has gone.
    drop(watching.pop());
    let coming = async { while watch(&shop, "/stock/MUG/live").await.status() != StatusCode::OK {} };
    tokio::time::timeout(DEADLINE, coming).await.expect("the place is free in time");
}

#[sqlx::test(migrations = false)]
async fn those_who_wait_for_a_read_model_have_a_share_and_the_operator_a_reserve(pool: PgPool) {
    let live = LiveArgs { waiting_requests: 8, live_places_reserved: 2, ..LiveArgs::DEFAULT };
    let limits = Limits { behind_a_proxy: true, ..Limits::default() };
    let shop = Shop::open_on(&pool, Terms { live, limits, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let known = shop.get_now("/products/MUG").await.position.unwrap();
    let path = format!("/products/MUG?min-position={}", known + 1);
    let page = |from: u8| {
        let request =
            shop.request(Method::GET, &path).header("x-forwarded-for", &format!("203.0.113.{from}"));
        request.header("prefer", "wait=25").send()
    };
    // An address has one place.
    let mut waiting: FuturesUnordered<_> = [page(1), page(1)].into_iter().collect();
    let refused = waiting.next().await.unwrap();
    let problem = refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too-many-live-pages");
    assert_eq!(problem["max"], 1);
    // Those of all addresses are six.
    waiting.extend((2..=7).map(page));
    let refused = waiting.next().await.unwrap();
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    // What is there is read without a place, and the operator has two.
    shop.get(&format!("/products/MUG?min-position={known}")).await.expect(StatusCode::OK);
    let operator = shop.request(Method::GET, &path).operator().header("prefer", "wait=25").send();
    let receipt = shop.post_as_operator("/stock/MUG/receipts", json!({ "quantity": 1 }));
    let (operator, receipt) = tokio::join!(operator, receipt);
    receipt.expect(StatusCode::CREATED);
    operator.expect(StatusCode::OK);
    while let Some(read) = waiting.next().await {
        read.expect(StatusCode::OK);
    }
}
