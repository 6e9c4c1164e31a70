//! Questions to the payment gateway: one at a time for each payment, many payments at once.
//!
//! What a payment wants next is often known before the answer to its last question has been noted: the answer is in
//! the log first. Such a question waits for its turn here; else only the order's alarm would bring it up again.

use super::payments::{self, PaymentError, Which};
use crate::executor::Executor;
use domain::IntentId;
use domain::fulfilment::PaymentRequest;
use payment_gateway::Gateway;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// Questions under way at once; more wait for their turn, and stock does not wait for them.
const MAX_AT_ONCE: usize = 1_024;

/// What is asked about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Ask(PaymentRequest),
    LookUp(IntentId),
}

/// There is no room for another question now.
#[derive(Debug)]
pub struct TooMany;

/// All questions under way.
#[derive(Default)]
pub struct Questions {
    tasks: JoinSet<(Which, Result<(), PaymentError>)>,
    turns: Turns,
}

/// Which question about each payment is under way, and which one comes next.
#[derive(Default)]
struct Turns(HashMap<Which, UnderWay>);

struct UnderWay {
    question: Question,
    next: Option<Question>,
}

impl Questions {
    /// Asks now, or after the question that is under way about the same payment. The same question is not asked twice.
    pub fn ask(
        &mut self,
        which: Which,
        question: Question,
        gateway: &Gateway,
        executor: &Arc<Executor>,
    ) -> Result<(), TooMany> {
        if self.tasks.len() >= MAX_AT_ONCE && !self.turns.0.contains_key(&which) {
            return Err(TooMany);
        }
        if let Some(question) = self.turns.ask(which, question) {
            self.spawn(which, question, gateway, executor);
        }
        Ok(())
    }

    /// Waits for the next answer. `None`: no question is under way.
    pub async fn answered(&mut self) -> Option<Result<(Which, Result<(), PaymentError>), JoinError>> {
        self.tasks.join_next().await
    }

    /// Notes that a question was answered, and asks the one that waits for it. After a question without an answer
    /// nothing follows: the order's alarm brings it up again.
    pub fn done(&mut self, which: Which, is_answered: bool, gateway: &Gateway, executor: &Arc<Executor>) {
        if let Some(question) = self.turns.done(which, is_answered) {
            self.spawn(which, question, gateway, executor);
        }
    }

    /// Lets go of all questions; whoever works next asks them again.
    pub async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }

    fn spawn(&mut self, which: Which, question: Question, gateway: &Gateway, executor: &Arc<Executor>) {
        let (gateway, executor) = (gateway.clone(), Arc::clone(executor));
        self.tasks.spawn(async move {
            let answer = match &question {
                Question::Ask(request) => payments::ask(&gateway, &executor, which, request).await,
                Question::LookUp(intent) => payments::look_up(&gateway, &executor, which, intent).await,
            };
            (which, answer)
        });
    }
}

impl Turns {
    /// The question, if it is to be asked now.
    fn ask(&mut self, which: Which, question: Question) -> Option<Question> {
        match self.0.entry(which) {
            Entry::Occupied(mut under_way) => {
                let under_way = under_way.get_mut();
                under_way.next = (under_way.question != question).then_some(question);
                None
            }
            Entry::Vacant(vacant) => {
                vacant.insert(UnderWay { question: question.clone(), next: None });
                Some(question)
            }
        }
    }

    /// The question that is to be asked now.
    fn done(&mut self, which: Which, is_answered: bool) -> Option<Question> {
        let next = self.0.remove(&which)?.next.filter(|_| is_answered)?;
        self.ask(which, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{OrderId, PaymentId};
    use uuid::Uuid;

    const WHICH: Which = Which { order_id: OrderId(Uuid::nil()), payment_id: PaymentId(Uuid::nil()) };

    fn look_up(intent: &str) -> Question {
        Question::LookUp(IntentId::new(intent).unwrap())
    }

    #[test]
    fn what_a_payment_wants_next_is_asked_as_soon_as_the_answer_is_there() {
        let mut turns = Turns::default();
        assert_eq!(turns.ask(WHICH, look_up("pi_1")), Some(look_up("pi_1")));
        assert_eq!(turns.ask(WHICH, look_up("pi_1")), None);
        assert_eq!(turns.ask(WHICH, look_up("pi_2")), None);
        // The newest wins.
        assert_eq!(turns.ask(WHICH, look_up("pi_3")), None);
        assert_eq!(turns.done(WHICH, true), Some(look_up("pi_3")));
        assert_eq!(turns.done(WHICH, true), None);
        assert_eq!(turns.ask(WHICH, look_up("pi_1")), Some(look_up("pi_1")));
    }

    #[test]
    fn the_same_question_is_not_asked_twice_and_nothing_follows_a_silence() {
        let mut turns = Turns::default();
        turns.ask(WHICH, look_up("pi_1"));
        assert_eq!(turns.ask(WHICH, look_up("pi_1")), None);
        assert_eq!(turns.done(WHICH, true), None);
        turns.ask(WHICH, look_up("pi_1"));
        turns.ask(WHICH, look_up("pi_2"));
        assert_eq!(turns.done(WHICH, false), None);
    }
}
