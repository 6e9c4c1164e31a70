//! What an order's events say of its money and goods.

mod money;

use super::stock::{Hold, StockBook};
use crate::gateway::Gateway;
use domain::order::{CancelReason, Event, Placed, RestCancelled};
use domain::{LineId, OrderId, PaymentId, RefundId, Sku};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Pending,
    Paid,
    Processing,
    Shipped,
    Delivered,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    ByHand,
    Asked,
    Held,
    Taken,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    Asked,
    Done,
    Refused,
}

/// A refund, or its part of one payment.
type RefundKey = (RefundId, Option<PaymentId>);

#[derive(Debug)]
pub struct OrderBook {
    pub stage: Stage,
    is_paid: bool,
    /// Whether it says that all its money went back.
    pub says_refunded: bool,
    /// Whether money that was ours or held for us ever covered the total.
    was_secured: bool,
    total: i64,
    pub needs: BTreeMap<Sku, i64>,
    lines: BTreeMap<LineId, (Sku, i64)>,
    prices: BTreeMap<LineId, i64>,
    sent: BTreeMap<LineId, i64>,
    given_up: BTreeMap<LineId, i64>,
    /// What people must give back for what was given up.
    pub owed_by_hand: i64,
    parcels: BTreeMap<domain::ShipmentId, bool>,
    held: BTreeSet<Sku>,
    refused: BTreeSet<Sku>,
    pub payments: BTreeMap<PaymentId, (i64, Money)>,
    authorized: BTreeSet<PaymentId>,
    pub refunds: BTreeMap<RefundKey, (i64, Back)>,
    /// Whether people gave some of its money back at the gateway: it may then be more than it should be.
    pub is_meddled_with: bool,
}

impl OrderBook {
    pub fn open(event: &Event, total: i64) -> Self {
        let Event::Placed(Placed { lines, total: placed, .. }) = event else {
            panic!("an order begins with {event:?}")
        };
        assert_eq!(placed.amount(), total, "the order has another total than its cart");
        let mut needs = BTreeMap::new();
        for line in lines {
            *needs.entry(line.sku.clone()).or_default() += i64::from(line.quantity.units());
        }
        let of_line = |line: &domain::order::OrderLine| {
            (line.line_id, (line.sku.clone(), i64::from(line.quantity.units())))
        };
        Self {
            stage: Stage::Pending,
            is_paid: false,
            says_refunded: false,
            was_secured: total == 0,
            total,
            needs,
            lines: lines.iter().map(of_line).collect(),
            prices: lines.iter().map(|line| (line.line_id, line.unit_price.amount())).collect(),
            sent: BTreeMap::new(),
            given_up: BTreeMap::new(),
            owed_by_hand: 0,
            parcels: BTreeMap::new(),
            held: BTreeSet::new(),
            refused: BTreeSet::new(),
            payments: BTreeMap::new(),
            authorized: BTreeSet::new(),
            refunds: BTreeMap::new(),
            is_meddled_with: false,
        }
    }

    pub fn is_called_off(&self) -> bool {
        self.stage == Stage::Cancelled
    }

    pub fn was_paid(&self) -> bool {
        self.is_paid
    }

    pub fn were_all_held(&self) -> bool {
        self.held.len() == self.needs.len()
    }

    pub fn was_secured(&self) -> bool {
        self.was_secured
    }

    pub fn was_authorized(&self, payment_id: PaymentId) -> bool {
        self.authorized.contains(&payment_id)
    }

    /// Whether all units of a SKU are on their way.
    pub fn has_sent(&self, sku: &Sku) -> bool {
        self.stage >= Stage::Shipped && !self.is_called_off() || self.sent_of(sku) == self.kept_of(sku)
    }

    fn of_sku(&self, sku: &Sku, units: &BTreeMap<LineId, i64>) -> i64 {
        let lines = self.lines.iter().filter(|(_, (line_sku, _))| line_sku == sku);
        lines.map(|(line, _)| units.get(line).copied().unwrap_or_default()).sum()
    }

    /// Units of a SKU that the order gave up.
    pub fn given_up_of(&self, sku: &Sku) -> i64 {
        self.of_sku(sku, &self.given_up)
    }

    /// Units of a SKU that the order wants to the end.
    pub fn kept_of(&self, sku: &Sku) -> i64 {
        self.needs[sku] - self.given_up_of(sku)
    }

    /// Units of a SKU that are on their way.
    pub fn sent_of(&self, sku: &Sku) -> i64 {
        if self.stage >= Stage::Shipped && !self.is_called_off() {
            return self.kept_of(sku);
        }
        self.of_sku(sku, &self.sent)
    }

    /// Whether anything of it went its own way: then it may be packed although all its money went back.
    pub fn is_parted(&self) -> bool {
        !self.parcels.is_empty() || !self.given_up.is_empty()
    }

    pub fn given_by_hand(&self) -> i64 {
        let by_hand = self.refunds.iter().filter(|((_, payment), _)| payment.is_none());
        by_hand.map(|(_, (amount, _))| amount).sum()
    }

    /// Whether it costs anything.
    pub fn is_free(&self) -> bool {
        self.total == 0
    }

    /// Money that came in.
    pub fn money_in(&self) -> i64 {
        let ours = self.payments.values().filter(|(_, money)| matches!(money, Money::ByHand | Money::Taken));
        ours.map(|(amount, _)| amount).sum()
    }

    /// Money that went back, or is to go.
    fn money_back(&self) -> i64 {
        self.refunds.values().filter(|(_, back)| *back != Back::Refused).map(|(amount, _)| amount).sum()
    }

    /// Money that went back.
    pub fn money_gone_back(&self) -> i64 {
        self.refunds.values().filter(|(_, back)| *back == Back::Done).map(|(amount, _)| amount).sum()
    }

    pub fn sees(
        &mut self,
        id: OrderId,
        event: &Event,
        (stock, refused): (&BTreeMap<Sku, StockBook>, &BTreeSet<(OrderId, Sku)>),
        gateway: &Gateway,
    ) {
        match event {
            Event::Placed(_) => panic!("{id} is placed twice"),
            Event::ReservationsAnswered(answered) => {
                for sku in &answered.held {
                    assert!(self.holds(id, stock, sku, &[Hold::Held]), "{id} believes to hold {sku}");
                    assert!(self.held.insert(sku.clone()), "{id} hears twice that {sku} is held");
                }
                for short in &answered.refused {
                    assert!(refused.contains(&(id, short.sku.clone())), "{id}: {} was there", short.sku);
                    assert!(self.refused.insert(short.sku.clone()), "{id} hears twice of {}", short.sku);
                }
            }
            Event::StockCommitted(committed) => {
                for sku in &committed.skus {
                    assert!(self.holds(id, stock, sku, &[Hold::Committed]), "{id}: {sku} is not committed");
                }
            }
            Event::StockShipped(shipped) => {
                for sku in &shipped.skus {
                    assert!(self.holds(id, stock, sku, &[Hold::Shipped]), "{id}: {sku} did not leave");
                }
            }
            Event::StockParted(parted) => {
                for part in &parted.parts {
                    let (shipped, released) = (i64::from(part.shipped), i64::from(part.released));
                    let known = stock.get(&part.sku).map(|book| book.parted_of(id)).unwrap_or_default();
                    // Stock may be further by now, and what left as a whole was no part.
                    let all_left = self.holds(id, stock, &part.sku, &[Hold::Shipped]);
                    assert!(shipped <= known.0 || all_left, "{id} believes that {} left", part.sku);
                    assert!(released <= known.1, "{id} believes that {} is back", part.sku);
                    assert_eq!(shipped + released + i64::from(part.left), self.needs[&part.sku]);
                }
            }
            Event::RestCancelled(rest) => self.gives_up(id, rest),
            Event::StockReleased(released) => {
                for sku in &released.skus {
                    let hold = stock.get(sku).and_then(|book| book.hold_of(id));
                    assert_eq!(hold, Some((0, Hold::Closed)), "{id}: {sku} is not released");
                }
            }
            Event::Cancelled(cancelled) => self.is_cancelled(id, &cancelled.reason),
            Event::Paid(_) => self.becomes_paid(id, stock),
            Event::ProcessingStarted(_) => {
                assert!(self.all_hold(id, stock, &[Hold::Committed]), "{id} is packed without its goods");
                self.goes(id, Stage::Paid, Stage::Processing, gateway);
            }
            Event::Shipped(_) => self.goes(id, Stage::Processing, Stage::Shipped, gateway),
            Event::Delivered(_) => self.goes(id, Stage::Shipped, Stage::Delivered, gateway),
            Event::ShipmentSent(_) | Event::ShipmentDelivered(_) => self.sees_parcel(id, event),
            _ => self.sees_money(id, event, gateway),
        }
    }

    /// What is remarkable about the event that was seen last.
    pub fn happening(&self, event: &Event) -> Option<&'static str> {
        let count = |wanted: Money| self.payments.values().filter(|(_, money)| *money == wanted).count();
        match event {
            Event::PaymentCaptured(_) if self.is_called_off() => Some("captured after it was called off"),
            Event::PaymentDeclined(_) if !self.is_called_off() && count(Money::Taken) > 0 => {
                Some("captured before another payment failed")
            }
            Event::PaymentVoided(_) if !self.is_called_off() => Some("voided by the bank"),
            Event::Cancelled(cancelled)
                if cancelled.reason == CancelReason::Expired
                    && count(Money::Asked) + count(Money::Held) > 0 =>
            {
                Some("expired while a payment was under way")
            }
            Event::Paid(_) if count(Money::Taken) + count(Money::ByHand) > 1 => {
                Some("paid with two payments")
            }
            Event::RestCancelled(_) if !self.parcels.is_empty() => Some("given up with a parcel on its way"),
            Event::RestCancelled(_) => Some("given up before a parcel was sent"),
            Event::RefundRecorded(back)
                if back.payment_id.is_none() && matches!(self.stage, Stage::Paid | Stage::Processing) =>
            {
                Some("given back by hand before it ships")
            }
            Event::ShipmentSent(_) if self.parcels.len() == 2 => Some("sent in two parcels"),
            _ => None,
        }
    }

    fn holds(&self, id: OrderId, stock: &BTreeMap<Sku, StockBook>, sku: &Sku, wanted: &[Hold]) -> bool {
        let hold = stock.get(sku).and_then(|book| book.hold_of(id));
        hold.is_some_and(|(units, hold)| units == self.kept_of(sku) && wanted.contains(&hold))
    }

    fn all_hold(&self, id: OrderId, stock: &BTreeMap<Sku, StockBook>, wanted: &[Hold]) -> bool {
        self.needs.keys().all(|sku| self.holds(id, stock, sku, wanted))
    }

    fn becomes_paid(&mut self, id: OrderId, stock: &BTreeMap<Sku, StockBook>) {
        assert_eq!(self.stage, Stage::Pending, "{id} is paid");
        let is_enough = self.is_meddled_with && self.money_in() - self.money_gone_back() >= self.total;
        assert!(
            is_enough || self.money_in() == self.total,
            "{id} is paid with {} of {}",
            self.money_in(),
            self.total
        );
        assert!(self.all_hold(id, stock, &[Hold::Held]), "{id} is paid without its goods");
        (self.stage, self.is_paid) = (Stage::Paid, true);
    }

    fn is_cancelled(&mut self, id: OrderId, reason: &CancelReason) {
        assert!(self.stage < Stage::Shipped && self.parcels.is_empty(), "{id} is called off too late");
        if let CancelReason::OutOfStock { refused } = reason {
            let all: BTreeSet<Sku> = refused.iter().map(|short| short.sku.clone()).collect();
            assert!(!all.is_empty() && all == self.refused, "{id} is called off for want of nothing");
        }
        if *reason == CancelReason::Expired {
            assert_eq!(self.stage, Stage::Pending, "{id} expires although it is paid");
            let money = self.money_in() - if self.is_meddled_with { self.money_gone_back() } else { 0 };
            let has_all = self.were_all_held() && money == self.total;
            assert!(!has_all, "{id} expires with its goods and its money");
        }
        self.stage = Stage::Cancelled;
    }

    fn goes(&mut self, id: OrderId, from: Stage, to: Stage, gateway: &Gateway) {
        assert_eq!(self.stage, from, "{id} becomes {to:?}");
        let taken = |(payment, (amount, money)): (&PaymentId, &(i64, Money))| match money {
            Money::ByHand => *amount,
            _ => gateway.intents.get(payment).map_or(0, |intent| intent.captured()),
        };
        let taken: i64 = self.payments.iter().map(taken).sum();
        let is_enough = self.is_meddled_with && taken >= self.total;
        assert!(is_enough || taken == self.total, "{id} becomes {to:?} without its money: {taken}");
        self.stage = to;
    }

    fn gives_up(&mut self, id: OrderId, rest: &RestCancelled) {
        assert_eq!(self.stage, Stage::Processing, "{id} gives up its rest");
        let mut price = 0;
        for line in &rest.lines {
            let given_up = self.given_up.entry(line.line_id).or_default();
            *given_up += i64::from(line.quantity.units());
            price += self.prices[&line.line_id] * i64::from(line.quantity.units());
            let sent = self.sent.get(&line.line_id).copied().unwrap_or_default();
            let (sku, bought) = &self.lines[&line.line_id];
            assert!(sent + *given_up <= *bought, "{id} gives up {given_up} units of {sku} and sent {sent}");
        }
        let by_hand = rest.by_hand.map_or(0, |amount| amount.amount());
        assert!(by_hand <= rest.refund.amount() && rest.refund.amount() <= price, "{id} gives up {rest:?}");
        self.owed_by_hand += by_hand;
    }

    fn sees_parcel(&mut self, id: OrderId, event: &Event) {
        match event {
            Event::ShipmentSent(parcel) => {
                assert_eq!(self.stage, Stage::Processing, "{id} sends a parcel");
                assert_eq!(self.parcels.insert(parcel.shipment_id, false), None, "{id} sends a parcel twice");
                for line in &parcel.lines {
                    let sent = self.sent.entry(line.line_id).or_default();
                    *sent += i64::from(line.quantity.units());
                    let given_up = self.given_up.get(&line.line_id).copied().unwrap_or_default();
                    let (sku, bought) = &self.lines[&line.line_id];
                    assert!(*sent + given_up <= *bought, "{id} sends {sent} of {bought} units of {sku}");
                }
            }
            Event::ShipmentDelivered(arrived) => {
                let before = self.parcels.insert(arrived.shipment_id, true);
                assert_eq!(before, Some(false), "{id} has a parcel that arrives");
            }
            _ => {}
        }
    }
}
