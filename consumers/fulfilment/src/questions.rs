//! The questions to the payment gateway that an order owes, each beside everything else.

use super::payments::{self, PaymentError, Which};
use super::progress::Job;
use super::refunds;
use super::runner::FulfilmentRunner;
use super::settle::Standing;
use super::work::{Question, Work};
use domain::{IntentId, OrderId, PaymentId};
use http_boundary::PerSecond;
use std::sync::Arc;

/// Payments on which the gateway is silent, in `/readyz`: worth a word, and no illness of ours.
pub const SILENT: &str = "payment-gateway";

static WAITING_LINES: PerSecond = PerSecond::times(2);

impl FulfilmentRunner {
    /// Starts what the order wants of the payment gateway, beside everything else.
    pub(super) fn ask_gateway(
        &self,
        order_id: OrderId,
        job: &Job,
        standing: Standing,
        captured: Vec<(PaymentId, IntentId)>,
        work: &mut Work,
    ) {
        let asked =
            standing.payments.into_iter().map(|(payment_id, request)| (payment_id, Question::Ask(request)));
        // The gateway tells by itself; only when it has been silent for a while, or could not be heard, is it asked.
        let undecided = standing.undecided.into_iter().filter(|_| job.is_alarm || job.after_gap);
        let looked_up = undecided.map(|(payment_id, intent)| (payment_id, Question::LookUp(intent)));
        let refunds =
            captured.into_iter().map(|(payment_id, intent)| (payment_id, Question::Refunds(intent)));
        for (payment_id, question) in asked.chain(looked_up).chain(refunds) {
            self.ask(Which { order_id, payment_id }, question, work);
        }
    }

    fn ask(&self, which: Which, question: Question, work: &mut Work) {
        let order_id = which.order_id;
        let about = (which, question.refund_id());
        let not_before = work.open.known_since(order_id);
        let Some(gateway) = self.gateway.clone() else {
            self.health.is_well_so(SILENT, "orders have payments, and no payment gateway is configured");
            work.open.ring_later(order_id);
            return;
        };
        if work.asking.is_busy(about) {
            return;
        }
        let is_repeated = work.asking.is_unanswered(about) || work.open.is_inherited(order_id);
        if !work.asking.begin(about, is_repeated) {
            match is_repeated {
                true => work.open.ring_later(order_id),
                false => work.open.ring_soon(order_id),
            }
            return;
        }
        let executor = Arc::clone(&self.executor);
        work.questions.spawn(async move {
            let answer = match &question {
                Question::Ask(request) => {
                    payments::ask(&gateway, &executor, which, request, not_before).await
                }
                Question::LookUp(intent) => payments::look_up(&gateway, &executor, which, intent).await,
                Question::Refunds(intent) => refunds::find(&gateway, &executor, which, intent).await,
            };
            (about, answer)
        });
    }

    /// A payment that waits, or a gateway that is away, keeps nobody from filling a cart or placing an order: it is told
    /// and does not make this process unready.
    pub(super) fn note_answer(&self, which: Which, result: Result<(), PaymentError>, work: &mut Work) {
        // A gateway that is away would have one for each question, again and again.
        if let (Err(error), Some(times)) = (result, WAITING_LINES.line()) {
            tracing::warn!(
                times,
                order_id = %which.order_id,
                payment_id = %which.payment_id,
                error = &error as &dyn std::error::Error,
                "a payment waits for the gateway"
            );
        }
        match work.asking.unanswered() {
            0 => self.health.is_well(SILENT),
            1 => self.health.is_well_so(SILENT, "1 payment waits for the payment gateway: the log says more"),
            waiting => {
                let how = format!("{waiting} payments wait for the payment gateway: the log says more");
                self.health.is_well_so(SILENT, how);
            }
        }
        // If there was news, the log brings it at once.
        work.open.ring_later(which.order_id);
    }
}
