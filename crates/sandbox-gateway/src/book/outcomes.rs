//! What happens without a request of the shop's: the outcomes of what was slow, and what shoppers decide.

use super::{Book, Decision, Performed};
use crate::answer::Event;
use crate::failure::Failure;
use crate::intent::Intent;
use crate::refund::Refund;
use std::sync::Arc;

impl Book {
    /// The outcome of a slow payment is there.
    pub fn settle(&mut self, id: &str, now: i64) -> Vec<Arc<Event>> {
        let Some(intent) = self.intent(id) else { return Vec::new() };
        let mut intent = Intent::clone(intent);
        let Some(change) = intent.settle() else { return Vec::new() };
        match self.record(Decision { intent, refund: None, change, confirms: false }, None, now) {
            Performed::Done(done) => done.events,
            _ => Vec::new(),
        }
    }

    /// The outcome of a slow refund is there.
    pub fn settle_refund(&mut self, id: &str, now: i64) -> Vec<Arc<Event>> {
        let Some(refund) = self.refund(id) else { return Vec::new() };
        let mut refund = Refund::clone(refund);
        let Some(intent) = self.intent(&refund.intent) else { return Vec::new() };
        let mut intent = Intent::clone(intent);
        let Some(change) = intent.settle_refund(&mut refund) else { return Vec::new() };
        match self.record(Decision { intent, refund: Some(refund), change, confirms: false }, None, now) {
            Performed::Done(done) => done.events,
            _ => Vec::new(),
        }
    }

    /// The shopper has decided on a payment, if it waits for them; gives what is to be told.
    pub fn decided(&mut self, id: &str, approves: bool, now: i64) -> Result<Vec<Arc<Event>>, Failure> {
        let mut intent = Intent::clone(self.find(id, "intent")?);
        let Some(change) = intent.decide(approves) else { return Ok(Vec::new()) };
        match self.record(Decision { intent, refund: None, change, confirms: false }, None, now) {
            Performed::Done(done) => Ok(done.events),
            Performed::Refused(failure) => Err(failure),
            Performed::Replayed(_) | Performed::Hangs => Ok(Vec::new()),
        }
    }
}
