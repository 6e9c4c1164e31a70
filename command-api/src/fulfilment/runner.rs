//! Follows the log and keeps one task at a time for each order that has something to settle.

use super::checkpoint::Checkpoint;
use super::settle::{self, SettleError, Trigger};
use crate::executor::Executor;
use backon::{ExponentialBuilder, Retryable};
use domain::{CartId, OrderId};
use event_store::{AppendError, EventStore, Position, RecordedEvent, SubscriptionItem};
use futures::{StreamExt, pin_mut};
use http_boundary::Health;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ids::order_id_of;

/// The process's name in `/readyz`.
const PART: &str = "order-fulfilment";
/// Orders that are worked on at once; the log waits when there are more.
const MAX_ORDERS_AT_ONCE: usize = 256;
/// How often the checkpoint moves, at most.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// The order fulfilment process of this shop.
pub struct FulfilmentRunner {
    store: EventStore,
    executor: Arc<Executor>,
    health: Health,
}

/// Orders under work, and how far the log is settled.
#[derive(Default)]
struct Progress {
    orders: HashMap<OrderId, Work>,
    /// Positions of events that are not settled yet.
    open: BTreeSet<Position>,
    /// The last event of a cart or an order that was seen.
    last: Option<Position>,
}

struct Work {
    /// Positions that are settled when the running task is done.
    running: Vec<Position>,
    /// What came in meanwhile: another round.
    next: Option<(Job, Vec<Position>)>,
}

#[derive(Debug, Clone)]
struct Job {
    /// The cart, when its order must be placed first.
    cart_id: Option<CartId>,
    trigger: Trigger,
}

impl FulfilmentRunner {
    pub fn new(store: EventStore, executor: Arc<Executor>, health: Health) -> Self {
        Self { store, executor, health }
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// When the log has something that it cannot read or must not pass over; the reason is in `/readyz` too.
    pub async fn run(self, stop: CancellationToken) -> Result<(), SettleError> {
        let checkpoint = || Checkpoint::read(&self.store);
        let first = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            read = checkpoint.retry(patiently()).notify(|error, _| {
                self.health.is_ill(PART, error.to_string());
            }) => read,
        };
        let checkpoint = first.map_err(|error| SettleError::ForNow(error.to_string()))?;
        let result = self.follow(checkpoint, &stop).await;
        if let Err(error) = &result {
            self.health.is_ill(PART, error.to_string());
        }
        result
    }

    async fn follow(&self, mut checkpoint: Checkpoint, stop: &CancellationToken) -> Result<(), SettleError> {
        let items = self.store.subscribe_all(checkpoint.position);
        pin_mut!(items);
        let mut progress = Progress::default();
        let mut tasks: JoinSet<(OrderId, Result<(), SettleError>)> = JoinSet::new();
        let mut tick = tokio::time::interval(CHECKPOINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = tasks.join_next() => {
                    let (order_id, result) = done.map_err(|error| SettleError::ForNow(error.to_string()))?;
                    if let Err(error) = result {
                        // The order stays open: the checkpoint does not pass it, and a restart tries it again.
                        tracing::error!(%order_id, error = &error as &dyn std::error::Error, "an order is stuck");
                        self.health.is_ill(&format!("{PART} of {order_id}"), error.to_string());
                    } else if let Some(job) = progress.done(order_id) {
                        tasks.spawn(self.task(order_id, job));
                    }
                }
                item = items.next(), if tasks.len() < MAX_ORDERS_AT_ONCE => {
                    if let Some((order_id, job)) = self.take(item, &mut progress)? {
                        tasks.spawn(self.task(order_id, job));
                    }
                }
                _ = tick.tick() => self.record(&mut checkpoint, &progress).await?,
            }
        }
        // What is under way is done again after the restart.
        tasks.shutdown().await;
        self.record(&mut checkpoint, &progress).await
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
                let Some((order_id, cart_id)) = concerned(&event) else { return Ok(None) };
                let metadata = event.metadata().map_err(|error| SettleError::ForGood {
                    order_id,
                    why: format!(
                        "event {} of `{}` has unknown metadata: {error}",
                        event.revision, event.stream
                    ),
                })?;
                let trigger =
                    Trigger { event_id: event.id, occurred_at: metadata.occurred_at, actor: metadata.actor };
                let job = Job { cart_id, trigger };
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
                if let Some(cart_id) = job.cart_id {
                    settle::place_order(&executor, cart_id, &job.trigger).await?;
                }
                settle::settle(&executor, order_id, &job.trigger).await
            };
            let result = attempt
                .retry(patiently())
                .when(|error| matches!(error, SettleError::ForNow(_)))
                .notify(|error, delay| {
                    tracing::warn!(%order_id, %error, ?delay, "an order waits to be settled");
                    health.is_ill(PART, error.to_string());
                })
                .await;
            (order_id, result)
        }
    }

    async fn record(&self, checkpoint: &mut Checkpoint, progress: &Progress) -> Result<(), SettleError> {
        let Some(settled) = progress.settled().filter(|settled| Some(*settled) > checkpoint.position) else {
            return Ok(());
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
        Ok(())
    }
}

/// The order that an event is about, and the cart, when its order must be placed.
fn concerned(event: &RecordedEvent) -> Option<(OrderId, Option<CartId>)> {
    match event.category() {
        "order" => event.stream_id().parse().ok().map(|order_id| (order_id, None)),
        "cart" if event.event_type.starts_with("cart.checked_out.") => {
            let cart_id: CartId = event.stream_id().parse().ok()?;
            Some((order_id_of(cart_id), Some(cart_id)))
        }
        _ => None,
    }
}

impl Progress {
    /// Notes an event. Gives the work back when it is to be started now; keeps it when the order is under work.
    fn start(&mut self, order_id: OrderId, job: Job, position: Position) -> Option<Job> {
        self.open.insert(position);
        self.last = Some(position);
        match self.orders.get_mut(&order_id) {
            None => {
                self.orders.insert(order_id, Work { running: vec![position], next: None });
                Some(job)
            }
            Some(work) => {
                let (waiting, mut positions) = work.next.take().unzip();
                let cart_id = job.cart_id.or(waiting.and_then(|waiting: Job| waiting.cart_id));
                positions.get_or_insert_default().push(position);
                work.next = Some((Job { cart_id, ..job }, positions.unwrap_or_default()));
                None
            }
        }
    }

    /// Notes that a task is done; gives the order's next round.
    fn done(&mut self, order_id: OrderId) -> Option<Job> {
        let work = self.orders.get_mut(&order_id)?;
        for position in work.running.drain(..) {
            self.open.remove(&position);
        }
        if let Some((job, positions)) = work.next.take() {
            work.running = positions;
            return Some(job);
        }
        self.orders.remove(&order_id);
        None
    }

    /// Everything up to here is settled.
    fn settled(&self) -> Option<Position> {
        match self.open.first() {
            Some(open) => Some(Position::new(open.value().saturating_sub(1))),
            None => self.last,
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
