//! When a group notes how far it is.

use std::time::Duration;

use tokio::time::Instant;

use super::deliveries::Deliveries;
use super::settings::Settings;
use super::{GroupError, GroupId, Source, stored};
use crate::service::Store;

/// A filtered group notes how far it is after so many events that do not concern it ...
const CONSIDERED_PER_CHECKPOINT: u64 = 1000;
/// ... after this time, if its settings do not say when.
const PASSED_OVER_AFTER: Duration = Duration::from_secs(2);
/// The first checkpoint is not held back for longer, so that a crash soon after the start repeats little.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// After a failed write the next attempt waits so long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the log knows about how far a group is.
pub(super) struct Checkpoint {
    stored: Option<u64>,
    noted: Option<u64>,
    noted_at: Option<Instant>,
    /// Since when there has been enough for the first one.
    first_since: Option<Instant>,
    not_before: Instant,
}

impl Checkpoint {
    /// Reads the group's checkpoint; without one the group stands at `start`.
    pub async fn open(store: &Store, id: &GroupId, start: Option<u64>) -> Result<Self, GroupError> {
        let mut stored = stored::read_checkpoint(store, id).await?;
        if id.source == Source::All && stored > Some(store.head()) {
            tracing::warn!(group = %id, "the checkpoint is of another log; the group begins where it was told to start");
            stored = None;
        }
        Ok(Checkpoint {
            stored,
            noted: stored.or(start),
            noted_at: None,
            first_since: None,
            not_before: Instant::now(),
        })
    }

    /// The checkpoint that the log holds.
    pub fn stored(&self) -> Option<u64> {
        self.stored
    }

    /// Up to here everything was done when the group was opened, or at the newest checkpoint.
    pub fn noted(&self) -> Option<u64> {
        self.noted
    }

    /// When a checkpoint is due; `None` if there is nothing worth noting.
    pub fn due(&mut self, settings: &Settings, deliveries: &Deliveries) -> Option<Instant> {
        let done_to = deliveries.done_to()?;
        if self.noted >= Some(done_to) {
            return None;
        }
        let finished = deliveries.finished();
        let passed_over =
            settings.filter.is_some() && done_to - self.noted.unwrap_or(0) >= CONSIDERED_PER_CHECKPOINT;
        if finished >= u64::from(settings.max_checkpoint_count.max(1)) {
            return Some(self.not_before);
        }
        if finished < u64::from(settings.min_checkpoint_count.max(1)) && !passed_over {
            return None;
        }
        let after = settings.checkpoint_after().or(passed_over.then_some(PASSED_OVER_AFTER))?;
        let due = match self.noted_at {
            Some(noted_at) => noted_at + after,
            None => *self.first_since.get_or_insert_with(Instant::now) + after.min(FIRST_AFTER),
        };
        Some(due.max(self.not_before))
    }

    /// Notes how far the group is, if that is farther than the log knows.
    pub async fn write(
        &mut self,
        store: &Store,
        id: &GroupId,
        deliveries: &mut Deliveries,
    ) -> Result<(), GroupError> {
        let Some(done_to) = deliveries.done_to().filter(|done_to| Some(*done_to) > self.noted) else {
            return Ok(());
        };
        let place = match id.source {
            Source::All => format!("C:{done_to}/P:{done_to}"),
            Source::Stream(_) => done_to.to_string(),
        };
        self.not_before = Instant::now() + PAUSE_AFTER_FAILURE;
        stored::write_checkpoint(store, id, place, self.stored.is_none()).await?;
        let now = Instant::now();
        *self = Checkpoint {
            stored: Some(done_to),
            noted: Some(done_to),
            noted_at: Some(now),
            first_since: None,
            not_before: now,
        };
        deliveries.count_anew();
        Ok(())
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
