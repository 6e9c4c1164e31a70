//! Looking after the read models of a running shop.

use crate::harness::{DEADLINE, Shop, TOKEN};
use clap::Parser;
use emporium::cli::CommandLine;
use event_store::{ExpectedRevision, Metadata, NewEvent};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::error::Error;
use uuid::Uuid;

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
    for path in ["rebuild", "abandon", "switch", "rollback", "compare"] {
        let anybody = shop.post(&format!("/projections/orders/{path}"), json!({})).await;
        anybody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
        let unknown = order(&shop, &format!("/projections/weather/{path}"), json!({})).await;
        unknown.expect_problem(StatusCode::NOT_FOUND, "not-found");
    }
    caught_up(&shop, "orders").await;
    let nothing = order(&shop, "/projections/orders/rollback", json!({})).await;
    nothing.expect_problem(StatusCode::CONFLICT, "no-other-version");
    let nothing = order(&shop, "/projections/orders/abandon", json!({})).await;
    nothing.expect_problem(StatusCode::CONFLICT, "not-rebuilding");
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

/// The same rules as for commands. By itself serde reads the fields of a struct from an array as well: `[1, true]` was a
/// switch in spite of parked streams.
#[sqlx::test(migrations = false)]
async fn bodies_that_are_not_what_they_are_declared_or_asked_to_be_are_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let json = "application/json";
    let utf_16 = "application/json; charset=utf-16";
    for (path, array) in [
        ("rebuild", "[1,false]"),
        ("switch", "[1,true]"),
        ("rollback", "[true]"),
        ("compare", "[1,100]"),
        ("parked/order-1/retry", "[1]"),
        ("parked/order-1/skip", r#"[1,0,"broken"]"#),
    ] {
        for (body, content_type, encoding, status, id) in [
            (array, json, "identity", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
            ("{}", json, "gzip", StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding"),
            ("{}", utf_16, "identity", StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-charset"),
            ("{}", "text/plain", "identity", StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json"),
        ] {
            let request = shop.request(Method::POST, &format!("/projections/orders/{path}")).operator();
            let request = request.header("content-encoding", encoding).body_of(content_type, body);
            let problem = request.send().await.expect_problem(status, id);
            assert!(problem["detail"].is_string(), "{path}: {problem}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn the_figures_of_every_version_can_be_watched(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    for name in NAMES {
        caught_up(&shop, name).await;
    }
    let metrics = shop.metrics().await;
    for name in NAMES {
        let labels = format!(r#"{{projection="{name}",version="1",state="serving"}}"#);
        for figure in ["lag_seconds", "parked_streams", "stands_still"] {
            let line = format!("emporium_projection_{figure}{labels} 0\n");
            assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
        }
    }
}

/// `emporium projections …`, as an operator types it.
async fn type_in(shop: &Shop, words: &str) -> Result<(), Box<dyn Error>> {
    let start = ["emporium", "projections", "--url", shop.url(), "--token", TOKEN];
    CommandLine::try_parse_from(start.into_iter().chain(words.split(' '))).unwrap().run().await
}

/// The versions of the products that have parked the mug, when they are as wanted.
async fn parked_when(shop: &Shop, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let parked = shop.get_when("/projections/products/parked", |all| is_wanted(all.as_array().unwrap()));
    parked.await.as_array().unwrap().clone()
}

/// A price that nobody can read.
async fn spoil(shop: &Shop) {
    let metadata = Metadata {
        correlation_id: Uuid::from_u128(1),
        causation_id: Uuid::from_u128(1),
        command_id: Uuid::from_u128(1),
        actor: "operator".to_owned(),
        occurred_at: chrono::DateTime::UNIX_EPOCH,
        fingerprint: String::new(),
        more: false,
    };
    let of_the_future = NewEvent {
        id: Uuid::from_u128(2),
        event_type: "product.price_changed.v99",
        data: b"{}".to_vec(),
        metadata: metadata.to_json(),
    };
    shop.events().append("product-MUG", ExpectedRevision::Exact(0), vec![of_the_future]).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_parked_stream_is_told_of_tried_again_and_skipped_in_the_version_that_serves(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    spoil(&shop).await;
    let parked = parked_when(&shop, |all| !all.is_empty()).await;
    assert_eq!((&parked[0]["version"], &parked[0]["revision"]), (&json!(1), &json!(1)));
    // The others may be starting yet, and then are not ready.
    for name in NAMES {
        caught_up(&shop, name).await;
    }
    let health = shop.health().await.body;
    let part = &health["parts"]["projections"];
    let told = json!([{ "name": "products", "version": 1, "streams": 1 }]);
    assert_eq!((&part["detail"]["parked"], &part["ready"]), (&told, &json!(true)), "{part}");
    let metrics = shop.metrics().await;
    let line = r#"emporium_projection_parked_streams{projection="products",version="1",state="serving"} 1"#;
    assert!(metrics.contains(line), "{metrics}");

    type_in(&shop, "rebuild products").await.unwrap();
    parked_when(&shop, |all| all.len() == 2).await;
    type_in(&shop, "retry products product-MUG").await.unwrap();
    parked_when(&shop, |all| all.len() == 2 && all.iter().all(|stream| stream["asked"].is_null())).await;
    let skip = "/projections/products/parked/product-MUG/skip";
    let another = order(&shop, skip, json!({ "revision": 0, "reason": "of the future" })).await;
    another.expect_problem(StatusCode::CONFLICT, "parked-elsewhere");
    let none = order(&shop, skip, json!({ "version": 7, "revision": 1, "reason": "of the future" })).await;
    none.expect_problem(StatusCode::NOT_FOUND, "not-found");
    type_in(&shop, "skip products product-MUG --revision 1 --reason unreadable").await.unwrap();
    let parked = parked_when(&shop, |all| all.len() < 2).await;
    assert_eq!(parked[0]["version"], 2, "what does not serve was not asked for");

    // Now the new version stands still where the old one has gone on.
    assert_eq!(versions(&shop, "products").await[1]["newly_parked"], 1);
    let refused = type_in(&shop, "switch products").await.unwrap_err().to_string();
    assert!(refused.contains("product-MUG"), "{refused}");
    type_in(&shop, "skip products product-MUG --version 2 --revision 1 --reason unreadable").await.unwrap();
    parked_when(&shop, <[Value]>::is_empty).await;
    let skipped: Vec<_> =
        versions(&shop, "products").await.iter().map(|version| version["skipped_events"].clone()).collect();
    assert_eq!(skipped, [1, 1]);
    type_in(&shop, "switch products").await.unwrap();
    type_in(&shop, "rollback products").await.unwrap();
    type_in(&shop, "rebuild products").await.unwrap();
    type_in(&shop, "abandon products").await.unwrap();
    assert_eq!(versions(&shop, "products").await.len(), 1);
}

/// Whoever holds on to a checkpoint keeps its worker from its work, and nothing else says so.
#[sqlx::test(migrations = false)]
async fn a_read_model_that_stands_still_is_not_ready(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 0).await;
    caught_up(&shop, "products").await;
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM projection_checkpoints WHERE name = 'products' FOR UPDATE")
        .execute(&mut *holding)
        .await
        .unwrap();
    shop.define("CUP", 1000, 0).await;
    let standing = |health: &Value| health["parts"]["projections"]["detail"]["stands_still"].clone();
    let told = async {
        loop {
            let health = shop.health().await;
            if standing(&health.body) == json!([{ "name": "products", "version": 1 }]) {
                return health.status;
            }
        }
    };
    let status = tokio::time::timeout(DEADLINE, told).await.expect("it is told in time");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    holding.rollback().await.unwrap();
    let moves = async { while standing(&shop.health().await.body) != json!([]) {} };
    tokio::time::timeout(DEADLINE, moves).await.expect("it moves in time");
}
