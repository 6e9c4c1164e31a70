//! What must be so of goods and money, and what may wait.

use super::*;
use domain::order;
use domain::stored::StoredEvent;
use rstest::rstest;
use serde_json::{Value, json};

const fn goods(bought: i64, given_up: i64, sent: i64) -> Goods {
    Goods { bought, given_up, sent }
}

const fn hold(kept: i64, committed: i64, shipped: i64) -> Hold {
    Hold { kept, committed, shipped }
}

#[rstest]
#[case(Stage::Pending, goods(3, 0, 0), hold(0, 0, 0), true)]
#[case(Stage::Pending, goods(3, 0, 0), hold(3, 0, 0), true)]
#[case(Stage::Pending, goods(3, 0, 0), hold(2, 0, 0), false)]
#[case(Stage::Pending, goods(3, 0, 0), hold(3, 3, 0), false)]
#[case(Stage::Paid, goods(3, 0, 0), hold(3, 0, 0), false)]
#[case(Stage::Processing, goods(3, 0, 0), hold(3, 3, 0), true)]
#[case(Stage::Processing, goods(3, 0, 0), hold(3, 2, 0), false)]
#[case(Stage::Processing, goods(3, 1, 1), hold(1, 1, 1), true)]
#[case(Stage::Processing, goods(3, 1, 1), hold(2, 2, 1), false)]
#[case(Stage::Shipped, goods(3, 0, 3), hold(0, 0, 3), true)]
#[case(Stage::Delivered, goods(3, 0, 3), hold(3, 3, 0), false)]
#[case(Stage::Cancelled, goods(3, 0, 0), hold(0, 0, 0), true)]
#[case(Stage::Cancelled, goods(3, 0, 0), hold(3, 0, 0), false)]
fn stock_keeps_what_an_order_needs(
    #[case] stage: Stage,
    #[case] goods: Goods,
    #[case] hold: Hold,
    #[case] is_right: bool,
) {
    assert_eq!(is_kept_for(stage, goods, hold), is_right);
}

const ORDER: u128 = 1;

fn gbp(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "GBP" })
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The books of one order of 10 pounds to which this happened, all at once.
fn books(events: &[(&str, Value)]) -> Books {
    let line = json!({ "line_id": id(2), "sku": "MUG", "merchant_id": "acme", "name": "Mug", "quantity": 1,
                       "unit_price": gbp(1000) });
    let placed =
        json!({ "cart_id": id(3), "country": "United Kingdom", "lines": [line], "total": gbp(1000) });
    let read = |name: &str, data: &Value| order::Event::read(name, data.to_string().as_bytes()).unwrap();
    let order::Event::Placed(placed) = read("order.placed.v1", &placed) else { panic!("it is placed") };
    let mut book = OrderBook::open(&placed, DateTime::UNIX_EPOCH);
    for ((name, data), revision) in events.iter().zip(1..) {
        book.sees(&read(name, data), revision, DateTime::UNIX_EPOCH);
    }
    let mut books = Books::default();
    books.orders.insert(id(ORDER), book);
    books
}

/// What is waiting and what is wrong, so long after the last event.
fn after(books: &Books, rests: TimeDelta) -> (u64, Vec<String>) {
    let (mut report, mut found) = (ReconciliationReport::default(), Suspicions::default());
    check_books(books, DateTime::UNIX_EPOCH + rests, &mut report, &mut found);
    let money = found.first.into_iter().filter(|suspicion| suspicion.check == Check::Money);
    (report.waiting, money.map(|suspicion| suspicion.what).collect())
}

fn requested(payment: u128) -> (&'static str, Value) {
    let asked = json!({ "payment_id": id(payment), "amount": gbp(1000), "token": "pm_card_visa" });
    ("order.payment_requested.v1", asked)
}

fn captured(payment: u128) -> (&'static str, Value) {
    let taken = json!({ "payment_id": id(payment), "intent": "pi_1", "amount": gbp(1000) });
    ("order.payment_captured.v1", taken)
}

fn cancelled() -> (&'static str, Value) {
    ("order.cancelled.v1", json!({ "reason": { "kind": "expired" } }))
}

fn refund(what: &str, amount: i64) -> (String, Value) {
    let refund = json!({ "refund_id": id(9), "payment_id": id(4), "amount": gbp(amount), "reference": "re_1",
                         "message": "no" });
    (format!("order.refund_{what}.v1"), refund)
}

const MINUTES: TimeDelta = TimeDelta::minutes(5);
const DAYS: TimeDelta = TimeDelta::days(30);

#[rstest]
#[case::of_a_called_off_order(vec![requested(4), cancelled()])]
#[case::beside_the_one_that_paid(vec![
    requested(4),
    requested(5),
    captured(4),
    ("order.paid.v1", json!({ "amount": gbp(1000) })),
    ("order.processing_started.v1", json!({})),
])]
fn a_payment_may_wait_for_the_gateway_for_a_day(#[case] events: Vec<(&str, Value)>) {
    let books = books(&events);
    assert_eq!(after(&books, MINUTES), (1, vec![]));
    assert_eq!(after(&books, PAYMENT_DECIDED_WITHIN - TimeDelta::seconds(1)), (1, vec![]));
    let (waiting, wrong) = after(&books, PAYMENT_DECIDED_WITHIN);
    assert!(waiting == 0 && wrong.len() == 1 && wrong[0].contains("undecided"), "{waiting} {wrong:?}");
}

#[test]
fn an_order_that_is_not_paid_yet_waits_for_its_shopper_and_not_for_the_gateway() {
    assert_eq!(after(&books(&[requested(4)]), DAYS), (0, vec![]));
}

/// A bank takes its time, and the order says that the money is on its way.
#[test]
fn money_of_a_called_off_order_may_be_on_its_way_back_for_as_long_as_it_takes() {
    let called_off = [requested(4), captured(4), cancelled()];
    let with = |refunds: &[(String, Value)]| {
        let refunds = refunds.iter().map(|(name, data)| (name.as_str(), data.clone()));
        after(&books(&called_off.iter().cloned().chain(refunds).collect::<Vec<_>>()), DAYS)
    };
    let asked = refund("requested", 1000);
    assert_eq!(with(std::slice::from_ref(&asked)), (1, vec![]));
    assert_eq!(with(&[asked.clone(), refund("recorded", 1000)]), (0, vec![]));
    // What the gateway refused went back all the same.
    let late = [asked, refund("refused", 1000), refund("recorded", 1000)];
    assert_eq!(with(&late), (0, vec![]));
    // Nobody asked for all of it.
    let (waiting, wrong) = with(&[refund("requested", 999)]);
    assert_eq!(waiting, 1);
    assert!(wrong.len() == 1 && wrong[0].contains("999 is on its way"), "{wrong:?}");
    assert_eq!(with(&[]).1.len(), 1);
}

#[test]
fn a_refund_of_a_living_order_waits_too() {
    let paid = [
        requested(4),
        captured(4),
        ("order.paid.v1", json!({ "amount": gbp(1000) })),
        ("order.processing_started.v1", json!({})),
    ];
    let (name, data) = refund("requested", 100);
    let events: Vec<_> = paid.into_iter().chain([(name.as_str(), data)]).collect();
    assert_eq!(after(&books(&events), MINUTES), (1, vec![]));
    assert_eq!(after(&books(&events), DAYS), (1, vec![]));
}
