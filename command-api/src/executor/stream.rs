//! One stream's writer: a queue, and at most one task that works it off.

use super::loaded::{End, Loaded, new_events};
use super::{Accepted, Envelope, ExecuteError, ViewError};
use domain::Aggregate;
use event_store::{AppendError, EventStore, EventStoreError, MAX_APPEND_BYTES, NewEvent};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Requests that may wait for one stream; one more is told to come back.
const MAX_WAITING: usize = 20_000;
/// How often everything is decided again because others wrote in between.
const ATTEMPTS: usize = 10;
/// Bytes that an event takes beside its payload: metadata, ids and names, roundly.
const BYTES_BESIDE_PAYLOAD: usize = 450;

type Answer<A> = Result<Accepted, ExecuteError<<A as Aggregate>::Rejection>>;
type Look<A> = Box<dyn FnOnce(Result<&A, ViewError>) + Send>;

pub(super) struct Stream<A: Aggregate> {
    name: String,
    store: EventStore,
    max_staleness: Duration,
    queue: Mutex<Queue<A>>,
    /// Rung after every append.
    pub(super) changed: Notify,
}

struct Queue<A: Aggregate> {
    waiting: VecDeque<Request<A>>,
    /// The state, when nobody works on it.
    idle: Option<Loaded<A>>,
    /// Whether a task works the queue off.
    busy: bool,
}

enum Request<A: Aggregate> {
    Command(Box<Waiting<A>>),
    View(Look<A>),
}

struct Waiting<A: Aggregate> {
    command: A::Command,
    envelope: Envelope,
    reply: oneshot::Sender<Answer<A>>,
}

impl<A: Aggregate> Stream<A> {
    pub fn new(name: String, store: EventStore, max_staleness: Duration) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), idle: None, busy: false });
        Self { name, store, max_staleness, queue, changed: Notify::new() }
    }

    pub async fn execute(self: &Arc<Self>, command: A::Command, envelope: Envelope) -> Answer<A> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Request::Command(Box::new(Waiting { command, envelope, reply })))
            .map_err(ViewError::of_command)?;
        answer.await.unwrap_or_else(|_| Err(self.contended()))
    }

    pub async fn view<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&A) -> T + Send + 'static,
    ) -> Result<T, ViewError> {
        let (reply, answer) = oneshot::channel();
        let look: Look<A> = Box::new(move |state| {
            // Whoever asked may have gone.
            let _ = reply.send(state.map(look));
        });
        self.enqueue(Request::View(look))?;
        answer.await.unwrap_or_else(|_| Err(self.contended()))
    }

    fn contended<R: std::error::Error>(&self) -> ExecuteError<R> {
        ExecuteError::Contended { stream: self.name.clone() }
    }

    /// The queue is worked off by a task of its own: a caller that goes away in the middle must not take the
    /// others' commands with it.
    fn enqueue(self: &Arc<Self>, request: Request<A>) -> Result<(), ViewError> {
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(self.contended());
        }
        queue.waiting.push_back(request);
        if !queue.busy {
            queue.busy = true;
            let loaded = queue.idle.take();
            drop(queue);
            tokio::spawn(Arc::clone(self).work_off(loaded));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue<A>> {
        // Nothing panics while it holds the lock, and the queue is valid at any time.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work_off(self: Arc<Self>, mut loaded: Option<Loaded<A>>) {
        loop {
            let requests = {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    queue.busy = false;
                    queue.idle = loaded;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            let mut commands = VecDeque::new();
            let mut looks = Vec::new();
            for request in requests {
                match request {
                    Request::Command(waiting) => commands.push_back(*waiting),
                    Request::View(look) => looks.push(look),
                }
            }
            while !commands.is_empty() {
                loaded = self.take_batch(loaded, &mut commands).await;
            }
            if !looks.is_empty() {
                loaded = self.answer_looks(loaded, looks).await;
            }
        }
    }

    async fn answer_looks(&self, loaded: Option<Loaded<A>>, looks: Vec<Look<A>>) -> Option<Loaded<A>> {
        match self.fresh(loaded).await {
            Ok(loaded) => {
                looks.into_iter().for_each(|look| look(Ok(&loaded.aggregate)));
                Some(loaded)
            }
            Err(error) => {
                looks.into_iter().for_each(|look| look(Err(error.clone())));
                None
            }
        }
    }

    async fn load(&self, loaded: Option<Loaded<A>>) -> Result<Loaded<A>, ViewError> {
        match loaded {
            Some(loaded) => Ok(loaded),
            None => Loaded::read(&self.store, &self.name).await,
        }
    }

    /// The state, not older than it may be.
    async fn fresh(&self, loaded: Option<Loaded<A>>) -> Result<Loaded<A>, ViewError> {
        let mut loaded = self.load(loaded).await?;
        if loaded.is_older_than(self.max_staleness) {
            loaded.catch_up(&self.store, &self.name).await?;
        }
        Ok(loaded)
    }

    /// Decides as many commands as fit into one append, appends, and answers them.
    async fn take_batch(
        &self,
        mut loaded: Option<Loaded<A>>,
        commands: &mut VecDeque<Waiting<A>>,
    ) -> Option<Loaded<A>> {
        let mut unanswered = None;
        for attempt in 0..ATTEMPTS {
            let mut state = match self.load(loaded.take()).await {
                Ok(state) => state,
                Err(error) => {
                    refuse_all(commands.drain(..), &error);
                    return None;
                }
            };
            let mut batch = Batch::decide(&self.name, &mut state, commands);
            // A state that may be out of date may take commands (the append finds out), but not refuse them.
            if batch.events.is_empty() && state.is_older_than(self.max_staleness) {
                if let Err(error) = state.catch_up(&self.store, &self.name).await {
                    refuse_all(commands.drain(..), &error);
                    return None;
                }
                batch = Batch::decide(&self.name, &mut state, commands);
            }
            if batch.events.is_empty() {
                batch.reply(commands, &state);
                return Some(state);
            }
            match self.store.append(&self.name, batch.expected, std::mem::take(&mut batch.events)).await {
                Ok(appended) => {
                    state.seen_now();
                    let end = End { revision: appended.revision, position: appended.position };
                    state.end = Some(end);
                    batch.remember(commands, &mut state, end);
                    batch.reply(commands, &state);
                    self.changed.notify_waiters();
                    return Some(state);
                }
                Err(AppendError::Conflict) => {
                    tracing::debug!(stream = self.name, attempt, "somebody else wrote: deciding again");
                }
                Err(AppendError::Unknown(error)) => {
                    unanswered = Some(ExecuteError::Store(EventStoreError::Unavailable(error)));
                    break;
                }
                Err(AppendError::TooLarge { .. }) => {
                    batch.refuse(commands, &ExecuteError::TooLarge);
                    return None;
                }
                Err(AppendError::Refused(error)) => {
                    batch.refuse(commands, &ExecuteError::Store(EventStoreError::Refused(error)));
                    return None;
                }
            }
        }
        refuse_all(commands.drain(..), &unanswered.unwrap_or_else(|| self.contended()));
        None
    }
}

/// The first commands of a queue, decided one after the other, each on the state that the ones before it led to.
struct Batch<A: Aggregate> {
    expected: event_store::ExpectedRevision,
    events: Vec<NewEvent>,
    outcomes: Vec<Outcome<A>>,
}

enum Outcome<A: Aggregate> {
    /// Its last event has this revision.
    Takes {
        revision: u64,
    },
    AlreadySo,
    Replayed(End),
    Refused(ExecuteError<A::Rejection>),
}

impl<A: Aggregate> Batch<A> {
    fn decide(stream: &str, state: &mut Loaded<A>, commands: &VecDeque<Waiting<A>>) -> Self {
        let mut batch = Self { expected: state.expected(), events: Vec::new(), outcomes: Vec::new() };
        let mut next_revision = state.next_revision();
        let mut bytes = 0;
        for Waiting { command, envelope, .. } in commands {
            let outcome = match state.answered(envelope) {
                Some(answered) if *answered.fingerprint == *envelope.fingerprint => {
                    Outcome::Replayed(answered.end)
                }
                Some(_) => Outcome::Refused(ExecuteError::KeyReused),
                None => match state.aggregate.decide(command) {
                    Err(rejection) => Outcome::Refused(ExecuteError::Rejected(rejection)),
                    Ok(facts) if facts.is_empty() => Outcome::AlreadySo,
                    Ok(facts) => {
                        let events = new_events(stream, envelope, &facts);
                        let size: usize =
                            events.iter().map(|event| event.data.len() + BYTES_BESIDE_PAYLOAD).sum();
                        if bytes > 0 && bytes + size > MAX_APPEND_BYTES {
                            break;
                        }
                        bytes += size;
                        facts.iter().for_each(|fact| state.evolve(fact));
                        next_revision += events.len() as u64;
                        batch.events.extend(events);
                        Outcome::Takes { revision: next_revision - 1 }
                    }
                },
            };
            batch.outcomes.push(outcome);
        }
        batch
    }

    fn remember(&self, commands: &VecDeque<Waiting<A>>, state: &mut Loaded<A>, end: End) {
        for (outcome, waiting) in self.outcomes.iter().zip(commands) {
            if let Outcome::Takes { revision } = outcome {
                let end = End { revision: *revision, position: end.position };
                state.remember(waiting.envelope.command_id, &waiting.envelope.fingerprint, end);
            }
        }
    }

    fn reply(self, commands: &mut VecDeque<Waiting<A>>, state: &Loaded<A>) {
        let accepted =
            |end: End, replayed| Accepted { revision: end.revision, position: end.position, replayed };
        // Only a stream without events has no end, and every command for it makes events or is refused.
        let now = state.end.unwrap_or(End { revision: 0, position: event_store::Position::new(0) });
        for (outcome, waiting) in self.outcomes.into_iter().zip(drain_front(commands)) {
            let answer = match outcome {
                Outcome::Takes { revision } => Ok(accepted(End { revision, ..now }, false)),
                Outcome::AlreadySo => Ok(accepted(now, false)),
                Outcome::Replayed(end) => Ok(accepted(end, true)),
                Outcome::Refused(error) => Err(error),
            };
            // Whoever asked may have gone.
            let _ = waiting.reply.send(answer);
        }
    }

    fn refuse(self, commands: &mut VecDeque<Waiting<A>>, error: &ExecuteError<A::Rejection>) {
        for (_, waiting) in self.outcomes.into_iter().zip(drain_front(commands)) {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }
}

fn drain_front<T>(queue: &mut VecDeque<T>) -> impl Iterator<Item = T> {
    std::iter::from_fn(move || queue.pop_front())
}

fn refuse_all<A: Aggregate>(commands: impl Iterator<Item = Waiting<A>>, error: &ViewError) {
    for waiting in commands {
        let _ = waiting.reply.send(Err(error.clone().of_command()));
    }
}
