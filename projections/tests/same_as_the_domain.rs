//! The read models say what the domain says: every row is compared with the state that the aggregates have after
//! the same events.

use crate::shop::Shop;
use crate::tables::{dump, empty, project_all};
use domain::cart::Cart;
use domain::order::{Order, PaymentPhase, PlacedOrder, Status};
use domain::product::Product;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: std::ops::Range<u64> = 100..106;

/// The shop, and everything that the projections wrote for it, in batches of a hundred events.
async fn projected(seed: u64, connection: &mut PgConnection) -> (Shop, Tables) {
    let shop = Shop::after(seed, 2_000);
    empty(connection).await;
    for part in shop.log.chunks(100) {
        project_all(connection, part).await.unwrap();
    }
    let tables = dump(connection).await;
    (shop, tables)
}

/// What the tables say, and what the shop knows of itself.
pub type Tables = BTreeMap<&'static str, Value>;

/// All of it.
pub fn assert_all(shop: &Shop, tables: &Tables) {
    assert_products(shop, tables);
    assert_stock(shop, tables);
    assert_carts(shop, tables);
    assert_orders(shop, tables);
    assert_sales(shop, tables);
}

/// The rows of a table by their key.
fn by_key<'a>(rows: &'a Value, key: &str) -> BTreeMap<String, &'a Value> {
    rows.as_array().unwrap().iter().map(|row| (row[key].as_str().unwrap().to_owned(), row)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn products(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in SEEDS {
        let (shop, tables) = projected(seed, &mut connection).await;
        assert_products(&shop, &tables);
    }
}

fn assert_products(shop: &Shop, tables: &Tables) {
    let rows = by_key(&tables["products"], "sku");
    assert_eq!(rows.len(), shop.products.len());
    for (sku, product) in &shop.products {
        let row = rows[sku.as_str()];
        let (definition, retired) = match product {
            Product::Listed(definition) => (definition, false),
            Product::Retired(definition) => (definition, true),
            Product::Undefined => panic!("every product of the shop is defined"),
        };
        assert_eq!(row["price"], definition.price.amount(), "{sku}");
        assert_eq!(row["retired"], retired);
        assert_eq!(row["merchant_id"], definition.merchant_id.as_str());
        assert_eq!(row["name"], definition.name.as_str());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn stock(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in SEEDS {
        let (shop, tables) = projected(seed, &mut connection).await;
        assert_stock(&shop, &tables);
    }
}

fn assert_stock(shop: &Shop, tables: &Tables) {
    let rows = by_key(&tables["stock"], "sku");
    assert_eq!(rows.len(), shop.stock.len());
    for (sku, stock) in &shop.stock {
        let row = rows[sku.as_str()];
        assert_eq!(row["received"], stock.received(), "{sku}");
        assert_eq!(row["adjusted"], stock.adjusted());
        assert_eq!(row["available"], stock.available());
        assert_eq!(row["reserved"], stock.reserved());
        assert_eq!(row["shipped"], stock.shipped());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn carts(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in SEEDS {
        let (shop, tables) = projected(seed, &mut connection).await;
        assert_carts(&shop, &tables);
    }
}

fn assert_carts(shop: &Shop, tables: &Tables) {
    let rows = by_key(&tables["carts"], "cart_id");
    assert_eq!(rows.len(), shop.carts.len());
    for (id, cart) in &shop.carts {
        let row = rows[&id.to_string()];
        let (status, lines, order_id) = match cart {
            Cart::Open(cart) => {
                let lines = cart.lines.iter().map(|line| (line, line.unit_price));
                ("open", Some(lines.collect::<Vec<_>>()), None)
            }
            Cart::CheckedOut(cart) => {
                assert_eq!(row["total"], cart.total.amount());
                let lines = cart.lines.iter().map(|(line, price)| (line, price.unit_price));
                ("checked_out", Some(lines.collect()), Some(cart.order_id.to_string()))
            }
            // The domain forgets the lines of an abandoned cart; the read model shows them.
            Cart::Abandoned => ("abandoned", None, None),
            Cart::Unopened => panic!("every cart of the shop is opened"),
        };
        assert_eq!(row["status"], status, "{id}");
        assert_eq!(row["order_id"], json!(order_id));
        let Some(lines) = lines else { continue };
        let mut stored: Vec<&Value> = tables["cart_lines"].as_array().unwrap().iter().collect();
        stored.retain(|line| line["cart_id"] == id.to_string());
        stored.sort_by_key(|line| line["added"].as_i64());
        let stored: Vec<Value> = stored.into_iter().map(cart_line).collect();
        let expected: Vec<Value> = lines
            .into_iter()
            .map(|(line, price)| {
                json!([line.line_id, line.sku.as_str(), line.quantity.units(), price.amount()])
            })
            .collect();
        assert_eq!(stored, expected, "{id}");
    }
}

fn cart_line(row: &Value) -> Value {
    json!([row["line_id"], row["sku"], row["quantity"], row["unit_price"]])
}

#[sqlx::test(migrations = "../migrations")]
async fn orders(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut given_up = 0;
    for seed in SEEDS {
        let (shop, tables) = projected(seed, &mut connection).await;
        given_up += assert_orders(&shop, &tables);
    }
    assert!(given_up > 0, "no order of the seeds gave anything up");
}

/// Gives how many units were given up.
fn assert_orders(shop: &Shop, tables: &Tables) -> u32 {
    let mut given_up = 0;
    let rows = by_key(&tables["orders"], "order_id");
    assert_eq!(rows.len(), shop.orders.len());
    for (id, order) in &shop.orders {
        let Order::Placed(order) = order else { panic!("every order of the shop is placed") };
        let row = rows[&id.to_string()];
        assert_eq!(row["status"], order.status.name(), "{id}");
        assert_eq!(row["total"], order.total.amount());
        assert_eq!(row["paid"], order.paid_amount());
        assert_eq!(row["refunded"], order.refunded_amount());
        let owed = order.rests.iter().filter_map(|rest| Some(rest.by_hand?.amount()));
        assert_eq!(row["owed_by_hand"], owed.sum::<i64>());
        for line in of_order(&tables["order_lines"], id) {
            let line_id = line["line_id"].as_str().unwrap().parse().unwrap();
            assert_eq!(line["given_up"], order.given_up(line_id), "{line_id} of {id}");
            given_up += order.given_up(line_id);
        }
        assert_eq!(row["lines"], order.lines.len());
        assert_eq!(row["shipping"], json!(order.shipping.map(|shipping| shipping.amount())));
        assert_money(tables, id, order);
        assert_shipments(&tables["order_shipments"], id, order);
        let stream = format!("order-{id}");
        let events = shop.log.iter().filter(|event| event.stream == stream).count();
        assert_eq!(of_order(&tables["order_history"], id).count(), events);
        let lines: BTreeMap<u64, Value> = of_order(&tables["order_lines"], id)
            .map(|line| (line["number"].as_u64().unwrap(), cart_line(line)))
            .collect();
        let expected = order.lines.iter().map(|line| {
            json!([line.line_id, line.sku.as_str(), line.quantity.units(), line.unit_price.amount()])
        });
        assert_eq!(lines, (1..).zip(expected).collect());
        assert_stock_answers(&tables["order_stock_answers"], id, order);
    }
    given_up
}

fn of_order<'a>(rows: &'a Value, id: &domain::OrderId) -> impl Iterator<Item = &'a Value> {
    let id = id.to_string();
    rows.as_array().unwrap().iter().filter(move |row| row["order_id"] == id)
}

fn assert_money(tables: &Tables, id: &domain::OrderId, order: &PlacedOrder) {
    let stored: BTreeSet<String> = of_order(&tables["order_payments"], id)
        .map(|row| {
            // It stays when it is of no use any more.
            let page = Some(&row["redirect_url"]).filter(|_| row["status"] == "requires_action");
            json!([row["payment_id"], row["amount"], row["status"], page]).to_string()
        })
        .collect();
    let expected = order.payments.iter().map(|payment| {
        let page = match &payment.phase {
            PaymentPhase::Started { redirect_url, .. } => redirect_url.as_ref().map(|page| page.as_str()),
            _ => None,
        };
        json!([payment.payment_id, payment.amount.amount(), payment.phase.name(), page]).to_string()
    });
    assert_eq!(stored, expected.collect(), "payments of {id}");
    let stored: BTreeSet<String> = of_order(&tables["order_refunds"], id)
        .map(|row| json!([row["refund_id"], row["payment_id"], row["amount"], row["status"]]).to_string())
        .collect();
    let expected = order.refunds.iter().map(|refund| {
        let status = format!("{:?}", refund.phase).to_lowercase();
        json!([refund.refund_id, refund.payment_id, refund.amount.amount(), status]).to_string()
    });
    assert_eq!(stored, expected.collect(), "refunds of {id}");
}

fn assert_shipments(rows: &Value, id: &domain::OrderId, order: &PlacedOrder) {
    let stored: BTreeSet<String> = of_order(rows, id)
        .map(|row| {
            let is_delivered = !row["delivered_at"].is_null();
            json!([row["shipment_id"], row["merchant_id"], row["lines"], is_delivered]).to_string()
        })
        .collect();
    let expected = order.shipments.iter().map(|shipment| {
        json!([shipment.shipment_id, shipment.merchant_id, shipment.lines, shipment.is_delivered]).to_string()
    });
    assert_eq!(stored, expected.collect(), "parcels of {id}");
}

fn assert_stock_answers(rows: &Value, id: &domain::OrderId, order: &PlacedOrder) {
    let mut answers: Vec<&Value> = of_order(rows, id).collect();
    answers.sort_by_key(|answer| answer["revision"].as_i64());
    let mut phases: BTreeMap<&str, String> = BTreeMap::new();
    for answer in answers.iter().flat_map(|row| row["answers"].as_array().unwrap()) {
        phases.insert(answer["sku"].as_str().unwrap(), answer["phase"].as_str().unwrap().to_owned());
    }
    for (sku, stock) in &order.stock {
        let expected = format!("{:?}", stock.phase).to_lowercase().replace("atpayment", "at_payment");
        let expected = expected.split_whitespace().next().unwrap();
        let stored = phases.get(sku.as_str()).map_or("unanswered", String::as_str);
        assert_eq!(stored, expected, "{sku} of {id}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn sales(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut booked = 0;
    for seed in SEEDS {
        let (shop, tables) = projected(seed, &mut connection).await;
        booked += assert_sales(&shop, &tables);
    }
    assert!(booked > 20, "the seeds lead to {booked} sales only: too few to mean anything");
}

/// Adds up the lines of all paid orders. Gives how many there are.
fn assert_sales(shop: &Shop, tables: &Tables) -> usize {
    let paid: BTreeMap<String, &PlacedOrder> = shop
        .log
        .iter()
        .filter(|event| event.event_type == "order.paid.v1")
        .map(|event| match &shop.orders[&event.stream_id().parse().unwrap()] {
            Order::Placed(order) => (event.stream.clone(), order.as_ref()),
            Order::Unplaced => panic!("only a placed order is paid"),
        })
        .collect();
    // Dimension and key to orders, lines, units, revenue.
    let mut expected: BTreeMap<(&str, String), [i64; 4]> = BTreeMap::new();
    for order in paid.values() {
        let mut keys = BTreeSet::new();
        for line in &order.lines {
            let units = i64::from(line.quantity.units());
            for key in [
                ("total", String::new()),
                ("sku", line.sku.to_string()),
                ("merchant", line.merchant_id.to_string()),
                ("country", order.country.code().to_string()),
            ] {
                let sum = expected.entry(key.clone()).or_default();
                sum[0] += i64::from(keys.insert(key));
                sum[1] += 1;
                sum[2] += units;
                sum[3] += units * line.unit_price.amount();
            }
        }
    }
    let mut stored: BTreeMap<(&str, String), [i64; 4]> = BTreeMap::new();
    for row in tables["sales"].as_array().unwrap() {
        let key = (row["dimension"].as_str().unwrap(), row["key"].as_str().unwrap().to_owned());
        let sum = stored.entry(key).or_default();
        for (sum, name) in sum.iter_mut().zip(["orders", "lines", "units", "revenue"]) {
            *sum += row[name].as_i64().unwrap();
        }
    }
    assert_eq!(stored, expected);
    let pending: BTreeSet<String> = tables["sales_pending_orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["order_id"].as_str().unwrap().to_owned())
        .collect();
    let unpaid = shop
        .orders
        .iter()
        .filter(|(_, order)| matches!(order, Order::Placed(order) if order.status == Status::Pending));
    assert_eq!(pending, unpaid.map(|(id, _)| id.to_string()).collect());
    paid.len()
}
