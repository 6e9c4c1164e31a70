//! Follows the log and keeps one task at a time for each order that has something to settle.

use super::checkpoint::Checkpoint;
use super::events::{concerned, wait_of};
use super::payments::{self, PaymentError, Which};
use super::progress::Job;
use super::settle::{self, SettleError, Standing, Trigger};
use super::work::{Question, Settled, Work};
use crate::executor::Executor;
use crate::unpaid::Unpaid;
use backon::{ExponentialBuilder, Retryable};
use domain::OrderId;
use event_store::{AppendError, EventStore, Lock, Metadata, NotLocked, SubscriptionItem};
use futures::{StreamExt, pin_mut};
use http_boundary::Health;
use payment_gateway::Gateway;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The process's name in `/readyz`.
const PART: &str = "order-fulfilment";
/// Orders that it cannot settle, in `/readyz`.
const STUCK: &str = "order-fulfilment: stuck orders";
/// Payments on which the gateway is silent, in `/readyz`: worth a word, and no illness of ours.
const SILENT: &str = "payment-gateway";
/// What `/readyz` says while it is not this process that works.
const ELSEWHERE: &str = "another process runs it";
/// The lock that the one who works holds.
const LOCK: &str = "order_fulfilment";
/// How often the checkpoint moves, at most.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Why a turn is over.
enum Ended {
    Stopped,
    LostTurn(String),
}

/// The order fulfilment process of this shop.
pub struct FulfilmentRunner {
    store: EventStore,
    executor: Arc<Executor>,
    gateway: Option<Gateway>,
    unpaid: Unpaid,
    health: Health,
}

impl FulfilmentRunner {
    pub fn new(
        store: EventStore,
        executor: Arc<Executor>,
        gateway: Option<Gateway>,
        unpaid: Unpaid,
        health: Health,
    ) -> Self {
        health.is_ill(PART, "it has not begun yet");
        Self { store, executor, gateway, unpaid, health }
    }

    /// Works until told to stop, whenever it is this process's turn: of all that run the process only one works, and
    /// another takes over when that one's connection to the event store is gone.
    ///
    /// # Errors
    /// When the log has something that it cannot read or must not pass over; the reason is in `/readyz` too.
    pub async fn run(self, stop: CancellationToken) -> Result<(), SettleError> {
        while let Some(lock) = stop.run_until_cancelled(self.take_turn()).await {
            let checkpoint = || Checkpoint::read(&self.store);
            let read = checkpoint.retry(patiently()).notify(|error, _| {
                self.health.is_ill(PART, error.to_string());
            });
            let checkpoint = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                reason = lock.lost() => {
                    self.has_lost(&reason);
                    continue;
                }
                read = read => read.map_err(|error| SettleError::ForNow(error.to_string()))?,
            };
            let ended = self.follow(checkpoint, &lock, &stop).await;
            if ended.is_err() {
                self.health.is_ill(PART, "it has stopped: the log says why");
            }
            match ended? {
                Ended::Stopped => return Ok(()),
                Ended::LostTurn(reason) => self.has_lost(&reason),
            }
        }
        Ok(())
    }

    async fn take_turn(&self) -> Lock {
        let lock = self.store.lock(LOCK, |error| match error {
            NotLocked::HeldElsewhere => self.health.is_well_so(PART, ELSEWHERE),
            NotLocked::Unavailable(_) | NotLocked::Refused(_) => {
                tracing::warn!(%error, "order fulfilment cannot ask for its turn: asking again");
                self.health.is_ill(PART, error.to_string());
            }
        });
        let lock = lock.await;
        tracing::info!("this process runs order fulfilment");
        self.health.is_ill(PART, "it has its turn and begins");
        lock
    }

    fn has_lost(&self, reason: &str) {
        tracing::warn!(reason, "order fulfilment has lost its turn: it waits for the next one");
        self.health.is_ill(PART, format!("it has lost its turn: {reason}"));
        // Whoever works now says so.
        self.report_stuck(0);
        self.health.is_well(SILENT);
    }

    async fn follow(
        &self,
        mut checkpoint: Checkpoint,
        lock: &Lock,
        stop: &CancellationToken,
    ) -> Result<Ended, SettleError> {
        let items = self.store.subscribe_all(checkpoint.position);
        let lost = lock.lost();
        pin_mut!(items, lost);
        let mut work = Work::after(&mut checkpoint);
        let mut tick = tokio::time::interval(CHECKPOINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                () = stop.cancelled() => break Ended::Stopped,
                reason = &mut lost => break Ended::LostTurn(reason),
                Some(done) = work.tasks.join_next() => {
                    self.note_settled(done.map_err(|error| SettleError::ForNow(error.to_string()))?, &mut work);
                }
                Some(done) = work.questions.join_next() => {
                    let (about, result) = done.map_err(|error| SettleError::ForNow(error.to_string()))?;
                    let is_wanted = work.asking.done(about, result.is_ok()) && result.is_ok();
                    let (which, _) = about;
                    self.note_answer(which, result, &mut work);
                    let job = is_wanted.then(|| Job::of_order(which.order_id));
                    if let Some(job) = job.and_then(|job| work.progress.look(which.order_id, job)) {
                        self.begin(which.order_id, job, &mut work);
                    }
                }
                // One that rings stays in the queue until it can be begun.
                (order_id, alarm) = work.open.next(), if work.has_place_for_alarm() => {
                    let job = Job::of_alarm(order_id, alarm);
                    if let Some(job) = work.progress.look(order_id, job) {
                        self.begin(order_id, job, &mut work);
                    }
                }
                item = items.next(), if work.has_place() => {
                    work.seen += 1;
                    if let Some((order_id, job)) = self.take(item, &mut work)? {
                        self.begin(order_id, job, &mut work);
                    }
                }
                _ = tick.tick() => if work.is_checkpoint_due() {
                    self.record(&mut checkpoint, &mut work).await;
                }
            }
        };
        // What is under way is done again by whoever works next.
        work.tasks.shutdown().await;
        work.questions.shutdown().await;
        if matches!(ended, Ended::Stopped) {
            self.record(&mut checkpoint, &mut work).await;
        }
        Ok(ended)
    }

    fn begin(&self, order_id: OrderId, job: Job, work: &mut Work) {
        work.alarms += usize::from(job.is_alarm);
        work.tasks.spawn(self.task(order_id, job));
    }

    /// Notes how an order stands after a task, and begins its next one.
    fn note_settled(&self, (order_id, is_alarm, result): Settled, work: &mut Work) {
        work.alarms -= usize::from(is_alarm);
        let next = match result {
            Ok(standing) => {
                if !standing.is_pending {
                    self.unpaid.orders.forget(order_id);
                }
                work.open.settled(order_id, &standing);
                self.ask_gateway(order_id, is_alarm, standing, work);
                work.progress.done(order_id)
            }
            Err(error) => {
                tracing::error!(%order_id, error = &error as &dyn std::error::Error, "an order is stuck");
                work.progress.failed(order_id)
            }
        };
        self.report_stuck(work.progress.stuck());
        if let Some(job) = next {
            self.begin(order_id, job, work);
        }
    }

    /// Starts what the order wants of the payment gateway, beside everything else.
    fn ask_gateway(&self, order_id: OrderId, is_alarm: bool, standing: Standing, work: &mut Work) {
        let asked =
            standing.payments.into_iter().map(|(payment_id, request)| (payment_id, Question::Ask(request)));
        // The gateway tells by itself; only when it has been silent for a while is it asked.
        let undecided = standing.undecided.into_iter().filter(|_| is_alarm);
        let looked_up = undecided.map(|(payment_id, intent)| (payment_id, Question::LookUp(intent)));
        for (payment_id, question) in asked.chain(looked_up) {
            let which = Which { order_id, payment_id };
            let about = (which, question.refund_id());
            let not_before = work.open.known_since(order_id);
            let Some(gateway) = self.gateway.clone() else {
                self.health.is_well_so(SILENT, "orders have payments, and no payment gateway is configured");
                work.open.ring_later(order_id);
                continue;
            };
            if work.asking.is_busy(about) {
                continue;
            }
            let is_repeated = work.asking.is_unanswered(about) || work.open.is_inherited(order_id);
            if !work.asking.begin(about, is_repeated) {
                match is_repeated {
                    true => work.open.ring_later(order_id),
                    false => work.open.ring_soon(order_id),
                }
                continue;
            }
            let executor = Arc::clone(&self.executor);
            work.questions.spawn(async move {
                let answer = match &question {
                    Question::Ask(request) => {
                        payments::ask(&gateway, &executor, which, request, not_before).await
                    }
                    Question::LookUp(intent) => payments::look_up(&gateway, &executor, which, intent).await,
                };
                (about, answer)
            });
        }
    }

    /// A payment that waits, or a gateway that is away, keeps nobody from filling a cart or placing an order: it is told
    /// and does not make this process unready.
    fn note_answer(&self, which: Which, result: Result<(), PaymentError>, work: &mut Work) {
        if let Err(error) = result {
            tracing::warn!(
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

    /// Looks at the next item of the log; gives the work that it starts.
    fn take(
        &self,
        item: Option<SubscriptionItem>,
        work: &mut Work,
    ) -> Result<Option<(OrderId, Job)>, SettleError> {
        match item {
            Some(SubscriptionItem::Event(event)) => {
                self.health.is_well(PART);
                let Some((order_id, cart)) = concerned(&event) else { return Ok(None) };
                if let Some(wait) = wait_of(&event) {
                    work.open.wait(order_id, event.recorded_at, wait);
                }
                let revision = if cart.is_none() { event.revision } else { 0 };
                let of_order = Job { cart, revision, ..Job::of_order(order_id) };
                let job = match event.metadata() {
                    Ok(Metadata { occurred_at, actor, .. }) => {
                        Job { trigger: Trigger { event_id: event.id, occurred_at, actor }, ..of_order }
                    }
                    // Anybody may write to the event store: it must not stop the others' orders.
                    Err(error) => {
                        let (revision, stream) = (event.revision, &event.stream);
                        let why = format!("event {revision} of `{stream}` has unknown metadata: {error}");
                        Job { fault: Some(why), ..of_order }
                    }
                };
                Ok(work.progress.start(order_id, job, event.position).map(|job| (order_id, job)))
            }
            Some(SubscriptionItem::CaughtUp | SubscriptionItem::Checkpoint(_)) => {
                self.health.is_well(PART);
                Ok(None)
            }
            Some(SubscriptionItem::Disconnected { error }) => {
                tracing::warn!(error, "order fulfilment has lost the event store: connecting again");
                self.health.is_ill(PART, format!("the event store is away: {error}"));
                Ok(None)
            }
            None => Err(SettleError::ForNow("the subscription has ended".to_owned())),
        }
    }

    /// Settles one order, patiently when something is away.
    fn task(&self, order_id: OrderId, job: Job) -> impl Future<Output = Settled> + Send + 'static {
        let executor = Arc::clone(&self.executor);
        let (health, share) = (self.health.clone(), self.unpaid.share);
        async move {
            let attempt = || async {
                if let Some(why) = job.fault.clone() {
                    return Err(SettleError::ForGood { order_id, why });
                }
                if let Some(cart) = job.cart {
                    settle::place_order(&executor, cart, &job.trigger).await?;
                }
                if let Some(even_while_paying) = job.expire {
                    settle::expire(&executor, order_id, even_while_paying).await?;
                }
                settle::settle(&executor, (order_id, job.revision), share, &job.trigger).await
            };
            let result = attempt
                .retry(patiently())
                .when(|error| matches!(error, SettleError::ForNow(_)))
                .notify(|error, delay| {
                    tracing::warn!(%order_id, %error, ?delay, "an order waits to be settled");
                    // Whoever asks for the health need not know whose order it is.
                    health.is_ill(PART, "orders wait for the event store: the log says more");
                })
                .await;
            (order_id, job.is_alarm, result)
        }
    }

    fn report_stuck(&self, orders: usize) {
        match orders {
            0 => self.health.is_well(STUCK),
            orders => {
                self.health.is_ill(STUCK, format!("{orders} orders cannot be settled: the log says which"))
            }
        }
    }

    async fn record(&self, checkpoint: &mut Checkpoint, work: &mut Work) {
        let settled = work.progress.settled().max(checkpoint.position);
        match checkpoint.record(&self.store, settled, &work.open.keep()).await {
            Ok(()) => work.recorded(settled),
            Err(AppendError::Conflict) => {
                tracing::warn!("another process records the fulfilment's checkpoint: reading it again");
                if let Ok(read) = Checkpoint::read(&self.store).await {
                    *checkpoint = read;
                }
            }
            // It only means more to do again after a restart.
            Err(error) => tracing::warn!(%error, "the fulfilment's checkpoint could not be recorded"),
        }
    }
}

fn patiently() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}
