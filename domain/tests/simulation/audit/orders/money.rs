//! What an order's events say of its money.

use super::{Back, Money, OrderBook, Stage};
use crate::gateway::{Gateway, Standing};
use domain::order::Event;
use domain::{OrderId, PaymentId};

impl OrderBook {
    pub(super) fn sees_money(&mut self, id: OrderId, event: &Event, gateway: &Gateway) {
        let standing = |payment: PaymentId| gateway.intents.get(&payment).map(|intent| intent.standing);
        match event {
            Event::PaymentRecorded(paid) => {
                self.comes(id, paid.payment_id, paid.amount.amount(), Money::ByHand)
            }
            Event::PaymentRequested(paid) => {
                assert_eq!(self.stage, Stage::Pending, "{id} asks for money");
                self.comes(id, paid.payment_id, paid.amount.amount(), Money::Asked);
            }
            Event::PaymentStarted(_) => {}
            Event::PaymentAuthorized(held) => {
                self.authorized.insert(held.payment_id);
                self.becomes(id, held.payment_id, &[Money::Asked], Money::Held);
            }
            Event::PaymentDeclined(no) => {
                assert_eq!(standing(no.payment_id), Some(Standing::Declined), "{id} believes in a decline");
                self.becomes(id, no.payment_id, &[Money::Asked, Money::Held], Money::Gone);
            }
            Event::PaymentVoided(gone) => {
                assert_eq!(standing(gone.payment_id), Some(Standing::Canceled), "{id} believes in a void");
                self.becomes(id, gone.payment_id, &[Money::Asked, Money::Held], Money::Gone);
            }
            Event::PaymentCaptured(taken) => {
                assert!(!self.says_refunded, "{id} takes money when all of it was to be back");
                let in_books = gateway.intents[&taken.payment_id].captured();
                assert_eq!(in_books, taken.amount.amount(), "{id} believes to have money");
                self.becomes(id, taken.payment_id, &[Money::Asked, Money::Held], Money::Taken);
            }
            Event::RefundRequested(back) => {
                let key = (back.refund_id, Some(back.payment_id));
                let before = self.refunds.insert(key, (back.amount.amount(), Back::Asked));
                assert_eq!(before, None, "{id} gives money back twice");
            }
            Event::RefundRefused(no) => {
                let key = (no.refund_id, Some(no.payment_id));
                let back = self.refunds.get_mut(&key).expect("only what was asked is refused");
                assert_eq!(back.1, Back::Asked, "{id}: a refund is refused");
                back.1 = Back::Refused;
            }
            Event::RefundRecorded(back) => self.goes_back(id, back, gateway),
            Event::Refunded(all) => {
                self.says_refunded = true;
                assert_eq!(all.amount.amount(), self.money_in());
                let back = self.money_gone_back();
                assert!(back == self.money_in() || (self.is_meddled_with && back > self.money_in()));
            }
            Event::RefundFound(found) => {
                let intent = &gateway.intents[&found.payment_id];
                assert!(intent.found.contains(&found.refund_id), "{id} believes in people at the gateway");
                assert_eq!(intent.refunds.get(&found.refund_id), Some(&found.amount.amount()));
                let key = (found.refund_id, Some(found.payment_id));
                let before = self.refunds.insert(key, (found.amount.amount(), Back::Done));
                assert_eq!(before, None, "{id} finds a refund twice");
                self.is_meddled_with = true;
            }
            Event::RefundFailed(failed) => {
                let intent = &gateway.intents[&failed.payment_id];
                assert!(intent.came_again.contains(&failed.refund_id), "{id} believes that money came again");
                let key = (failed.refund_id, Some(failed.payment_id));
                let back = self.refunds.get_mut(&key).expect("only what went back comes again");
                assert_eq!(*back, (failed.amount.amount(), Back::Done), "{id}: money comes again");
                back.1 = Back::Refused;
            }
            _ => {}
        }
        let held = self.payments.values().filter(|(_, money)| *money == Money::Held);
        self.was_secured |= self.money_in() + held.map(|(amount, _)| amount).sum::<i64>() >= self.total;
        let is_in = self.is_meddled_with || self.money_back() <= self.money_in();
        assert!(is_in, "{id} gives back more than it took: {self:?}");
        let too_much = !self.is_called_off() && !self.is_meddled_with && self.money_in() > self.total;
        assert!(!too_much, "{id} takes more than its total");
    }

    fn comes(&mut self, id: OrderId, payment: PaymentId, amount: i64, money: Money) {
        let before = self.payments.insert(payment, (amount, money));
        assert_eq!(before, None, "{id} has a payment twice");
    }

    fn becomes(&mut self, id: OrderId, payment: PaymentId, from: &[Money], to: Money) {
        let known = self.payments.get_mut(&payment).expect("only known payments move");
        assert!(from.contains(&known.1), "{id}: {payment} is {:?} and becomes {to:?}", known.1);
        known.1 = to;
    }

    fn goes_back(&mut self, id: OrderId, back: &domain::order::RefundRecorded, gateway: &Gateway) {
        let amount = back.amount.amount();
        let before = self.refunds.insert((back.refund_id, back.payment_id), (amount, Back::Done));
        match back.payment_id {
            None => assert_eq!(before, None, "{id} gives money back by hand twice"),
            Some(payment) => {
                assert_eq!(before, Some((amount, Back::Asked)), "{id} gives money back that was not asked");
                let in_books = gateway.intents[&payment].refunds.get(&back.refund_id);
                assert_eq!(in_books, Some(&amount), "{id} believes that money went back");
            }
        }
    }
}
