//! The real files, where they are: this test adds them up by itself, with none of the importer's code, and compares with
//! what the service's read models say after an import that was killed in the middle.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[allow(dead_code, reason = "other tests use the rest")]
mod running;

use running::Service;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Orders by the time of purchase, unless `EMPORIUM_OLIST_ORDERS` says how many.
fn orders_wanted() -> usize {
    std::env::var("EMPORIUM_OLIST_ORDERS").map_or(400, |orders| orders.parse().unwrap())
}

type Row = HashMap<String, String>;

fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/olist");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// The rows whose first column is wanted: all of them would take long in a test.
fn rows(folder: &Path, name: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let packed = std::fs::File::open(folder.join(format!("{name}.csv.zst"))).unwrap();
    let mut reader = csv::Reader::from_reader(zstd::Decoder::new(packed).unwrap());
    let header = reader.headers().unwrap().clone();
    let records = reader.records().map(Result::unwrap).filter(|record| is_wanted(&record[0]));
    records.map(|record| record.deserialize(Some(&header)).unwrap()).collect()
}

/// `12.34` and `12.3` as centavos.
fn centavos(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    whole.parse::<i64>().unwrap() * 100 + format!("{fraction:0<2}").parse::<i64>().unwrap()
}

/// An order of the files.
struct Order {
    row: Row,
    items: Vec<Row>,
    payments: Vec<Row>,
}

/// What is compared.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    orders: usize,
    units: i64,
    freight: i64,
    total: i64,
    payments: BTreeMap<String, (usize, i64)>,
    statuses: BTreeMap<String, usize>,
    parcels: usize,
    customers: BTreeSet<String>,
}

/// The first orders of the files by the time of purchase.
fn first_orders(folder: &Path) -> Vec<Order> {
    let mut orders = rows(folder, "olist_orders_dataset", |_| true);
    orders.sort_by_key(|row| (row["order_purchase_timestamp"].clone(), row["order_id"].clone()));
    orders.truncate(orders_wanted());
    let ids: BTreeSet<String> = orders.iter().map(|row| row["order_id"].clone()).collect();
    let by_order = |name| {
        let mut by_order: HashMap<String, Vec<Row>> = HashMap::new();
        for row in rows(folder, name, |id| ids.contains(id)) {
            by_order.entry(row["order_id"].clone()).or_default().push(row);
        }
        by_order
    };
    let (mut items, mut payments) =
        (by_order("olist_order_items_dataset"), by_order("olist_order_payments_dataset"));
    let mut rows_of = |row: &Row| {
        let of = |rows: &mut HashMap<String, Vec<Row>>| rows.remove(&row["order_id"]).unwrap_or_default();
        (of(&mut items), of(&mut payments))
    };
    orders
        .into_iter()
        .map(|row| {
            let (items, payments) = rows_of(&row);
            Order { row, items, payments }
        })
        .collect()
}

impl Order {
    fn total(&self) -> i64 {
        self.items.iter().map(|item| centavos(&item["price"]) + centavos(&item["freight_value"])).sum()
    }

    fn paid(&self) -> i64 {
        self.payments.iter().map(|payment| centavos(&payment["payment_value"])).sum()
    }

    fn has(&self, time: &str) -> bool {
        !self.row[time].is_empty()
    }

    /// In this test's own words, for the orders that the test takes.
    fn can_be_imported(&self) -> bool {
        let (carrier, customer) = ("order_delivered_carrier_date", "order_delivered_customer_date");
        let times_are_there = match self.row["order_status"].as_str() {
            "canceled" | "unavailable" => !self.has(carrier) && !self.has(customer),
            "delivered" => self.has("order_approved_at") && self.has(carrier) && self.has(customer),
            "shipped" => self.has("order_approved_at") && self.has(carrier),
            _ => self.has("order_approved_at"),
        };
        !self.items.is_empty() && self.paid() == self.total() && times_are_there
    }

    fn status(&self) -> &str {
        match self.row["order_status"].as_str() {
            "canceled" | "unavailable" => "cancelled",
            "approved" | "invoiced" | "processing" => "processing",
            other => other,
        }
    }

    fn sellers(&self) -> BTreeSet<&str> {
        self.items.iter().map(|item| item["seller_id"].as_str()).collect()
    }
}

fn figures_of_files(orders: &[&Order], people: &HashMap<String, String>) -> Figures {
    let mut figures = Figures { orders: orders.len(), ..Figures::default() };
    for order in orders {
        figures.units += i64::try_from(order.items.len()).unwrap();
        figures.freight += order.items.iter().map(|item| centavos(&item["freight_value"])).sum::<i64>();
        figures.total += order.total();
        *figures.statuses.entry(order.status().to_owned()).or_default() += 1;
        if matches!(order.status(), "shipped" | "delivered") {
            figures.parcels += order.sellers().len();
        }
        figures.customers.insert(people[&order.row["customer_id"]].clone());
        for payment in order.payments.iter().filter(|payment| centavos(&payment["payment_value"]) > 0) {
            let sum = figures.payments.entry(payment["payment_type"].clone()).or_default();
            *sum = (sum.0 + 1, sum.1 + centavos(&payment["payment_value"]));
        }
    }
    figures
}

/// `2018-01-02 10:00:00` as the service says it.
fn time(text: &str) -> String {
    format!("{}Z", text.replace(' ', "T"))
}

async fn figures_of_service(service: &Service, orders: &HashMap<&str, &Order>) -> Figures {
    let mut figures = Figures::default();
    for listed in service.all("/orders?min-position=head").await {
        let id = listed["order_id"].as_str().unwrap();
        let order = service.get(&format!("/orders/{id}")).await;
        let amount = |money: &Value| money["amount"].as_i64().unwrap();
        figures.orders += 1;
        figures.units += order["units"].as_i64().unwrap();
        figures.freight += amount(&order["shipping"]);
        figures.total += amount(&order["total"]);
        *figures.statuses.entry(order["status"].as_str().unwrap().to_owned()).or_default() += 1;
        figures.parcels += order["shipments"].as_array().unwrap().len();
        figures.customers.insert(order["customer_id"].as_str().unwrap().to_owned());
        let mut in_files = None;
        for payment in order["payments"].as_array().unwrap() {
            let method = payment["method"].as_str().unwrap().to_owned();
            let sum = figures.payments.entry(method).or_default();
            *sum = (sum.0 + 1, sum.1 + amount(&payment["amount"]));
            let reference = payment["reference"].as_str().unwrap().strip_prefix("olist ").unwrap();
            in_files = Some(orders[reference.split('/').next().unwrap()]);
            assert_eq!(payment["occurred_at"], time(&in_files.unwrap().row["order_approved_at"]), "{id}");
        }
        let Some(in_files) = in_files else { continue };
        assert_eq!(order["status"], in_files.status(), "{id}");
        assert_eq!(order["placed_at"], time(&in_files.row["order_purchase_timestamp"]), "{id}");
        assert_eq!(amount(&order["total"]), in_files.total(), "{id}");
        for parcel in order["shipments"].as_array().unwrap() {
            assert_eq!(parcel["sent_at"], time(&in_files.row["order_delivered_carrier_date"]), "{id}");
            if order["status"] == "delivered" {
                let arrived = time(&in_files.row["order_delivered_customer_date"]);
                assert_eq!(parcel["delivered_at"], arrived, "{id}");
            }
        }
    }
    figures
}

/// Every unit is where it must be: received what all orders of the files need, sold what these sent.
async fn check_stock_and_prices(service: &Service, orders: &[&Order]) {
    let mut prices = BTreeMap::new();
    let mut sold: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for order in orders {
        for item in &order.items {
            let sku = format!("{}{}", item["product_id"], item["seller_id"]);
            prices.insert(sku.clone(), centavos(&item["price"]));
            let [shipped, reserved] = sold.entry(sku).or_default();
            *shipped += i64::from(matches!(order.status(), "shipped" | "delivered"));
            *reserved += i64::from(order.status() == "processing");
        }
    }
    let products = service.all("/products?min-position=head").await;
    let now: BTreeMap<String, i64> = products
        .iter()
        .map(|p| (p["sku"].as_str().unwrap().to_owned(), p["price"]["amount"].as_i64().unwrap()))
        .collect();
    assert_eq!(now, prices, "each product has the price of its last order");
    let stock = service.all("/stock?min-position=head").await;
    let units = |sku: &Value| ["shipped", "reserved"].map(|field| sku[field].as_i64().unwrap());
    let now: BTreeMap<String, [i64; 2]> =
        stock.iter().map(|sku| (sku["sku"].as_str().unwrap().to_owned(), units(sku))).collect();
    assert_eq!(now, sold);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_orders_are_in_the_shop_as_the_files_have_them() {
    let Some(folder) = folder() else { return };
    let all = first_orders(&folder);
    let customers: BTreeSet<&str> = all.iter().map(|order| order.row["customer_id"].as_str()).collect();
    let people: HashMap<String, String> =
        rows(&folder, "olist_customers_dataset", |id| customers.contains(id))
            .into_iter()
            .map(|row| (row["customer_id"].clone(), row["customer_unique_id"].clone()))
            .collect();
    let (taken, refused): (Vec<&Order>, Vec<&Order>) = all.iter().partition(|order| order.can_be_imported());
    assert!(refused.len() > 10 && taken.len() > 300, "{} and {}", refused.len(), taken.len());

    let data = tempfile::tempdir().unwrap();
    let list = data.path().join("refused.csv");
    let service = Service::start(&data.path().join("shop"), &[]).await;
    let mut import = tokio::process::Command::from(service.import("olist", &folder, orders_wanted()));
    let mut import = import
        .env("RUST_LOG", "info")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(import.stderr.take().unwrap()).lines();
    loop {
        let line = log.next_line().await.unwrap().expect("it tells how far it is");
        if line.contains("importing percent=30 ") {
            break;
        }
    }
    import.kill().await.unwrap();
    let service = service.kill_and_restart().await;

    let mut again = service.import("olist", &folder, orders_wanted());
    let output = again.arg("--refused").arg(&list).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert!(report.contains("already there"), "{report}");

    let mut told: Vec<String> = csv::Reader::from_path(&list)
        .unwrap()
        .deserialize()
        .map(|row| row.map(|mut row: Row| row.remove("order_id").unwrap()).unwrap())
        .collect();
    told.sort();
    let mut expected: Vec<String> = refused.iter().map(|order| order.row["order_id"].clone()).collect();
    expected.sort();
    assert_eq!(told, expected);

    let by_id: HashMap<&str, &Order> =
        taken.iter().map(|order| (order.row["order_id"].as_str(), *order)).collect();
    let expected = figures_of_files(&taken, &people);
    assert_eq!(figures_of_service(&service, &by_id).await, expected);
    check_stock_and_prices(&service, &taken).await;

    let output = service.import("olist", &folder, orders_wanted()).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    // Large numbers are written in groups.
    let all = format!("(0 new {} already there)", taken.len());
    assert!(report.replace(',', "").contains(&all), "{report}");
    assert_eq!(figures_of_service(&service, &by_id).await, expected);
}
