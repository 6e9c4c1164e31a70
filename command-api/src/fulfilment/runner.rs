//! Follows the log and keeps one task at a time for each order that has something to settle.

use super::checkpoint::Checkpoint;
use super::progress::{Job, Progress};
use super::settle::{self, SettleError, Trigger};
use crate::executor::Executor;
use backon::{ExponentialBuilder, Retryable};
use domain::{CartId, OrderId};
use event_store::{AppendError, EventStore, Lock, NotLocked, RecordedEvent, SubscriptionItem};
use futures::{StreamExt, pin_mut};
use http_boundary::Health;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ids::order_id_of;

/// The process's name in `/readyz`.
const PART: &str = "order-fulfilment";
/// Orders that it cannot settle, in `/readyz`.
const STUCK: &str = "order-fulfilment: stuck orders";
/// What `/readyz` says while it is not this process that works.
const ELSEWHERE: &str = "another process runs it";
/// The lock that the one who works holds.
const LOCK: &str = "order_fulfilment";
/// Orders that are worked on at once; the log waits when there are more.
const MAX_ORDERS_AT_ONCE: usize = 256;
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
    health: Health,
}

impl FulfilmentRunner {
    pub fn new(store: EventStore, executor: Arc<Executor>, health: Health) -> Self {
        health.is_ill(PART, "it has not begun yet");
        Self { store, executor, health }
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
        let mut progress = Progress::after(checkpoint.position);
        let mut tasks: JoinSet<(OrderId, Result<(), SettleError>)> = JoinSet::new();
        let mut tick = tokio::time::interval(CHECKPOINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                () = stop.cancelled() => break Ended::Stopped,
                reason = &mut lost => break Ended::LostTurn(reason),
                Some(done) = tasks.join_next() => {
                    let (order_id, result) = done.map_err(|error| SettleError::ForNow(error.to_string()))?;
                    let next = match result {
                        Ok(()) => progress.done(order_id),
                        Err(error) => {
                            tracing::error!(%order_id, error = &error as &dyn std::error::Error, "an order is stuck");
                            progress.failed(order_id)
                        }
                    };
                    self.report_stuck(progress.stuck());
                    if let Some(job) = next {
                        tasks.spawn(self.task(order_id, job));
                    }
                }
                item = items.next(), if tasks.len() < MAX_ORDERS_AT_ONCE => {
                    if let Some((order_id, job)) = self.take(item, &mut progress)? {
                        tasks.spawn(self.task(order_id, job));
                    }
                }
                _ = tick.tick() => self.record(&mut checkpoint, &progress).await,
            }
        };
        // What is under way is done again by whoever works next.
        tasks.shutdown().await;
        if matches!(ended, Ended::Stopped) {
            self.record(&mut checkpoint, &progress).await;
        }
        Ok(ended)
    }

    /// Looks at the next item of the log; gives the work that it starts.
    fn take(
        &self,
        item: Option<SubscriptionItem>,
        progress: &mut Progress,
    ) -> Result<Option<(OrderId, Job)>, SettleError> {
        match item {
            Some(SubscriptionItem::Event(event)) => {
                self.health.is_well(PART);
                let Some((order_id, cart)) = concerned(&event) else { return Ok(None) };
                let metadata = event.metadata().map_err(|error| SettleError::ForGood {
                    order_id,
                    why: format!(
                        "event {} of `{}` has unknown metadata: {error}",
                        event.revision, event.stream
                    ),
                })?;
                let trigger =
                    Trigger { event_id: event.id, occurred_at: metadata.occurred_at, actor: metadata.actor };
                let revision = if cart.is_none() { event.revision } else { 0 };
                let job = Job { cart, revision, trigger };
                Ok(progress.start(order_id, job, event.position).map(|job| (order_id, job)))
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
    fn task(
        &self,
        order_id: OrderId,
        job: Job,
    ) -> impl Future<Output = (OrderId, Result<(), SettleError>)> + Send + 'static {
        let executor = Arc::clone(&self.executor);
        let health = self.health.clone();
        async move {
            let attempt = || async {
                if let Some(cart) = job.cart {
                    settle::place_order(&executor, cart, &job.trigger).await?;
                }
                settle::settle(&executor, (order_id, job.revision), &job.trigger).await
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
            (order_id, result)
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

    async fn record(&self, checkpoint: &mut Checkpoint, progress: &Progress) {
        let Some(settled) = progress.settled().filter(|settled| Some(*settled) > checkpoint.position) else {
            return;
        };
        match checkpoint.record(&self.store, settled).await {
            Ok(()) => {}
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

/// The order that an event is about, and the cart with the event's revision, when its order must be placed.
fn concerned(event: &RecordedEvent) -> Option<(OrderId, Option<(CartId, u64)>)> {
    match event.category() {
        "order" => event.stream_id().parse().ok().map(|order_id| (order_id, None)),
        "cart" if event.event_type.starts_with("cart.checked_out.") => {
            let cart_id: CartId = event.stream_id().parse().ok()?;
            Some((order_id_of(cart_id), Some((cart_id, event.revision))))
        }
        _ => None,
    }
}

fn patiently() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}
