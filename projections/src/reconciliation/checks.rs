//! Holds the books against each other, and against the tables.

use super::books::Books;
use super::order_book::{Goods, Money, OrderBook, Payment, Stage};
use super::report::{Evidence, Suspicions};
use super::sold::SoldIn;
use super::stock_book::Hold;
use api::reconciliation::{Check, ReconciliationReport};
use chrono::{DateTime, TimeDelta, Utc};
use domain::Sku;
use std::collections::HashMap;
use uuid::Uuid;

/// An order to which something happened so shortly ago is under way: the next step is perhaps not written yet.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(60);

/// So long a payment may be undecided when nothing else happens at its order. Fulfilment asks the gateway again for as
/// long as that keeps a request's key, a day of most, and has looked for what came of it an hour before that ends.
/// Whatever is undecided then is so because nobody reaches the gateway, or nobody asks.
const PAYMENT_DECIDED_WITHIN: TimeDelta = TimeDelta::days(1);

/// What must be so in the log itself, whatever the tables say. `until` is the moment up to which all is known.
pub fn check_books(
    books: &Books,
    until: DateTime<Utc>,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) {
    report.orders = books.orders.len() as u64;
    report.skus = books.stock.len() as u64;
    report.days = books.days.days.len() as u64;
    for id in &books.without_beginning {
        let what = format!("order {id} has events and was never placed");
        found.add(Check::Money, what, Evidence::Streams(vec![order_stream(*id)]));
    }
    for (sku, stock) in &books.stock {
        if stock.is_oversold() {
            let what = format!("{sku}: more units were given away than there were: {:?}", stock.units());
            found.add(Check::Units, what, Evidence::Streams(vec![stock_stream(sku)]));
        }
    }
    let holds = books.holds();
    let none = HashMap::new();
    for (id, order) in &books.orders {
        for what in wrong_at_any_moment(order) {
            found.add(
                Check::Money,
                format!("order {id}: {what}"),
                Evidence::Streams(vec![order_stream(*id)]),
            );
        }
        let rests = until - order.last_recorded_at;
        if rests < UNDER_WAY {
            report.under_way += 1;
            continue;
        }
        report.waiting += u64::from(waits_for_gateway(order, rests));
        for what in wrong_at_rest(order, rests) {
            found.add(
                Check::Money,
                format!("order {id}: {what}"),
                Evidence::Streams(vec![order_stream(*id)]),
            );
        }
        check_goods(*id, order, holds.get(id).unwrap_or(&none), found);
    }
    for ((day, currency), sum) in &books.days.days {
        if sum.goods + sum.shipping != sum.money {
            let what = format!(
                "{day}: goods for {} and sending for {} were paid with {} ({currency})",
                sum.goods, sum.shipping, sum.money
            );
            found.add(Check::Day, what, Evidence::Sold(SoldIn::day(*day)));
        }
    }
}

/// What stock keeps for orders that there are not.
pub fn check_strangers(books: &Books, found: &mut Suspicions) {
    for (sku, stock) in &books.stock {
        for (order_id, hold) in &stock.holds {
            if !books.orders.contains_key(order_id) && *hold != Hold::default() {
                let what = format!("{sku}: {hold:?} for order {order_id}, which there is not");
                found.add(Check::Goods, what, Evidence::Streams(vec![stock_stream(sku)]));
            }
        }
    }
}

fn wrong_at_any_moment(order: &OrderBook) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let OrderBook { total, goods, shipping, money_back, .. } = *order;
    must(
        total == goods + shipping,
        format!("goods for {goods} and sending for {shipping} make a total of {total}"),
    );
    if let Some((said, came_in)) = order.paid.filter(|_| !order.is_meddled_with) {
        must(said == total, format!("it was paid with {said} and costs {total}"));
        must(came_in == total, format!("it was paid when {came_in} of {total} had come in"));
    }
    let money_in = order.money_in();
    let is_too_much = money_back > money_in && !order.is_meddled_with;
    must(!is_too_much, format!("{money_back} went back and {money_in} came in"));
    wrong
}

/// Whether the gateway has not said yet where some of the order's money is. Money that goes back may take a bank weeks,
/// and the order itself says that it is on its way: that never becomes wrong by waiting.
fn waits_for_gateway(order: &OrderBook, rests: TimeDelta) -> bool {
    let waits_for_payment = rests < PAYMENT_DECIDED_WITHIN && has_undecided_payment(order);
    waits_for_payment || !order.refunds_under_way.is_empty()
}

/// Nothing is decided of an order that waits to be paid; then no payment may stay undecided.
fn has_undecided_payment(order: &OrderBook) -> bool {
    let is_undecided = |payment: &Payment| payment.state == Money::UnderWay;
    order.stage != Stage::Pending && order.payments.values().any(is_undecided)
}

fn wrong_at_rest(order: &OrderBook, rests: TimeDelta) -> Vec<String> {
    let mut wrong = Vec::new();
    if rests >= PAYMENT_DECIDED_WITHIN && has_undecided_payment(order) {
        let stage = if order.stage == Stage::Cancelled { "called off" } else { "paid" };
        wrong.push(format!("it is {stage}, and a payment of it has been undecided for a day"));
    }
    match order.stage {
        Stage::Pending => {}
        Stage::Cancelled => {
            let kept = order.payments.iter().filter(|(id, payment)| {
                let goes = payment.back + order.goes_back(**id);
                payment.state == Money::Taken && !payment.is_for_people && goes != payment.amount
            });
            for (id, payment) in kept.filter(|_| !order.is_meddled_with) {
                wrong.push(format!(
                    "it is called off, and of a payment of {} {} went back and {} is on its way",
                    payment.amount,
                    payment.back,
                    order.goes_back(*id)
                ));
            }
        }
        Stage::Paid | Stage::Processing | Stage::Shipped | Stage::Delivered => {
            let (money_in, total) = (order.money_in(), order.total);
            if money_in != total && !order.is_meddled_with {
                wrong.push(format!("it is paid, and {money_in} of {total} is ours"));
            }
        }
    }
    wrong
}

fn check_goods(id: Uuid, order: &OrderBook, holds: &HashMap<&Sku, Hold>, found: &mut Suspicions) {
    let mut wrong = |sku: &Sku, hold: Hold, goods: Goods| {
        let what =
            format!("order {id}, which is {:?}, has {goods:?} of {sku}, and stock has {hold:?}", order.stage);
        found.add(Check::Goods, what, Evidence::Streams(vec![order_stream(id), stock_stream(sku)]));
    };
    for (sku, goods) in &order.by_sku {
        let hold = holds.get(sku).copied().unwrap_or_default();
        if !is_kept_for(order.stage, *goods, hold) {
            wrong(sku, hold, *goods);
        }
    }
    for (sku, hold) in holds.iter().filter(|(sku, _)| !order.by_sku.contains_key(**sku)) {
        if *hold != Hold::default() {
            wrong(sku, *hold, Goods::default());
        }
    }
}

/// Whether stock keeps what an order at rest needs.
fn is_kept_for(stage: Stage, goods: Goods, hold: Hold) -> bool {
    let Goods { bought, given_up, sent } = goods;
    let none = Hold::default();
    match stage {
        Stage::Pending => hold == none || hold == Hold { kept: bought, ..none },
        // Its stock is committed in the same breath.
        Stage::Paid => false,
        Stage::Processing | Stage::Shipped | Stage::Delivered => {
            let kept = bought - given_up - sent;
            hold == Hold { kept, committed: kept, shipped: sent }
        }
        Stage::Cancelled => hold == none,
    }
}

pub(super) fn order_stream(id: Uuid) -> String {
    format!("order-{id}")
}

pub(super) fn stock_stream(sku: &Sku) -> String {
    format!("inventory-{sku}")
}

#[cfg(test)]
mod tests;
