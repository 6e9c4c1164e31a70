//! The history of a shop is sealed while people buy, and what auditors take away to keep.

use crate::harness::DEADLINE;
use crate::harness::{Shop, Terms, audit_signing_key};
use crate::parked::{foreign, last_revision};
use audit_seal::SEALS_STREAM;
use audit_seal::key::PublicKeys;
use audit_seal::seal::Seal;
use audit_seal::verify::{Finding, Outcome, Verifier};
use event_chains::found_raw;
use event_store::ExpectedRevision;
use futures::{TryStreamExt, pin_mut};
use reqwest::{Method, StatusCode};
use sqlx::PgPool;

const SEALING: &str = "audit-sealing";

async fn open(pool: &PgPool) -> Shop {
    Shop::open_on(pool, Terms { seal_seconds: 1, ..Terms::default() }).await
}

/// The newest seal, once everything that is in the log now is sealed.
pub async fn all_is_sealed(shop: &Shop) -> Seal {
    let facts = verified(shop, vec![]).await.events;
    let asking = async {
        loop {
            let request = shop.request(Method::GET, "/audit/seals").operator();
            let seals = request.send().await.expect(StatusCode::OK);
            let newest = seals["items"].as_array().unwrap().first().cloned();
            let newest: Option<Seal> = newest.map(|seal| serde_json::from_value(seal).unwrap());
            if let Some(seal) = newest.filter(|seal| seal.size >= facts) {
                return seal;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("it is sealed in time")
}

pub async fn verified(shop: &Shop, kept: Vec<Seal>) -> Outcome {
    let mut verifier = Verifier::new(PublicKeys::from(audit_signing_key().public()));
    kept.into_iter().for_each(|seal| verifier.expect(seal));
    let records = shop.events().read_log(None);
    pin_mut!(records);
    while let Some(record) = records.try_next().await.unwrap() {
        verifier.add(&found_raw(&record));
    }
    verifier.finish()
}

async fn buys(shop: &Shop) {
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    assert_eq!(shop.pay(&order_id, 2000).await.expect(StatusCode::OK)["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn what_is_bought_is_sealed_over_crashes_and_from_one_machine_to_the_next(pool: PgPool) {
    let mut shop = open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        buys(&shop).await;
        kept.push(all_is_sealed(&shop).await);
        buys(&shop).await;
        shop = shop.crash_and_reopen().await;
    }
    shop.is_ready(SEALING, None).await;
    let other = shop.second().await;
    other.is_ready(SEALING, Some("another process runs it")).await;
    buys(&shop).await;
    kept.push(all_is_sealed(&shop).await);
    let outcome = verified(&shop, kept.clone()).await;
    assert_eq!((outcome.findings, outcome.kept_seals_found), (vec![], 4));

    shop.crash_services();
    other.is_ready(SEALING, None).await;
}

#[sqlx::test(migrations = false)]
async fn the_key_is_everybodys_and_seals_are_the_operators(pool: PgPool) {
    let shop = open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    let key = shop.get("/audit/key").await.expect(StatusCode::OK);
    assert_eq!(key["public_key"], audit_signing_key().public().to_hex());
    assert_eq!(key["algorithm"], "Ed25519");

    let seal = all_is_sealed(&shop).await;
    assert!(seal.check(&audit_signing_key().public().into()).is_ok());
    assert_eq!(shop.get("/audit/seals").await.status, StatusCode::FORBIDDEN);
    for limit in ["0", "101", "x"] {
        let path = format!("/audit/seals?limit={limit}");
        let refused = shop.request(Method::GET, &path).operator().send().await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{limit}");
    }

    // The figures are set when the store has answered, which may be after the seal can be read.
    let wanted = [seal.size, seal.position, 0, 0];
    let names = ["sealed_events", "sealed_position", "unsealed_events", "unsealed_seconds"];
    let asking = async {
        loop {
            let metrics = shop.metrics().await;
            let figure = |name: &str| {
                let line = metrics.lines().find(|line| line.starts_with(&format!("emporium_audit_{name} ")));
                line.unwrap().rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
            };
            if names.map(figure) == wanted {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the figures come to that in time");
}

#[sqlx::test(migrations = false)]
async fn seals_go_on_over_foreign_events_and_over_the_deletion_of_their_stream(pool: PgPool) {
    let shop = open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    buys(&shop).await;
    let mut kept = vec![all_is_sealed(&shop).await];
    let store = shop.events();
    foreign(&store, SEALS_STREAM).await;
    assert_eq!(all_is_sealed(&shop).await, kept[0], "what is no seal is not told as one");
    buys(&shop).await;
    kept.push(all_is_sealed(&shop).await);
    let last = last_revision(&store, SEALS_STREAM).await.unwrap();
    store.tombstone(SEALS_STREAM, ExpectedRevision::Exact(last)).await.unwrap();
    buys(&shop).await;
    kept.push(all_is_sealed(&shop).await);
    let how = "somebody has deleted `audit-seals`: `audit-seals-2` is used in its place";
    shop.is_ready("audit-sealing: deleted streams", Some(how)).await;
    let outcome = verified(&shop, kept).await;
    assert_eq!(outcome.kept_seals_found, 3);
    let is_the_deletion =
        |finding: &Finding| matches!(finding, Finding::Foreign { event } if event.stream == SEALS_STREAM);
    assert!(outcome.findings.len() == 1 && is_the_deletion(&outcome.findings[0]), "{:?}", outcome.findings);
}
