//! Carts and orders, event by event.
//!
//! Each stream that somebody watches is folded once, by a task of its own (`telling`), which makes each moment once for
//! all who listen. A listener keeps a place in what is told, and no state. It takes that place before it looks at what
//! was, so nothing is lost; what it has missed, or was too slow for, it hears from a replay of its own (`replay`), and by
//! the revisions it knows where the two meet, so nothing comes twice.

use super::log::{Following, Log, NotFollowed};
use super::replay::{Price, Replayed, Replays};
use super::telling::{Stands, Topics, tell};
use super::told::{BrokenOff, Moment, Told, stream_of};
use crate::asker::Asker;
use async_stream::try_stream;
use event_store::Position;
use futures::{Stream, TryStreamExt, pin_mut};
use http_boundary::ClientShare;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// How long a listener waits until it is known how the thing stands: thousands may come back at once.
const STANDS_WITHIN: Duration = Duration::from_secs(20);

/// The streams that somebody watches. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Events {
    log: Log,
    topics: Arc<Topics>,
    replays: Arc<Replays>,
}

impl Events {
    /// Nobody watches yet. What a listener has missed it has to take within this time.
    #[must_use]
    pub fn new(log: Log, replay_within: Duration) -> Self {
        let topics = Arc::<Topics>::default();
        let told = Arc::clone(&topics);
        log.hand_to(move |event| told.hand_on(event));
        let replays = Arc::new(Replays::new(log.store().clone(), replay_within));
        Self { log, topics, replays }
    }

    /// The thing from now on: how it stands, and then each event as it happens. Or, for those who have heard what was
    /// up to a position, each event after it. A position that is not in the log yet is one of another log: nothing is
    /// known of what its listener has heard.
    ///
    /// # Errors
    /// When there is no such thing, when there is no place, or when the store does not answer.
    pub async fn follow<T: Told>(
        &self,
        id: T::Id,
        after: Option<Position>,
        (asker, share): (Asker, ClientShare),
    ) -> Result<impl Stream<Item = Result<Arc<Moment>, BrokenOff>> + Send + use<T>, NotFollowed> {
        let mut following = self.log.join(asker)?;
        let after = self.log.known(&mut following, after).await?;
        let stream = stream_of::<T>(id);
        let last = self.last_of(&stream).await?.ok_or(NotFollowed::Unknown)?;
        // Folded once for how it stands, and once more for what was missed.
        let folds = if after.is_some() { 2 } else { 1 };
        share.has_read(last.saturating_add(1).saturating_mul(folds));
        let mut listener = self.join::<T>(id, stream, following, asker);
        let stands = listener.stands.wait_for(|stands| match stands {
            Stands::NotYet => false,
            Stands::At(current) => current.revision >= last,
            Stands::BrokenOff => true,
        });
        let current = match tokio::time::timeout(STANDS_WITHIN, stands).await {
            Ok(Ok(stands)) => match &*stands {
                Stands::At(current) => Arc::clone(current),
                Stands::NotYet | Stands::BrokenOff => return Err(NotFollowed::NotTold),
            },
            _ => return Err(NotFollowed::NotTold),
        };
        Ok(moments::<T>((listener, share), Arc::clone(&self.replays), id, after, current))
    }

    /// The revision of a stream's last event: what is told must have come so far.
    async fn last_of(&self, stream: &str) -> Result<Option<u64>, NotFollowed> {
        let events = self.log.store().read_stream_backwards(stream, None, 1);
        pin_mut!(events);
        Ok(events.try_next().await?.map(|event| event.revision))
    }

    fn join<T: Told>(&self, id: T::Id, stream: String, following: Following, asker: Asker) -> Listener {
        let (joined, to_tell) = self.topics.join(&stream);
        if let Some(telling) = to_tell {
            tokio::spawn(tell::<T>(telling, id, Arc::clone(&self.replays), self.log.store().clone(), asker));
        }
        let (moments, stands) = (Some(joined.moments), joined.stands);
        let topics = Arc::clone(&self.topics);
        Listener { stream, number: joined.number, moments, stands, topics, asker, _following: following }
    }
}

/// One who listens; when it goes, its stream may be watched by nobody.
struct Listener {
    stream: String,
    number: u64,
    moments: Option<broadcast::Receiver<Arc<Moment>>>,
    stands: watch::Receiver<Stands>,
    topics: Arc<Topics>,
    asker: Asker,
    _following: Following,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.moments = None;
        self.topics.left(&self.stream, self.number);
    }
}

fn moments<T: Told>(
    (mut listener, share): (Listener, ClientShare),
    replays: Arc<Replays>,
    id: T::Id,
    after: Option<Position>,
    current: Arc<Moment>,
) -> impl Stream<Item = Result<Arc<Moment>, BrokenOff>> + Send + use<T> {
    try_stream! {
        let mut next = current.revision + 1;
        let mut heard = after.unwrap_or(current.position);
        let mut is_behind = heard < current.position;
        // What it had missed when it came; not what it is too slow for.
        let mut is_read_paid = after.is_some();
        if after.is_none() {
            yield current;
        }
        loop {
            if std::mem::take(&mut is_behind) {
                let price = Price { share: share.clone(), is_read_paid: std::mem::take(&mut is_read_paid) };
                let mut replay = replays.begin::<T>(id, heard, (listener.asker, price));
                while let Some(replayed) = replay.recv().await {
                    match replayed? {
                        Replayed::Moment(moment) => {
                            heard = moment.position;
                            yield Arc::new(moment);
                        }
                        Replayed::Upto(revision) => next = revision,
                    }
                }
            }
            let Some(moments) = &mut listener.moments else { return };
            match moments.recv().await {
                // Told by the replay, or by another process.
                Ok(moment) if moment.revision < next || moment.position <= heard => {
                    next = next.max(moment.revision + 1);
                }
                Ok(moment) if moment.since <= next => {
                    (next, heard) = (moment.revision + 1, moment.position);
                    yield moment;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => is_behind = true,
                Err(RecvError::Closed) => return,
            }
        }
    }
}
