//! What an order's events say of its money and goods.

use chrono::{DateTime, Utc};
use domain::order::Event;
use domain::{Sku, order};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Pending,
    Paid,
    Processing,
    Shipped,
    Delivered,
    Cancelled,
}

/// A payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    pub amount: i64,
    pub state: Money,
    /// What went back of it.
    pub back: i64,
    /// The gateway would not give it back, or it came again: people must.
    pub is_for_people: bool,
}

/// Where a payment's money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    /// It came in beside the gateway.
    ByHand,
    /// The gateway is asked, or holds it for us.
    UnderWay,
    /// It is ours.
    Taken,
    /// It never was, or is no more.
    Gone,
}

/// The units of one SKU in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Goods {
    pub bought: i64,
    pub given_up: i64,
    pub sent: i64,
}

/// An order.
#[derive(Debug)]
pub struct OrderBook {
    pub stage: Stage,
    pub total: i64,
    pub shipping: i64,
    /// Price of the lines.
    pub goods: i64,
    pub lines: i64,
    pub units: i64,
    /// For each line, its SKU.
    skus: HashMap<Uuid, Sku>,
    pub by_sku: BTreeMap<Sku, Goods>,
    pub payments: HashMap<Uuid, Payment>,
    /// What the gateway has been asked to give back and has not answered, by refund and payment.
    pub refunds_under_way: HashMap<(Uuid, Uuid), i64>,
    pub money_back: i64,
    /// People gave money back at the gateway itself: it may then be more than it should be.
    pub is_meddled_with: bool,
    /// What it says that it was paid with, and what had come in by then.
    pub paid: Option<(i64, i64)>,
    pub revision: i64,
    /// When the store took its last event.
    pub last_recorded_at: DateTime<Utc>,
}

impl OrderBook {
    /// An order begins. No order begins with anything else.
    pub fn open(placed: &order::Placed, recorded_at: DateTime<Utc>) -> Self {
        let mut book = Self {
            stage: Stage::Pending,
            total: placed.total.amount(),
            shipping: placed.shipping.map_or(0, |charge| charge.amount()),
            goods: 0,
            lines: 0,
            units: 0,
            skus: HashMap::new(),
            by_sku: BTreeMap::new(),
            payments: HashMap::new(),
            refunds_under_way: HashMap::new(),
            money_back: 0,
            is_meddled_with: false,
            paid: None,
            revision: 0,
            last_recorded_at: recorded_at,
        };
        for line in &placed.lines {
            let units = i64::from(line.quantity.units());
            book.lines += 1;
            book.units += units;
            book.goods += units * line.unit_price.amount();
            book.skus.insert(line.line_id.0, line.sku.clone());
            book.by_sku.entry(line.sku.clone()).or_default().bought += units;
        }
        book
    }

    /// All money that came in.
    pub fn money_in(&self) -> i64 {
        let ours =
            self.payments.values().filter(|payment| matches!(payment.state, Money::ByHand | Money::Taken));
        ours.map(|payment| payment.amount).sum()
    }

    /// What of a payment is on its way back.
    pub fn goes_back(&self, payment_id: Uuid) -> i64 {
        let of_payment = self.refunds_under_way.iter().filter(|((_, of), _)| *of == payment_id);
        of_payment.map(|(_, amount)| amount).sum()
    }

    pub fn sees(&mut self, event: &Event, revision: i64, recorded_at: DateTime<Utc>) {
        self.revision = revision;
        self.last_recorded_at = recorded_at;
        match event {
            Event::Paid(paid) => {
                self.stage = Stage::Paid;
                self.paid = Some((paid.amount.amount(), self.money_in()));
            }
            Event::ProcessingStarted(_) => self.stage = Stage::Processing,
            Event::Shipped(_) => {
                self.stage = Stage::Shipped;
                // Whatever was not sent in parcels went with the order.
                self.by_sku.values_mut().for_each(|goods| goods.sent = goods.bought - goods.given_up);
            }
            Event::Delivered(_) => self.stage = Stage::Delivered,
            Event::Cancelled(_) => self.stage = Stage::Cancelled,
            Event::ShipmentSent(sent) => self.count(&sent.lines, |goods| &mut goods.sent),
            Event::RestCancelled(rest) => self.count(&rest.lines, |goods| &mut goods.given_up),
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::StockCommitted(_)
            | Event::ShipmentDelivered(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::RefundRecorded(_)
            | Event::RefundFound(_)
            | Event::RefundFailed(_)
            | Event::Refunded(_) => self.sees_money(event),
        }
    }

    fn sees_money(&mut self, event: &Event) {
        match event {
            Event::PaymentRecorded(payment) => {
                self.pay(payment.payment_id.0, payment.amount.amount(), Money::ByHand);
            }
            Event::PaymentRequested(payment) => {
                self.pay(payment.payment_id.0, payment.amount.amount(), Money::UnderWay);
            }
            Event::PaymentCaptured(payment) => {
                self.pay(payment.payment_id.0, payment.amount.amount(), Money::Taken);
            }
            Event::PaymentDeclined(payment) => self.pay(payment.payment_id.0, 0, Money::Gone),
            Event::PaymentVoided(payment) => self.pay(payment.payment_id.0, 0, Money::Gone),
            Event::RefundRequested(refund) => {
                let part = (refund.refund_id.0, refund.payment_id.0);
                self.refunds_under_way.insert(part, refund.amount.amount());
            }
            Event::RefundRefused(refund) => {
                self.refunds_under_way.remove(&(refund.refund_id.0, refund.payment_id.0));
                self.must_go_back_by_hand(refund.payment_id.0);
            }
            Event::RefundRecorded(refund) => {
                if let Some(payment_id) = refund.payment_id {
                    self.refunds_under_way.remove(&(refund.refund_id.0, payment_id.0));
                }
                self.give_back(refund.payment_id.map(|id| id.0), refund.amount.amount());
            }
            Event::RefundFound(refund) => {
                self.is_meddled_with = true;
                self.give_back(Some(refund.payment_id.0), refund.amount.amount());
            }
            Event::RefundFailed(refund) => {
                self.give_back(Some(refund.payment_id.0), -refund.amount.amount());
                self.must_go_back_by_hand(refund.payment_id.0);
            }
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::Refunded(_) => {}
        }
    }

    fn pay(&mut self, payment_id: Uuid, amount: i64, state: Money) {
        let payment = self.payments.entry(payment_id).or_insert(Payment {
            amount,
            state,
            back: 0,
            is_for_people: false,
        });
        (payment.amount, payment.state) = (amount, state);
    }

    fn give_back(&mut self, payment_id: Option<Uuid>, amount: i64) {
        self.money_back += amount;
        if let Some(payment) = payment_id.and_then(|id| self.payments.get_mut(&id)) {
            payment.back += amount;
        }
    }

    fn must_go_back_by_hand(&mut self, payment_id: Uuid) {
        if let Some(payment) = self.payments.get_mut(&payment_id) {
            payment.is_for_people = true;
        }
    }

    fn count(&mut self, lines: &[order::ShippedLine], of: impl Fn(&mut Goods) -> &mut i64) {
        for line in lines {
            let goods = self.skus.get(&line.line_id.0).and_then(|sku| self.by_sku.get_mut(sku));
            if let Some(goods) = goods {
                *of(goods) += i64::from(line.quantity.units());
            }
        }
    }
}
