//! How long an order waits for the payments that are under way.
//!
//! Each is waited for as long as its own event says. The order is seen as it stands now, and the log may be read far
//! behind that: a payment may be under way whose event was not read yet. Nobody knows then since when, so it is presumed
//! that it was asked for just now, until its event is read.

use chrono::{DateTime, Utc};
use domain::PaymentId;

/// How long a payment is presumed to be waited for while no event has said so, in seconds: what shops are set to by
/// default.
const PRESUMED_SECONDS: u32 = 15 * 60;

/// The payments of one order that it may wait for.
#[derive(Debug, Default)]
pub struct Paying {
    /// Those that were under way when the order was last looked at, and until when each is waited for if its event was
    /// not read; in seconds since 1970, as everything here.
    under_way: Vec<(PaymentId, i64)>,
    /// Until when each is waited for whose event was read.
    said: Vec<(PaymentId, i64)>,
    /// What the last process left, until somebody looks at the order.
    inherited: Option<i64>,
    /// How long the event that was read last said that its payment is waited for.
    seconds: Option<u32>,
}

impl Paying {
    /// Of an order whose payments were under way when the last process ended.
    pub fn inherited(until: Option<i64>) -> Self {
        let mut paying = Self::default();
        paying.inherited = Some(until.unwrap_or_else(|| paying.presume(Utc::now())));
        paying
    }

    /// Notes what a payment's event said.
    pub fn said(&mut self, payment_id: PaymentId, seconds: u32, until: i64) {
        self.seconds = Some(seconds);
        self.said.retain(|(known, _)| *known != payment_id);
        self.said.push((payment_id, until));
    }

    /// Notes which payments are under way now.
    pub fn found_under_way(&mut self, payments: Vec<PaymentId>, now: DateTime<Utc>) {
        let inherited = self.inherited.take();
        let presumed = |payment: PaymentId| {
            of(&self.under_way, payment).or(inherited).unwrap_or_else(|| self.presume(now))
        };
        self.under_way = payments.into_iter().map(|payment| (payment, presumed(payment))).collect();
    }

    /// Until when the order waits for them; none: no payment is under way.
    pub fn until(&self) -> Option<i64> {
        let until = |(payment, presumed): &(PaymentId, i64)| of(&self.said, *payment).unwrap_or(*presumed);
        self.under_way.iter().map(until).max().or(self.inherited)
    }

    fn presume(&self, now: DateTime<Utc>) -> i64 {
        now.timestamp().saturating_add(i64::from(self.seconds.unwrap_or(PRESUMED_SECONDS)))
    }
}

fn of(payments: &[(PaymentId, i64)], payment: PaymentId) -> Option<i64> {
    payments.iter().find(|(known, _)| *known == payment).map(|(_, until)| *until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn payment(number: u128) -> PaymentId {
        PaymentId(Uuid::from_u128(number))
    }

    #[test]
    fn a_payment_is_presumed_to_be_young_until_its_event_is_read() {
        let (mut paying, now) = (Paying::default(), Utc::now());
        let later = now + chrono::TimeDelta::seconds(100);
        assert_eq!(paying.until(), None);
        paying.found_under_way(vec![payment(1)], now);
        assert_eq!(paying.until(), Some(now.timestamp() + i64::from(PRESUMED_SECONDS)));
        // It does not become younger by being looked at again.
        paying.found_under_way(vec![payment(1)], later);
        assert_eq!(paying.until(), Some(now.timestamp() + i64::from(PRESUMED_SECONDS)));
        paying.said(payment(1), 60, now.timestamp() - 5);
        assert_eq!(paying.until(), Some(now.timestamp() - 5));
        paying.found_under_way(vec![payment(1)], later);
        assert_eq!(paying.until(), Some(now.timestamp() - 5));
    }

    #[test]
    fn the_time_of_one_payment_is_not_the_next_ones() {
        let (mut paying, now) = (Paying::default(), Utc::now());
        paying.found_under_way(vec![payment(1)], now);
        paying.said(payment(1), 60, now.timestamp() - 5);
        // The first is declined. The log, read behind, has not come to the second.
        paying.found_under_way(vec![payment(2)], now);
        assert_eq!(paying.until(), Some(now.timestamp() + 60), "as long as the last event said");
        // Also when nothing was under way in between, and when both are.
        paying.found_under_way(vec![], now);
        assert_eq!(paying.until(), None);
        let later = now + chrono::TimeDelta::seconds(10);
        paying.found_under_way(vec![payment(1), payment(2)], later);
        assert_eq!(paying.until(), Some(later.timestamp() + 60));
        paying.said(payment(2), 30, now.timestamp() + 30);
        assert_eq!(paying.until(), Some(now.timestamp() + 30));
    }

    #[test]
    fn an_event_that_is_read_before_the_payment_is_seen_counts() {
        let (mut paying, now) = (Paying::default(), Utc::now());
        paying.said(payment(1), 60, now.timestamp() + 60);
        // Somebody looked at the order just before the payment was asked for.
        paying.found_under_way(vec![], now);
        assert_eq!(paying.until(), None);
        paying.found_under_way(vec![payment(1)], now + chrono::TimeDelta::seconds(10));
        assert_eq!(paying.until(), Some(now.timestamp() + 60));
    }

    #[test]
    fn what_the_last_process_knew_holds_for_what_it_saw() {
        let now = Utc::now();
        let mut paying = Paying::inherited(Some(now.timestamp() - 5));
        assert_eq!(paying.until(), Some(now.timestamp() - 5));
        paying.found_under_way(vec![payment(1)], now);
        assert_eq!(paying.until(), Some(now.timestamp() - 5));
        let presumed = Paying::inherited(None).until();
        assert!(presumed.is_some_and(|until| until >= now.timestamp() + i64::from(PRESUMED_SECONDS)));
    }
}
