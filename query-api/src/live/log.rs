//! The log from now on, followed once for all who watch, and only while somebody does.

use crate::answer::failed_read;
use crate::asker::Asker;
use crate::config::LiveArgs;
use crate::freshness::{Freshness, MinPosition, Reached, is_in_sight};
use crate::places::{NoPlace, Place, Places};
use event_store::{EventStore, EventStoreError, Position, RecordedEvent, SubscriptionItem};
use futures::{StreamExt, pin_mut};
use http_boundary::Problem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether anybody watches still.
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(30);

/// Takes each event in, at once and without waiting for anything.
type Taker = Arc<dyn Fn(&Arc<RecordedEvent>) + Send + Sync>;

/// The log as it grows. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Log {
    store: EventStore,
    /// For those who watch.
    watching: Places,
    /// For those who wait for a position.
    waiting: Places,
    shared: Arc<Mutex<Shared>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Shared {
    takers: Vec<Taker>,
    listeners: usize,
    /// Gone when nobody follows the log.
    followed: Option<watch::Receiver<Followed>>,
}

/// How far the log is followed.
#[derive(Debug, Clone, Copy, Default)]
struct Followed {
    /// Whether everything after some moment in the past is being handed on.
    is_on: bool,
    /// The last position that was handed on.
    upto: Option<Position>,
}

/// Why somebody cannot watch.
#[derive(Debug, Error)]
pub enum NotFollowed {
    #[error("there is no such thing")]
    Unknown,
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error("the read models do not answer")]
    NoAnswer,
    #[error("it cannot be told how it stands")]
    NotTold,
    #[error(transparent)]
    Store(#[from] EventStoreError),
}

impl From<NotFollowed> for Problem {
    fn from(error: NotFollowed) -> Self {
        match error {
            NotFollowed::Unknown => Self::not_found("There is no such thing."),
            NotFollowed::NoPlace(error) => error.into(),
            NotFollowed::NoAnswer => {
                Self::unavailable("The read models cannot be read at the moment: ask again in a moment.")
            }
            NotFollowed::NotTold => {
                Self::unavailable("How it stands cannot be read at the moment: ask again in a moment.")
            }
            NotFollowed::Store(error) => failed_read(error),
        }
    }
}

impl Log {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(store: EventStore, limits: LiveArgs) -> Self {
        Self {
            store,
            watching: Places::new(limits.for_watching()),
            waiting: Places::new(limits.for_waiting_for_the_log()),
            shared: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    /// The store that holds it.
    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    /// Follows no more.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Hands each event to this one too, whenever somebody watches.
    pub(super) fn hand_to(&self, take: impl Fn(&Arc<RecordedEvent>) + Send + Sync + 'static) {
        self.lock().takers.push(Arc::new(take));
    }

    /// One more who watches. From when it is on, each event is handed on.
    pub(super) fn join(&self, asker: Asker) -> Result<Following, NotFollowed> {
        Ok(self.follow_from(self.watching.take(asker)?))
    }

    fn follow_from(&self, place: Place) -> Following {
        let mut shared = self.lock();
        shared.listeners += 1;
        let followed = match &shared.followed {
            Some(followed) => followed.clone(),
            None => {
                let (tell, followed) = watch::channel(Followed::default());
                shared.followed = Some(followed.clone());
                tokio::spawn(self.clone().follow(shared.takers.clone(), tell));
                followed
            }
        };
        drop(shared);
        Following { log: self.clone(), followed, _place: place }
    }

    /// Waits until events are handed on. Gives the position up to which a listener has heard everything, if that is a
    /// position of this log: what was said by another log, or by one that has lost its end, says nothing here.
    pub(super) async fn known(
        &self,
        following: &mut Following,
        after: Option<Position>,
    ) -> Result<Option<Position>, NotFollowed> {
        let upto = following.is_on().await?;
        if after <= upto {
            return Ok(after);
        }
        // Another process may be a little ahead of what is handed on here.
        let head = self.store.head().await?;
        Ok(after.filter(|after| Some(*after) <= head))
    }

    /// Waits until the log is as long as is wanted; at once if nothing is.
    ///
    /// # Errors
    /// 503 `position-not-reached` when it is not in time, or at once when it is not nearly so long.
    pub async fn reach(&self, freshness: Freshness) -> Result<Reached, Problem> {
        let log_id = Some(freshness.log_id(&self.store).await?);
        let head = self.store.head().await.map_err(failed_read)?;
        let Some(MinPosition::At(wanted)) = freshness.wanted else {
            return Ok(freshness.reached(head).in_log(log_id));
        };
        if head >= Some(wanted) {
            return Ok(freshness.reached(head).in_log(log_id));
        }
        if !is_in_sight(wanted, head) {
            return Err(freshness.out_of_sight(wanted, head));
        }
        let place = self.waiting.take(freshness.asker)?;
        let mut following = self.follow_from(place);
        following.is_on().await?;
        let reached = following.followed.wait_for(|followed| followed.upto >= Some(wanted));
        let reached = tokio::time::timeout(freshness.patience(), reached).await;
        match reached.map(|followed| followed.map(|followed| followed.upto)) {
            Ok(Ok(upto)) => Ok(freshness.reached(upto).in_log(log_id)),
            _ => Err(freshness.not_reached(wanted, following.upto().max(head))),
        }
    }

    /// Hands on what happens, until nobody watches any more or the service stops.
    async fn follow(self, takers: Vec<Taker>, tell: watch::Sender<Followed>) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            ended = self.hand_on(&takers, &tell) => if let Err(error) = ended {
                tracing::warn!(%error, "the log cannot be followed live: whoever asks again tries again");
                self.lock().followed = None;
            }
        }
    }

    async fn hand_on(&self, takers: &[Taker], tell: &watch::Sender<Followed>) -> Result<(), EventStoreError> {
        let head = self.store.head().await?;
        let items = self.store.subscribe_all(head);
        pin_mut!(items);
        tell.send_replace(Followed { is_on: true, upto: head });
        let mut look = tokio::time::interval(IDLE_LOOK_EVERY);
        loop {
            tokio::select! {
                item = items.next() => {
                    let Some(item) = item else { return Ok(()) };
                    // Before it is handed on: who joins meanwhile knows that it may have missed it.
                    if let Some(position) = item.position() {
                        tell.send_modify(|followed| followed.upto = Some(position));
                    }
                    match &item {
                        SubscriptionItem::Event(event) => takers.iter().for_each(|take| take(event)),
                        SubscriptionItem::Disconnected { error } => {
                            let why = error.interruption();
                            tracing::warn!(why, "live pages cannot follow the log: connecting again");
                        }
                        SubscriptionItem::StoresOwn(_)
                        | SubscriptionItem::Checkpoint(_)
                        | SubscriptionItem::CaughtUp => {}
                    }
                },
                _ = look.tick() => {
                    let mut shared = self.lock();
                    if shared.listeners == 0 {
                        // Under the same lock: whoever comes now begins anew.
                        shared.followed = None;
                        return Ok(());
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it holds the lock, and what is shared is valid at any time.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One for whom the log is followed.
pub(super) struct Following {
    log: Log,
    followed: watch::Receiver<Followed>,
    _place: Place,
}

impl Following {
    /// Waits until events are handed on. What is not handed on from now on is at this position or before it.
    pub async fn is_on(&mut self) -> Result<Option<Position>, NotFollowed> {
        match self.followed.wait_for(|followed| followed.is_on).await {
            Ok(followed) => Ok(followed.upto),
            Err(_) => Err(EventStoreError::Unavailable("it could not be followed".to_owned()).into()),
        }
    }

    fn upto(&self) -> Option<Position> {
        self.followed.borrow().upto
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.log.lock().listeners -= 1;
    }
}
