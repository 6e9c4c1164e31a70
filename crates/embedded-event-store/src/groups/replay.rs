//! The parked messages of a group, and how far they are being given again.
//!
//! A parked message that is given again stays in its stream until it is done, so that a restart in between loses none.

use std::time::Duration;

use tokio::time::Instant;

use super::deliveries::{Deliveries, Origin};
use super::{GroupError, GroupId, stored};
use crate::service::Store;

/// Truncations of one parked stream are at least this far apart.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a group stands with its parked messages; all numbers are revisions of their stream.
pub(super) struct Parked {
    /// Before here everything is done, and the log knows it.
    truncated_to: u64,
    /// Before here everything was given again.
    loaded_to: u64,
    /// Before here everything is to be given again.
    replay_to: u64,
    /// The next message to be parked goes here.
    next: u64,
    not_before: Instant,
    /// After a truncation that failed.
    not_again_before: Instant,
}

impl Parked {
    /// Looks at what is parked.
    pub async fn open(store: &Store, id: &GroupId) -> Result<Self, GroupError> {
        let (first, next) = match stored::parked_range(store, id).await? {
            Some((first, last)) => (first.min(last + 1), last + 1),
            None => (0, 0),
        };
        let now = Instant::now();
        Ok(Parked {
            truncated_to: first,
            loaded_to: first,
            replay_to: first,
            next,
            not_before: now,
            not_again_before: now,
        })
    }

    /// How many messages are parked and not on their way again.
    pub fn count(&self) -> u64 {
        self.next - self.replay_to
    }

    /// Whether nothing is parked, and nothing of it is on its way.
    pub fn is_empty(&self) -> bool {
        self.truncated_to == self.next
    }

    /// So many messages were parked, and this is the revision of the last one.
    pub fn added(&mut self, count: u64, last: u64) {
        let first = (last + 1).saturating_sub(count);
        if first != self.next {
            // The stream was deleted in between and has begun anew.
            self.truncated_to = first;
            self.loaded_to = first;
            self.replay_to = first;
        }
        self.next = last + 1;
    }

    /// Gives parked messages again: all, or those before a revision of their stream.
    pub fn replay(&mut self, before: Option<u64>) {
        let end = before.map_or(self.next, |before| before.min(self.next));
        self.replay_to = self.replay_to.max(end);
        self.not_before = self.not_before.max(Instant::now() + PAUSE);
    }

    /// Loads more of what is to be given again, if not too much of it waits already.
    pub async fn load(
        &mut self,
        store: &Store,
        id: &GroupId,
        page: u64,
        deliveries: &mut Deliveries,
    ) -> Result<(), GroupError> {
        if self.loaded_to >= self.replay_to || deliveries.retrying() as u64 >= page {
            return Ok(());
        }
        let count = page.min(self.replay_to - self.loaded_to);
        let messages = stored::read_parked(store, id, self.loaded_to, count).await?;
        if messages.is_empty() {
            self.loaded_to = self.replay_to;
        }
        for message in messages {
            let record = message.link.as_ref().or(message.event.as_ref());
            let Some(revision) = record.map(|record| record.revision()) else { continue };
            if revision >= self.replay_to {
                break;
            }
            self.loaded_to = revision + 1;
            // What the message led to may be gone by now; then nothing is left to be done.
            if message.event.is_some() {
                deliveries.add(Origin::Parked(revision), message);
            }
        }
        Ok(())
    }

    /// When the log should learn of what is done; `None` if it knows. It learns at once when a replay is over, and now and
    /// then while one goes on.
    pub fn due(&self, deliveries: &Deliveries) -> Option<Instant> {
        let done_to = self.done_to(deliveries);
        let pause = if done_to == self.replay_to { self.not_again_before } else { self.not_before };
        (done_to > self.truncated_to).then_some(pause.max(self.not_again_before))
    }

    /// Tells the log what is done.
    pub async fn truncate(
        &mut self,
        store: &Store,
        id: &GroupId,
        deliveries: &Deliveries,
    ) -> Result<(), GroupError> {
        let done_to = self.done_to(deliveries);
        if done_to > self.truncated_to {
            self.not_again_before = Instant::now() + PAUSE;
            stored::truncate_parked(store, id, done_to).await?;
            self.truncated_to = done_to;
            self.not_again_before = Instant::now();
            self.not_before = self.not_again_before + PAUSE;
        }
        Ok(())
    }

    fn done_to(&self, deliveries: &Deliveries) -> u64 {
        deliveries.oldest_replayed().unwrap_or(self.loaded_to)
    }
}
