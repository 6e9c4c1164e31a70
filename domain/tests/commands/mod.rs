//! Commands from small pools of ids and numbers, so that they repeat, cross and contradict each other.

#![allow(dead_code, reason = "each test file uses a part of them")]

use crate::samples::{
    address, adjustment_id, cart_id, code, country, currency, customer, eur, gbp, intent, line_id, merchant,
    method, money, name, order_id, payment_id, reason, receipt_id, reference, refund_id, shipment_id, sku,
    token, units,
};
use domain::cart::{NewLine, PricedLine};
use domain::order::{GatewayAnswer, OrderLine, Placed, ReservationAnswer, ShippedLine};
use domain::{CustomerId, Money, OrderId, Quantity, Sku, cart, inventory, order, product};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The orders that random commands name.
pub const ORDERS: std::ops::Range<u128> = 1..4;

fn some_order() -> impl Strategy<Value = OrderId> {
    ORDERS.prop_map(order_id)
}

fn some_sku() -> impl Strategy<Value = Sku> {
    select(vec!["MUG", "BOWL", "JUG"]).prop_map(sku)
}

fn some_customer() -> impl Strategy<Value = Option<CustomerId>> {
    prop_oneof![4 => Just(None), 1 => Just(Some(customer("ada")))]
}

/// Mostly small pounds; sometimes euros, and the most that there can be.
fn some_money() -> impl Strategy<Value = Money> {
    let code = prop_oneof![9 => Just("GBP"), 1 => Just("EUR")];
    let amount = prop_oneof![30 => 0..8_i64, 1 => Just(Money::MAX_AMOUNT)];
    (amount, code).prop_map(|(amount, code)| money(amount, code))
}

fn few() -> impl Strategy<Value = Quantity> {
    (1..4_u32).prop_map(units)
}

pub fn product() -> impl Strategy<Value = product::Command> {
    let names = (select(vec!["pottery", "forge"]), select(vec!["Mug", "Cup"]));
    prop_oneof![
        3 => (names, some_money()).prop_map(|((seller, called), price)| product::Command::Define {
            sku: sku("MUG"),
            merchant_id: merchant(seller),
            name: name(called),
            price,
        }),
        6 => some_money().prop_map(|price| product::Command::Reprice { price }),
        1 => Just(product::Command::Retire),
    ]
}

pub fn inventory() -> impl Strategy<Value = inventory::Command> {
    use inventory::Command;
    let much = prop_oneof![5 => (1..9_u32).prop_map(units), 1 => Just(units(Quantity::MAX))];
    let delta = prop_oneof![9 => -5..6_i64, 1 => any::<i64>()];
    prop_oneof![
        3 => (1..6_u128, much).prop_map(|(receipt, quantity)| Command::Receive {
            receipt_id: receipt_id(receipt),
            quantity,
        }),
        3 => (1..6_u128, delta).prop_map(|(adjustment, delta)| Command::Adjust {
            adjustment_id: adjustment_id(adjustment),
            delta,
            reason: reason("counted"),
        }),
        4 => (some_order(), few()).prop_map(|(order_id, quantity)| Command::Reserve { order_id, quantity }),
        4 => (some_order(), few(), 0..101_u32).prop_map(|(order_id, quantity, percent)| {
            Command::ReserveUnpaid { order_id, quantity, share: inventory::Share::of_percent(percent) }
        }),
        2 => some_order().prop_map(|order_id| Command::Release { order_id }),
        4 => some_order().prop_map(|order_id| Command::Commit { order_id }),
        4 => some_order().prop_map(|order_id| Command::Ship { order_id }),
        5 => (some_order(), 0..4_u32, 0..3_u32)
            .prop_map(|(order_id, shipped, released)| Command::Part { order_id, shipped, released }),
    ]
}

fn new_line() -> impl Strategy<Value = NewLine> {
    (1..6_u128, some_sku(), few(), some_money(), prop::bool::weighted(0.2)).prop_map(
        |(line, sku, quantity, unit_price, agreed)| NewLine {
            line_id: line_id(line),
            sku,
            quantity,
            unit_price,
            agreed,
        },
    )
}

/// A checkout guesses the total, and is right now and then: the prices are few.
pub fn cart() -> impl Strategy<Value = cart::Command> {
    use cart::Command;
    prop_oneof![
        4 => (prop_oneof![9 => Just("GBP"), 1 => Just("EUR")], some_customer()).prop_map(
            |(code, customer_id)| Command::Open { currency: currency(code), customer_id }
        ),
        8 => vec(new_line(), 0..3).prop_map(|lines| Command::PutLines { lines }),
        3 => vec((1..6_u128).prop_map(line_id), 0..3).prop_map(|line_ids| Command::RemoveLines { line_ids }),
        3 => (some_order(), 0..40_i64, 1..5_i64).prop_map(|(order_id, total, price)| check_out(
            order_id,
            gbp(total),
            gbp(price)
        )),
        1 => prop_oneof![9 => (0..4_i64).prop_map(gbp), 1 => Just(eur(1))]
            .prop_map(|charge| Command::SetShipping { charge }),
        1 => Just(Command::Abandon),
    ]
}

/// A checkout at one price for every line.
pub fn check_out(order_id: OrderId, expected_total: Money, price: Money) -> cart::Command {
    let price = |line| PricedLine {
        line_id: line_id(line),
        merchant_id: merchant("pottery"),
        name: name("Mug"),
        unit_price: price,
    };
    let (country, prices) = (country("GB"), (1..6).map(price).collect());
    cart::Command::CheckOut {
        order_id,
        country,
        expected_total,
        prices,
        hold_seconds: Some(900),
        anonymous: false,
    }
}

/// An order of one to four lines of two merchants whose total is their sum and the shipping charge.
pub fn placed() -> impl Strategy<Value = Placed> {
    let shipping = prop::option::of(0..3_i64);
    let cart = (1..3_u128, any::<bool>());
    (cart, vec((some_sku(), few(), 0..4_i64), 1..4), shipping).prop_map(
        |((cart, anonymous), lines, shipping)| {
            let price_of_lines: i64 =
                lines.iter().map(|(_, quantity, price)| i64::from(quantity.units()) * price).sum();
            Placed {
                cart_id: cart_id(cart),
                customer_id: None,
                country: country("GB"),
                shipping: shipping.map(gbp),
                total: gbp(price_of_lines + shipping.unwrap_or(0)),
                lines: (1..)
                    .zip(lines)
                    .map(|(number, (sku, quantity, price))| line(number, sku, quantity, price))
                    .collect(),
                hold_seconds: Some(900),
                anonymous,
            }
        },
    )
}

fn line(number: u128, sku: Sku, quantity: Quantity, price: i64) -> OrderLine {
    OrderLine {
        line_id: line_id(number),
        sku,
        merchant_id: merchant(if number % 2 == 1 { "pottery" } else { "forge" }),
        name: name("Mug"),
        quantity,
        unit_price: gbp(price),
    }
}

fn answers() -> impl Strategy<Value = Vec<(Sku, ReservationAnswer)>> {
    let refused = (0..3_u64).prop_map(|available| ReservationAnswer::Refused { available });
    let (held, at_payment) = (Just(ReservationAnswer::Held), Just(ReservationAnswer::AtPayment));
    vec((some_sku(), prop_oneof![6 => held, 1 => refused, 1 => at_payment]), 0..4)
}

fn some_skus() -> impl Strategy<Value = Vec<Sku>> {
    vec(some_sku(), 0..4)
}

pub fn order() -> impl Strategy<Value = order::Command> {
    use order::Command;
    prop_oneof![
        4 => placed().prop_map(Command::Place),
        8 => answers().prop_map(|answers| Command::RecordReservations { answers }),
        6 => some_skus().prop_map(|skus| Command::RecordCommitted { skus }),
        3 => some_skus().prop_map(|skus| Command::RecordStockShipped { skus }),
        3 => vec((some_sku(), 0..4_u32, 0..3_u32), 0..3).prop_map(|parts| Command::RecordStockParted { parts }),
        3 => some_skus().prop_map(|skus| Command::RecordReleased { skus }),
        8 => (1..9_u128, some_money()).prop_map(|(payment, amount)| Command::RecordPayment {
            payment_id: payment_id(payment),
            amount,
            method: method("card"),
            reference: reference("bank"),
        }),
        3 => Just(Command::Ship),
        3 => Just(Command::Deliver),
        1 => Just(Command::Cancel { reason: reason("changed my mind") }),
        10 => gateway_payment(),
        8 => refund(),
        4 => shipment(),
        2 => rest(),
        1 => any::<bool>().prop_map(|even_while_paying| Command::Expire { even_while_paying }),
    ]
}

/// An order that comes some way as it should, and then whatever may happen.
pub fn order_life() -> impl Strategy<Value = Vec<order::Command>> {
    (placed(), 0..8_usize, vec(order(), 0..40)).prop_map(|(placed, steps, more)| {
        let mut commands: Vec<_> = as_it_should(placed).into_iter().take(1 + steps).collect();
        commands.extend(more);
        commands
    })
}

fn as_it_should(placed: Placed) -> Vec<order::Command> {
    use order::Command;
    let all: Vec<Sku> = placed.lines.iter().map(|line| line.sku.clone()).collect();
    let held = all.iter().map(|sku| (sku.clone(), ReservationAnswer::Held)).collect();
    let (payment_id, amount) = (payment_id(1), placed.total);
    let answer = |answer| Command::RecordGatewayAnswer { payment_id, answer };
    let send = |shipment, who: &str| Command::SendShipment {
        shipment_id: shipment_id(shipment),
        merchant_id: merchant(who),
        lines: None,
        tracking: None,
    };
    vec![
        Command::Place(placed),
        Command::RecordReservations { answers: held },
        Command::RequestPayment {
            payment_id,
            amount,
            token: token("tok_visa"),
            return_url: None,
            hold_seconds: None,
            in_part: false,
        },
        answer(GatewayAnswer::Authorized { intent: intent("pi_1") }),
        answer(GatewayAnswer::Captured { intent: intent("pi_1"), amount }),
        Command::RecordCommitted { skus: all },
        send(1, "pottery"),
        send(2, "forge"),
    ]
}

fn gateway_answer() -> impl Strategy<Value = GatewayAnswer> {
    let named = (1..9_u32).prop_map(|number| intent(&format!("pi_{number}")));
    prop_oneof![
        1 => named.clone().prop_map(|intent| GatewayAnswer::Started { intent, redirect_url: None }),
        1 => (named.clone(), 1..3_u32).prop_map(|(intent, page)| {
            let redirect_url = Some(address(&format!("https://bank.test/{page}")));
            GatewayAnswer::Started { intent, redirect_url }
        }),
        4 => named.clone().prop_map(|intent| GatewayAnswer::Authorized { intent }),
        1 => Just(GatewayAnswer::Declined { code: code("card_declined"), message: reason("no") }),
        4 => (named, some_money()).prop_map(|(intent, amount)| GatewayAnswer::Captured { intent, amount }),
        1 => Just(GatewayAnswer::Voided),
    ]
}

/// Payments that people record and payments through the gateway share their ids, so that they meet.
fn gateway_payment() -> impl Strategy<Value = order::Command> {
    use order::Command;
    prop_oneof![
        2 => (1..5_u128, some_money(), prop::option::of(any::<u32>()), any::<bool>()).prop_map(
            |(payment, amount, hold_seconds, in_part)| Command::RequestPayment {
                payment_id: payment_id(payment),
                amount,
                token: token("tok_visa"),
                return_url: None,
                hold_seconds,
                in_part,
            }
        ),
        3 => (1..5_u128, gateway_answer()).prop_map(|(payment, answer)| Command::RecordGatewayAnswer {
            payment_id: payment_id(payment),
            answer,
        }),
    ]
}

/// The first of the refunds that people make at the gateway: its own names never meet ours.
pub const FOUND: u128 = 1_000;

/// A refund of a called-off order has its payment's id: the ids meet those of payments.
fn refund() -> impl Strategy<Value = order::Command> {
    use order::Command;
    let by = || prop::option::weighted(0.6, (1..4_u128).prop_map(payment_id));
    // An order that comes as it should has the first one.
    let taken = || prop_oneof![2 => Just(1_u128), 1 => 1..4_u128];
    prop_oneof![
        3 => (1..4_u128, by(), some_money()).prop_map(|(refund, payment_id, amount)| Command::RecordRefund {
            refund_id: refund_id(refund),
            payment_id,
            amount,
            reference: reference("bank"),
        }),
        2 => (1..4_u128, some_money())
            .prop_map(|(refund, amount)| Command::RequestRefund { refund_id: refund_id(refund), amount }),
        2 => (taken(), 0..2_u128, some_money()).prop_map(|(payment, number, amount)| {
            Command::RecordRefundFound(order::RefundFound {
                refund_id: refund_id(FOUND + 2 * payment + number),
                payment_id: payment_id(payment),
                amount,
                reference: reference("re_1"),
            })
        }),
        3 => (taken(), 0..2_u128, any::<bool>()).prop_map(|(payment, number, is_found)| {
            let refund = if is_found { FOUND + 2 * payment + number } else { payment + number };
            Command::RecordRefundFailed {
                refund_id: refund_id(refund),
                payment_id: payment_id(payment),
                message: reason("no"),
            }
        }),
        2 => (1..4_u128, 1..4_u128).prop_map(|(refund, payment)| Command::RecordRefundRefused {
            refund_id: refund_id(refund),
            payment_id: payment_id(payment),
            message: reason("no"),
        }),
    ]
}

fn rest() -> impl Strategy<Value = order::Command> {
    let who = prop::option::of(select(vec!["pottery", "forge"]).prop_map(merchant));
    (1..4_u128, who, prop::option::of(some_money())).prop_map(|(refund, merchant_id, refund_money)| {
        let (refund_id, refund, reason) = (refund_id(refund), refund_money, reason("burnt"));
        order::Command::CancelRest { refund_id, merchant_id, refund, reason }
    })
}

fn shipment() -> impl Strategy<Value = order::Command> {
    use order::Command;
    let lines = vec((1..5_u128, few()), 0..3).prop_map(|lines| {
        let sent = |(line, quantity)| ShippedLine { line_id: line_id(line), quantity };
        lines.into_iter().map(sent).collect()
    });
    prop_oneof![
        2 => (1..5_u128, select(vec!["pottery", "forge"]), prop::option::of(lines)).prop_map(
            |(shipment, who, lines)| Command::SendShipment {
                shipment_id: shipment_id(shipment),
                merchant_id: merchant(who),
                lines,
                tracking: None,
            }
        ),
        1 => (1..5_u128)
            .prop_map(|shipment| Command::DeliverShipment { shipment_id: shipment_id(shipment) }),
    ]
}
