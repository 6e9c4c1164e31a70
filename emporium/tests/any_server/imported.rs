use crate::store::{Store, fresh};
use rand::Rng;
use std::fmt::Write;
use std::time::Instant;

const ORDERS: u64 = 1_000;
const PRODUCTS: u64 = 40;

/// Orders of one customer in the form of the retailer's file, and what they cost together, in pence.
fn file(customer: &str) -> (String, i64) {
    let mut rng = rand::rng();
    let first = rng.random_range(100_000_000..900_000_000_u64);
    let mut rows =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
    let mut total = 0;
    for order in 0..ORDERS {
        for line in 0..=order % 3 {
            let product = (order + line * 7) % PRODUCTS;
            let (quantity, price) = (rng.random_range(1..=12_i64), 100 + i64::try_from(product).unwrap());
            total += quantity * price;
            let (invoice, minute, hour) = (first + order, order % 60, 8 + order / 60 % 12);
            writeln!(
                rows,
                "{invoice},{customer}-{product},THE {product},{quantity},2010-12-01 {hour:02}:{minute:02}:00,{}.{:02},\
                 {customer},United Kingdom",
                price / 100,
                price % 100
            )
            .unwrap();
        }
    }
    (rows, total)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_are_imported_to_the_penny() {
    let store = Store::find().await;
    let service = store.shop().await;
    let customer = fresh("C");
    let (rows, total) = file(&customer);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    std::fs::write(&path, rows).unwrap();
    let begun = Instant::now();
    let mut import = tokio::process::Command::from(service.import("online-retail", &path, usize::MAX));
    let output = import.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    println!("import: {ORDERS} orders in {:.1} s", begun.elapsed().as_secs_f64());
    let orders = service.all(&format!("/orders?customer_id={customer}&min-position=head")).await;
    assert_eq!(orders.len() as u64, ORDERS);
    let sum: i64 = orders.iter().map(|order| order["total"]["amount"].as_i64().unwrap()).sum();
    assert_eq!(sum, total);
    service.terminate().await;
}
