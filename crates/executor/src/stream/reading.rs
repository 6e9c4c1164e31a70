//! How a stream's state is read from the event store, and taken on with what the log has shown.

use super::super::loaded::Loaded;
use super::super::reader::{self, Reader};
use super::super::{ExecuteError, Shared, ViewError, Writers};
use super::{Request, Stream};
use domain::Aggregate;
use std::collections::VecDeque;
use std::sync::Arc;

impl<A: Aggregate> Stream<A> {
    pub(super) async fn load(
        &self,
        loaded: Option<Loaded<A>>,
        reader: Option<&Reader>,
    ) -> Result<Loaded<A>, ViewError> {
        if let Some(loaded) = loaded {
            return Ok(loaded);
        }
        self.is_not_parked()?;
        if self.snapshots.is_none() && self.news.are_from_the_start() {
            return Ok(Loaded::assumed_empty());
        }
        let restored = match self.snapshots {
            Some(snapshots) => Box::pin(snapshots.load(&self.shared.store, &self.name)).await,
            None => None,
        };
        let mut loaded = restored.unwrap_or_else(Loaded::empty);
        self.read_on(&mut loaded, reader).await?;
        Ok(loaded)
    }

    pub(super) async fn catch_up(
        &self,
        loaded: &mut Loaded<A>,
        reader: Option<&Reader>,
    ) -> Result<(), ViewError> {
        self.is_not_parked()?;
        if self.read_on(loaded, reader).await? {
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// A stream that could not be read a moment ago is not read again for each request.
    fn is_not_parked(&self) -> Result<(), ViewError> {
        self.shared.parked.just_now(&self.name).map_or(Ok(()), |at| Err(ExecuteError::Unreadable(at)))
    }

    /// Takes what the log has shown, as far as it follows the state.
    pub(super) async fn take_news(&self, loaded: &mut Loaded<A>) -> Result<(), ViewError> {
        if !self.news.are_more_than(loaded.next_revision()) {
            return Ok(());
        }
        self.is_not_parked()?;
        let Shared { store, guard, parked, .. } = &self.shared;
        let taken = Box::pin(loaded.take_news(store, guard, self.news.take())).await;
        if let Err(ExecuteError::Unreadable(at)) = &taken {
            parked.park(at);
        }
        taken
    }

    async fn read_on(&self, loaded: &mut Loaded<A>, reader: Option<&Reader>) -> Result<bool, ViewError> {
        let from = loaded.next_revision();
        let read = Box::pin(self.read_in_turn(loaded, reader)).await;
        let events = loaded.next_revision().saturating_sub(from);
        if let Some(reader) = reader {
            reader.has_read(events);
        }
        match &read {
            Ok(()) => drop(self.shared.parked.free(&self.name)),
            Err(ExecuteError::Unreadable(at)) => self.shared.parked.park(at),
            Err(_) => {}
        }
        read.map(|()| events > 0)
    }

    /// Clients wait for their turn with all that is more than an ordinary stream has.
    async fn read_in_turn(&self, loaded: &mut Loaded<A>, reader: Option<&Reader>) -> Result<(), ViewError> {
        let Shared { store, guard, long_reads, .. } = &self.shared;
        let Some(reader) = reader else {
            return loaded.catch_up(store, guard, &self.name, usize::MAX).await.map(drop);
        };
        if loaded.catch_up(store, guard, &self.name, reader::AT_ONCE).await? < reader::AT_ONCE {
            return Ok(());
        }
        let _turn = long_reads.take(reader.client).await.map_err(|_| self.contended())?;
        loaded.catch_up(store, guard, &self.name, usize::MAX).await.map(drop)
    }

    /// Who is charged for what is read for these. Nobody for what the shop itself or the operator waits for too, nor for
    /// stock, which is read once for all.
    pub(super) fn reader_of(&self, requests: &VecDeque<Request<A>>) -> Option<Arc<Reader>> {
        let is_for_clients =
            self.snapshots.is_none() && requests.iter().all(|request| request.reader.is_some());
        requests.front().filter(|_| is_for_clients)?.reader.clone()
    }

    /// The state for those who look at it.
    pub(super) async fn fresh(
        &self,
        loaded: Option<Loaded<A>>,
        at_least: Option<u64>,
        reader: Option<&Reader>,
    ) -> Result<Loaded<A>, ViewError> {
        let mut loaded = self.load(loaded, reader).await?;
        let is_old = match self.shared.writers {
            Writers::OnlyUs => false,
            Writers::Others { max_staleness } => loaded.read_at().elapsed() > max_staleness,
        };
        self.take_news(&mut loaded).await?;
        if is_old
            || self.news.are_more_than(loaded.next_revision())
            || at_least.is_some_and(|revision| loaded.next_revision() <= revision)
        {
            self.catch_up(&mut loaded, reader).await?;
        }
        Ok(loaded)
    }
}
