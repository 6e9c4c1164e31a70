//! What the gateway is being asked about: one question at a time for each payment and for each refund.

use super::payments::Which;
use domain::RefundId;
use std::collections::{HashMap, HashSet};

/// New questions to the gateway at once; more wait for their turn, and stock does not wait for them.
const MAX_NEW: usize = 1_024;
/// Questions at once that were asked in vain before. They have places of their own: payments that hang for ever may be
/// many, and must not keep new ones waiting.
const MAX_REPEATED: usize = 256;

/// A payment, or one of its refunds: a refund may be on its way for days, and others must not wait for it.
pub type About = (Which, Option<RefundId>);

/// The payments, and whether their orders wanted something else of the gateway meanwhile.
///
/// What the answer to a question leads to may come back from the log before the question itself is done with. What is
/// wanted then must not be forgotten.
#[derive(Default)]
pub struct Asking {
    under_way: HashMap<About, Asked>,
    repeated: usize,
    unanswered: HashSet<About>,
}

struct Asked {
    more_is_wanted: bool,
    is_repeated: bool,
}

impl Asking {
    /// Whether a question is under way. What is wanted then is noted.
    pub fn is_busy(&mut self, about: About) -> bool {
        match self.under_way.get_mut(&about) {
            Some(asked) => {
                asked.more_is_wanted = true;
                true
            }
            None => false,
        }
    }

    /// Whether the last question about the payment got no answer.
    pub fn is_unanswered(&self, about: About) -> bool {
        self.unanswered.contains(&about)
    }

    /// How many payments the gateway owes an answer that it should have given.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Notes that a question is under way, if there is a place for it.
    pub fn begin(&mut self, about: About, is_repeated: bool) -> bool {
        let has_place = match is_repeated {
            true => self.repeated < MAX_REPEATED,
            false => self.under_way.len() - self.repeated < MAX_NEW,
        };
        if has_place {
            self.under_way.insert(about, Asked { more_is_wanted: false, is_repeated });
            self.repeated += usize::from(is_repeated);
        }
        has_place
    }

    /// Notes that the question is done with, and whether it was answered. True when something was wanted meanwhile.
    pub fn done(&mut self, about: About, is_answered: bool) -> bool {
        match is_answered {
            true => self.unanswered.remove(&about),
            false => self.unanswered.insert(about),
        };
        let Some(asked) = self.under_way.remove(&about) else { return false };
        self.repeated -= usize::from(asked.is_repeated);
        asked.more_is_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{OrderId, PaymentId};
    use uuid::Uuid;

    fn which(number: usize) -> About {
        let order_id = OrderId(Uuid::from_u128(number as u128));
        (Which { order_id, payment_id: PaymentId(Uuid::nil()) }, None)
    }

    #[test]
    fn what_is_wanted_during_a_question_is_not_forgotten() {
        let mut asking = Asking::default();
        assert!(!asking.is_busy(which(1)));
        assert!(asking.begin(which(1), false));
        assert!(!asking.done(which(1), true));
        assert!(asking.begin(which(1), false));
        assert!(asking.is_busy(which(1)));
        assert!(asking.done(which(1), true));
        assert!(!asking.is_busy(which(1)));
    }

    #[test]
    fn payments_that_hang_leave_places_for_new_ones() {
        let mut asking = Asking::default();
        let hanging = 5_000;
        for number in 0..hanging {
            asking.done(which(number), false);
        }
        assert_eq!(asking.unanswered(), hanging);
        let begun =
            (0..hanging).filter(|number| asking.begin(which(*number), asking.is_unanswered(which(*number))));
        assert_eq!(begun.count(), MAX_REPEATED);
        let begun = (hanging..2 * hanging).filter(|number| asking.begin(which(*number), false)).count();
        assert_eq!(begun, MAX_NEW);
        // A place that is free again can be taken by its like.
        asking.done(which(hanging), true);
        assert!(!asking.begin(which(MAX_REPEATED), true));
        assert!(asking.begin(which(3 * hanging), false));
        asking.done(which(0), true);
        assert!(asking.begin(which(MAX_REPEATED), true));
        assert_eq!(asking.unanswered(), hanging - 1);
    }
}
