//! The end of every story: nothing is lost any more, every clock runs out, and all settles. What was on its way
//! before comes late, when all is over, and moves nothing.

use crate::world::{Message, Trouble, World};
use domain::PaymentId;

/// Rounds after which an order that has not settled never will.
const MAX_ROUNDS: usize = 40;
/// Seconds from one round to the next.
const ROUND: u64 = 1_200;

impl World {
    pub fn heal(&mut self) {
        self.trouble = Trouble::NONE;
        let mut late = std::mem::take(&mut self.in_flight);
        // What people sent and nobody heard is lost: heard later, it would be news.
        late.retain(|message| !matches!(message, Message::Command { .. }));
        let kept = self.random.below(late.len() + 1);
        self.in_flight = late.split_off(kept);
        self.late.extend(late);
        self.kill_runner(0);
        self.kill_runner(1);
        self.start_runner(0);
        let mut rounds = 0;
        while !self.round() {
            rounds += 1;
            assert!(rounds < MAX_ROUNDS, "somebody is stuck");
        }
        self.audit.ends(&self.gateway);
        self.hear_late_messages();
    }

    /// Everybody does all that they can. Gives whether there is nothing left.
    fn round(&mut self) -> bool {
        let before = (self.log.entries.len(), self.gateway.moves);
        self.now += ROUND;
        let payments: Vec<PaymentId> = self.gateway.intents.keys().copied().collect();
        for payment_id in payments {
            self.gateway.decide(payment_id);
        }
        self.look_at_clock(0);
        self.poll(0);
        self.give_all_back();
        self.do_all_there_is();
        self.audit.is_over()
            && self.runners[0].is_idle()
            && before == (self.log.entries.len(), self.gateway.moves)
    }

    /// Turn by turn, until a turn changes nothing: then the gateway still thinks, or nobody owes anything.
    fn do_all_there_is(&mut self) {
        let mut fruitless = 0;
        loop {
            let before = (self.log.entries.len(), self.gateway.moves);
            while !self.in_flight.is_empty() {
                self.deliver_one();
            }
            self.read_log(0, usize::MAX);
            self.work_on_all(0);
            if before == (self.log.entries.len(), self.gateway.moves) {
                fruitless += 1;
            }
            if self.in_flight.is_empty() || fruitless == 2 {
                return;
            }
        }
    }

    /// Whoever asked may be dead; whoever lives hears the answer.
    pub fn to_the_living(&self, runner: usize, message: Message) -> Message {
        let asker = self.asker(runner);
        match message {
            Message::ToStock { order_id, sku, request, .. } => {
                Message::ToStock { asker, order_id, sku, request }
            }
            Message::ToGateway { order_id, payment_id, request, .. } => {
                Message::ToGateway { asker, order_id, payment_id, request }
            }
            Message::Retrieve { order_id, payment_id, .. } => {
                Message::Retrieve { asker, order_id, payment_id }
            }
            Message::LookAtRefunds { order_id, payment_id, .. } => {
                Message::LookAtRefunds { asker, order_id, payment_id }
            }
            Message::Answer { order_id, command, .. } => Message::Answer { asker, order_id, command },
            Message::Webhook { .. } | Message::Command { .. } => message,
        }
    }

    /// Copies of what was heard, and what was on its way when the trouble ended.
    fn hear_late_messages(&mut self) {
        let settled = (self.log.entries.len(), self.gateway.moves);
        for message in std::mem::take(&mut self.late) {
            let message = self.to_the_living(0, message);
            let copy = message.clone();
            self.arrive(message);
            while !self.in_flight.is_empty() {
                self.deliver_one();
            }
            let now = (self.log.entries.len(), self.gateway.moves);
            assert!(settled == now, "a late message moved something: {copy:?}");
        }
    }
}
