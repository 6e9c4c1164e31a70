//! A shop whose event store has users: with the least rights that the services need, and with less.

use crate::harness::{DEADLINE, PASSWORD, Shop, Terms};
use event_store::{ExpectedRevision, RawEvent};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

const COMMANDS: &str = "event-store-rights: commands";

async fn write(shop: &Shop, stream: &str, json: &str) {
    let event = RawEvent {
        id: Uuid::new_v4(),
        event_type: "$metadata".to_owned(),
        is_json: true,
        data: json.to_owned().into(),
        metadata: Vec::new().into(),
    };
    shop.events().append_raw(stream, ExpectedRevision::NoStream, vec![event]).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn the_least_rights_are_enough_and_one_that_is_missing_is_named(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { store_has_users: true, ..Terms::default() }).await;
    let why = shop.is_not_ready(COMMANDS).await;
    assert!(
        why.contains("read the log ($all) (order fulfilment, the sealing of the history needs it)"),
        "{why}"
    );
    let denied = async {
        loop {
            let why = shop.is_not_ready("order-fulfilment").await;
            assert!(!why.contains("away"), "{why}");
            if why.contains("access denied") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, denied).await.expect("it says so in time");
    for part in ["event-store-rights: queries", "event-store-rights: read models"] {
        assert!(shop.is_not_ready(part).await.contains("read the log ($all)"), "{part}");
    }

    write(&shop, "$$$all", r#"{"$acl":{"$r":["shop","$admins"]}}"#).await;
    shop.is_ready(COMMANDS, None).await;
    shop.define("MUG", 1000, 1).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    assert_eq!(shop.pay(&order_id, 1000).await.expect(StatusCode::OK)["status"], "processing");
    shop.get_when(&format!("/orders/{order_id}"), |order| order["status"] == "processing").await;

    write(&shop, "$settings", r#"{"$userStreamAcl":{"$w":"auditor"}}"#).await;
    let refused = shop.post("/carts", json!({ "currency": "GBP" })).await;
    let problem = refused.expect(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(problem["type"], "urn:emporium:problem:event-store-access-denied");
    let shop = shop.crash_and_reopen().await;
    let why = shop.is_not_ready(COMMANDS).await;
    assert!(why.contains("append to streams such as `order-any` (commands needs it)"), "{why}");
    assert!(!shop.health().await.body.to_string().contains(PASSWORD));
}
