//! Forged histories: each crime must be found, and nothing else.

use super::{Charge, Findings, History, Told, judge};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

const HOT: &str = "HOT";
const SECOND: &str = "SECOND";
const PRICE: i64 = 2_000;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A history to forge, event by event.
#[derive(Default)]
struct Forged {
    history: History,
    books: Vec<Charge>,
    told: Told,
}

impl Forged {
    /// So many units of the hot SKU, and ten of the second one.
    fn with_units(units: i64) -> Self {
        let mut forged = Self::default();
        forged.stock(HOT, "received", &json!({ "receipt_id": id(1), "quantity": units }));
        forged.stock(SECOND, "received", &json!({ "receipt_id": id(2), "quantity": 10 }));
        forged
    }

    fn see(&mut self, stream: &str, event_type: &str, data: &Value) {
        self.history.see(stream, event_type, data.to_string().as_bytes(), 0).unwrap();
    }

    fn stock(&mut self, sku: &str, what: &str, data: &Value) {
        self.see(&format!("inventory-{sku}"), &format!("inventory.{what}.v1"), data);
    }

    fn units(&mut self, sku: &str, what: &str, order: u128) {
        self.stock(sku, what, &json!({ "order_id": id(order), "quantity": 1, "was_committed": false }));
    }

    fn order(&mut self, order: u128, what: &str, data: &Value) {
        self.see(&format!("order-{}", id(order)), &format!("order.{what}.v1"), data);
    }

    fn place(&mut self, order: u128) {
        self.see("cart-1", "cart.checked_out.v1", &json!({ "order_id": id(order) }));
        let lines = json!([{ "sku": HOT, "quantity": 1 }]);
        self.order(order, "placed", &json!({ "lines": lines, "total": { "amount": PRICE } }));
    }

    fn charge(&mut self, order: u128, received: i64, refunded: i64) {
        let order_id = Some(id(order));
        self.books.push(Charge { order_id, received, refunded, is_open: false });
    }

    /// All as it should be.
    fn buy(&mut self, order: u128) {
        self.place(order);
        self.units(HOT, "reserved", order);
        self.charge(order, PRICE, 0);
        self.units(HOT, "committed", order);
        self.order(order, "processing_started", &json!({}));
        self.told.bought.push(id(order));
    }

    fn call_off(&mut self, order: u128) {
        self.place(order);
        self.units(HOT, "reserved", order);
        self.order(order, "cancelled", &json!({ "reason": { "kind": "expired" } }));
        self.units(HOT, "released", order);
    }

    fn judge(&self) -> Findings {
        judge(&self.history, (HOT, SECOND), &self.books, &self.told)
    }
}

#[test]
fn an_honest_sale_has_nothing_to_find() {
    let mut forged = Forged::with_units(2);
    forged.buy(11);
    forged.call_off(12);
    forged.buy(13);
    forged.told.sent_home = 40;
    let findings = forged.judge();
    assert_eq!(findings, Findings { sold: 2, ..Findings::default() });
    assert!(findings.is_settled() && findings.broken().is_empty());
}

type Crime = fn(&mut Forged);

#[rstest]
#[case::more_reservations_than_units(|sale: &mut Forged| sale.buy(13), Findings { sold: 3, oversold: 1, ..Findings::default() })]
#[case::oversold_for_a_moment_only(|sale: &mut Forged| sale.call_off(13), Findings { sold: 2, oversold: 1, ..Findings::default() })]
#[case::one_reservation_twice(
    |sale: &mut Forged| sale.units(HOT, "reserved", 11),
    // The books of stock no longer say that the order has what it bought.
    Findings {
        sold: 1, oversold: 1, stuck: 1, charged_but_unfulfilled: 1, broken_promises: 1, ..Findings::default()
    }
)]
#[case::packed_without_stock(
    |sale: &mut Forged| {
        sale.place(13);
        sale.charge(13, PRICE, 0);
        sale.order(13, "processing_started", &json!({}));
    },
    Findings { sold: 2, oversold: 1, stuck: 1, charged_but_unfulfilled: 1, ..Findings::default() }
)]
#[case::charged_twice(
    |sale: &mut Forged| sale.charge(11, PRICE, 0),
    Findings { sold: 2, charged_but_unfulfilled: 1, ..Findings::default() }
)]
#[case::charged_for_a_called_off_order(
    |sale: &mut Forged| {
        sale.place(13);
        sale.order(13, "cancelled", &json!({ "reason": { "kind": "expired" } }));
        sale.charge(13, PRICE, PRICE - 1);
    },
    Findings { sold: 2, charged_but_unfulfilled: 1, ..Findings::default() }
)]
#[case::charged_for_no_order(
    |sale: &mut Forged| sale.charge(99, PRICE, 0),
    Findings { sold: 2, charged_but_unfulfilled: 1, ..Findings::default() }
)]
#[case::money_given_back_and_still_packed(
    |sale: &mut Forged| sale.books[0].refunded = PRICE,
    Findings { sold: 2, fulfilled_but_uncharged: 1, ..Findings::default() }
)]
#[case::money_still_held(
    |sale: &mut Forged| sale.books.push(Charge { order_id: Some(id(12)), received: 0, refunded: 0, is_open: true }),
    Findings { sold: 2, stuck: 1, ..Findings::default() }
)]
#[case::pending_for_ever(|sale: &mut Forged| sale.place(13), Findings { sold: 2, stuck: 1, ..Findings::default() })]
#[case::checked_out_and_never_placed(
    |sale: &mut Forged| sale.see("cart-9", "cart.checked_out.v1", &json!({ "order_id": id(13) })),
    Findings { sold: 2, stuck: 1, ..Findings::default() }
)]
#[case::told_a_lie(
    |sale: &mut Forged| sale.told.bought.push(id(77)),
    Findings { sold: 2, broken_promises: 1, ..Findings::default() }
)]
#[case::shopper_without_an_answer(
    |sale: &mut Forged| sale.told.lost = 1,
    Findings { sold: 2, stuck: 1, ..Findings::default() }
)]
fn a_crime_is_found(#[case] crime: Crime, #[case] expected: Findings) {
    let mut forged = Forged::with_units(2);
    forged.buy(11);
    forged.buy(12);
    crime(&mut forged);
    let findings = forged.judge();
    assert_eq!(findings, expected);
    assert!(!findings.broken().is_empty());
}

#[rstest]
#[case::nobody_wanted_them(0, 0, 0)]
#[case::somebody_did(3, 0, 3)]
#[case::more_than_there_were(30, 0, 4)]
#[case::they_wanted_the_second_too(0, 30, 4)]
fn free_units_are_undersold_only_to_those_who_were_sent_home(
    #[case] sent_home: u64,
    #[case] with_second: u64,
    #[case] undersold: i64,
) {
    let mut forged = Forged::with_units(5);
    forged.buy(11);
    forged.told.sent_home = sent_home;
    forged.told.sent_home_with_second = with_second;
    assert_eq!(forged.judge(), Findings { sold: 1, free: 4, undersold, ..Findings::default() });
}

#[test]
fn who_wanted_a_second_sku_that_is_gone_is_no_lost_buyer() {
    let mut forged = Forged::with_units(5);
    forged.stock(SECOND, "adjusted", &json!({ "delta": -9 }));
    forged.told.sent_home_with_second = 30;
    assert_eq!(forged.judge().undersold, 1);
}

#[test]
fn stock_kept_for_a_called_off_order_is_stuck() {
    let mut forged = Forged::with_units(5);
    forged.place(11);
    forged.units(HOT, "reserved", 11);
    forged.order(11, "cancelled", &json!({ "reason": { "kind": "expired" } }));
    assert_eq!(forged.judge(), Findings { free: 4, stuck: 1, ..Findings::default() });
}

#[test]
fn an_event_that_cannot_be_read_is_an_error() {
    let mut history = History::default();
    assert!(history.see("inventory-HOT", "inventory.reserved.v1", b"{}", 0).is_err());
    assert!(history.see("product-HOT", "product.defined.v1", b"not json", 0).is_ok());
}
