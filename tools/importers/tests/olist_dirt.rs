//! Hand-written files with every kind of dirt that the real ones have, and some that they might have.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use importers::olist::{Elsewhere, Files, Plan, ReadError, Refusal, Times, Unreadable};
use rstest::rstest;
use std::path::Path;

const BOUGHT: &str = "2018-01-01 10:00:00";
const APPROVED: &str = "2018-01-02 10:00:00";
const CARRIER: &str = "2018-01-03 10:00:00";
const ARRIVED: &str = "2018-01-04 10:00:00";

/// A folder's rows, without their headers.
struct Folder {
    orders: Vec<String>,
    items: String,
    payments: String,
}

impl Folder {
    /// Orders of two sellers' goods at 10.00 and 1.50 freight for each unit.
    fn new(orders: &[String], items: &str, payments: &str) -> Self {
        Self { orders: orders.to_vec(), items: items.to_owned(), payments: payments.to_owned() }
    }

    fn write(&self, folder: &Path) {
        let files = [
            (
                "olist_orders_dataset.csv",
                format!(
                    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,\
                 order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date\n{}\n",
                    self.orders.join("\n")
                ),
            ),
            (
                "olist_order_items_dataset.csv",
                format!(
                    "\"order_id\",\"order_item_id\",\"product_id\",\"seller_id\",\"shipping_limit_date\",\"price\",\
                 \"freight_value\"\n{}",
                    self.items
                ),
            ),
            (
                "olist_order_payments_dataset.csv",
                format!(
                    "order_id,payment_sequential,payment_type,payment_installments,payment_value\n{}",
                    self.payments
                ),
            ),
            (
                "olist_customers_dataset.csv",
                "customer_id,customer_unique_id,customer_state\nc1,anna,SP\nc2,anna,SP\n".to_owned(),
            ),
            (
                "olist_products_dataset.csv",
                "product_id,product_category_name\np1,beleza_saude\np2,\np3,pc_gamer\n".to_owned(),
            ),
            ("olist_sellers_dataset.csv", "seller_id,seller_city\ns1,x\ns2,y\n".to_owned()),
            (
                "product_category_name_translation.csv",
                "\u{feff}product_category_name,product_category_name_english\nbeleza_saude,health_beauty\n"
                    .to_owned(),
            ),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    fn read(&self) -> Files {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        Files::read(folder.path()).unwrap()
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.read(), None)
    }
}

fn order(id: &str, status: &str, times: [&str; 4]) -> String {
    format!("{id},c1,{status},{},2018-02-01 00:00:00", times.join(","))
}

/// A good order of two units at 10.00, with 1.50 freight for each.
const ITEMS: &str = "o,1,p1,s1,,10.00,1.50\no,2,p1,s1,,10.00,1.50\n";

#[test]
fn an_order_has_its_people_goods_money_and_times() {
    let times = [BOUGHT, APPROVED, CARRIER, ARRIVED];
    let items = "o,2,p1,s1,,10.00,1.50\no,1,p1,s1,,10.00,1.50\no,3,p1,s2,,9.99,0\no,4,p2,s2,,0.85,0.1\n";
    let payments = "o,2,voucher,1,3.00\no,1,credit_card,8,30.94\no,3,voucher,1,0.00\n";
    let plan = Folder::new(&[order("o", "delivered", times)], items, payments).plan();
    let [order] = plan.orders.as_slice() else { panic!("{:?}", plan.refused) };
    assert_eq!((order.customer_id.as_str(), order.status), ("anna", "delivered"));
    assert_eq!((order.freight.amount(), order.total.amount()), (310, 2 * 1_000 + 999 + 85 + 310));
    let lines: Vec<_> = order.lines.iter().map(|line| (line.number, line.quantity.units())).collect();
    assert_eq!(lines, [(1, 2), (3, 1), (4, 1)], "rows of one SKU are one line");
    let products: Vec<_> =
        plan.products.iter().map(|p| (p.sku.as_str(), p.merchant_id.as_str(), p.name.as_str())).collect();
    let expected = [
        ("p1s1", "s1", "health beauty p1"),
        ("p1s2", "s2", "health beauty p1"),
        ("p2s2", "s2", "product p2"),
    ];
    assert_eq!(products, expected, "a product of two sellers is two SKUs");
    let payments: Vec<_> = order
        .payments
        .iter()
        .map(|p| (p.method.as_str(), p.amount.amount(), p.reference.as_str(), p.at.to_rfc3339()))
        .collect();
    let at = "2018-01-02T10:00:00+00:00".to_owned();
    let expected =
        [("credit_card", 3_094, "olist o/1, 8 instalments", at.clone()), ("voucher", 300, "olist o/2", at)];
    assert_eq!(payments, expected, "a payment of nothing is left out");
    assert_eq!(plan.in_files.empty_payments, 1);
    let parcels: Vec<_> = order
        .parcels
        .iter()
        .map(|parcel| (parcel.merchant_id.as_str(), parcel.delivered_at.is_some()))
        .collect();
    assert_eq!(parcels, [("s1", true), ("s2", true)], "each seller sends what is theirs");
}

#[rstest]
#[case("created", [BOUGHT, "", "", ""], "pending", 0, 0)]
#[case("approved", [BOUGHT, APPROVED, "", ""], "processing", 1, 0)]
#[case("invoiced", [BOUGHT, APPROVED, "", ""], "processing", 1, 0)]
#[case("processing", [BOUGHT, APPROVED, "", ""], "processing", 1, 0)]
#[case("shipped", [BOUGHT, APPROVED, CARRIER, ""], "shipped", 1, 1)]
#[case("delivered", [BOUGHT, APPROVED, CARRIER, ARRIVED], "delivered", 1, 1)]
#[case("canceled", [BOUGHT, APPROVED, "", ""], "cancelled", 1, 0)]
#[case("canceled", [BOUGHT, "", "", ""], "cancelled", 0, 0)]
#[case("unavailable", [BOUGHT, APPROVED, "", ""], "cancelled", 1, 0)]
fn each_status_of_the_files_has_its_own_here(
    #[case] status: &str,
    #[case] times: [&str; 4],
    #[case] expected: &str,
    #[case] payments: usize,
    #[case] parcels: usize,
) {
    let plan = Folder::new(&[order("o", status, times)], ITEMS, "o,1,boleto,1,23.00\n").plan();
    let [order] = plan.orders.as_slice() else { panic!("{:?}", plan.refused) };
    assert_eq!((order.status, order.payments.len(), order.parcels.len()), (expected, payments, parcels));
    let cancelled_at = order.cancellation.as_ref().map(|(at, _)| at.format("%Y-%m-%d %H:%M:%S").to_string());
    let last = if times[1].is_empty() { BOUGHT } else { APPROVED };
    assert_eq!(cancelled_at.as_deref(), (expected == "cancelled").then_some(last));
}

const ALL: [&str; 4] = [BOUGHT, APPROVED, CARRIER, ARRIVED];

#[rstest]
#[case("delivered", ALL, "", "o,1,boleto,1,23.00\n", "no items")]
#[case("unavailable", [BOUGHT, "", "", ""], "", "", "no items")]
#[case("delivered", ALL, ITEMS, "o,1,boleto,1,23.01\n", "payments above items and freight")]
#[case(
    "delivered",
    ALL,
    ITEMS,
    "o,1,boleto,1,23.00\no,2,voucher,1,0.01\n",
    "payments above items and freight"
)]
#[case("canceled", [BOUGHT, APPROVED, "", ""], ITEMS, "o,1,boleto,1,99.00\n", "payments above items and freight")]
#[case("delivered", ALL, ITEMS, "o,1,boleto,1,22.99\n", "payments below items and freight")]
#[case("processing", ALL, ITEMS, "", "payments below items and freight")]
#[case("delivered", [BOUGHT, "", CARRIER, ARRIVED], ITEMS, "o,1,boleto,1,23.00\n", "something happened at no time")]
#[case("delivered", [BOUGHT, APPROVED, "", ARRIVED], ITEMS, "o,1,boleto,1,23.00\n", "something happened at no time")]
#[case("delivered", [BOUGHT, APPROVED, CARRIER, ""], ITEMS, "o,1,boleto,1,23.00\n", "something happened at no time")]
#[case("shipped", ["", APPROVED, CARRIER, ""], ITEMS, "o,1,boleto,1,23.00\n", "something happened at no time")]
#[case("canceled", [BOUGHT, APPROVED, CARRIER, ""], ITEMS, "o,1,boleto,1,23.00\n", "called off after it was shipped")]
#[case("canceled", ALL, ITEMS, "o,1,boleto,1,23.00\n", "called off after it was shipped")]
#[case("lost", ALL, ITEMS, "o,1,boleto,1,23.00\n", "status unknown")]
#[case(
    "delivered",
    ALL,
    "o,1,p9,s1,,1.00,0\n",
    "o,1,boleto,1,1.00\n",
    "customer, product or seller is in no file"
)]
#[case(
    "delivered",
    ALL,
    "o,1,p1,s9,,1.00,0\n",
    "o,1,boleto,1,1.00\n",
    "customer, product or seller is in no file"
)]
#[case(
    "delivered",
    ALL,
    "o,1,p1,s1,,1.00,0\no,2,p1,s1,,2.00,0\n",
    "o,1,boleto,1,3.00\n",
    "one SKU at two prices"
)]
#[case(
    "delivered",
    ALL,
    "o,1,p/1,s1,,1.00,0\n",
    "o,1,boleto,1,1.00\n",
    "a field does not have the form that the shop takes"
)]
#[case("delivered", ALL, "o,1,p1,s1,,1.005,0\n", "o,1,boleto,1,1.00\n", "a row cannot be read")]
#[case("delivered", ALL, "o,1,p1,s1,,-1.00,0\n", "o,1,boleto,1,1.00\n", "a row cannot be read")]
#[case("delivered", ALL, "o,1,p1,s1\n", "o,1,boleto,1,1.00\n", "a row cannot be read")]
#[case("delivered", ALL, ITEMS, "o,one,boleto,1,23.00\n", "a row cannot be read")]
#[case("delivered", [BOUGHT, "soon", CARRIER, ARRIVED], ITEMS, "o,1,boleto,1,23.00\n", "a row cannot be read")]
fn what_the_rules_refuse_stays_outside_whole(
    #[case] status: &str,
    #[case] times: [&str; 4],
    #[case] items: &str,
    #[case] payments: &str,
    #[case] heading: &str,
) {
    let good = order("good", "delivered", ALL);
    let items = format!("{items}good,1,p3,s2,,1.00,0\n");
    let payments = format!("{payments}good,1,boleto,1,1.00\n");
    let plan = Folder::new(&[order("o", status, times), good], &items, &payments).plan();
    let [refused] = plan.refused.as_slice() else { panic!("{:?}", plan.orders) };
    assert_eq!((refused.id.as_str(), refused.refusal.heading()), ("o", heading));
    assert_eq!(plan.orders.iter().map(|order| order.id.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(plan.products.len(), 1, "a refused order needs no products");
    let mut sum = refused.totals.clone();
    sum.add(&plan.orders[0].totals);
    assert_eq!(sum, plan.in_files);
}

#[test]
fn a_refusal_says_the_amounts_and_the_rule() {
    let folder = Folder::new(&[order("o", "delivered", ALL)], ITEMS, "o,1,boleto,1,30.00\n");
    let refusal = folder.plan().refused.remove(0).refusal;
    assert!(matches!(refusal, Refusal::PaidTooMuch { paid: 3_000, total: 2_300, .. }), "{refusal:?}");
    assert!(refusal.to_string().starts_with("its payments are 30.00, its total is 23.00: "), "{refusal}");
    let folder = Folder::new(&[order("o", "delivered", ALL)], ITEMS, "o,1,boleto,1,1e3\n");
    let unreadable = Refusal::Unreadable(Unreadable::Amount("1e3".to_owned()));
    assert_eq!(folder.plan().refused.remove(0).refusal, unreadable);
}

#[test]
fn times_that_cannot_be_so_are_taken_and_told() {
    let plan = Folder::new(
        &[
            order("a", "delivered", [BOUGHT, CARRIER, APPROVED, ARRIVED]),
            order("b", "delivered", [BOUGHT, APPROVED, ARRIVED, CARRIER]),
            order("c", "shipped", [APPROVED, APPROVED, BOUGHT, ""]),
        ],
        "a,1,p1,s1,,1.00,0\nb,1,p1,s1,,1.00,0\nc,1,p1,s1,,1.00,0\n",
        "a,1,boleto,1,1.00\nb,1,boleto,1,1.00\nc,1,boleto,1,1.00\n",
    )
    .plan();
    let odd = |id: &str| {
        let times = plan.orders.iter().find(|order| order.id == id).unwrap().odd_times;
        [times.carrier_before_approval, times.carrier_before_purchase, times.delivered_before_carrier]
    };
    assert_eq!(odd("a"), [true, false, false]);
    assert_eq!(odd("b"), [false, false, true]);
    assert_eq!(odd("c"), [true, true, false]);
}

#[test]
fn a_second_60_is_the_end_of_its_minute() {
    let last = "2016-12-31 23:59:60";
    let times = [last, last, last, "2017-01-01 00:00:00"];
    let plan = Folder::new(&[order("o", "delivered", times)], ITEMS, "o,1,boleto,1,23.00\n").plan();
    let [order] = plan.orders.as_slice() else { panic!("{:?}", plan.refused) };
    for at in [order.purchased_at, order.payments[0].at] {
        assert_eq!(at.to_rfc3339(), "2016-12-31T23:59:59.999999+00:00");
    }
    let Times { carrier_before_approval, delivered_before_carrier, .. } = order.odd_times;
    assert!(!carrier_before_approval && !delivered_before_carrier, "it is before what follows it");
}

#[test]
fn prices_change_in_the_order_of_the_purchases_and_refused_orders_change_none() {
    let at = |day: &str| [format!("2018-01-{day} 10:00:00"), ARRIVED.to_owned()];
    let row = |id: &str, day: &str| {
        let [bought, later] = at(day);
        order(id, "processing", [&bought, &later, "", ""])
    };
    let plan = Folder::new(
        &[
            row("third", "03"),
            row("first", "01"),
            row("refused", "02"),
            row("second", "02"),
            row("last", "04"),
        ],
        "first,1,p1,s1,,1.00,0\nrefused,1,p1,s1,,9.00,0\nsecond,1,p1,s1,,1.00,0\nthird,1,p1,s1,,2.00,0\n\
         last,1,p1,s1,,1.00,0\nlast,2,p1,s1,,1.00,0\n",
        "first,1,boleto,1,1.00\nrefused,1,boleto,1,1.00\nsecond,1,boleto,1,1.00\nthird,1,boleto,1,2.00\n\
         last,1,boleto,1,2.00\n",
    )
    .plan();
    let orders: Vec<_> = plan
        .orders
        .iter()
        .map(|order| (order.id.as_str(), order.lines[0].turn, order.lines[0].is_new_price))
        .collect();
    assert_eq!(orders, [("first", 0, false), ("second", 1, false), ("third", 2, true), ("last", 3, true)]);
    let product = &plan.products[0];
    assert_eq!((product.first_price.amount(), product.units), (100, 5));
    assert_eq!(product.first_sold_at.to_rfc3339(), "2018-01-01T10:00:00+00:00");
}

#[test]
fn a_short_import_prepares_the_products_as_the_full_one_would() {
    let files = Folder::new(
        &[order("a", "processing", ALL), order("b", "processing", ALL), order("c", "processing", ALL)],
        "a,1,p1,s1,,1.00,0\nc,1,p1,s1,,1.00,0\nc,2,p2,s1,,1.00,0\n",
        "a,1,boleto,1,1.00\nc,1,boleto,1,2.00\n",
    )
    .read();
    let short = Plan::new(&files, Some(2));
    assert_eq!((short.orders.len(), short.refused.len(), short.in_files.orders), (1, 1, 2));
    assert_eq!(short.needed_products(), [0]);
    assert_eq!(short.products[0].units, 2, "also what later orders need");
    assert_eq!(Plan::new(&files, None).needed_products(), [0, 1]);
}

#[test]
fn rows_of_no_order_and_orders_that_stand_twice_are_counted() {
    let files = Folder::new(
        &[order("o", "delivered", ALL), order("o", "shipped", ALL)],
        &format!("{ITEMS}x,1,p1,s1,,1.00,0\n"),
        "o,1,boleto,1,23.00\nx,1,boleto,1,1.00\nx,2,boleto,1,1.00\n",
    )
    .read();
    assert_eq!(files.elsewhere, Elsewhere { items: 1, payments: 2, repeated_orders: 1 });
    assert_eq!(Plan::new(&files, None).orders[0].status, "delivered");
}

#[test]
fn packed_files_read_the_same_and_a_missing_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    Folder::new(&[order("o", "delivered", ALL)], ITEMS, "o,1,boleto,1,23.00\n").write(folder.path());
    let items = folder.path().join("olist_order_items_dataset.csv");
    let packed = zstd::encode_all(std::fs::read(&items).unwrap().as_slice(), 1).unwrap();
    std::fs::write(folder.path().join("olist_order_items_dataset.csv.zst"), packed).unwrap();
    std::fs::remove_file(&items).unwrap();
    assert_eq!(Plan::new(&Files::read(folder.path()).unwrap(), None).orders.len(), 1);
    std::fs::write(&items, "order_id,price\n").unwrap();
    let other = Files::read(folder.path());
    assert!(matches!(other, Err(ReadError::MissingColumn { column: "order_item_id", .. })), "{other:?}");
    std::fs::remove_file(folder.path().join("olist_sellers_dataset.csv")).unwrap();
    std::fs::remove_file(&items).unwrap();
    let missing = Files::read(folder.path());
    assert!(matches!(missing, Err(ReadError::Open { .. })), "{missing:?}");
}
