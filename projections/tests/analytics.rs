//! The tables of analytics add up to what the events say: folded here once more, one order and one SKU at a time, with
//! nothing of the projections' code.

use crate::shop::Shop;
use crate::tables::{empty, project_analytics};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::inventory::Inventory;
use domain::order::{Event, Order, Placed};
use domain::{Aggregate, OrderId, Sku, cart};
use projections::{Fact, Subject};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use std::collections::BTreeMap;

const SEEDS: std::ops::Range<u64> = 300..305;

/// A shop of this seed, everything that happened in it, and the tables that were made from that.
async fn projected(seed: u64, connection: &mut PgConnection) -> (Shop, Vec<Fact>) {
    let mut shop = Shop::after(seed, 2_500);
    shop.run_dry(40);
    empty(connection).await;
    for part in shop.log.chunks(97) {
        project_analytics(connection, part).await.unwrap();
    }
    let facts = shop.log.iter().map(|event| Fact::read(event).unwrap()).collect();
    (shop, facts)
}

/// What happened to each order, in order.
fn by_order(facts: &[Fact]) -> BTreeMap<OrderId, Vec<(&Event, DateTime<Utc>)>> {
    let mut orders: BTreeMap<OrderId, Vec<_>> = BTreeMap::new();
    for fact in facts {
        if let Subject::Order(order_id, event) = &fact.subject {
            orders.entry(*order_id).or_default().push((event, fact.occurred_at));
        }
    }
    orders
}

fn placed<'a>(events: &[(&'a Event, DateTime<Utc>)]) -> &'a Placed {
    match events[0].0 {
        Event::Placed(placed) => placed,
        other => panic!("an order begins by being placed, not {other:?}"),
    }
}

fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap()
}

/// Start, SKU, merchant, country; orders, units, gross.
type SoldRow = (DateTime<Utc>, String, String, String, i64, i64, i64);
/// Id, status, units, and the times of all states.
type OrderRow = (uuid::Uuid, String, i64, Vec<Option<DateTime<Utc>>>);
type Sold = BTreeMap<(DateTime<Utc>, String, String, String), (i64, i64, i64)>;

/// Orders, units and gross by minute, SKU, merchant and country.
fn sold(facts: &[Fact]) -> Sold {
    let mut sold = Sold::new();
    for events in by_order(facts).values() {
        let placed = placed(events);
        for (_, at) in events.iter().filter(|(event, _)| matches!(event, Event::Paid(_))) {
            let mut skus: Vec<&Sku> = placed.lines.iter().map(|line| &line.sku).collect();
            skus.sort();
            skus.dedup();
            for sku in skus {
                let lines = || placed.lines.iter().filter(|line| line.sku == *sku);
                let merchant = lines().next().unwrap().merchant_id.to_string();
                let key = (minute(*at), sku.to_string(), merchant, placed.country.code().to_string());
                let figures = sold.entry(key).or_default();
                figures.0 += 1;
                figures.1 += lines().map(|line| i64::from(line.quantity.units())).sum::<i64>();
                figures.2 += lines()
                    .map(|line| i64::from(line.quantity.units()) * line.unit_price.amount())
                    .sum::<i64>();
            }
        }
    }
    sold
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_sold_is_booked_when_it_was_paid(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in SEEDS {
        let (_, facts) = projected(seed, &mut connection).await;
        let rows: Vec<SoldRow> = sqlx::query_as(
            "SELECT starts, sku, merchant, country, orders, units, gross FROM analytics_sales_minutes
             WHERE sku <> '' AND orders > 0",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let rows: Sold =
            rows.into_iter().map(|row| ((row.0, row.1, row.2, row.3), (row.4, row.5, row.6))).collect();
        assert!(!rows.is_empty());
        assert_eq!(rows, sold(&facts), "seed {seed}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_table_says_the_same(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let figures = "sum(units)::bigint, sum(gross)::bigint, sum(refunded)::bigint";
    for seed in SEEDS {
        projected(seed, &mut connection).await;
        for (table, starts, of) in [
            ("analytics_sales_quarters", "date_bin('15 minutes', starts, '2000-01-01Z')", "sku = ''"),
            ("analytics_sales_days", "date_trunc('day', starts, 'UTC')", "sku = ''"),
            ("analytics_sales_months", "date_trunc('month', starts, 'UTC')", "true"),
            ("analytics_sku_days", "date_trunc('day', starts, 'UTC')", "sku <> ''"),
            ("analytics_sku_months", "date_trunc('month', starts, 'UTC')", "sku <> ''"),
        ] {
            let all = |starts: &str, table: &str, of: &str| {
                format!(
                    "SELECT {starts} AS s, sku, merchant, currency, sum(orders)::bigint, {figures} FROM {table}
                     WHERE {of} GROUP BY 1, 2, 3, 4"
                )
            };
            let (theirs, minutes) =
                (all("starts", table, "true"), all(starts, "analytics_sales_minutes", of));
            let differ = format!(
                "SELECT count(*) FROM (({theirs} EXCEPT ALL {minutes}) UNION ALL ({minutes} EXCEPT ALL {theirs})) AS d"
            );
            let differ: i64 =
                sqlx::query_scalar(AssertSqlSafe(differ)).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(differ, 0, "{table} of seed {seed}");
        }
        // All SKUs of a merchant are the merchant, and all merchants are all.
        let sums = format!(
            "SELECT count(DISTINCT (units, gross, refunded)), count(*) FROM (
                 SELECT starts, country, {figures} FROM analytics_sales_minutes
                 GROUP BY starts, country, sku <> '', merchant <> ''
             ) AS sums (starts, country, units, gross, refunded) GROUP BY starts, country"
        );
        let sums: Vec<(i64, i64)> =
            sqlx::query_as(AssertSqlSafe(sums)).fetch_all(&mut *connection).await.unwrap();
        assert!(sums.iter().all(|(distinct, _)| *distinct == 1), "seed {seed}: {sums:?}");
    }
}

/// By minute, and by SKU: what went back since the order was paid.
#[sqlx::test(migrations = "../migrations")]
async fn money_that_went_back_goes_off_what_was_paid_for(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let (mut went_back, mut came_again) = (0, 0);
    for seed in SEEDS {
        let (_, facts) = projected(seed, &mut connection).await;
        let mut expected: BTreeMap<DateTime<Utc>, i64> = BTreeMap::new();
        // By SKU: what it should be in proportion, and by how much rounding may miss that.
        let mut shares: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for events in by_order(&facts).values() {
            let placed = placed(events);
            let total = placed.total.amount();
            let mut is_paid = false;
            for (event, at) in events {
                let amount = match event {
                    Event::Paid(_) => {
                        is_paid = true;
                        continue;
                    }
                    Event::RefundRecorded(refund) => refund.amount.amount(),
                    Event::RefundFound(refund) => refund.amount.amount(),
                    Event::RefundFailed(refund) => -refund.amount.amount(),
                    _ => continue,
                };
                if !is_paid {
                    continue;
                }
                went_back += i32::from(amount > 0);
                came_again += i32::from(amount < 0);
                *expected.entry(minute(*at)).or_default() += amount;
                for line in &placed.lines {
                    let price = i64::from(line.quantity.units()) * line.unit_price.amount();
                    let share = shares.entry(line.sku.to_string()).or_default();
                    share.0 += amount as f64 * price as f64 / total as f64;
                    share.1 += 1.0;
                }
            }
        }
        let rows: Vec<(DateTime<Utc>, i64)> = sqlx::query_as(
            "SELECT starts, sum(refunded + shipping_refunded)::bigint FROM analytics_sales_minutes
             WHERE sku = '' AND merchant = '' GROUP BY 1",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let rows: BTreeMap<_, _> = rows.into_iter().filter(|(_, amount)| *amount != 0).collect();
        expected.retain(|_, amount| *amount != 0);
        assert_eq!(rows, expected, "seed {seed}");
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT sku, sum(refunded)::bigint FROM analytics_sku_months GROUP BY 1")
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        for (sku, refunded) in rows {
            let (share, off) = shares.get(&sku).copied().unwrap_or_default();
            assert!(
                (refunded as f64 - share).abs() <= off + 0.5,
                "{sku} of seed {seed}: {refunded}, {share}"
            );
        }
    }
    assert!(went_back > 10 && came_again > 0, "{went_back}, {came_again}: too few refunds to say anything");
}

#[sqlx::test(migrations = "../migrations")]
async fn lost_sales_are_what_stock_refused(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut refusals = 0;
    for seed in SEEDS {
        let (_, facts) = projected(seed, &mut connection).await;
        let mut expected = Vec::new();
        for (order_id, events) in by_order(&facts) {
            for (event, at) in &events {
                let Event::ReservationsAnswered(answered) = event else { continue };
                for refused in &answered.refused {
                    let lines = || placed(&events).lines.iter().filter(|line| line.sku == refused.sku);
                    let units: i64 = lines().map(|line| i64::from(line.quantity.units())).sum();
                    let price = |line: &domain::order::OrderLine| {
                        i64::from(line.quantity.units()) * line.unit_price.amount()
                    };
                    let available = i64::try_from(refused.available).unwrap();
                    let amount: i64 = lines().map(price).sum();
                    expected.push((order_id.0, refused.sku.to_string(), units, available, amount, *at));
                }
            }
        }
        expected.sort();
        let rows: Vec<(uuid::Uuid, String, i64, i64, i64, DateTime<Utc>)> = sqlx::query_as(
            "SELECT order_id, sku, units, available, amount, refused_at FROM analytics_lost_sales ORDER BY 1, 2",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        assert_eq!(rows, expected, "seed {seed}");
        refusals += rows.len();
    }
    assert!(refusals > 10, "{refusals} refusals are too few to say anything");
}

#[sqlx::test(migrations = "../migrations")]
async fn orders_and_carts_have_the_times_of_their_events(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in SEEDS {
        let (shop, facts) = projected(seed, &mut connection).await;
        let rows: Vec<OrderRow> = sqlx::query_as(
            "SELECT order_id, status, units, ARRAY[placed_at, paid_at, processing_at, shipped_at, delivered_at,
                                                   cancelled_at, refunded_at]
             FROM analytics_orders",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let orders = by_order(&facts);
        assert_eq!(rows.len(), orders.len());
        for (order_id, status, units, times) in rows {
            let events = &orders[&OrderId(order_id)];
            let Order::Placed(order) = &shop.orders[&OrderId(order_id)] else { panic!("it was placed") };
            assert_eq!(status, order.status.name(), "{order_id} of seed {seed}");
            assert_eq!(units, order.lines.iter().map(|line| i64::from(line.quantity.units())).sum::<i64>());
            let time =
                |is_it: fn(&Event) -> bool| events.iter().rfind(|(event, _)| is_it(event)).map(|(_, at)| *at);
            let expected = [
                time(|event| matches!(event, Event::Placed(_))),
                time(|event| matches!(event, Event::Paid(_))),
                time(|event| matches!(event, Event::ProcessingStarted(_))),
                time(|event| matches!(event, Event::Shipped(_))),
                time(|event| matches!(event, Event::Delivered(_))),
                time(|event| matches!(event, Event::Cancelled(_))),
                time(|event| matches!(event, Event::Refunded(_))),
            ];
            assert_eq!(times, expected, "{order_id} of seed {seed}");
        }
        let rows: Vec<(uuid::Uuid, Option<uuid::Uuid>, bool)> =
            sqlx::query_as("SELECT cart_id, order_id, abandoned_at IS NOT NULL FROM analytics_carts")
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        assert_eq!(rows.len(), shop.carts.len());
        for (cart_id, order_id, is_abandoned) in rows {
            let (expected, abandoned) = match &shop.carts[&domain::CartId(cart_id)] {
                cart::Cart::CheckedOut(cart) => (Some(cart.order_id.0), false),
                cart::Cart::Abandoned => (None, true),
                _ => (None, false),
            };
            assert_eq!((order_id, is_abandoned), (expected, abandoned), "{cart_id} of seed {seed}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_stock_out_lasts_from_the_last_unit_to_the_next(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let (mut ended, mut lasting) = (0, 0);
    for seed in SEEDS {
        let (shop, facts) = projected(seed, &mut connection).await;
        let mut expected = Vec::new();
        for sku in shop.stock.keys() {
            let (mut state, mut began) = (Inventory::default(), None);
            for fact in &facts {
                let Subject::Inventory(_, event) = &fact.subject else { continue };
                if fact.stream() != format!("inventory-{sku}") {
                    continue;
                }
                state = state.evolve(event);
                match (state.available(), began) {
                    (0, None) => began = Some(fact.occurred_at),
                    (1.., Some(since)) => {
                        expected.push((sku.to_string(), since, Some(fact.occurred_at)));
                        began = None;
                    }
                    _ => {}
                }
            }
            expected.extend(began.map(|since| (sku.to_string(), since, None)));
        }
        expected.sort();
        let rows: Vec<(String, DateTime<Utc>, Option<DateTime<Utc>>)> =
            sqlx::query_as("SELECT sku, began_at, ended_at FROM analytics_stock_outs ORDER BY 1, 2, 3")
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        assert_eq!(rows, expected, "seed {seed}");
        lasting += rows.iter().filter(|row| row.2.is_none()).count();
        ended += rows.iter().filter(|row| row.2.is_some()).count();
    }
    assert!(ended > 5 && lasting > 0, "{ended}, {lasting}: too few stock-outs to say anything");
}
