//! Follows the log and keeps one task at a time for each order that has something to settle.

use super::checkpoint::{self, CHECKPOINTS_STREAM, Checkpoint};
use super::events::{concerned, wait_of};
use super::open_orders::Parked;
use super::parking::{self, ParkedOrders};
use super::payments::PaymentError;
use super::progress::Job;
use super::questions::SILENT;
use super::reading::Reading;
use super::settle::{self, Blocked, SettleError, Trigger};
use super::stock_turns::StockTurns;
use super::work::{Settled, Work};
use backon::{ExponentialBuilder, Retryable};
use consumer_runner::elsewhere::{self, Elsewhere};
use domain::OrderId;
use event_store::{
    AppendError, EVENT_SKIPPED, EventStore, Lock, Metadata, NotLocked, OwnStream, RecordedEvent,
    SubscriptionItem,
};
use executor::Executor;
use futures::{StreamExt, pin_mut};
use http_boundary::Health;
use payment_gateway::Gateway;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use unpaid_orders::Unpaid;

/// The process's name in `/readyz`.
const PART: &str = "order-fulfilment";
/// What `/readyz` says of its own streams that somebody has deleted.
const DELETED: &str = "order-fulfilment: deleted streams";
/// The lock that the one who works holds.
const LOCK: &str = "order_fulfilment";
/// How long an order's event may wait in another process before it is said that nothing is done there.
const OTHERS_PATIENCE: Duration = Duration::from_secs(60);
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
    pub(super) executor: Arc<Executor>,
    pub(super) gateway: Option<Gateway>,
    unpaid: Unpaid,
    pub(super) health: Health,
    parked: ParkedOrders,
    reading: Reading,
    turns: StockTurns,
    elsewhere: Elsewhere,
}

impl FulfilmentRunner {
    pub fn new(
        store: EventStore,
        executor: Arc<Executor>,
        gateway: Option<Gateway>,
        unpaid: Unpaid,
        health: Health,
        (parked, reading): (ParkedOrders, Reading),
    ) -> Self {
        health.is_ill(PART, "it has not begun yet");
        let log = store.clone();
        let work = elsewhere::Work {
            part: PART,
            lock: LOCK,
            figure: "fulfilment_standstill_seconds",
            stream: CHECKPOINTS_STREAM,
            reached: Box::new(move |event| checkpoint::reached(event, log.known_log().as_ref())),
            is_work: Box::new(|event| concerned(event).is_some()),
            patience: OTHERS_PATIENCE,
        };
        let elsewhere = Elsewhere::new(store.clone(), &health, work);
        let turns = StockTurns::default();
        Self { store, executor, gateway, unpaid, health, parked, reading, turns, elsewhere }
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
            self.report_successors(&lock, &checkpoint);
            self.executor.orders.all_are_used(true);
            let ended = self.follow(checkpoint, &lock, &stop).await;
            self.executor.orders.all_are_used(false);
            self.reading.ends();
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
            NotLocked::HeldElsewhere => self.elsewhere.is_held(),
            NotLocked::Unavailable(_) | NotLocked::Refused(_) => {
                self.elsewhere.is_not_held();
                tracing::warn!(%error, "order fulfilment cannot ask for its turn: asking again");
                self.health.is_ill(PART, error.to_string());
            }
        });
        let lock = tokio::select! {
            lock = lock => lock,
            never = self.elsewhere.watch() => match never {},
        };
        self.elsewhere.is_not_held();
        tracing::info!("this process runs order fulfilment");
        self.health.is_ill(PART, "it has its turn and begins");
        lock
    }

    fn has_lost(&self, reason: &str) {
        tracing::warn!(reason, "order fulfilment has lost its turn: it waits for the next one");
        self.health.is_ill(PART, format!("it has lost its turn: {reason}"));
        // Whoever works now says so.
        self.parked.clear();
        self.health.is_well(SILENT);
    }

    fn report_successors(&self, lock: &Lock, checkpoint: &Checkpoint) {
        self.report_deleted([lock.stream(), &checkpoint.stream].into_iter().filter_map(OwnStream::notice));
    }

    /// It works without them, and somebody has to know.
    fn report_deleted(&self, notices: impl IntoIterator<Item = String>) {
        let notices = Vec::from_iter(notices).join("; ");
        if !notices.is_empty() {
            tracing::error!(notices, "order fulfilment goes on with successors of deleted streams");
            self.health.is_well_so(DELETED, notices);
        }
    }

    async fn follow(
        &self,
        mut checkpoint: Checkpoint,
        lock: &Lock,
        stop: &CancellationToken,
    ) -> Result<Ended, SettleError> {
        self.reading.begins(checkpoint.position);
        let mut freed = self.executor.parked.freed();
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
                    let is_answered = result.as_ref().map_or_else(PaymentError::is_of_a_parked_order, |()| true);
                    let is_wanted = work.asking.done(about, is_answered) && result.is_ok();
                    let (which, _) = about;
                    self.note_answer(which, result, &mut work);
                    let job = is_wanted.then(|| Job::of_order(which.order_id));
                    if let Some(job) = job.and_then(|job| work.progress.look(which.order_id, job)) {
                        self.begin(which.order_id, job, &mut work);
                    }
                }
                // One that rings stays in the queue until it can be begun.
                (order_id, alarm) = work.open.next(), if work.has_place_for_alarm(self.turns.waiting()) => {
                    let job = Job::of_alarm(order_id, alarm);
                    if let Some(job) = work.progress.look(order_id, job) {
                        self.begin(order_id, job, &mut work);
                    }
                }
                freed = freed.recv() => match freed {
                    Ok(stream) => work.open.ring_parked(Some(&stream)),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => work.open.ring_parked(None),
                },
                // There may be a place now.
                () = self.turns.one_more_waits() => {}
                item = items.next(), if work.has_place(self.turns.waiting()) => {
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
        let job = work.open.complete(order_id, job);
        work.alarms += usize::from(job.is_alarm);
        work.tasks.spawn(self.task(order_id, job));
    }

    /// Notes how an order stands after a task, and begins its next one.
    fn note_settled(&self, settled: Settled, work: &mut Work) {
        let Settled { order_id, job, result, captured, at_stake } = settled;
        work.alarms -= usize::from(job.is_alarm);
        let blocked = match &result {
            Ok(standing) => standing.blocked.clone(),
            Err(error) => Some(error.blocked(order_id)),
        };
        match blocked {
            Some(by) if self.parked.park(order_id, &by, at_stake) => {
                let Blocked { stream, why } = by;
                tracing::error!(%order_id, stream, why, "an order is parked: all others go on");
            }
            Some(_) => {}
            None if self.parked.free(order_id) => tracing::info!(%order_id, "a parked order goes on"),
            None => {}
        }
        match result {
            Ok(standing) => {
                if !standing.is_unpaid {
                    self.unpaid.orders.forget(order_id);
                }
                work.open.settled(order_id, &standing);
                self.ask_gateway(order_id, &job, standing, captured, work);
            }
            Err(error) => {
                let stream = error.blocked(order_id).stream;
                work.open.park(order_id, Parked { stream, cart: job.cart });
            }
        }
        if let Some(job) = work.progress.done(order_id) {
            self.begin(order_id, job, work);
        }
    }

    /// Looks at the next item of the log; gives the work that it starts.
    fn take(
        &self,
        item: Option<SubscriptionItem>,
        work: &mut Work,
    ) -> Result<Option<(OrderId, Job)>, SettleError> {
        if let Some(position) = item.as_ref().and_then(SubscriptionItem::position) {
            self.reading.reaches(position);
        }
        match item {
            Some(SubscriptionItem::Event(event)) => {
                self.health.is_well(PART);
                Ok(self.take_event(&event, work))
            }
            Some(
                SubscriptionItem::CaughtUp | SubscriptionItem::Checkpoint(_) | SubscriptionItem::StoresOwn(_),
            ) => {
                self.health.is_well(PART);
                Ok(None)
            }
            Some(SubscriptionItem::Disconnected { error }) => {
                let why = error.interruption();
                tracing::warn!(why, "order fulfilment cannot follow the log: connecting again");
                self.health.is_ill(PART, why);
                Ok(None)
            }
            None => Err(SettleError::ForNow("the subscription has ended".to_owned())),
        }
    }

    fn take_event(&self, event: &RecordedEvent, work: &mut Work) -> Option<(OrderId, Job)> {
        self.executor.orders.was_written(event);
        let is_skip = event.event_type == EVENT_SKIPPED;
        if is_skip {
            // Wherever the operator was heard.
            self.executor.parked.free(&event.stream);
            work.open.ring_parked(Some(&event.stream));
        }
        let (order_id, cart) = concerned(event)?;
        let revision = if cart.is_none() { event.revision } else { 0 };
        let of_order = Job { cart, revision, after_gap: is_skip, ..Job::of_order(order_id) };
        let job = match event.metadata() {
            Ok(Metadata { occurred_at, actor, .. }) => {
                if let Some(wait) = wait_of(event) {
                    work.open.wait(order_id, event.recorded_at, wait);
                }
                Job { trigger: Trigger { event_id: event.id, occurred_at, actor }, ..of_order }
            }
            // Anybody may write to the event store. Whoever folds the order finds out.
            Err(_) => of_order,
        };
        work.progress.start(order_id, job, event.position).map(|job| (order_id, job))
    }

    /// Settles one order, patiently when something is away.
    fn task(&self, order_id: OrderId, job: Job) -> impl Future<Output = Settled> + Send + 'static {
        let executor = Arc::clone(&self.executor);
        let (health, share, turns) = (self.health.clone(), self.unpaid.share, self.turns.clone());
        async move {
            let attempt = || async {
                if let Some(cart) = job.cart {
                    settle::place_order(&executor, cart, &job.trigger).await?;
                }
                if let Some(even_while_paying) = job.expire {
                    settle::expire(&executor, order_id, even_while_paying).await?;
                }
                settle::settle(&executor, (order_id, job.revision), share, &turns, &job.trigger).await
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
            let is_parked = result.as_ref().map_or(true, |standing| standing.blocked.is_some());
            let (mut at_stake, mut captured) = (vec![], vec![]);
            if is_parked {
                at_stake = parking::payments_at_stake(&executor, order_id).await;
            } else if job.after_gap {
                captured = parking::captured(&executor, order_id).await;
            }
            Settled { order_id, job, result, captured, at_stake }
        }
    }

    async fn record(&self, checkpoint: &mut Checkpoint, work: &mut Work) {
        let settled = work.progress.settled().max(checkpoint.position);
        match checkpoint.record(&self.store, settled, &work.open.keep()).await {
            Ok(()) => work.recorded(settled),
            Err(error @ (AppendError::Conflict | AppendError::Refused(_))) => {
                tracing::warn!(%error, "somebody else wrote to the fulfilment's checkpoints: reading them again");
                if let Ok(read) = Checkpoint::read(&self.store).await {
                    if read.stream != checkpoint.stream {
                        self.report_deleted(read.stream.notice());
                    }
                    *checkpoint = read;
                }
            }
            // It only means more to do again after a restart.
            Err(error) => tracing::warn!(%error, "the fulfilment's checkpoint could not be recorded"),
        }
    }
}

/// The pauses stay short: who buys waits for it when the event store is there again.
fn patiently() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_millis(500))
        .with_jitter()
        .without_max_times()
}
