//! The payments about which the gateway is being asked: one question at a time for each.

use super::payments::Which;
use std::collections::HashMap;

/// The payments, and whether their orders wanted something else of the gateway meanwhile.
///
/// What the answer to a question leads to may come back from the log before the question itself is done with. What is
/// wanted then must not be forgotten.
#[derive(Default)]
pub struct Asking(HashMap<Which, bool>);

impl Asking {
    /// Whether a question is under way. What is wanted then is noted.
    pub fn is_busy(&mut self, which: Which) -> bool {
        match self.0.get_mut(&which) {
            Some(more_is_wanted) => {
                *more_is_wanted = true;
                true
            }
            None => false,
        }
    }

    /// Notes that a question is under way.
    pub fn begin(&mut self, which: Which) {
        self.0.insert(which, false);
    }

    /// Notes that the question is done with. True when something was wanted meanwhile.
    pub fn done(&mut self, which: Which) -> bool {
        self.0.remove(&which).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{OrderId, PaymentId};
    use uuid::Uuid;

    #[test]
    fn what_is_wanted_during_a_question_is_not_forgotten() {
        let which = Which { order_id: OrderId(Uuid::nil()), payment_id: PaymentId(Uuid::nil()) };
        let mut asking = Asking::default();
        assert!(!asking.is_busy(which));
        asking.begin(which);
        assert!(!asking.done(which));
        asking.begin(which);
        assert!(asking.is_busy(which));
        assert!(asking.done(which));
        assert!(!asking.is_busy(which));
    }
}
