//! Whether everything adds up, and whether it is noticed when it does not.

use crate::harness::{DEADLINE, Shop};
use api::reconciliation::{Check, ReconciliationReport};
use chrono::{TimeDelta, Utc};
use domain::inventory::{Event, Released};
use domain::stored::StoredEvent;
use event_store::{ExpectedRevision, Metadata, NewEvent};
use projections::Databases;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;

/// Asks for a run and gives its report.
async fn reconcile(shop: &Shop) -> Value {
    let asked = shop.post_as_operator("/audit/reconciliations", json!({})).await.expect(StatusCode::ACCEPTED);
    let path = format!("/audit/reconciliations/{}", asked["id"].as_str().unwrap());
    let is_done = |run: &Value| !run["finished_at"].is_null();
    let run = shop.get_when(&path, is_done).await;
    assert_eq!(run["failure"], Value::Null, "{run}");
    run["report"].clone()
}

/// The same for an hour later: nobody's next step can still be on its way. A seal or a checkpoint that was written just
/// then is news that the tables have not passed yet, and makes every order one that is under way.
async fn reconcile_at_rest(shop: &Shop, pool: &PgPool) -> ReconciliationReport {
    let databases = Databases::new(pool.connect_options().as_ref().clone(), None);
    let later = Utc::now() + TimeDelta::hours(1);
    let events = shop.events();
    let reconciling = async {
        loop {
            let doing = watch::Sender::default();
            let report = projections::reconciliation::reconcile(&databases, &events, later, doing).await;
            let report = report.unwrap();
            if report.under_way == 0 {
                return report;
            }
        }
    };
    tokio::time::timeout(DEADLINE, reconciling).await.expect("nothing is under way in time")
}

/// Changes a row, once it is there.
async fn meddle(pool: &PgPool, update: &'static str) {
    let changing = async { while sqlx::query(update).execute(pool).await.unwrap().rows_affected() != 1 {} };
    tokio::time::timeout(DEADLINE, changing).await.expect("the row is there in time");
}

/// One part of a finding's events.
fn events_of(finding: &Value, part: &str) -> Vec<String> {
    let events = finding["events"].as_array().unwrap().iter();
    events.map(|event| event[part].as_str().unwrap().to_owned()).collect()
}

/// A shop with an order in every state that one purchase can lead to.
async fn busy_shop(pool: &PgPool) -> (Shop, [String; 4]) {
    let shop = Shop::open(pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.define("PLATE", 700, 3).await;
    let sent = shop.order(&[("MUG", 2), ("PLATE", 1)], 2700).await;
    shop.pay(&sent, 2700).await.expect(StatusCode::OK);
    shop.post_as_operator(&format!("/orders/{sent}/shipments"), json!({ "merchant_id": "acme" }))
        .await
        .expect(StatusCode::OK);
    let packed = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&packed, 1000).await.expect(StatusCode::OK);
    let called_off = shop.order(&[("MUG", 1)], 1000).await;
    let reason = json!({ "reason": "changed my mind" });
    shop.post(&format!("/orders/{called_off}/cancellation"), reason).await;
    let open = shop.order(&[("PLATE", 1)], 700).await;
    for (order_id, status) in
        [(&sent, "shipped"), (&packed, "processing"), (&called_off, "cancelled"), (&open, "pending")]
    {
        shop.get_when(&format!("/orders/{order_id}"), |order| order["status"] == status).await;
    }
    // All that follows from a cancellation, and from a dispatch, is written.
    let is_free = |stock: &Value| (&stock["available"], &stock["reserved"]) == (&json!(7), &json!(1));
    shop.get_when("/stock/MUG", is_free).await;
    let is_held = |stock: &Value| (&stock["reserved"], &stock["shipped"]) == (&json!(1), &json!(1));
    shop.get_when("/stock/PLATE", is_held).await;
    (shop, [sent, packed, called_off, open])
}

#[sqlx::test(migrations = false)]
async fn a_shop_that_nobody_meddled_with_adds_up(pool: PgPool) {
    let (shop, _) = busy_shop(&pool).await;
    let report = reconcile(&shop).await;
    assert_eq!(report["differences"], 0, "{report:#}");
    assert_eq!((&report["orders"], &report["skus"], &report["days"]), (&json!(4), &json!(2), &json!(1)));
    assert!(report["rows"].as_u64().unwrap() > 20, "{report:#}");
    let at_rest = reconcile_at_rest(&shop, &pool).await;
    assert_eq!((at_rest.differences, at_rest.under_way), (0, 0), "{at_rest:#?}");
    let runs = shop.request(Method::GET, "/audit/reconciliations").operator().send().await;
    assert_eq!(runs.expect(StatusCode::OK).as_array().unwrap().len(), 1);
    let metrics = shop.metrics().await;
    assert!(metrics.contains("emporium_reconciliation_differences 0\n"), "{metrics}");
}

#[sqlx::test(migrations = false)]
async fn a_row_that_somebody_changed_is_named_with_its_events(pool: PgPool) {
    let (shop, [sent, ..]) = busy_shop(&pool).await;
    reconcile(&shop).await;
    let id: uuid::Uuid = sent.parse().unwrap();
    sqlx::query("UPDATE orders SET paid = paid + 1 WHERE order_id = $1")
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
    let update = "UPDATE stock SET received = received + 1, available = available + 1 WHERE sku = 'PLATE'";
    meddle(&pool, update).await;
    // Both sales are booked.
    shop.get_now("/sales/days").await.expect(StatusCode::OK);
    meddle(&pool, "UPDATE sales SET revenue = revenue - 5 WHERE dimension = 'sku' AND key = 'MUG'").await;
    let report = reconcile(&shop).await;
    let findings = report["findings"].as_array().unwrap();
    let found: Vec<_> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    // Each is found twice: by the projection's own rules, and by the books.
    assert_eq!(found, ["row", "row", "row", "units", "money", "day"], "{report:#}");
    let about = |check: &str| findings.iter().find(|finding| finding["check"] == check).unwrap();
    let money = about("money");
    assert!(events_of(money, "stream").iter().all(|stream| *stream == format!("order-{sent}")), "{money:#}");
    assert_eq!(events_of(money, "event_type")[0], "order.placed.v1");
    assert!(events_of(about("units"), "stream").iter().all(|stream| stream == "inventory-PLATE"));
    assert_eq!(events_of(about("day"), "event_type"), ["order.paid.v1", "order.paid.v1"]);
    let metrics = shop.metrics().await;
    assert!(metrics.contains("emporium_reconciliation_differences 6\n"), "{metrics}");
}

/// Rows with the id of something else, or with none of a stream's.
#[sqlx::test(migrations = false)]
async fn a_row_is_named_with_the_events_that_it_is_about(pool: PgPool) {
    let (shop, [sent, ..]) = busy_shop(&pool).await;
    meddle(&pool, "UPDATE carts SET total = 1 WHERE total = 2700").await;
    // The other order of plates is not paid.
    meddle(&pool, "UPDATE analytics_sku_days SET gross = 1 WHERE sku = 'PLATE'").await;
    let first = "UPDATE trail SET correlation = NULL WHERE position = (SELECT min(position) FROM trail)";
    meddle(&pool, first).await;
    let position: i64 = sqlx::query_scalar("SELECT min(position) FROM trail").fetch_one(&pool).await.unwrap();
    let report = reconcile(&shop).await;
    let of_table = |table: &str| {
        let wanted = format!("the table `{table}`");
        let findings = report["findings"].as_array().unwrap().iter();
        let of_table: Vec<_> =
            findings.filter(|finding| finding["what"].as_str().unwrap().contains(&wanted)).collect();
        let [finding] = of_table[..] else { panic!("{table}: {report:#}") };
        finding
    };
    let cart = of_table("carts");
    let streams = events_of(cart, "stream");
    assert!(!streams.is_empty() && streams.iter().all(|stream| stream.starts_with("cart-")), "{cart:#}");
    let sold = of_table("analytics_sku_days");
    assert_eq!(
        (events_of(sold, "stream"), events_of(sold, "event_type")),
        (vec![format!("order-{sent}")], vec!["order.paid.v1".to_owned()])
    );
    let trail = of_table("trail");
    assert_eq!(
        (trail["events"].as_array().unwrap().len(), &trail["events"][0]["position"]),
        (1, &json!(position)),
        "{trail:#}"
    );
}

#[sqlx::test(migrations = false)]
async fn goods_that_were_taken_from_an_order_are_missed_although_every_table_agrees(pool: PgPool) {
    let (shop, [_, packed, ..]) = busy_shop(&pool).await;
    let revision = shop.get_now("/stock/MUG").await.expect(StatusCode::OK)["revision"].as_u64().unwrap();
    let order_id: domain::OrderId = packed.parse().unwrap();
    let taken = Event::Released(Released {
        order_id,
        quantity: domain::Quantity::new(1).unwrap(),
        was_committed: true,
    });
    let id = uuid::Uuid::now_v7();
    let metadata = Metadata {
        correlation_id: id,
        causation_id: id,
        command_id: id,
        actor: "a thief".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: String::new(),
        more: false,
    };
    let stolen =
        NewEvent { id, event_type: taken.type_name(), data: taken.payload(), metadata: metadata.to_json() };
    shop.events().append("inventory-MUG", ExpectedRevision::Exact(revision), vec![stolen]).await.unwrap();
    shop.get_when("/stock/MUG", |stock| stock["available"] == 8).await;
    let report = reconcile_at_rest(&shop, &pool).await;
    let [finding] = report.findings.as_slice() else { panic!("{report:#?}") };
    assert_eq!((report.differences, finding.check), (1, Check::Goods), "{finding:#?}");
    assert!(finding.what.contains(&packed) && finding.what.contains("MUG"), "{finding:#?}");
    let last = finding.events.last().unwrap();
    assert_eq!((last.stream.as_str(), last.event_type.as_str()), ("inventory-MUG", "inventory.released.v1"));
}

#[sqlx::test(migrations = false)]
async fn only_the_operator_reconciles(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let anybody = shop.post("/audit/reconciliations", json!({})).await;
    anybody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    let anybody = shop.request(Method::GET, "/audit/reconciliations").send().await;
    anybody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    shop.define("MUG", 1000, 10).await;
    shop.get_when("/products/MUG", |_| true).await;
    let path = format!("/audit/reconciliations/{}", uuid::Uuid::nil());
    let nothing = shop.request(Method::GET, &path).operator().send().await;
    nothing.expect_problem(StatusCode::NOT_FOUND, "not-found");
}
