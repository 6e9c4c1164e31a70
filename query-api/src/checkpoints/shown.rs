//! How far a read model has come, and the requests that wait for more of it.

use super::waiters::Waiters;
use super::{ReadModel, Served};
use event_store::{LogId, Position};
use tokio::sync::watch;

/// What is known of a read model, and the requests that wait for more of it.
#[derive(Default)]
pub(super) struct Shown {
    pub served: watch::Sender<Served>,
    pub waiters: Waiters,
}

impl Shown {
    pub fn replace(&self, served: Served) {
        self.served.send_replace(served);
        self.wake();
    }

    pub fn raise(&self, announced: &Announced) {
        let has_moved = self.served.send_if_modified(|served| {
            // Versions that do not serve move too.
            let is_served = served.version == announced.version;
            let shard = served.shards.get_mut(announced.shard).filter(|_| is_served);
            let Some(known) = shard.filter(|known| **known < Some(announced.position)) else { return false };
            *known = Some(announced.position);
            true
        });
        if has_moved {
            self.wake();
        }
    }

    fn wake(&self) {
        let reached = self.served.borrow().position();
        if let Some(reached) = reached {
            self.waiters.wake(reached);
        }
    }

    /// Waits until it has come to this place in this log. Gives its position then.
    pub async fn reach(&self, log_id: LogId, wanted: Position) -> Option<Position> {
        loop {
            let waiter = self.waiters.join(wanted);
            if let Some(reached) = self.has_reached(log_id, wanted) {
                return Some(reached);
            }
            waiter.called().await;
        }
    }

    pub fn has_reached(&self, log_id: LogId, wanted: Position) -> Option<Position> {
        let served = self.served.borrow();
        served.position().filter(|_| served.has_come_to(log_id, wanted))
    }
}

/// A shard of a version that has moved on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub model: ReadModel,
    pub version: i32,
    pub shard: usize,
    pub position: Position,
}

/// Reads `name:version:shard:position`; none if it is no read model of ours.
pub(super) fn announced(payload: &str) -> Option<Announced> {
    let mut parts = payload.split(':');
    let model = ReadModel::of(parts.next()?)?;
    let (version, shard) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Announced { model, version, shard, position: parts.next()?.parse().ok()? })
}
