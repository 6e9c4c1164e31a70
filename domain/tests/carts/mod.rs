//! Carts to begin with, and what is asked of them.

use crate::samples::{country, currency, customer, gbp, line_id, merchant, name, order_id, sku, units};
use domain::Money;
use domain::cart::{
    Abandoned, CheckedOut, Command, Event, ItemAdded, ItemQuantityChanged, ItemRemoved, NewLine, Opened,
    PricedLine, Rejection, ShippingSet,
};

pub fn opened() -> Event {
    Event::Opened(Opened { currency: currency("GBP"), customer_id: None })
}

pub fn open(code: &str, who: Option<&str>) -> Command {
    Command::Open { currency: currency(code), customer_id: who.map(customer) }
}

pub fn line(line: u128, what: &str, quantity: u32, price: i64) -> NewLine {
    let (line_id, sku, quantity, unit_price) = (line_id(line), sku(what), units(quantity), gbp(price));
    NewLine { line_id, sku, quantity, unit_price, agreed: false }
}

pub fn agreed(new: NewLine) -> NewLine {
    NewLine { agreed: true, ..new }
}

pub fn put(lines: &[NewLine]) -> Command {
    Command::PutLines { lines: lines.to_vec() }
}

pub fn added(new: &NewLine) -> Event {
    let NewLine { line_id, sku, quantity, unit_price, agreed } = new.clone();
    Event::ItemAdded(ItemAdded { line_id, sku, quantity, unit_price, agreed })
}

pub fn changed(line: u128, quantity: u32) -> Event {
    Event::ItemQuantityChanged(ItemQuantityChanged { line_id: line_id(line), quantity: units(quantity) })
}

pub fn removed(line: u128) -> Event {
    Event::ItemRemoved(ItemRemoved { line_id: line_id(line) })
}

pub fn remove(lines: &[u128]) -> Command {
    Command::RemoveLines { line_ids: lines.iter().copied().map(line_id).collect() }
}

pub fn price(line: u128, unit_price: Money) -> PricedLine {
    PricedLine { line_id: line_id(line), merchant_id: merchant("pottery"), name: name("Mug"), unit_price }
}

pub fn check_out(total: Money, prices: &[PricedLine]) -> Command {
    let (order_id, country) = (order_id(7), country("GB"));
    Command::CheckOut {
        order_id,
        country,
        expected_total: total,
        prices: prices.to_vec(),
        hold_seconds: None,
        anonymous: false,
    }
}

pub fn checked_out(total: i64, lines: &[PricedLine]) -> Event {
    let (order_id, country) = (order_id(7), country("GB"));
    let (lines, total) = (lines.to_vec(), gbp(total));
    Event::CheckedOut(CheckedOut {
        order_id,
        country,
        lines,
        shipping: None,
        total,
        hold_seconds: None,
        anonymous: false,
    })
}

pub fn ship_for(charge: Money) -> Command {
    Command::SetShipping { charge }
}

pub fn shipping(charge: i64) -> Event {
    Event::ShippingSet(ShippingSet { charge: gbp(charge) })
}

/// The filled cart with a shipping charge of 4, checked out with a deadline.
pub fn checked_out_with_shipping() -> Event {
    let (order_id, country, lines) = (order_id(7), country("GB"), prices(10, 25).to_vec());
    let (shipping, total, hold_seconds) = (Some(gbp(4)), gbp(49), Some(900));
    Event::CheckedOut(CheckedOut { order_id, country, lines, shipping, total, hold_seconds, anonymous: true })
}

pub fn check_out_in_time(total: i64) -> Command {
    Command::CheckOut {
        order_id: order_id(7),
        country: country("GB"),
        expected_total: gbp(total),
        prices: prices(10, 25).to_vec(),
        hold_seconds: Some(900),
        anonymous: true,
    }
}

pub fn abandoned() -> Event {
    Event::Abandoned(Abandoned {})
}

/// An open cart with these lines.
pub fn with(lines: &[NewLine]) -> Vec<Event> {
    std::iter::once(opened()).chain(lines.iter().map(added)).collect()
}

/// Two mugs at 10 and a bowl at 25.
pub fn filled() -> Vec<Event> {
    with(&[line(1, "MUG", 2, 10), line(2, "BOWL", 1, 25)])
}

pub fn prices(mug: i64, bowl: i64) -> [PricedLine; 2] {
    [price(1, gbp(mug)), price(2, gbp(bowl))]
}

/// The filled cart after its checkout.
pub fn to_elsewhere() -> Command {
    match check_out(gbp(45), &[]) {
        Command::CheckOut { order_id, expected_total, prices, hold_seconds, anonymous, .. } => {
            let country = country("FR");
            Command::CheckOut { order_id, country, expected_total, prices, hold_seconds, anonymous }
        }
        other => other,
    }
}

pub fn already_sold() -> Rejection {
    Rejection::CheckedOut { order_id: order_id(7), total: gbp(45) }
}

pub fn sold() -> Vec<Event> {
    [filled(), vec![checked_out(45, &prices(10, 25))]].concat()
}

/// So many lines of a million units of one SKU, or of one unit each of SKUs of their own.
pub fn many(count: u128, quantity: u32) -> Vec<NewLine> {
    let what = |number| if quantity == 1 { format!("SKU-{number}") } else { "PIN".to_owned() };
    (1..=count).map(|number| line(number, &what(number), quantity, 1)).collect()
}

pub fn all_prices(count: u128) -> Vec<PricedLine> {
    (1..=count).map(|number| price(number, gbp(1))).collect()
}
