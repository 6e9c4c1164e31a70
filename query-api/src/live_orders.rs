//! Orders as they happen, for those who watch.
//!
//! All who listen share one subscription to the log, which is there only while somebody listens. It hands each event of
//! an order to those who follow that order. A listener first reads the order's stream and then takes what comes; one
//! that is too slow for what comes reads on in the stream, so nothing is lost and nothing comes twice.

use async_stream::try_stream;
use domain::order::{self, Order};
use domain::stored::{COMMAND_NOTED, StoredEvent, UnreadableEvent};
use domain::{Aggregate, OrderId};
use event_store::{EventStore, EventStoreError, Position, RecordedEvent, SubscriptionItem};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Events of one order that wait for its slowest listener; one that is further behind reads them from the stream.
const WAITING: usize = 32;
/// Listeners of this process at once.
const MAX_LISTENERS: usize = 10_000;
/// How often it is looked whether anybody listens still.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(30);

/// The name of the event that tells how an order stands, for those who come without having seen it.
const CURRENT: &str = "current";

/// The orders that somebody watches. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct LiveOrders {
    store: EventStore,
    shared: Arc<Mutex<Shared>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Shared {
    followed: HashMap<OrderId, broadcast::Sender<Arc<RecordedEvent>>>,
    listeners: usize,
    /// Whether everything after some moment in the past is being handed on. Gone when nobody follows the log.
    is_following: Option<watch::Receiver<bool>>,
}

/// What happened to an order, and how it stands then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The event's type, or `current`.
    #[serde(skip)]
    pub name: String,
    /// The event's place in the log.
    pub position: Position,
    pub order_id: OrderId,
    pub status: &'static str,
    pub revision: u64,
    /// One line for people.
    pub summary: String,
}

/// Why an order cannot be followed.
#[derive(Debug, Error)]
pub enum NotFollowed {
    #[error("there is no such order")]
    Unknown,
    #[error("too many listen at once")]
    TooMany,
    #[error(transparent)]
    Store(#[from] EventStoreError),
}

/// Why a listener hears no more; one that comes back goes on where it was.
#[derive(Debug, Error)]
pub enum BrokenOff {
    #[error(transparent)]
    Store(#[from] EventStoreError),
    #[error("an event of the order cannot be read")]
    Unreadable(#[from] UnreadableEvent),
}

impl LiveOrders {
    /// Nobody listens yet.
    #[must_use]
    pub fn new(store: EventStore) -> Self {
        Self { store, shared: Arc::default(), stop: CancellationToken::new() }
    }

    /// Follows no more.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The order from now on: how it stands, and then each event as it happens. Or, for those who have heard what was
    /// up to a position, each event after it.
    ///
    /// # Errors
    /// When there is no such order, when too many listen, or when the store does not answer.
    pub async fn follow(
        &self,
        order_id: OrderId,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = Result<Moment, BrokenOff>> + Send + use<>, NotFollowed> {
        let (listener, mut is_following) = self.join(order_id)?;
        // What happens from now on is handed on; what happened before is in the stream, which is read after this.
        if is_following.wait_for(|is_following| *is_following).await.is_err() {
            return Err(NotFollowed::Store(EventStoreError::Unavailable("the service stops".to_owned())));
        }
        let mut seen = Seen { order_id, order: Order::default(), next_revision: 0, last: None };
        let past = self.store.read_stream(&seen.stream(), 0, usize::MAX).try_collect::<Vec<_>>().await?;
        if past.is_empty() {
            return Err(NotFollowed::Unknown);
        }
        Ok(moments(self.store.clone(), listener, seen_past(&mut seen, &past, after), seen))
    }

    fn join(&self, order_id: OrderId) -> Result<(Listener, watch::Receiver<bool>), NotFollowed> {
        let mut shared = self.lock();
        if shared.listeners >= MAX_LISTENERS {
            return Err(NotFollowed::TooMany);
        }
        shared.listeners += 1;
        let events = match shared.followed.entry(order_id) {
            Entry::Occupied(known) => known.get().subscribe(),
            Entry::Vacant(place) => place.insert(broadcast::Sender::new(WAITING)).subscribe(),
        };
        let is_following = match &shared.is_following {
            Some(is_following) => is_following.clone(),
            None => {
                let (tell, is_following) = watch::channel(false);
                shared.is_following = Some(is_following.clone());
                tokio::spawn(self.clone().hand_on(tell));
                is_following
            }
        };
        drop(shared);
        Ok((Listener { order_id, events: Some(events), orders: self.clone() }, is_following))
    }

    /// Hands on what happens, until nobody listens any more or the service stops.
    async fn hand_on(self, is_following: watch::Sender<bool>) {
        let head = tokio::select! {
            () = self.stop.cancelled() => None,
            head = self.store.head() => Some(head),
        };
        let head = match head {
            Some(Ok(head)) => head,
            Some(Err(error)) => {
                tracing::warn!(%error, "live orders cannot be followed: whoever asks again tries again");
                self.lock().is_following = None;
                return;
            }
            None => return,
        };
        let items = self.store.subscribe_all(head);
        pin_mut!(items);
        let _ = is_following.send(true);
        let mut look = tokio::time::interval(IDLE_LOOK_EVERY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                item = items.next() => match item {
                    Some(SubscriptionItem::Event(event)) => self.tell(event),
                    Some(SubscriptionItem::Disconnected { error }) => {
                        tracing::warn!(error, "live orders have lost the event store: connecting again");
                    }
                    Some(SubscriptionItem::Checkpoint(_) | SubscriptionItem::CaughtUp) => {}
                    None => return,
                },
                _ = look.tick() => {
                    let mut shared = self.lock();
                    if shared.listeners == 0 {
                        shared.is_following = None;
                        return;
                    }
                }
            }
        }
    }

    fn tell(&self, event: Arc<RecordedEvent>) {
        if event.category() != Order::CATEGORY {
            return;
        }
        let Ok(order_id) = event.stream_id().parse::<OrderId>() else { return };
        if let Some(listeners) = self.lock().followed.get(&order_id) {
            // They may just have gone.
            let _ = listeners.send(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it holds the lock, and what is shared is valid at any time.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens; when it goes, its order may be followed by nobody.
struct Listener {
    order_id: OrderId,
    events: Option<broadcast::Receiver<Arc<RecordedEvent>>>,
    orders: LiveOrders,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events = None;
        let mut shared = self.orders.lock();
        shared.listeners -= 1;
        if shared.followed.get(&self.order_id).is_some_and(|events| events.receiver_count() == 0) {
            shared.followed.remove(&self.order_id);
        }
    }
}

/// The order up to the last event that the listener has seen.
struct Seen {
    order_id: OrderId,
    order: Order,
    next_revision: u64,
    last: Option<Position>,
}

impl Seen {
    fn stream(&self) -> String {
        format!("{}-{}", Order::CATEGORY, self.order_id)
    }

    /// Takes the stream's next event in; gives what is to be told of it.
    fn take(&mut self, event: &RecordedEvent) -> Result<Option<Moment>, UnreadableEvent> {
        self.next_revision = event.revision + 1;
        self.last = Some(event.position);
        if event.event_type == COMMAND_NOTED {
            return Ok(None);
        }
        let fact = order::Event::read(&event.event_type, &event.data)?;
        self.order = std::mem::take(&mut self.order).evolve(&fact);
        Ok(Some(self.moment(event, &event.event_type)))
    }

    fn moment(&self, event: &RecordedEvent, name: &str) -> Moment {
        let (status, summary) = match &self.order {
            Order::Placed(order) => (order.status.name(), summary(name, order)),
            Order::Unplaced => ("unplaced", String::new()),
        };
        let (order_id, name) = (self.order_id, name.to_owned());
        Moment { name, position: event.position, order_id, status, revision: event.revision, summary }
    }
}

/// What a listener is told of the past: how the order stands, or what it has not seen.
fn seen_past(
    seen: &mut Seen,
    past: &[RecordedEvent],
    after: Option<Position>,
) -> Result<Vec<Moment>, UnreadableEvent> {
    let mut missed = Vec::new();
    for event in past {
        let moment = seen.take(event)?;
        missed.extend(moment.filter(|_| after.is_some_and(|after| after < event.position)));
    }
    match (after, past.last()) {
        (None, Some(last)) => Ok(vec![seen.moment(last, CURRENT)]),
        _ => Ok(missed),
    }
}

fn moments(
    store: EventStore,
    mut listener: Listener,
    past: Result<Vec<Moment>, UnreadableEvent>,
    mut seen: Seen,
) -> impl Stream<Item = Result<Moment, BrokenOff>> + Send {
    try_stream! {
        for moment in past? {
            yield moment;
        }
        loop {
            let Some(events) = &mut listener.events else { return };
            let is_whole = match events.recv().await {
                Ok(event) if event.revision < seen.next_revision => true,
                Ok(event) if event.revision == seen.next_revision => {
                    if let Some(moment) = seen.take(&event)? {
                        yield moment;
                    }
                    true
                }
                Ok(_) | Err(RecvError::Lagged(_)) => false,
                Err(RecvError::Closed) => return,
            };
            if !is_whole {
                let missed = store.read_stream(&seen.stream(), seen.next_revision, usize::MAX);
                pin_mut!(missed);
                while let Some(event) = missed.next().await {
                    if let Some(moment) = seen.take(&event?)? {
                        yield moment;
                    }
                }
            }
        }
    }
}

/// One line for people: what happened, and what it means for the order.
fn summary(name: &str, order: &order::PlacedOrder) -> String {
    let what = match name.split('.').nth(1) {
        Some(fact) => fact.replace('_', " "),
        None => "now".to_owned(),
    };
    let currency = order.total.currency();
    let (paid, total) = (order.paid_amount(), order.total.amount());
    format!("{what}: {}, {paid} of {total} {} paid", order.status.name(), currency.code())
}
