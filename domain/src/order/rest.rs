//! Giving up what has not been sent: goods that burnt, or a merchant who cannot deliver. What was sent stays sent, and
//! the order is shipped when the rest of it is sent or given up too.

use super::{CancelReason, Event, PlacedOrder, Rejection, RestCancelled, ShippedLine, Status};
use crate::{LineId, MerchantId, Money, Quantity, Reason, RefundId, Sku};

/// What was given up at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The units, line by line.
    pub lines: Vec<ShippedLine>,
    /// What only people can give back for it.
    pub by_hand: Option<Money>,
}

/// What is to be given up.
#[derive(Debug)]
pub(super) struct CancelRest<'a> {
    pub refund_id: RefundId,
    pub merchant_id: Option<&'a MerchantId>,
    pub refund: Option<Money>,
    pub reason: &'a Reason,
}

impl PlacedOrder {
    /// Units of a line that were given up.
    #[must_use]
    pub fn given_up(&self, line_id: LineId) -> u32 {
        let lines = self.rests.iter().flat_map(|rest| &rest.lines);
        lines
            .filter(|line| line.line_id == line_id)
            .fold(0, |sum, line| sum.saturating_add(line.quantity.units()))
    }

    /// Units of a SKU that left the house, and units that were given up.
    #[must_use]
    pub fn parts(&self, sku: &Sku) -> (u32, u32) {
        let all_left = self.is_over_by_shipping();
        match self.stock.get(sku) {
            Some(stock) if all_left && self.rests.is_empty() => return (stock.quantity.units(), 0),
            _ if !all_left && self.rests.is_empty() && self.shipments.is_empty() => return (0, 0),
            _ => {}
        }
        let of_line = |line: &super::OrderLine| {
            let (given_up, unsent) = (self.given_up(line.line_id), self.unsent(line.line_id));
            let sent = line.quantity.units().saturating_sub(given_up);
            (if all_left { sent } else { sent.saturating_sub(unsent) }, given_up)
        };
        let lines = self.lines.iter().filter(|line| line.sku == *sku).map(of_line);
        lines.fold((0, 0), |sum, line| (sum.0.saturating_add(line.0), sum.1.saturating_add(line.1)))
    }

    fn is_over_by_shipping(&self) -> bool {
        matches!(self.status, Status::Shipped | Status::Delivered | Status::Refunded { after_shipping: true })
    }

    /// All that has not been sent, or all that one merchant has not sent. Where that is the whole order, it is called
    /// off; asking again for what was given up changes nothing.
    pub(super) fn cancel_rest(&self, rest: &CancelRest<'_>) -> Result<Vec<Event>, Rejection> {
        let is_theirs =
            |line: &&super::OrderLine| rest.merchant_id.is_none_or(|who| line.merchant_id == *who);
        let theirs: Vec<&super::OrderLine> = self.lines.iter().filter(is_theirs).collect();
        let was_given_up = theirs.iter().any(|line| self.given_up(line.line_id) > 0);
        match self.status {
            Status::Processing => {}
            _ if was_given_up || self.is_called_off() => return Ok(vec![]),
            _ => return Err(self.not_in("cancelled in part", "processing")),
        }
        let (mut lines, mut price) = (Vec::new(), 0_i64);
        for line in theirs {
            let units = self.unsent(line.line_id);
            if let Ok(quantity) = Quantity::new(i64::from(units)) {
                lines.push(ShippedLine { line_id: line.line_id, quantity });
                price = price.saturating_add(line.unit_price.amount().saturating_mul(i64::from(units)));
            }
        }
        if lines.is_empty() {
            return match rest.merchant_id {
                Some(merchant_id) if !was_given_up => {
                    Err(Rejection::NothingToShip { merchant_id: merchant_id.clone() })
                }
                _ => Ok(vec![]),
            };
        }
        let is_given_up = |line: &super::OrderLine| {
            self.unsent(line.line_id) == 0 || lines.iter().any(|given_up| given_up.line_id == line.line_id)
        };
        let is_all = self.lines.iter().all(is_given_up);
        if is_all && self.shipments.is_empty() {
            return Ok(self.call_off(CancelReason::Requested { reason: rest.reason.clone() }));
        }
        let price = price.min(self.left_to_refund());
        let amount = rest.refund.map_or(Ok(price), |refund| {
            self.check_currency(refund)?;
            let is_too_much = refund.amount() > price;
            let too_large = Rejection::RefundTooLarge { left: price, given: refund };
            if is_too_much { Err(too_large) } else { Ok(refund.amount()) }
        })?;
        let mut known = self.refunds.iter().filter(|known| known.refund_id == rest.refund_id);
        if let Some(known) = known.next() {
            return Err(Rejection::RefundDiffers { recorded: known.amount });
        }
        Ok(self.give_up(rest, lines, amount))
    }

    fn give_up(&self, rest: &CancelRest<'_>, lines: Vec<ShippedLine>, amount: i64) -> Vec<Event> {
        let money = |amount: i64| Money::new(amount, self.total.currency()).ok();
        let (refunds, by_hand) = self.split_refund(rest.refund_id, amount);
        let by_hand = money(by_hand).filter(|amount| amount.amount() > 0);
        let mut after = self.clone();
        after.rests.push(Rest { lines: lines.clone(), by_hand });
        let mut events = vec![Event::RestCancelled(RestCancelled {
            lines,
            reason: rest.reason.clone(),
            refund: money(amount).unwrap_or(Money::zero(self.total.currency())),
            by_hand,
        })];
        events.extend(refunds);
        if after.lines.iter().all(|line| after.unsent(line.line_id) == 0) {
            events.extend(self.all_shipped());
            if self.shipments.iter().all(|parcel| parcel.is_delivered) {
                events.push(Event::Delivered(super::Delivered {}));
            }
        }
        events
    }
}
