//! A payment gateway: Stripe's state machine of payment intents and refunds, idempotent by key. It keeps its own
//! books, and knows nothing of orders. A request that no honest client sends stops the simulation.

use domain::order::GatewayAnswer;
use domain::{DeclineCode, IntentId, PaymentId, Reason, RefundId, WebAddress};
use std::collections::BTreeMap;

/// What a card does. A token names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    Good,
    Declined,
    /// Decided later, in favour or not; it can be called off meanwhile or not.
    Slow {
        is_good: bool,
        can_cancel: bool,
    },
    /// The bank asks the shopper, who has gone away: it is never decided.
    Forsaken,
    /// The money is held, and cannot be taken.
    CaptureFails,
    /// The money is taken, and cannot be given back.
    RefundFails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
    Declined,
}

/// A payment in the gateway's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub amount: i64,
    pub standing: Standing,
    pub refunds: BTreeMap<RefundId, i64>,
    card: Card,
    first_answer: GatewayAnswer,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateway {
    pub intents: BTreeMap<PaymentId, Intent>,
    /// A repeated request gets the first answer, as Stripe gives it, and not the truth of now.
    pub repeats_first_answer: bool,
    /// How often something changed in its books.
    pub moves: u64,
}

impl Card {
    pub const ALL: [Self; 9] = [
        Self::Good,
        Self::Good,
        Self::Declined,
        Self::Slow { is_good: true, can_cancel: true },
        Self::Slow { is_good: true, can_cancel: false },
        Self::Slow { is_good: false, can_cancel: false },
        Self::Forsaken,
        Self::CaptureFails,
        Self::RefundFails,
    ];
}

impl Intent {
    pub fn captured(&self) -> i64 {
        if self.standing == Standing::Succeeded { self.amount } else { 0 }
    }

    pub fn refunded(&self) -> i64 {
        self.refunds.values().sum()
    }

    /// Whether the gateway still has a part to play: it thinks, or holds money that nobody has taken.
    pub fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Processing | Standing::RequiresCapture)
    }

    fn truth(&self, payment_id: PaymentId) -> GatewayAnswer {
        let intent = intent_of(payment_id);
        match self.standing {
            Standing::Processing => {
                let page = || WebAddress::new("https://bank.test/ask").expect("it is an address");
                let redirect_url = (self.card == Card::Forsaken).then(page);
                GatewayAnswer::Started { intent, redirect_url }
            }
            Standing::RequiresCapture => GatewayAnswer::Authorized { intent },
            Standing::Succeeded => GatewayAnswer::Captured { intent },
            Standing::Canceled => GatewayAnswer::Voided,
            Standing::Declined => GatewayAnswer::Declined {
                code: DeclineCode::new("card_declined").expect("it is a code"),
                message: Reason::new("Your card was declined.").expect("it is a reason"),
            },
        }
    }
}

/// How the gateway names a payment.
fn intent_of(payment_id: PaymentId) -> IntentId {
    IntentId::new(&format!("pi_{payment_id}")).expect("it is an id")
}

impl Gateway {
    fn known(&mut self, payment_id: PaymentId, intent: &IntentId) -> &mut Intent {
        assert_eq!(*intent, intent_of(payment_id), "a payment asks about another one's intent");
        self.intents.get_mut(&payment_id).expect("an intent was made before anybody names it")
    }

    /// Create and confirm in one call, with manual capture; the payment's id is the key.
    pub fn authorize(&mut self, payment_id: PaymentId, amount: i64, card: Card) -> GatewayAnswer {
        if let Some(known) = self.intents.get(&payment_id) {
            assert_eq!(known.amount, amount, "another amount under the same key");
            let first = known.first_answer.clone();
            return if self.repeats_first_answer { first } else { known.truth(payment_id) };
        }
        let standing = match card {
            Card::Good | Card::CaptureFails | Card::RefundFails => Standing::RequiresCapture,
            Card::Declined => Standing::Declined,
            Card::Slow { .. } | Card::Forsaken => Standing::Processing,
        };
        let first_answer = GatewayAnswer::Voided;
        let mut intent = Intent { amount, standing, refunds: BTreeMap::new(), card, first_answer };
        intent.first_answer = intent.truth(payment_id);
        let answer = intent.first_answer.clone();
        self.intents.insert(payment_id, intent);
        self.moves += 1;
        answer
    }

    /// Gives the truth; the answer to a capture that comes too late is what became of the payment.
    pub fn capture(&mut self, payment_id: PaymentId, intent: &IntentId, amount: i64) -> GatewayAnswer {
        let known = self.known(payment_id, intent);
        assert_eq!(known.amount, amount, "the capture of another amount than was authorised");
        let mut moves = 0;
        if known.standing == Standing::RequiresCapture {
            let fails = known.card == Card::CaptureFails;
            known.standing = if fails { Standing::Declined } else { Standing::Succeeded };
            moves = 1;
        }
        let truth = known.truth(payment_id);
        self.moves += moves;
        truth
    }

    /// Gives the truth: what is captured cannot be cancelled, and some of what is not decided cannot either.
    pub fn void(&mut self, payment_id: PaymentId, intent: &IntentId) -> GatewayAnswer {
        let known = self.known(payment_id, intent);
        let can_cancel = match known.standing {
            Standing::RequiresCapture => true,
            Standing::Processing => {
                matches!(known.card, Card::Slow { can_cancel: true, .. } | Card::Forsaken)
            }
            Standing::Succeeded | Standing::Canceled | Standing::Declined => false,
        };
        if can_cancel {
            known.standing = Standing::Canceled;
        }
        let truth = known.truth(payment_id);
        self.moves += u64::from(can_cancel);
        truth
    }

    /// Whether the money went back. The refund's id with the intent is the key.
    pub fn refund(
        &mut self,
        payment_id: PaymentId,
        intent: &IntentId,
        refund_id: RefundId,
        amount: i64,
    ) -> bool {
        let known = self.known(payment_id, intent);
        if let Some(&before) = known.refunds.get(&refund_id) {
            assert_eq!(before, amount, "another amount under the same key");
            return true;
        }
        assert!(known.refunded() + amount <= known.captured(), "more is asked back than was taken");
        if known.card == Card::RefundFails {
            return false;
        }
        known.refunds.insert(refund_id, amount);
        self.moves += 1;
        true
    }

    pub fn retrieve(&self, payment_id: PaymentId) -> Option<GatewayAnswer> {
        self.intents.get(&payment_id).map(|known| known.truth(payment_id))
    }

    /// A slow card is decided. Gives whether anything changed.
    pub fn decide(&mut self, payment_id: PaymentId) -> bool {
        let Some(known) = self.intents.get_mut(&payment_id) else { return false };
        let (Standing::Processing, Card::Slow { is_good, .. }) = (known.standing, known.card) else {
            return false;
        };
        known.standing = if is_good { Standing::RequiresCapture } else { Standing::Declined };
        self.moves += 1;
        true
    }

    /// Nobody took the money for days: the bank lets go of it. Gives whether anything changed.
    pub fn let_go(&mut self, payment_id: PaymentId) -> bool {
        match self.intents.get_mut(&payment_id) {
            Some(known) if known.standing == Standing::RequiresCapture => {
                known.standing = Standing::Canceled;
                self.moves += 1;
                true
            }
            _ => false,
        }
    }
}
