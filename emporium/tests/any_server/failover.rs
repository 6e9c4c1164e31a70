use crate::running::Service;
use crate::shopper::{Bought, buy, define};
use crate::store::{Store, fresh};
use futures::future::join_all;
use std::sync::Mutex;
use std::time::Instant;
use tokio::sync::Semaphore;

const SHOPPERS: usize = 8;
const SKUS: usize = 20;
const UNITS: u64 = 1_000_000;
/// Purchases of all shoppers before the leader is killed.
const BEFORE: u32 = 40;
/// Purchases of each shopper that are begun after it.
const AFTER: usize = 10;

struct Crowd<'a> {
    service: &'a Service,
    skus: Vec<String>,
    /// A permit for each purchase that is acknowledged.
    acknowledged: Semaphore,
    killed: Mutex<Option<Instant>>,
}

impl Crowd<'_> {
    /// Buys until enough purchases were begun after the kill, or one got stuck.
    async fn shop(&self, shopper: usize) -> (Vec<Bought>, bool) {
        let (mut bought, mut after) = (Vec::new(), 0);
        while after < AFTER {
            after += usize::from(self.killed.lock().unwrap().is_some());
            let sku = &self.skus[(shopper * 7 + bought.len()) % SKUS];
            let Some(purchase) = buy(self.service, sku).await else { return (bought, true) };
            bought.push(purchase);
            self.acknowledged.add_permits(1);
        }
        (bought, false)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_under_load_no_purchase_is_lost_or_stuck() {
    let mut store = Store::find().await;
    if !store.has_a_way_to_kill_the_leader() {
        println!("failover: skipped, for LEADER_KILL names no command that kills the leader");
        return;
    }
    let service = store.shop().await;
    let run = fresh("F");
    let skus: Vec<_> = (0..SKUS).map(|number| format!("{run}-{number}")).collect();
    for sku in &skus {
        define(&service, sku, UNITS).await;
    }
    let crowd = Crowd { service: &service, skus, acknowledged: Semaphore::new(0), killed: Mutex::new(None) };
    let kill = async {
        crowd.acknowledged.acquire_many(BEFORE).await.unwrap().forget();
        let killed = Instant::now();
        *crowd.killed.lock().unwrap() = Some(killed);
        store.kill_the_leader().await;
        killed
    };
    let (killed, shoppers) = tokio::join!(kill, join_all((0..SHOPPERS).map(|shopper| crowd.shop(shopper))));
    let stuck = shoppers.iter().filter(|(_, is_stuck)| *is_stuck).count();
    let bought: Vec<_> = shoppers.into_iter().flat_map(|(bought, _)| bought).collect();
    let went_on = bought.iter().filter(|purchase| purchase.begun >= killed);
    let went_on = went_on.map(|purchase| (purchase.acknowledged - killed).as_secs_f64()).reduce(f64::min);

    let mut lost = Vec::new();
    for purchase in &bought {
        let page = service.get(&format!("/orders/{}?min-position=head", purchase.order_id)).await;
        if page["status"] != "processing" {
            lost.push(page);
        }
    }
    let mut committed = 0;
    for sku in &crowd.skus {
        let stock = service.get(&format!("/stock/{sku}?min-position=head")).await;
        committed += stock["committed"].as_u64().unwrap();
        assert_eq!(
            stock["available"].as_u64().unwrap() + stock["reserved"].as_u64().unwrap(),
            UNITS,
            "{stock}"
        );
    }
    println!(
        "failover: {} purchases acknowledged, {} lost, {stuck} stuck; the first one that was begun after the kill was \
         acknowledged {:.1} s after it",
        bought.len(),
        lost.len(),
        went_on.unwrap_or(f64::NAN)
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(stuck, 0);
    assert_eq!(committed, bought.len() as u64, "each purchase has its unit, and no unit is held twice");
    service.terminate().await;
}
