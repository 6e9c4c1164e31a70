//! A stream as it stands in memory.

use super::guard::Guard;
use super::unreadable::Unreadable;
use super::{Envelope, ExecuteError, ViewError};
use audit_seal::Digest;
use audit_seal::chain::{self, Linked, START};
use audit_seal::stream::Chain;
use domain::Aggregate;
use domain::stored::{COMMAND_NOTED, StoredEvent};
use event_store::{
    EVENT_SKIPPED, EventStore, EventStoreError, ExpectedRevision, Metadata, NewEvent, Position,
    RecordedEvent, Skips,
};
use futures::{StreamExt, pin_mut};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Instant;
use uuid::Uuid;

/// After so many events of a stream, which take about a millisecond, others have their turn with the processor.
const BETWEEN_OTHERS: usize = 50;

/// The folded state, where the stream stands, and which keyed commands it has answered.
pub(super) struct Loaded<A> {
    pub aggregate: A,
    pub end: Option<End>,
    /// Where the stream's chain stands.
    pub chain: Chain,
    answered: HashMap<Uuid, Answered>,
    read_at: Instant,
    /// Nobody has looked whether the stream has events: an append finds out.
    is_assumed: bool,
    /// Markers of commands that changed nothing, as far as they are known: a snapshot does not count them.
    pub noted: u32,
    /// The newest snapshot that this state knows of: the revision after it, and its bytes.
    snapshot: (u64, usize),
}

/// Where a stream that has events stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub revision: u64,
    pub position: Position,
}

/// What was said to a command that came with an idempotency key.
pub(super) struct Answered {
    pub fingerprint: Box<str>,
    pub end: End,
}

impl<A: Aggregate> Loaded<A> {
    /// The state before any event.
    pub fn empty() -> Self {
        Self {
            aggregate: A::default(),
            end: None,
            chain: Chain::EMPTY,
            answered: HashMap::new(),
            read_at: Instant::now(),
            is_assumed: false,
            noted: 0,
            snapshot: (0, 0),
        }
    }

    /// The state of a stream that is taken for new without a look. Most carts and orders that are not in memory are
    /// new, and to ask the store first would cost more than the append that finds out.
    pub fn assumed_empty() -> Self {
        Self { is_assumed: true, ..Self::empty() }
    }

    /// The state that a snapshot of so many bytes holds.
    pub fn restored(
        aggregate: A,
        (end, link): (End, Digest),
        answered: HashMap<Uuid, Answered>,
        bytes: usize,
    ) -> Self {
        let snapshot = (end.revision + 1, bytes);
        // Whether the stream has links says the event that the snapshot names.
        let chain = Chain { next_revision: end.revision + 1, link: Some(link), is_linked: false };
        Self {
            aggregate,
            end: Some(end),
            chain,
            answered,
            read_at: Instant::now(),
            is_assumed: false,
            noted: 0,
            snapshot,
        }
    }

    /// Reads what others have appended since, so many events at most. Gives how many there were. An event that cannot be
    /// read, or that no shop has written there, is passed over if the operator says so further down the stream; otherwise
    /// the state is the one before it.
    pub async fn catch_up(
        &mut self,
        store: &EventStore,
        guard: &Guard,
        stream: &str,
        at_most: usize,
    ) -> Result<usize, ViewError> {
        let read_at = Instant::now();
        let (mut skips, mut taken) = (None, 0);
        let events = store.read_stream(stream, self.next_revision(), at_most);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| of_store(error, stream))?;
            self.take(store, guard, &event, &mut skips).await?;
            taken += 1;
            if taken % BETWEEN_OTHERS == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Otherwise there may be more.
        if taken < at_most {
            self.read_at = read_at;
            self.is_assumed = false;
        }
        Ok(taken)
    }

    /// Takes events that the log has shown, as far as they follow this state without a gap. How old the state is stays as it
    /// was: there may be more than the log has shown.
    pub async fn take_news(
        &mut self,
        store: &EventStore,
        guard: &Guard,
        news: impl IntoIterator<Item = RecordedEvent>,
    ) -> Result<(), ViewError> {
        let mut skips = None;
        for event in news {
            match event.revision.cmp(&self.next_revision()) {
                Ordering::Less => {}
                Ordering::Equal => self.take(store, guard, &event, &mut skips).await?,
                Ordering::Greater => break,
            }
        }
        Ok(())
    }

    /// Takes the next event of the stream.
    async fn take(
        &mut self,
        store: &EventStore,
        guard: &Guard,
        event: &RecordedEvent,
        skips: &mut Option<Skips>,
    ) -> Result<(), ViewError> {
        let mut chain = self.chain;
        let altered = guard.follow(store, &mut chain, event).await.map_err(ExecuteError::Store)?;
        let read = readable::<A>(event).and_then(|read| altered.map_or(Ok(read), Err));
        let (fact, metadata) = match read {
            Ok(read) => read,
            Err(_) if is_skipped(store, event, skips).await? => (None, None),
            Err(unreadable) => return Err(unreadable.into()),
        };
        let end = End { revision: event.revision, position: event.position };
        if let Some(fact) = fact {
            self.evolve(&fact);
        }
        if let Some(metadata) = metadata {
            self.remember(metadata.command_id, &metadata.fingerprint, end);
        }
        self.noted = self.noted.saturating_add(u32::from(event.event_type == COMMAND_NOTED));
        self.end = Some(end);
        self.chain = chain;
        Ok(())
    }

    pub fn evolve(&mut self, fact: &A::Event) {
        self.aggregate = std::mem::take(&mut self.aggregate).evolve(fact);
    }

    /// Only commands with an idempotency key have a fingerprint.
    pub fn remember(&mut self, command_id: Uuid, fingerprint: &str, end: End) {
        if !fingerprint.is_empty() {
            self.answered.insert(command_id, Answered { fingerprint: fingerprint.into(), end });
        }
    }

    /// What was said to this keyed command before; that the key came with another request counts as said too.
    pub fn replayed<R: std::error::Error>(
        &self,
        envelope: &Envelope,
    ) -> Option<Result<End, ExecuteError<R>>> {
        if envelope.fingerprint.is_none() {
            return None;
        }
        let answered = self.answered.get(&envelope.command_id)?;
        let is_same = envelope.fingerprint.is_recorded_as(&answered.fingerprint);
        Some(if is_same { Ok(answered.end) } else { Err(ExecuteError::KeyReused) })
    }

    /// How many parts it has: what it takes to keep it in memory grows with them.
    pub fn parts(&self) -> usize {
        self.aggregate.parts() + self.answered.len()
    }

    /// The commands that came with an idempotency key, and what was said to them.
    pub fn answered(&self) -> &HashMap<Uuid, Answered> {
        &self.answered
    }

    /// Events that the newest snapshot does not have, and that snapshot's bytes.
    pub fn since_snapshot(&self) -> (u64, usize) {
        let (next_revision, bytes) = self.snapshot;
        (self.next_revision().saturating_sub(next_revision), bytes)
    }

    /// Notes that a snapshot of so many bytes was taken of this state.
    pub fn snapshot_taken(&mut self, bytes: usize) {
        self.snapshot = (self.next_revision(), bytes);
    }

    /// The link that the next event follows.
    pub fn link(&self) -> Digest {
        self.chain.link.unwrap_or(START)
    }

    /// Notes that an append took it so far.
    pub fn appended(&mut self, end: End, link: Digest) {
        self.end = Some(end);
        self.chain = Chain { next_revision: end.revision + 1, link: Some(link), is_linked: true };
    }

    pub fn next_revision(&self) -> u64 {
        self.end.map_or(0, |end| end.revision + 1)
    }

    pub fn expected(&self) -> ExpectedRevision {
        self.end.map_or(ExpectedRevision::NoStream, |end| ExpectedRevision::Exact(end.revision))
    }

    /// Whether nobody has looked yet if the stream has events.
    pub fn is_assumed(&self) -> bool {
        self.is_assumed
    }

    /// When it was last known to be the newest state.
    pub fn read_at(&self) -> Instant {
        self.read_at
    }

    /// An append at the expected revision shows that nobody else has written until now.
    pub fn seen_now(&mut self) {
        self.read_at = Instant::now();
        self.is_assumed = false;
    }
}

/// What an event says to the aggregate, if it says anything, and who wrote it.
type Read<E> = (Option<E>, Option<Metadata>);

fn readable<A: Aggregate>(event: &RecordedEvent) -> Result<Read<A::Event>, Unreadable> {
    if [COMMAND_NOTED, EVENT_SKIPPED].contains(&event.event_type.as_str()) {
        return Ok((None, event.metadata().ok()));
    }
    Unreadable::read::<A>(event).map(|(fact, metadata)| (Some(fact), Some(metadata)))
}

/// Whether the operator has the event passed over. The markers of a stream are looked for once.
async fn is_skipped(
    store: &EventStore,
    event: &RecordedEvent,
    skips: &mut Option<Skips>,
) -> Result<bool, ViewError> {
    let skips = match skips {
        Some(skips) => skips,
        None => {
            let found = Box::pin(store.skips(&event.stream, event.revision.saturating_add(1))).await;
            skips.insert(found.map_err(|error| of_store(error, &event.stream))?)
        }
    };
    Ok(skips.has(event))
}

fn of_store(error: EventStoreError, stream: &str) -> ViewError {
    match error {
        EventStoreError::Deleted => Unreadable::deleted(stream).into(),
        error => ExecuteError::Store(error),
    }
}

/// A command's events, ready to be appended after the event with this revision and link; gives the new link too.
///
/// Their ids follow from the command, from what they say and from what they follow. So an append that is repeated is
/// the same events, and a decision that was made again, perhaps by another process, never passes for the first one:
/// its metadata would not be what stands in the log, and later links would be wrong. With a `new_key` they are ids
/// that nobody has seen: the store takes one that it knows for the same append once more, and whether a stream that is
/// taken for new is new is just the question.
pub(super) fn new_events<E: StoredEvent>(
    stream: &str,
    envelope: &Envelope,
    facts: &[E],
    new_key: Option<Uuid>,
    after: (u64, &Digest),
) -> (Vec<NewEvent>, Digest) {
    let facts = facts.iter().map(|fact| (fact.type_name(), fact.payload()));
    chained(stream, envelope, facts, new_key, after)
}

/// The marker of a command with an idempotency key that changes nothing: so the key is known as long as the log is.
pub(super) fn noted(
    stream: &str,
    envelope: &Envelope,
    new_key: Option<Uuid>,
    after: (u64, &Digest),
) -> (Vec<NewEvent>, Digest) {
    chained(stream, envelope, std::iter::once((COMMAND_NOTED, b"{}".to_vec())), new_key, after)
}

pub(super) fn chained(
    stream: &str,
    envelope: &Envelope,
    contents: impl Iterator<Item = (&'static str, Vec<u8>)>,
    new_key: Option<Uuid>,
    (first_revision, link): (u64, &Digest),
) -> (Vec<NewEvent>, Digest) {
    let metadata = envelope.metadata();
    let (last, before_others) = (metadata.to_json(), Metadata { more: true, ..metadata }.to_json());
    let mut link = *link;
    let mut events = Vec::new();
    let mut contents = contents.zip(first_revision..).peekable();
    while let Some(((event_type, data), revision)) = contents.next() {
        let metadata = if contents.peek().is_some() { &before_others } else { &last };
        let mut name = format!("{stream}/{revision}/{event_type}/").into_bytes();
        for part in [link.as_slice(), metadata, &data] {
            name.extend_from_slice(part);
        }
        let id = Uuid::new_v5(&new_key.unwrap_or(envelope.command_id), &name);
        let open = chain::open(metadata);
        link = chain::link(&link, &Linked { stream, revision, id, event_type, data: &data, metadata: open });
        events.push(NewEvent { id, event_type, data, metadata: chain::with_link(metadata.clone(), &link) });
    }
    (events, link)
}
