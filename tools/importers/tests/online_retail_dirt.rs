//! Hand-written lines with every kind of dirt that the real file has, and some that it might have.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use domain::Currency;
use importers::Plan;
use importers::history::{History, SkipCount, SkipReason, UnreadableRow};
use importers::online_retail::{ReadError, read, read_file};
use rstest::rstest;
use std::path::Path;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn gbp() -> Currency {
    "GBP".parse().unwrap()
}

fn read_rows(rows: &str) -> History {
    read_bytes(format!("{HEADER}{rows}").as_bytes())
}

fn read_bytes(bytes: &[u8]) -> History {
    read(bytes, Path::new("hand-written"), gbp()).unwrap()
}

fn skipped(history: &History, reason: SkipReason) -> (u64, u64) {
    let SkipCount { invoices, lines } = history.skipped.count(reason);
    (invoices, lines)
}

#[test]
fn an_order_has_the_time_of_its_first_row_and_a_line_for_each_good_row() {
    let history = read_rows(
        "536365,85123a,,0,2010-12-01 08:26:00,2.55,17850,United Kingdom\n\
         536365, 85123a ,\"HEART, \"\"WHITE\"\"\",6,2010-12-01 08:27:00,2.55,17850,United Kingdom\n\
         536365,85123A,OTHER NAME,6,2010-12-01 08:27:00,2.55,17850,United Kingdom\n\
         536365,85123A,OTHER NAME,1,2010-12-01 08:27:00,3,17850,United Kingdom\n\
         536366,71053,LANTERN,2,2010-12-01 08:28:00,0.005,,EIRE\n",
    );
    let [first, second] = history.orders.as_slice() else { panic!("{:?}", history.orders) };
    assert_eq!(first.invoice, "536365");
    assert_eq!(first.occurred_at.to_rfc3339(), "2010-12-01T08:26:00+00:00");
    assert_eq!(first.customer_id.as_ref().unwrap().as_str(), "17850");
    assert_eq!(first.country.as_str(), "United Kingdom");
    let lines: Vec<_> =
        first.lines.iter().map(|line| (line.row, line.quantity.units(), line.unit_price.amount())).collect();
    assert_eq!(lines, [(2, 6, 255), (3, 6, 255), (4, 1, 300)], "exact duplicates stay lines of their own");
    assert_eq!(first.total.amount(), 2 * 6 * 255 + 300);
    assert_eq!(second.customer_id, None, "a row without a customer is a guest");
    assert_eq!(second.total.amount(), 2, "half a penny is rounded up");
    let products: Vec<_> = history
        .products
        .iter()
        .map(|p| {
            (p.sku.as_str(), p.name().unwrap().as_str().to_owned(), p.first_price.amount(), p.units_sold)
        })
        .collect();
    let expected =
        [("85123A", "HEART, \"WHITE\"".to_owned(), 255, 13), ("71053", "LANTERN".to_owned(), 1, 2)];
    assert_eq!(products, expected);
    assert_eq!(skipped(&history, SkipReason::QuantityNotPositive), (0, 1));
}

#[test]
fn a_second_60_is_the_end_of_its_minute_and_no_country_is_an_unknown_one() {
    let history = read_rows(
        "536365,85123A,HEART,1,2016-12-31 23:59:60,2.55,17850,EIRE\n\
         536366,85123A,HEART,1,2017-01-01 00:00:00,2.55,17850,Unspecified\n\
         536367,85123A,HEART,1,2017-01-01 00:00:00,2.55,17850,European Community\n",
    );
    assert_eq!(history.orders[0].occurred_at.to_rfc3339(), "2016-12-31T23:59:59.999999+00:00");
    let countries: Vec<_> =
        history.orders.iter().map(|order| (order.country.as_str(), order.country.code().as_str())).collect();
    assert_eq!(countries, [("EIRE", "IE"), ("ZZ", "ZZ"), ("ZZ", "ZZ")]);
}

#[test]
fn every_country_of_the_real_file_is_known_or_said_to_be_unknown() {
    let unknown = ["Channel Islands", "European Community", "Unspecified"];
    let known = [
        "Australia",
        "Austria",
        "Bahrain",
        "Belgium",
        "Brazil",
        "Canada",
        "Cyprus",
        "Czech Republic",
        "Denmark",
        "EIRE",
        "Finland",
        "France",
        "Germany",
        "Greece",
        "Hong Kong",
        "Iceland",
        "Israel",
        "Italy",
        "Japan",
        "Lebanon",
        "Lithuania",
        "Malta",
        "Netherlands",
        "Norway",
        "Poland",
        "Portugal",
        "RSA",
        "Saudi Arabia",
        "Singapore",
        "Spain",
        "Sweden",
        "Switzerland",
        "USA",
        "United Arab Emirates",
        "United Kingdom",
    ];
    let code = |name: &str| domain::Country::new(name).unwrap().code();
    assert_eq!(known.len() + unknown.len(), 38);
    assert!(known.iter().all(|name| code(name) != domain::CountryCode::UNKNOWN));
    assert!(unknown.iter().all(|name| code(name) == domain::CountryCode::UNKNOWN));
}

#[test]
fn what_is_no_sale_is_skipped_and_counted() {
    let history = read_rows(
        "C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom\n\
         C536379,D,Discount,1,2010-12-01 09:41:00,27.50,14527,United Kingdom\n\
         C536380,D,Discount,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom\n\
         A563185,B,Adjust bad debt,1,2011-08-12 14:50:00,11062.06,,United Kingdom\n\
         A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom\n\
         X1,B,,1,2011-08-12 14:51:00,1.00,,United Kingdom\n\
         ,B,,1,2011-08-12 14:51:00,1.00,,United Kingdom\n\
         536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom\n\
         536589,21777,,10,2010-12-01 16:50:00,0.0,,United Kingdom\n\
         536589,21777,,10,2010-12-01 16:50:00,0.004,,United Kingdom\n\
         536589,21777,,10,2010-12-01 16:50:00,-2.00,,United Kingdom\n",
    );
    assert!(history.orders.is_empty());
    assert!(history.products.is_empty());
    assert_eq!(skipped(&history, SkipReason::Cancellation), (2, 3));
    assert_eq!(skipped(&history, SkipReason::Adjustment), (2, 2));
    assert_eq!(skipped(&history, SkipReason::OtherInvoice), (2, 2));
    assert_eq!(skipped(&history, SkipReason::QuantityNotPositive), (0, 1));
    assert_eq!(skipped(&history, SkipReason::PriceNotPositive), (0, 3));
    assert_eq!(skipped(&history, SkipReason::Unreadable), (0, 0));
    assert_eq!(history.skipped.orders_without_lines, 1);
}

#[rstest]
#[case("1,A,x,one,2010-12-01 08:26:00,1,,UK", UnreadableRow::Quantity("one".to_owned()))]
#[case("1,A,x,1.5,2010-12-01 08:26:00,1,,UK", UnreadableRow::Quantity("1.5".to_owned()))]
#[case("1,A,x,1000000001,2010-12-01 08:26:00,1,,UK", UnreadableRow::Quantity("1000000001".to_owned()))]
#[case("1,A,x,1,2010-12-01 08:26:00,1e3,,UK", UnreadableRow::Price("1e3".to_owned()))]
#[case("1,A,x,1,2010-13-01 08:26:00,1,,UK", UnreadableRow::Time("2010-13-01 08:26:00".to_owned()))]
#[case("1,A,x,1", UnreadableRow::TooFewColumns)]
fn a_row_that_cannot_be_read_is_skipped_and_named(#[case] row: &str, #[case] expected: UnreadableRow) {
    let good = "2,A,x,1,2010-12-01 08:26:00,1,,UK\n";
    let history = read_rows(&format!("{good}{row}\n{good}"));
    assert_eq!(history.skipped.unreadable_rows, [(3, expected)]);
    assert_eq!(skipped(&history, SkipReason::Unreadable), (0, 1));
    let [order] = history.orders.as_slice() else { panic!("{:?}", history.orders) };
    assert_eq!((order.invoice.as_str(), order.lines.len()), ("2", 2));
}

#[rstest]
#[case("1,A/B,x,1,2010-12-01 08:26:00,1,,UK")]
#[case("1, ,x,1,2010-12-01 08:26:00,1,,UK")]
#[case("1,A,x,1,2010-12-01 08:26:00,1,,")]
#[case("1,A,x,1000000000,2010-12-01 08:26:00,99999999999.99,,UK")]
fn a_row_that_the_domain_does_not_take_is_skipped_and_leaves_nothing(#[case] row: &str) {
    let history = read_rows(&format!("{row}\n"));
    assert_eq!(skipped(&history, SkipReason::Unreadable), (0, 1));
    assert!(history.orders.is_empty());
    assert!(history.products.is_empty());
    assert_eq!(history.skipped.orders_without_lines, 1);
}

#[test]
fn rows_of_an_invoice_belong_together_wherever_they_stand() {
    let history = read_rows(
        "1,A,x,1,2010-12-01 08:26:00,1,,UK\n\
         2,A,x,1,2010-12-01 08:27:00,1,,UK\n\
         1,B,y,1,2010-12-01 08:28:00,2,,UK\n",
    );
    let orders: Vec<_> =
        history.orders.iter().map(|o| (o.invoice.as_str(), o.lines.len(), o.total.amount())).collect();
    assert_eq!(orders, [("1", 2, 300), ("2", 1, 100)]);
}

#[test]
fn other_copies_of_the_file_read_the_same() {
    let rows = "539492,gift_0001_40,Voucher £40.00,1,2010-12-20 10:14:00,34.04,,UK\n";
    let mut with_mark = b"\xef\xbb\xbf".to_vec();
    with_mark.extend_from_slice(format!("{HEADER}{rows}").replace('\n', "\r\n").as_bytes());
    let mut latin_1 = HEADER.as_bytes().to_vec();
    latin_1.extend_from_slice(b"539492,gift_0001_40,Voucher \xa340.00,1,12/20/2010 10:14,34.04,,UK\n");
    for bytes in [format!("{HEADER}{rows}").into_bytes(), with_mark, latin_1] {
        let history = read_bytes(&bytes);
        assert_eq!(history.orders[0].occurred_at.to_rfc3339(), "2010-12-20T10:14:00+00:00");
        assert_eq!(history.products[0].sku.as_str(), "GIFT_0001_40");
        assert_eq!(history.products[0].name().unwrap().as_str(), "Voucher £40.00");
    }
}

#[test]
fn plain_and_packed_files_read_the_same_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{HEADER}1,A,x,1,2010-12-01 08:26:00,1,,UK\n");
    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("plain", text.as_bytes()), ("packed", &packed), ("packed.csv", &packed)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read_file(&path, gbp()).unwrap().orders.len(), 1, "{name}");
    }
}

#[test]
fn a_file_that_is_none_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.csv");
    assert!(matches!(read_file(&missing, gbp()), Err(ReadError::Open { .. })));
    let other = read("order_id,price\n1,2\n".as_bytes(), Path::new("other.csv"), gbp());
    assert!(matches!(other, Err(ReadError::MissingColumn { column: "InvoiceNo", .. })));
    let torn = folder.path().join("torn.csv.zst");
    let packed = zstd::encode_all(HEADER.repeat(1_000).as_bytes(), 1).unwrap();
    std::fs::write(&torn, &packed[..packed.len() - 5]).unwrap();
    assert!(matches!(read_file(&torn, gbp()), Err(ReadError::Damaged { .. })));
}

#[test]
fn a_product_without_any_description_is_called_by_its_sku() {
    let history = read_rows("1,a 1,,1,2010-12-01 08:26:00,1,,UK\n");
    assert_eq!(history.products[0].name().unwrap().as_str(), "A 1");
}

#[test]
fn a_short_import_prepares_the_products_as_the_full_one_would() {
    let history = read_rows(
        "1,B,,1,2010-12-01 08:26:00,1,,UK\n\
         2,A,a,2,2010-12-01 08:27:00,2,,UK\n\
         2,B,b,3,2010-12-01 08:27:00,3,,UK\n",
    );
    let needed = |limit| {
        let plan = Plan::new(&history, limit);
        let products: Vec<_> = plan.products.iter().map(|p| (p.sku.as_str(), p.units_sold)).collect();
        (plan.orders.len(), plan.lines, products)
    };
    assert_eq!(needed(Some(0)), (0, 0, vec![]));
    assert_eq!(needed(Some(1)), (1, 1, vec![("B", 4)]));
    assert_eq!(needed(Some(9)), (2, 3, vec![("B", 4), ("A", 2)]));
    assert_eq!(needed(None), needed(Some(2)));
    assert_eq!(history.products[0].name().unwrap().as_str(), "b");
}
