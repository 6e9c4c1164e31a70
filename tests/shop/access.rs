//! Who may do what.

use crate::harness::{DEADLINE, Shop, TOKEN, gbp};
use crate::http::Request;
use api::Role;
use http_routes::RouteTable;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[sqlx::test(migrations = false)]
async fn a_shopper_may_not_do_what_is_the_operators(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[]).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let agreed = json!({ "lines": [{ "sku": "MUG", "quantity": 1, "agreed_unit_price": gbp(1) }] });
    let forbidden: Vec<(Method, String, Value)> = vec![
        (
            Method::POST,
            "/products".to_owned(),
            json!({ "sku": "A", "merchant_id": "m", "name": "n", "price": gbp(1) }),
        ),
        (Method::PUT, "/products/MUG/price".to_owned(), json!({ "price": gbp(1) })),
        (Method::DELETE, "/products/MUG".to_owned(), json!({})),
        (Method::POST, "/stock/MUG/receipts".to_owned(), json!({ "quantity": 1 })),
        (Method::POST, "/stock/MUG/adjustments".to_owned(), json!({ "delta": 1, "reason": "found" })),
        (Method::POST, format!("/carts/{cart_id}/lines"), agreed),
        (
            Method::POST,
            format!("/orders/{order_id}/payments"),
            json!({ "amount": gbp(1000), "method": "card", "reference": "r" }),
        ),
        (Method::POST, format!("/orders/{order_id}/shipment"), json!({})),
        (Method::POST, format!("/orders/{order_id}/delivery"), json!({})),
        (Method::POST, format!("/orders/{order_id}/refunds"), json!({ "amount": gbp(1), "reference": "r" })),
    ];
    for (method, path, body) in forbidden {
        let reply = shop.request(method, &path).json(&body).send().await;
        reply.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    }
    for path in ["/carts", "/orders", "/stock", "/events", "/sales/days"] {
        shop.get(path).await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    }
    let past = shop.request(Method::POST, "/carts").header("emporium-occurred-at", "2010-12-01T08:26:00Z");
    let past = past.json(&json!({ "currency": "GBP" })).send().await;
    past.expect_problem(StatusCode::FORBIDDEN, "operator-only");
}

/// Every route of the shop.
fn routes() -> RouteTable {
    command_api::route_table().and(query_api::route_table()).and(projections::route_table())
}

/// An address with something in the place of each variable.
fn filled(address: &str) -> String {
    let id = uuid::Uuid::nil().to_string();
    let value = |name: &str| match name {
        "sku" => "MUG".to_owned(),
        "name" => "orders".to_owned(),
        "stream" => "order-1".to_owned(),
        "revision" => "0".to_owned(),
        _ => id.clone(),
    };
    let parts = address.split('/').map(|part| match part.strip_prefix('{') {
        Some(name) => value(name.trim_end_matches('}')),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[sqlx::test(migrations = false)]
async fn every_route_asks_for_its_permission_before_its_body_comes(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for route in routes().iter() {
        let is_for_all = route.permission.roles.contains(&Role::Shopper);
        // A shopper's answer may wait for the body, or go on for ever.
        let asked_as = |token: Option<&str>| {
            let token = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
            let (method, path) = (&route.method, filled(&route.address));
            format!(
                "{method} {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n{token}content-length: 9\r\n\r\n"
            )
        };
        if !is_for_all {
            let refused = first_answer(&shop, &asked_as(None)).await;
            assert!(refused.starts_with("HTTP/1.1 403"), "{route:?}: {refused}");
            assert!(refused.contains("operator-only"), "{route:?}: {refused}");
            let refused = first_answer(&shop, &asked_as(Some("wrong"))).await;
            assert!(refused.starts_with("HTTP/1.1 401"), "{route:?}: {refused}");
        }
    }
}

/// What the service answers before any of the body has come: the connection ends with that.
async fn first_answer(shop: &Shop, head: &str) -> String {
    let mut stranger = TcpStream::connect(shop.url().trim_start_matches("http://")).await.unwrap();
    stranger.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let answered = tokio::time::timeout(DEADLINE, stranger.read_to_string(&mut answer)).await;
    answered.unwrap_or_else(|_| panic!("it is answered without its body: {head}")).unwrap();
    answer
}

#[sqlx::test(migrations = false)]
async fn every_route_lets_those_pass_who_have_its_permission(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    for route in routes().iter() {
        let path = filled(&route.address);
        let ask = |request: Request| async {
            let response = request.json(&json!({})).send_raw().await;
            (response.status(), response.headers().get("content-type").cloned())
        };
        let (status, _) = ask(shop.request(route.method.clone(), &path).operator().new_key()).await;
        assert!(![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status), "{route:?}: {status}");
        if route.permission.roles.contains(&Role::Shopper) {
            let (status, _) = ask(shop.request(route.method.clone(), &path).new_key()).await;
            assert!(
                ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
                "{route:?}: {status}"
            );
        }
    }
}

#[test]
fn every_route_is_in_the_description_with_its_permission() {
    let listed: Vec<_> = routes().iter().cloned().collect();
    let described = serde_json::to_value(routes().into_openapi()).unwrap();
    for route in &listed {
        let address = route.address.strip_prefix(api::PREFIX).expect("every address has the prefix");
        let operation = &described["paths"][address][route.method.as_str().to_lowercase()];
        assert_eq!(operation["x-permission"], route.permission.name, "{route:?}");
        assert!(operation["summary"].as_str().is_some_and(|about| !about.is_empty()), "{route:?}");
        let answers = operation["responses"].as_object().expect("it has answers");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{route:?}");
    }
    let count: usize =
        described["paths"].as_object().unwrap().values().map(|of| of.as_object().unwrap().len()).sum();
    assert_eq!(count, listed.len());
}

#[test]
fn the_committed_description_is_that_of_this_program() {
    let committed = include_str!("../../docs/openapi.json");
    let description = emporium::cli::openapi().unwrap();
    assert!(committed == description, "write it again: cargo run -p emporium -- openapi > docs/openapi.json");
}

#[sqlx::test(migrations = false)]
async fn a_wrong_token_is_not_taken_for_none(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    shop.get_now("/products").await.expect(StatusCode::OK);
    let cut = &TOKEN[..TOKEN.len() - 1];
    for header in ["Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Bearer ", &format!("Bearer {cut}")] {
        let reply = shop.request(Method::GET, "/products").header("authorization", header).send().await;
        // Public reading looks at no token; a command does.
        assert_eq!(reply.status, StatusCode::OK);
        let reply = shop.request(Method::POST, "/carts").header("authorization", header);
        let reply = reply.json(&json!({ "currency": "GBP" })).send().await;
        reply.expect_problem(StatusCode::UNAUTHORIZED, "unknown-token");
    }
}

#[sqlx::test(migrations = false)]
async fn the_operator_may_give_past_times(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let open = |time: &str| {
        let request = shop.request(Method::POST, "/carts").operator().header("emporium-occurred-at", time);
        request.json(&json!({ "currency": "GBP" })).send()
    };
    let cart = open("2010-12-01T08:26:00Z").await.expect(StatusCode::CREATED);
    let stream = format!("cart-{}", cart["cart_id"].as_str().unwrap());
    let events = shop.get_now(&format!("/events?stream={stream}")).await.expect(StatusCode::OK);
    assert_eq!(events["items"][0]["metadata"]["occurred_at"], "2010-12-01T08:26:00.000000Z");
    open("2999-01-01T00:00:00Z").await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    open("yesterday").await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
}

#[sqlx::test(migrations = false)]
async fn anybody_is_told_whether_the_shop_is_ready_and_the_operator_why_not(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.get("/livez").await.expect(StatusCode::OK);
    let ready = async {
        while shop.health().await.body["ready"] != true || shop.get("/readyz").await.status != StatusCode::OK
        {
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.expect("the shop is ready in time");
    assert_eq!(shop.get("/readyz").await.body, json!({ "ready": true }));
    shop.get("/metrics").await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    for path in ["/readyz", "/metrics"] {
        let reply = shop.request(Method::GET, path).header("authorization", "Bearer wrong").send().await;
        reply.expect_problem(StatusCode::UNAUTHORIZED, "unknown-token");
    }
    let told = shop.health().await.body;
    assert_eq!(told["parts"]["projections"]["ready"], true);
    let connections = &told["parts"]["connections"]["detail"];
    assert!(connections["descriptors"]["used"].as_u64() < connections["descriptors"]["limit"].as_u64());
    assert!(connections["ports"]["http"]["open"].as_u64() > Some(0), "{connections}");
    let metrics = shop.metrics().await;
    for name in [
        "connections_open{port=\"http\"}",
        "connections_evicted_total{port=\"event-store\"}",
        "descriptors_used",
    ] {
        assert!(metrics.contains(&format!("emporium_{name} ")), "{name}: {metrics}");
    }
}

#[sqlx::test(migrations = false)]
async fn shoppers_see_what_is_available_and_not_what_was_sold(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.order(&[("MUG", 3)], 3000).await;
    shop.get_when("/stock/MUG", |stock| stock["available"] == 7).await;
    let seen = shop.get("/stock/MUG").await;
    assert_eq!(seen.etag, None);
    let seen = seen.expect(StatusCode::OK);
    let names: Vec<&str> = seen.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &seen["available"]), (vec!["available", "changed_at", "sku"], &json!(7)));
    shop.request(Method::GET, "/stock/MUG")
        .header("authorization", "Bearer guessed")
        .send()
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "unknown-token");
}

#[sqlx::test(migrations = false)]
async fn a_shoppers_live_stock_tells_no_more_than_the_page(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let mut live = shop.request(Method::GET, "/stock/MUG/live").send_raw().await;
    let told = live.chunk().await.unwrap().unwrap();
    let told = std::str::from_utf8(&told).unwrap();
    let data = told.lines().find_map(|line| line.strip_prefix("data: ")).expect("how it stands comes first");
    let seen: Value = serde_json::from_str(data).unwrap();
    let names: Vec<&str> = seen.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &seen["available"]), (vec!["available", "changed_at", "sku"], &json!(10)));
}
