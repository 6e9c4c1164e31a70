//! How far somebody is behind the log's end.

use super::EventStore;
use crate::{EventStoreError, Lag, Position};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use std::pin::pin;

/// Events that are counted one by one. Beyond that the number is an estimate.
const COUNTED: u64 = 1_000;

impl EventStore {
    /// Looks at what the log has after a position, up to its head.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn lag(
        &self,
        reached: Option<Position>,
        head: Option<Position>,
        now: DateTime<Utc>,
    ) -> Result<Lag, EventStoreError> {
        if reached >= head {
            return Ok(Lag::NONE);
        }
        let mut events = pin!(self.read_all(reached, usize::MAX));
        let mut lag = Lag::NONE;
        let mut last = reached;
        while let Some(event) = events.try_next().await? {
            if Some(event.position) <= reached {
                continue;
            }
            if lag.events == 0 {
                lag.seconds = (now - event.recorded_at).num_seconds().max(0);
            }
            lag.events += 1;
            last = Some(event.position);
            if lag.events == COUNTED {
                lag.is_estimate = true;
                break;
            }
        }
        if lag.is_estimate {
            let value = |position: Option<Position>| position.map_or(0, Position::value);
            let (all, counted) = (value(head) - value(reached), value(last) - value(reached));
            lag.events = all.saturating_mul(COUNTED) / counted.max(1);
        }
        Ok(lag)
    }
}
