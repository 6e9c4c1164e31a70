//! What the runner has under way between two checkpoints.

use super::asking::{About, Asking};
use super::checkpoint::Checkpoint;
use super::open_orders::OpenOrders;
use super::payments::PaymentError;
use super::progress::{Job, Progress};
use super::settle::{SettleError, Standing};
use api::operations::PaymentAtStake;
use domain::fulfilment::PaymentRequest;
use domain::{IntentId, OrderId, PaymentId, RefundId};
use event_store::Position;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Orders that are worked on at once; the log waits when there are more.
const MAX_ORDERS_AT_ONCE: usize = 256;
/// Those with many SKUs that wait for their turn at stock have no place: nobody waits for them. But so many are begun in all.
const MAX_BEGUN: usize = 1_024;
/// Those among them whose alarm rang. After an outage a hundred thousand may be due at once, and whoever buys then must
/// not wait for all of them.
const MAX_ALARMS_AT_ONCE: usize = MAX_ORDERS_AT_ONCE / 2;
/// How long it stands still, at most, while few orders are open.
const CHECKPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
pub const FEW_OPEN_ORDERS: usize = 1_000;

/// What came of the work on an order.
pub struct Settled {
    pub order_id: OrderId,
    pub job: Job,
    pub result: Result<Standing, SettleError>,
    /// What the gateway may have told of in the meantime, if the order could not be read for a while.
    pub captured: Vec<(PaymentId, IntentId)>,
    /// The payments of an order that waits for a stream.
    pub at_stake: Vec<PaymentAtStake>,
}

/// What is under way, and since when it is not in a checkpoint.
pub struct Work {
    pub progress: Progress,
    pub open: OpenOrders,
    pub tasks: JoinSet<Settled>,
    /// Tasks among them that an alarm has set off.
    pub alarms: usize,
    pub questions: JoinSet<(About, Result<(), PaymentError>)>,
    /// The payments that the questions are about.
    pub asking: Asking,
    /// Items of the log since the last checkpoint.
    pub seen: usize,
    settled: Option<Position>,
    recorded_at: Instant,
}

/// A question to the payment gateway.
pub enum Question {
    /// What the order owes it.
    Ask(PaymentRequest),
    /// How a payment stands on which it has not decided.
    LookUp(IntentId),
    /// What was given back of a payment that it has taken.
    Refunds(IntentId),
}

impl Question {
    /// The refund that it is about, if it is about one.
    pub fn refund_id(&self) -> Option<RefundId> {
        match self {
            Self::Ask(PaymentRequest::Refund { refund_id, .. }) => Some(*refund_id),
            Self::Ask(_) | Self::LookUp(_) | Self::Refunds(_) => None,
        }
    }
}

impl Work {
    pub fn after(checkpoint: &mut Checkpoint) -> Self {
        Self {
            progress: Progress::after(checkpoint.position),
            open: OpenOrders::restore(std::mem::take(&mut checkpoint.open_orders)),
            tasks: JoinSet::new(),
            alarms: 0,
            questions: JoinSet::new(),
            asking: Asking::default(),
            seen: 0,
            settled: checkpoint.position,
            recorded_at: Instant::now(),
        }
    }

    /// Whether another order can be begun while so many only wait for their turn at stock.
    pub fn has_place(&self, waiting: usize) -> bool {
        let begun = self.tasks.len();
        begun.saturating_sub(waiting) < MAX_ORDERS_AT_ONCE && begun < MAX_BEGUN
    }

    /// The same for one whose alarm rang.
    pub fn has_place_for_alarm(&self, waiting: usize) -> bool {
        self.has_place(waiting) && self.alarms < MAX_ALARMS_AT_ONCE
    }

    /// A checkpoint names every open order: it is written when it costs no more than what it saves.
    pub fn is_checkpoint_due(&self) -> bool {
        let is_far = self.seen >= self.open.len();
        let is_old =
            self.open.len() < FEW_OPEN_ORDERS && self.recorded_at.elapsed() >= CHECKPOINT_AT_LEAST_EVERY;
        self.progress.settled() > self.settled && (is_far || is_old)
    }

    pub fn recorded(&mut self, settled: Option<Position>) {
        self.settled = settled;
        self.seen = 0;
        self.recorded_at = Instant::now();
    }
}
