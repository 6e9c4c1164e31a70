//! Somebody has the event store and writes into the streams of the shop: nothing is decided on what he wrote, everything
//! else goes on, and it is told at once.

use crate::harness::{DEADLINE, Shop, Terms};
use crate::sealing::{all_is_sealed, verified};
use audit_seal::SEALS_STREAM;
use audit_seal::chain::with_link;
use audit_seal::verify::{Finding, Which};
use domain::product::{self, Defined};
use domain::stored::StoredEvent;
use domain::{ReceiptId, inventory};
use event_store::{ExpectedRevision, RawEvent};
use futures::TryStreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

const FORGED: &str = "audit-sealing: forged events";

fn received(units: i64) -> inventory::Event {
    let quantity = domain::Quantity::new(units).unwrap();
    inventory::Event::Received(inventory::Received { receipt_id: ReceiptId(Uuid::now_v7()), quantity })
}

/// An event that looks like one of ours to anybody who does not look at its link.
fn event<E: StoredEvent>(fact: &E, metadata: Vec<u8>) -> RawEvent {
    RawEvent {
        id: Uuid::now_v7(),
        event_type: fact.type_name().to_owned(),
        is_json: true,
        data: fact.payload().into(),
        metadata: metadata.into(),
    }
}

/// Appends an event to a stream, and says which it is now.
async fn append(shop: &Shop, stream: &str, event: RawEvent) -> Which {
    let store = shop.events();
    let last = store.read_raw_stream_end(stream).try_collect::<Vec<_>>().await.unwrap();
    let expected =
        last.first().map_or(ExpectedRevision::NoStream, |last| ExpectedRevision::Exact(last.revision));
    let appended = store.append_raw(stream, expected, vec![event]).await.unwrap();
    Which { stream: stream.to_owned(), revision: appended.revision, position: appended.position.value() }
}

async fn is_refused(shop: &Shop, sku: &str) {
    for _ in 0..2 {
        let receipt =
            shop.post_as_operator(&format!("/stock/{sku}/receipts"), json!({ "quantity": 1 })).await;
        receipt.expect_problem(StatusCode::CONFLICT, "history-altered");
    }
}

/// So many forged events of each kind, by the sealer's own count.
async fn are_counted(shop: &Shop, expected: &[(&str, u64)]) {
    let counting = async {
        loop {
            let metrics = shop.metrics().await;
            let is_there = |(fault, events): &(&str, u64)| {
                metrics
                    .contains(&format!("emporium_audit_forged_events_total{{fault=\"{fault}\"}} {events}\n"))
            };
            if expected.iter().all(is_there) {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, counting).await.expect("they are counted in time");
}

/// What a part says while the service is ready.
async fn part(shop: &Shop, part: &str) -> Value {
    let asking = async {
        loop {
            let health = shop.health().await;
            if health.status == StatusCode::OK {
                return health.body["parts"][part].clone();
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the service is ready in time")
}

#[sqlx::test(migrations = false)]
async fn nothing_is_decided_on_forged_events_and_they_are_named_at_once(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { seal_seconds: 1, ..Terms::default() }).await;
    for sku in ["MUG", "CUP", "TEA"] {
        shop.define(sku, 1000, 100).await;
    }
    all_is_sealed(&shop).await;

    let metadata = crate::written::ours;
    let unlinked = append(&shop, "inventory-MUG", event(&received(1_000), metadata())).await;
    let link = [7; 32];
    let false_link = with_link(metadata(), &link);
    let altered = append(&shop, "inventory-CUP", event(&received(1_000), false_link)).await;
    let product = product::Event::Defined(Defined {
        sku: "NOBODYS".parse().unwrap(),
        merchant_id: "acme".parse().unwrap(),
        name: "Nobody's".parse().unwrap(),
        price: serde_json::from_value(json!({ "amount": 1, "currency": "GBP" })).unwrap(),
    });
    let foreign = append(&shop, "product-NOBODYS", event(&product, metadata())).await;
    let hidden = RawEvent {
        id: Uuid::now_v7(),
        event_type: "$metadata".to_owned(),
        is_json: true,
        data: b"{\"$maxCount\":100000}".to_vec().into(),
        metadata: Vec::new().into(),
    };
    let hides = append(&shop, "$$product-TEA", hidden).await;

    are_counted(&shop, &[("unlinked", 2), ("changed", 1), ("hidden", 1)]).await;
    let named = part(&shop, FORGED).await;
    let first = format!(
        "4 events were not written by a shop, the first was event {} of inventory-MUG",
        unlinked.revision
    );
    assert!(named["how"].as_str().unwrap().starts_with(&first), "{named}");

    is_refused(&shop, "MUG").await;
    is_refused(&shop, "CUP").await;
    let cart = shop.cart(&[]).await;
    let line = json!({ "lines": [{ "sku": "NOBODYS", "quantity": 1 }] });
    let refused = shop.post(&format!("/carts/{cart}/lines"), line).await;
    refused.expect_problem(StatusCode::CONFLICT, "history-altered");
    let order_id = shop.order(&[("TEA", 2)], 2000).await;
    assert_eq!(shop.pay(&order_id, 2000).await.expect(StatusCode::OK)["status"], "processing");

    // They were sealed as they stand, so the seals say nothing more.
    let expected = [
        Finding::Unlinked { event: unlinked },
        Finding::Changed { event: altered },
        Finding::Unlinked { event: foreign },
        Finding::Foreign { event: hides },
    ];
    assert_eq!(verified(&shop, vec![]).await.findings, expected);
}

/// It may be the seal of a machine with a newer key, so nothing is sealed after it; and nobody is kept from buying.
#[sqlx::test(migrations = false)]
async fn a_seal_of_an_unknown_key_stops_the_sealing_and_not_the_shop(pool: PgPool) {
    let shop = Shop::open_on(&pool, Terms { seal_seconds: 1, ..Terms::default() }).await;
    shop.define("MUG", 1000, 100).await;
    all_is_sealed(&shop).await;
    let sealed = shop.events().read_raw_stream_end(SEALS_STREAM).try_collect::<Vec<_>>().await.unwrap();
    let mut seal: Value = serde_json::from_slice(&sealed[0].event.data).unwrap();
    seal["key"] = "somebody's".into();
    let forged = RawEvent { id: Uuid::now_v7(), data: seal.to_string().into(), ..sealed[0].event.clone() };
    append(&shop, SEALS_STREAM, forged).await;
    // The next seal finds it.
    shop.define("CUP", 1000, 100).await;
    let stopped = async {
        while !part(&shop, "audit-sealing").await["how"].as_str().is_some_and(|how| how.contains("stopped")) {
        }
    };
    tokio::time::timeout(DEADLINE, stopped).await.expect("it says so in time");
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    assert_eq!(shop.pay(&order_id, 2000).await.expect(StatusCode::OK)["status"], "processing");
}
