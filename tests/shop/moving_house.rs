//! A living shop moves to another event store and back, by what docs/operations.md says, and is restored from a backup.

use crate::harness::{Shop, Terms};
use crate::sealing::{all_is_sealed, verified};
use event_store::{IMPORT_HAS_NOT_ENDED, LogId, Origin};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::path::Path;
use uuid::Uuid;

/// What people see, once the read models show all that is in the log.
async fn pages(shop: &Shop, orders: &[String]) -> Vec<Value> {
    let mut pages = Vec::new();
    let paths = ["/products", "/stock/MUG", "/carts?limit=100", "/sales/days"];
    let paths = paths.into_iter().map(str::to_owned);
    let paths = paths.chain(orders.iter().map(|order_id| format!("/orders/{order_id}")));
    for path in paths {
        let page = shop.get_when(&path, |_| true).await;
        pages.push(without_clocks(page));
    }
    pages
}

/// A copy's clock says when it took an event.
fn without_clocks(mut page: Value) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !matches!(name.as_str(), "position" | "recorded_at"));
                fields.values_mut().for_each(clean);
            }
            Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut page);
    page
}

/// One order in each of several states: paid, shipped, given back, called off, waiting for its money.
async fn orders(shop: &Shop) -> Vec<String> {
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(shop.order(&[("MUG", 1)], 1000).await);
    }
    for order_id in &orders[..3] {
        let paid = shop.pay_by("pm_sandbox_approve", order_id, 1000).await.expect(StatusCode::OK);
        assert_eq!(paid["status"], "processing");
    }
    let shipped = format!("/orders/{}/shipment", orders[1]);
    shop.post_as_operator(&shipped, json!({})).await.expect(StatusCode::OK);
    for order_id in [&orders[2], &orders[3]] {
        let cancellation = format!("/orders/{order_id}/cancellation");
        shop.post(&cancellation, json!({ "reason": "changed my mind" })).await;
    }
    orders
}

#[sqlx::test(migrations = false)]
async fn a_living_shop_moves_to_another_store_and_back(pool: PgPool) {
    let mut shop = Shop::open_on(&pool, Terms { seal_seconds: 1, ..Terms::default() }).await;
    shop.define("MUG", 1000, 100).await;
    let bought = orders(&shop).await;
    let open_cart = shop.cart(&[("MUG", 2)]).await;
    let mut kept = vec![all_is_sealed(&shop).await];
    let mut before = pages(&shop, &bought).await;
    let mut intents = shop.intents().await.len();

    for (moves, place) in ["second", "third"].into_iter().enumerate() {
        let there = shop.get_now(&format!("/orders/{}", bought[0])).await;
        let (position, log) = (there.position.unwrap(), there.log.clone().unwrap());
        shop = shop.move_house(place).await;
        // Nothing is asked of the gateway again, and the pages come back as they were.
        assert_eq!(pages(&shop, &bought).await, before);
        assert_eq!(shop.intents().await.len(), intents);
        let path = format!("/orders/{}?min-position={position}@{log}", bought[0]);
        let refused = shop.request(Method::GET, &path).operator().send().await;
        refused.expect_problem(StatusCode::CONFLICT, "position-of-another-log");
        let here = shop.get_now(&format!("/orders/{}", bought[0])).await;
        assert_ne!(here.log.as_deref(), Some(log.as_str()));

        // Nobody knows what a listener to the other log has heard of this one.
        let path = format!("/orders/{}/live", bought[0]);
        let live = shop.request(Method::GET, &path).header("last-event-id", &format!("{position}@{log}"));
        let first = live.send_raw().await.chunk().await.unwrap().expect("it says how the order stands");
        assert!(String::from_utf8_lossy(&first).contains("event: current"), "{first:?}");

        // Purchases go on: those that waited for their money, and new ones.
        let order_id = shop.order(&[("MUG", 1)], 1000).await;
        let paid = shop.pay_by("pm_sandbox_approve", &order_id, 1000).await;
        assert_eq!(paid.log, here.log);
        assert_eq!(paid.expect(StatusCode::OK)["status"], "processing");
        if moves == 0 {
            let waited = shop.pay_by("pm_sandbox_approve", &bought[4], 1000).await;
            assert_eq!(waited.expect(StatusCode::OK)["status"], "processing");
        }
        kept.push(all_is_sealed(&shop).await);
        before = pages(&shop, &bought).await;
        intents = shop.intents().await.len();
    }
    let checkout = shop.check_out(&open_cart, 2000).await.expect(StatusCode::OK);
    assert_eq!(checkout["status"], "pending");
    let outcome = verified(&shop, kept).await;
    assert_eq!((outcome.findings, outcome.kept_seals_found), (vec![], 3));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The read models know more than the log. What is lost is not shown, whether or not somebody says that it is.
#[sqlx::test(migrations = false)]
async fn what_a_backup_has_not_is_shown_no_more(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let shop = shop.while_closed(|log| copy(log, &log.with_extension("backup"))).await;
    let lost = shop.order(&[("MUG", 7)], 7000).await;
    shop.get_when("/stock/MUG", |stock| stock["available"] == 92).await;
    shop.get_now(&format!("/orders/{lost}")).await.expect(StatusCode::OK);

    let shop = shop
        .while_closed(|log| {
            std::fs::remove_dir_all(log).unwrap();
            copy(&log.with_extension("backup"), log);
        })
        .await;
    // Not even in the first seconds.
    let fresh = format!("/orders/{lost}?min-position=head");
    loop {
        let reply = shop.request(Method::GET, &fresh).operator().send().await;
        if reply.status == StatusCode::NOT_FOUND {
            break;
        }
        reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "read-model-of-another-log");
    }
    shop.get_when("/stock/MUG", |stock| stock["available"] == 99).await;
    // The read models are filled again one by one.
    shop.get_when("/carts", |_| true).await;
    shop.get_when(&format!("/orders/{order_id}"), |order| order["status"] == "pending").await;
    assert_eq!(shop.get_now(&format!("/orders/{lost}")).await.status, StatusCode::NOT_FOUND);
    let paid = shop.pay_by("pm_sandbox_approve", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
}

/// Started too early, between the beginning and the end of an import.
#[sqlx::test(migrations = false)]
async fn a_shop_does_nothing_with_half_a_history(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let origin = Origin { of: Some(LogId::new(Uuid::new_v4())), ..Origin::default() };
    shop.events().begin_import(&origin).await.unwrap();
    let shop = shop.crash_and_reopen().await;
    assert_eq!(shop.is_not_ready("event log").await, IMPORT_HAS_NOT_ENDED);
    let refused =
        shop.request(Method::POST, "/carts").new_key().json(&json!({ "currency": "GBP" })).send().await;
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "event-store-unavailable");

    shop.events().end_import(&origin, 1).await.unwrap();
    shop.is_ready("event log", None).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    let paid = shop.pay_by("pm_sandbox_approve", &order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(paid["status"], "processing");
}

/// The new store is empty: somebody has forgotten to import the history.
#[sqlx::test(migrations = false)]
async fn an_empty_log_does_not_pass_for_the_shop_s(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    let aside = |log: &Path| std::fs::rename(log, log.with_extension("aside")).unwrap();
    let shop = shop.while_closed(aside).await;
    let why = shop.is_not_ready("projections").await;
    assert!(why.contains("is no copy of it") && why.contains("--replace-read-models"), "{why}");
    let page = shop.request(Method::GET, &format!("/orders/{order_id}")).operator().send().await;
    page.expect(StatusCode::OK);
    let fresh =
        shop.request(Method::GET, &format!("/orders/{order_id}?min-position=head")).operator().send().await;
    fresh.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "read-model-of-another-log");

    let back = |log: &Path| {
        std::fs::remove_dir_all(log).unwrap();
        std::fs::rename(log.with_extension("aside"), log).unwrap();
    };
    let shop = shop.while_closed(back).await;
    shop.get_when(&format!("/orders/{order_id}"), |order| order["status"] == "pending").await;
    shop.define("CUP", 500, 10).await;
}
