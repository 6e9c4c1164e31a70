//! Looking after the read models of a running shop.

use crate::harness::Shop;
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

const NAMES: [&str; 10] = [
    "analytics_carts",
    "analytics_orders",
    "analytics_sales",
    "analytics_stock",
    "carts",
    "orders",
    "products",
    "sales",
    "stock",
    "trail",
];

async fn versions(shop: &Shop, name: &str) -> Vec<Value> {
    let all = shop.request(Method::GET, "/projections").operator().send().await.expect(StatusCode::OK);
    let projection = all.as_array().unwrap().iter().find(|projection| projection["name"] == name);
    projection.unwrap()["versions"].as_array().unwrap().clone()
}

/// Until every version of the projection has applied everything.
async fn caught_up(shop: &Shop, name: &str) {
    shop.get_when("/projections", |all| {
        let mut mine = all.as_array().unwrap().iter().filter(|projection| projection["name"] == name);
        mine.all(|projection| {
            let versions = projection["versions"].as_array().unwrap();
            !versions.is_empty() && versions.iter().all(|version| version["pace"] == "idle")
        })
    })
    .await;
}

async fn order(shop: &Shop, path: &str, body: Value) -> crate::http::Reply {
    shop.post_as_operator(path, body).await
}

#[sqlx::test(migrations = false)]
async fn a_projection_is_rebuilt_compared_switched_and_taken_back(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let first = shop.order(&[("MUG", 2)], 2000).await;
    shop.pay(&first, 2000).await.expect(StatusCode::OK);
    caught_up(&shop, "orders").await;
    let before = versions(&shop, "orders").await;
    assert_eq!((before.len(), &before[0]["state"], &before[0]["version"]), (1, &json!("serving"), &json!(1)));

    let made = order(&shop, "/projections/orders/rebuild", json!({ "shards": 2 })).await;
    assert_eq!(made.expect(StatusCode::ACCEPTED), json!({ "name": "orders", "version": 2 }));
    let again = order(&shop, "/projections/orders/rebuild", json!({})).await;
    again.expect_problem(StatusCode::CONFLICT, "rebuilding");
    // The shop goes on, and both follow.
    let second = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&second, 1000).await.expect(StatusCode::OK);
    caught_up(&shop, "orders").await;
    for version in [1, 2] {
        let compared = order(&shop, "/projections/orders/compare", json!({ "version": version })).await;
        let compared = compared.expect(StatusCode::OK);
        assert_eq!((&compared["differences"], &compared["version"]), (&json!(0), &json!(version)));
        assert!(compared["rows"].as_u64().unwrap() > 10, "{compared}");
    }
    let page = shop.get_now(&format!("/orders/{second}")).await.expect(StatusCode::OK);
    order(&shop, "/projections/orders/switch", json!({})).await.expect(StatusCode::OK);
    assert_eq!(shop.get_now(&format!("/orders/{second}")).await.expect(StatusCode::OK), page);
    let third = shop.order(&[("MUG", 3)], 3000).await;
    assert_eq!(shop.get_now(&format!("/orders/{third}")).await.expect(StatusCode::OK)["status"], "pending");
    let states: Vec<_> = versions(&shop, "orders").await.iter().map(|v| v["state"].clone()).collect();
    assert_eq!(states, ["standby", "serving"]);

    order(&shop, "/projections/orders/rollback", json!({})).await.expect(StatusCode::OK);
    assert_eq!(shop.get_now(&format!("/orders/{third}")).await.expect(StatusCode::OK)["status"], "pending");
    let states: Vec<_> = versions(&shop, "orders").await.iter().map(|v| v["state"].clone()).collect();
    assert_eq!(states, ["serving", "standby"]);
}

#[sqlx::test(migrations = false)]
async fn queries_do_not_notice_that_versions_are_switched_under_them(pool: PgPool) {
    const SWITCHES: usize = 12;
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    shop.pay(&order_id, 2000).await.expect(StatusCode::OK);
    caught_up(&shop, "orders").await;
    order(&shop, "/projections/orders/rebuild", json!({})).await.expect(StatusCode::ACCEPTED);
    caught_up(&shop, "orders").await;
    let page = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let readers = (0..8).map(|_| async {
        let mut reads = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let read =
                shop.request(Method::GET, &format!("/orders/{order_id}")).send().await.expect(StatusCode::OK);
            assert_eq!(read, page);
            let listed =
                shop.request(Method::GET, "/orders?limit=5").operator().send().await.expect(StatusCode::OK);
            assert_eq!(listed["items"].as_array().unwrap().len(), 1);
            reads += 1;
        }
        reads
    });
    let switching = async {
        let mut switched = 0;
        while switched < SWITCHES {
            let reply = order(&shop, "/projections/orders/switch", json!({})).await;
            // Not while the other one has still an event to apply, or readers hold on to the tables.
            if reply.status == StatusCode::OK {
                switched += 1;
            } else {
                assert!([StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE].contains(&reply.status));
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (reads, ()) = tokio::join!(join_all(readers), switching);
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
}

#[sqlx::test(migrations = false)]
async fn only_the_operator_looks_after_projections_and_only_after_those_there_are(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let anybody = shop.request(Method::GET, "/projections").send().await;
    anybody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    for path in ["rebuild", "switch", "rollback", "compare"] {
        let anybody = shop.post(&format!("/projections/orders/{path}"), json!({})).await;
        anybody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
        let unknown = order(&shop, &format!("/projections/weather/{path}"), json!({})).await;
        unknown.expect_problem(StatusCode::NOT_FOUND, "not-found");
    }
    caught_up(&shop, "orders").await;
    let nothing = order(&shop, "/projections/orders/rollback", json!({})).await;
    nothing.expect_problem(StatusCode::CONFLICT, "no-other-version");
    for (path, body) in [
        ("rebuild", json!({ "shards": 0 })),
        ("rebuild", json!({ "shards": 65 })),
        ("compare", json!({ "percent": 101 })),
    ] {
        let refused = order(&shop, &format!("/projections/orders/{path}"), body).await;
        refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
    }
    let parked = order(&shop, "/projections/orders/parked/order-1/retry", json!({})).await;
    parked.expect_problem(StatusCode::NOT_FOUND, "not-found");
    let parked = shop.request(Method::GET, "/projections/orders/parked").operator().send().await;
    assert_eq!(parked.expect(StatusCode::OK), json!([]));
}

#[sqlx::test(migrations = false)]
async fn the_figures_of_every_version_can_be_watched(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    for name in NAMES {
        caught_up(&shop, name).await;
    }
    let metrics = reqwest::get(format!("{}/metrics", shop.url())).await.unwrap().text().await.unwrap();
    for name in NAMES {
        let labels = format!(r#"{{projection="{name}",version="1",state="serving"}}"#);
        for figure in ["lag_seconds", "parked_streams", "stands_still"] {
            let line = format!("emporium_projection_{figure}{labels} 0\n");
            assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
        }
    }
}
