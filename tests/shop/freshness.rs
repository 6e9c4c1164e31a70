//! Reading what one has written: every query takes `min-position` and `Prefer: wait`.

use crate::harness::{Shop, TOKEN};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// No test's log comes there, but one might soon: it is waited for.
const NOT_SOON: u64 = 16_000_000;
/// No log comes there.
const NEVER: u64 = 9_000_000_000_000_000;

/// The addresses of the query side, from the table of its routes: nobody can forget to add a new one.
fn addresses() -> BTreeSet<String> {
    query_api::route_table().iter().map(|route| route.address.clone()).collect()
}

/// With the parameters that some addresses cannot do without.
fn with_what_it_needs(path: String) -> String {
    match path.rsplit('/').next() {
        _ if path.starts_with("/v1/analytics/") => format!("{path}?from=2026-01-01&to=2027-01-01"),
        Some("diff") => format!("{path}?from=revision:0"),
        Some("export") => format!("{path}?format=ndjson"),
        _ => path,
    }
}

/// A shop in which there is something at each address, and these addresses.
struct Filled {
    shop: Shop,
    paths: Vec<String>,
}

impl Filled {
    async fn open(pool: &PgPool) -> Self {
        let shop = Shop::open(pool).await;
        shop.define("MUG", 1000, 10).await;
        let cart_id = shop.cart(&[("MUG", 1)]).await;
        let placed = shop.check_out(&cart_id, 1000).await;
        let position = placed.position.unwrap();
        let order_id = placed.expect(StatusCode::OK);
        let order_id = order_id["order_id"].as_str().unwrap();
        let paths = addresses().into_iter().map(|address| {
            let path = address.replace("{sku}", "MUG").replace("{cart_id}", &cart_id);
            let path = path.replace("{order_id}", order_id).replace("{revision}", "0");
            let path = with_what_it_needs(path);
            assert!(!path.contains('{'), "say here what stands in the new address {address}");
            path
        });
        let paths = paths.collect();
        let filled = Self { shop, paths };
        // From now on every read model can say how far it has come.
        for (path, answer) in filled.ask_all(position, "wait=25").await {
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
        filled
    }

    /// Asks at each address at once. Whose answer does not end is left when it has begun.
    async fn ask_all(&self, position: u64, prefer: &str) -> Vec<(&str, Response)> {
        let asking = self.paths.iter().map(|path| async move {
            let separator = if path.contains('?') { '&' } else { '?' };
            let url = format!("{}{path}{separator}min-position={position}", self.shop.url());
            let request = reqwest::Client::new().get(url).bearer_auth(TOKEN).header("prefer", prefer);
            (path.as_str(), request.send().await.unwrap())
        });
        futures::future::join_all(asking).await
    }
}

async fn receive(shop: &Shop) -> u64 {
    let reply = shop.post_as_operator("/stock/MUG/receipts", json!({ "quantity": 1 })).await;
    reply.position.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[sqlx::test(migrations = false)]
async fn what_is_not_there_in_time_is_said_at_every_address(pool: PgPool) {
    let filled = Filled::open(&pool).await;
    for (wait, applied) in [(0, "wait=0"), (1, "wait=1")] {
        let begun = Instant::now();
        let answers = filled.ask_all(NOT_SOON, &format!("wait={wait}")).await;
        assert!(begun.elapsed() >= Duration::from_secs(wait));
        for (path, answer) in answers {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(header(&answer, "retry-after"), "1", "{path}");
            assert_eq!(header(&answer, "preference-applied"), applied, "{path}");
            let position = header(&answer, "emporium-position").to_owned();
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["type"], "urn:emporium:problem:position-not-reached", "{path}");
            assert_eq!(body["wanted"], NOT_SOON, "{path}");
            assert_eq!(body["reached"].to_string(), position, "{path}");
            assert!(body["reached"].as_u64().is_some_and(|reached| reached < NOT_SOON), "{path}: {body}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn nobody_waits_for_what_no_log_comes_to(pool: PgPool) {
    let filled = Filled::open(&pool).await;
    for (path, answer) in filled.ask_all(NEVER, "wait=30").await {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        // It has not waited.
        assert_eq!(header(&answer, "preference-applied"), "", "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["type"], "urn:emporium:problem:position-not-reached", "{path}");
        assert!(body["detail"].as_str().unwrap().contains("far beyond"), "{path}: {body}");
    }
}

#[sqlx::test(migrations = false)]
async fn every_address_waits_for_what_is_about_to_happen(pool: PgPool) {
    let filled = Filled::open(&pool).await;
    let shop = &filled.shop;
    let (first, second) = (receive(shop).await, receive(shop).await);
    // Further than what the order still has to write can reach.
    let wanted = second + 50 * (second - first);
    let asking = async {
        let begun = Instant::now();
        (filled.ask_all(wanted, "handling=strict, wait=25").await, begun.elapsed())
    };
    let writing = async {
        // Longer than a request waits by itself: whoever has forgotten the preference is gone by then.
        let late = shop.request(Method::GET, &format!("/products?min-position={NOT_SOON}"));
        late.header("prefer", "wait=3").send().await;
        while receive(shop).await < wanted {}
    };
    let ((answers, waited), ()) = tokio::join!(asking, writing);
    assert!(waited >= Duration::from_secs(3));
    for (path, answer) in answers {
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&answer, "preference-applied"), "wait=25", "{path}");
        assert!(header(&answer, "emporium-position").parse::<u64>().unwrap() >= wanted, "{path}");
    }
}

/// When each connection of the query side last began a statement.
async fn last_statements(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT pid || ' ' || coalesce(query_start::text, '') FROM pg_stat_activity
         WHERE application_name LIKE 'emporium-query-api%' AND datname = current_database() ORDER BY pid",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrations = false)]
async fn requests_that_wait_ask_the_database_nothing(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    // A read model that comes to life announces that, and then it is looked for where all of them are: not any more when
    // all have answered.
    let lists = addresses().into_iter().filter(|path| !path.contains('{') && !path.ends_with("/live"));
    for path in lists {
        shop.get_now(&with_what_it_needs(path)).await.expect(StatusCode::OK);
    }
    let before = last_statements(&pool).await;
    assert!(!before.is_empty());
    let waiting = (0..200).map(|number| {
        let path = if number % 2 == 0 { "/products/MUG" } else { "/stock" };
        let request = shop.request(Method::GET, &format!("{path}?min-position={NOT_SOON}"));
        request.operator().header("prefer", "wait=2").send()
    });
    // Meanwhile the read models move on, and nobody who waits goes and looks.
    let writing = async {
        for _ in 0..20 {
            receive(&shop).await;
        }
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(waiting), writing);
    for answer in answers {
        answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "position-not-reached");
    }
    assert_eq!(last_statements(&pool).await, before);
}
