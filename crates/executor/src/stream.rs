//! One stream's writer: a queue, and at most one task that works it off.

mod reading;

use super::batch::Batch;
use super::loaded::{End, Loaded};
use super::news::News;
use super::reader::Reader;
use super::snapshot::{Snapshots, is_due};
use super::{Accepted, Envelope, ExecuteError, Shared, ViewError, Writers};
use domain::Aggregate;
use event_store::{AppendError, EventStoreError, PATIENCE, RecordedEvent};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

/// Requests that may wait for one stream; one more is told to come back.
const MAX_WAITING: usize = 20_000;
/// A state with so many parts is kept whatever room there is.
const FEW_PARTS: usize = 100;
/// How often everything is decided again because others wrote in between.
const ATTEMPTS: usize = 20;
/// How often everything is decided again because an append got no answer.
const UNANSWERED_ATTEMPTS: usize = 2;

type Answer<A> = Result<Accepted, ExecuteError<<A as Aggregate>::Rejection>>;
type Look<A> = Box<dyn FnOnce(Result<&Loaded<A>, ViewError>) + Send>;

pub(super) struct Stream<A: Aggregate> {
    name: String,
    shared: Shared,
    snapshots: Option<Snapshots<A>>,
    queue: Mutex<Queue<A>>,
    /// Rung whenever the state has changed.
    pub(super) changed: Notify,
    news: News,
}

struct Queue<A: Aggregate> {
    waiting: VecDeque<Request<A>>,
    /// The state, when nobody works on it.
    idle: Option<Idle<A>>,
    /// Whether a task works the queue off.
    busy: bool,
}

/// A state that waits in memory for the next request.
struct Idle<A: Aggregate> {
    loaded: Loaded<A>,
    /// A large one takes room from all others of its size.
    _room: Option<OwnedSemaphorePermit>,
}

struct Request<A: Aggregate> {
    what: What<A>,
    /// Who is charged for what is read for it.
    reader: Option<Arc<Reader>>,
}

enum What<A: Aggregate> {
    Command(Box<Waiting<A>>),
    View { at_least: Option<u64>, look: Look<A> },
}

pub(super) struct Waiting<A: Aggregate> {
    pub command: A::Command,
    pub envelope: Envelope,
    pub reply: oneshot::Sender<Answer<A>>,
    queued_at: Instant,
}

impl<A: Aggregate> Stream<A> {
    pub fn new(name: String, shared: Shared, snapshots: Option<Snapshots<A>>) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), idle: None, busy: false });
        Self { name, shared, snapshots, queue, changed: Notify::new(), news: News::default() }
    }

    /// The log has this event. Those that wait look again if they do not know it yet.
    pub fn was_written(&self, event: &RecordedEvent, is_used: bool) {
        if self.news.add(event, is_used && !self.idle_state_has(event.revision)) {
            self.changed.notify_waiters();
        }
    }

    /// Whether it has events, as far as is known here.
    pub fn has_begun(&self) -> bool {
        self.news.are_more_than(0) || self.idle_state_has(0)
    }

    fn idle_state_has(&self, revision: u64) -> bool {
        self.lock().idle.as_ref().is_some_and(|idle| idle.loaded.next_revision() > revision)
    }

    pub async fn execute(self: &Arc<Self>, command: A::Command, envelope: Envelope) -> Answer<A> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { command, envelope, reply, queued_at: Instant::now() };
        self.enqueue(What::Command(Box::new(waiting))).map_err(ViewError::of_command)?;
        answer.await.unwrap_or_else(|_| Err(self.contended()))
    }

    /// Looks at the state, which has the event of the revision `at_least` in it.
    pub async fn view<T: Send + 'static>(
        self: &Arc<Self>,
        at_least: Option<u64>,
        look: impl FnOnce(&Loaded<A>) -> T + Send + 'static,
    ) -> Result<T, ViewError> {
        let (reply, answer) = oneshot::channel();
        let look: Look<A> = Box::new(move |state| {
            // Whoever asked may have gone.
            let _ = reply.send(state.map(look));
        });
        self.enqueue(What::View { at_least, look })?;
        answer.await.unwrap_or_else(|_| Err(self.contended()))
    }

    fn contended<R: std::error::Error>(&self) -> ExecuteError<R> {
        ExecuteError::Contended { stream: self.name.clone() }
    }

    /// The queue is worked off by a task of its own: a caller that goes away in the middle must not take the
    /// others' commands with it.
    fn enqueue(self: &Arc<Self>, what: What<A>) -> Result<(), ViewError> {
        let request = Request { what, reader: Reader::of_this_task() };
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(self.contended());
        }
        queue.waiting.push_back(request);
        if !queue.busy {
            queue.busy = true;
            let loaded = queue.idle.take().map(|idle| idle.loaded);
            drop(queue);
            tokio::spawn(Arc::clone(self).work_off(loaded));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue<A>> {
        // Nothing panics while it holds the lock, and the queue is valid at any time.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task is copied several times as it starts, and there is one for every few commands. So what is rare and large
    /// (reading a stream, snapshots) stands in boxes of its own.
    async fn work_off(self: Arc<Self>, mut loaded: Option<Loaded<A>>) {
        let mut worker = Worker { stream: &self, is_done: false };
        loop {
            let requests = {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    queue.busy = false;
                    self.news.forget_before(loaded.as_ref().map_or(0, Loaded::next_revision));
                    queue.idle = loaded.and_then(|loaded| self.keep(loaded));
                    worker.is_done = true;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            let reader = self.reader_of(&requests);
            let mut commands = VecDeque::new();
            let mut looks = Vec::new();
            let mut at_least = None;
            for request in requests {
                match request.what {
                    What::Command(waiting) => commands.push_back(*waiting),
                    What::View { at_least: revision, look } => {
                        at_least = at_least.max(revision);
                        looks.push(look);
                    }
                }
            }
            while !commands.is_empty() {
                loaded = self.take_batch(loaded, &mut commands, reader.as_deref()).await;
            }
            if !looks.is_empty() {
                loaded = self.answer_looks(loaded, at_least, looks, reader.as_deref()).await;
            }
            if let (Some(snapshots), Some(state)) = (self.snapshots, loaded.take_if(|state| is_due(state))) {
                loaded = Box::pin(snapshots.take(&self.shared.store, &self.name, state)).await;
            }
        }
    }

    /// Keeps a state in memory, if there is room for it. Without room it is read again when it is asked for, so nobody
    /// fills the memory with carts of thousands of lines. Stock stays in any case: it is read by everybody.
    fn keep(&self, loaded: Loaded<A>) -> Option<Idle<A>> {
        let parts = loaded.parts();
        if parts <= FEW_PARTS || self.snapshots.is_some() {
            return Some(Idle { loaded, _room: None });
        }
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.room).try_acquire_many_owned(parts).ok()?;
        Some(Idle { loaded, _room: Some(room) })
    }

    async fn answer_looks(
        &self,
        loaded: Option<Loaded<A>>,
        at_least: Option<u64>,
        looks: Vec<Look<A>>,
        reader: Option<&Reader>,
    ) -> Option<Loaded<A>> {
        match self.fresh(loaded, at_least, reader).await {
            Ok(loaded) => {
                looks.into_iter().for_each(|look| look(Ok(&loaded)));
                Some(loaded)
            }
            Err(error) => {
                looks.into_iter().for_each(|look| look(Err(error.clone())));
                None
            }
        }
    }

    /// Whether others may have written something that these commands should have been decided on.
    fn is_behind(&self, state: &Loaded<A>, commands: &VecDeque<Waiting<A>>) -> bool {
        state.is_assumed()
            || self.shared.writers != Writers::OnlyUs
                && commands.iter().any(|waiting| waiting.queued_at > state.read_at())
    }

    /// Decides as many commands as fit into one append, appends, and answers them.
    async fn take_batch(
        &self,
        mut loaded: Option<Loaded<A>>,
        commands: &mut VecDeque<Waiting<A>>,
        reader: Option<&Reader>,
    ) -> Option<Loaded<A>> {
        let mut failure = None;
        let mut unanswered = 0;
        let begun = Instant::now();
        for attempt in 0..ATTEMPTS {
            if let Some(away) = self.shared.store.away() {
                failure = Some(ExecuteError::Store(EventStoreError::Unavailable(away.error)));
                break;
            }
            let state = match loaded.take() {
                None if attempt == 0 && self.snapshots.is_none() => Some(Loaded::assumed_empty()),
                loaded => loaded,
            };
            let (mut state, mut batch) = match self.decide(state, commands, reader).await {
                Ok(decided) => decided,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            if batch.events.is_empty() {
                batch.remember(commands, &mut state);
                batch.reply(commands, state.end);
                return Some(state);
            }
            let events = std::mem::take(&mut batch.events);
            match self.shared.store.append(&self.name, batch.expected, events).await {
                Ok(appended) => {
                    state.seen_now();
                    let end = End { revision: appended.revision, position: appended.position };
                    state.appended(end, batch.link);
                    batch.remember(commands, &mut state);
                    batch.reply(commands, state.end);
                    self.changed.notify_waiters();
                    return Some(state);
                }
                Err(AppendError::Conflict) => {
                    tracing::debug!(stream = self.name, attempt, "somebody else wrote: deciding again");
                }
                Err(AppendError::Unknown(error)) => {
                    // The events may be there: read again, and decide again what is not.
                    failure = Some(ExecuteError::Store(EventStoreError::Unavailable(error)));
                    unanswered += 1;
                    if unanswered == UNANSWERED_ATTEMPTS || begun.elapsed() >= PATIENCE {
                        break;
                    }
                }
                Err(AppendError::TooLarge { .. }) => {
                    batch.refuse(commands, state.end, &ExecuteError::TooLarge);
                    return None;
                }
                Err(error @ (AppendError::Refused(_) | AppendError::AccessDenied)) => {
                    let error = ExecuteError::Store(match error {
                        AppendError::AccessDenied => EventStoreError::AccessDenied,
                        error => EventStoreError::Refused(error.to_string()),
                    });
                    batch.refuse(commands, state.end, &error);
                    return None;
                }
            }
        }
        let failure = failure.unwrap_or_else(|| self.contended());
        for waiting in commands.drain(..) {
            let _ = waiting.reply.send(Err(failure.clone().of_command()));
        }
        loaded
    }

    /// The state with the batch's effects in it, and the batch. A state that may be behind can take commands (the
    /// append finds out), but not refuse them.
    async fn decide(
        &self,
        loaded: Option<Loaded<A>>,
        commands: &VecDeque<Waiting<A>>,
        reader: Option<&Reader>,
    ) -> Result<(Loaded<A>, Batch<A>), ViewError> {
        let mut state = self.load(loaded, reader).await?;
        self.take_news(&mut state).await?;
        if self.news.are_more_than(state.next_revision()) {
            self.catch_up(&mut state, reader).await?;
        }
        let mut batch = Batch::decide(&self.name, &mut state, commands);
        if batch.events.is_empty() && self.is_behind(&state, commands) {
            self.catch_up(&mut state, reader).await?;
            batch = Batch::decide(&self.name, &mut state, commands);
        }
        Ok((state, batch))
    }
}

/// Gives the stream free also when its task ends in a panic: those who wait are told, and the next one reads anew.
struct Worker<'stream, A: Aggregate> {
    stream: &'stream Stream<A>,
    is_done: bool,
}

impl<A: Aggregate> Drop for Worker<'_, A> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = self.stream.lock();
            queue.busy = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
