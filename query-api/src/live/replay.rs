//! What a listener has missed, told as it takes it.
//!
//! A replay is a task of its own. It folds the stream page by page and hands each moment on when the listener takes it,
//! so it never holds more than the folded state and one page, however long the stream is. It is behind a gate while it
//! lives, and behind another one while it reads and folds a page; a listener that is too slow is broken off, and goes on
//! after the last moment that it took when it connects again.

use super::told::{BrokenOff, Moment, Seen, Told};
use crate::asker::Asker;
use crate::gate::Gate;
use event_store::{EventStore, Position};
use futures::{TryStreamExt, pin_mut};
use http_boundary::ClientShare;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Replays that are alive at once, and of them those of one address. The operator has as many as one address more.
const ALIVE: (usize, usize) = (128, 16);
/// Pages that are read and folded at once, of them those of one address, and of them those of its busy connections: each
/// takes a processor.
const FOLDING: (usize, usize, usize) = (2, 1, 1);
/// Events of a page, and moments.
const PAGE_EVENTS: usize = 1_000;
const PAGE_MOMENTS: usize = 128;
/// Moments that are ready for the listener.
const AHEAD: usize = 16;

/// Those who read what was.
pub(super) struct Replays {
    store: EventStore,
    alive: Gate,
    folding: Gate,
    within: Duration,
}

/// What a replay tells.
#[derive(Debug)]
pub(super) enum Replayed {
    Moment(Moment),
    /// There was no more: it has told all before this revision.
    Upto(u64),
}

/// Some events of a stream.
struct Page {
    /// Events that were read for it.
    events: usize,
    moments: Vec<Moment>,
    is_last: bool,
}

/// What a replay costs the client that it is for: what it reads and tells counts as requests more, so that the next ones of
/// its address wait for that.
pub(super) struct Price {
    pub share: ClientShare,
    /// Whether the events were paid for before it began.
    pub is_read_paid: bool,
}

impl Price {
    fn charge(&self, page: &Page) {
        if !self.is_read_paid {
            self.share.has_read(page.events as u64);
        }
        let bytes: usize = page.moments.iter().map(|moment| moment.json.len()).sum();
        self.share.is_told(page.moments.len() as u64, bytes as u64);
    }
}

impl Replays {
    /// A replay may take that long, whatever its listener does.
    pub fn new(store: EventStore, within: Duration) -> Self {
        let ((alive, of_one), (folding, folding_of_one, folding_of_busy)) = (ALIVE, FOLDING);
        Self {
            store,
            alive: Gate::new(alive, of_one, of_one, of_one),
            folding: Gate::new(folding, folding_of_one, folding_of_busy, folding_of_one),
            within,
        }
    }

    /// Folds the stream to its end, and tells nothing.
    pub async fn fold<T: Told>(&self, seen: &mut Seen<T>, asker: Asker) -> Result<(), BrokenOff> {
        loop {
            let _pass = self.folding.enter(asker).await;
            if self.page(seen, None, PAGE_EVENTS).await?.is_last {
                return Ok(());
            }
        }
    }

    /// Tells what was after a position up to the stream's end, and then how far that is.
    pub fn begin<T: Told>(
        self: &Arc<Self>,
        id: T::Id,
        after: Position,
        (asker, price): (Asker, Price),
    ) -> mpsc::Receiver<Result<Replayed, BrokenOff>> {
        let (tell, told) = mpsc::channel(AHEAD);
        let replays = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = tell.closed() => {}
                () = async {
                    let end = replays.run::<T>(id, after, (asker, price), &tell).await;
                    // Whoever listened may have gone.
                    let _ = tell.send(end.map(Replayed::Upto)).await;
                } => {}
            }
        });
        told
    }

    async fn run<T: Told>(
        &self,
        id: T::Id,
        after: Position,
        (asker, price): (Asker, Price),
        tell: &mpsc::Sender<Result<Replayed, BrokenOff>>,
    ) -> Result<u64, BrokenOff> {
        let _alive = self.alive.enter(asker).await;
        let replaying = async {
            let mut seen = Seen::<T>::nothing(id);
            let mut at_most = PAGE_EVENTS;
            loop {
                let page = {
                    let _pass = self.folding.enter(asker).await;
                    self.page(&mut seen, Some(after), at_most).await?
                };
                price.charge(&page);
                if !page.moments.is_empty() {
                    // Every event from here on is told, so no more of them are read than a page tells.
                    at_most = PAGE_MOMENTS;
                }
                for moment in page.moments {
                    let _ = tell.send(Ok(Replayed::Moment(moment))).await;
                }
                if page.is_last {
                    return Ok(seen.next_revision);
                }
            }
        };
        tokio::time::timeout(self.within, replaying).await.unwrap_or(Err(BrokenOff::TooSlow))
    }

    /// The stream's next events, and what is to be told of them to who has heard what was up to a position.
    async fn page<T: Told>(
        &self,
        seen: &mut Seen<T>,
        after: Option<Position>,
        at_most: usize,
    ) -> Result<Page, BrokenOff> {
        let events = self.store.read_stream(&seen.stream, seen.next_revision, at_most);
        pin_mut!(events);
        let (mut moments, mut taken) = (Vec::new(), 0);
        while let Some(event) = events.try_next().await? {
            taken += 1;
            let is_wanted = after.is_some_and(|after| after < event.position);
            moments.extend(seen.take_past(&self.store, &event, is_wanted).await?);
            if moments.len() == PAGE_MOMENTS {
                return Ok(Page { events: taken, moments, is_last: false });
            }
        }
        Ok(Page { events: taken, moments, is_last: taken < at_most })
    }
}
