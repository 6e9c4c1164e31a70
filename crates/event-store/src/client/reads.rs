//! Reading streams and the log. A failure before the first event is tried again on a new connection, for as long as an
//! append is.

use super::patience::Patience;
use super::translate::{failed_read, is_system, recorded, theirs};
use super::{EventStore, Lost, NO_ANSWER};
use crate::{EventStoreError, Position, RecordedEvent};
use async_stream::try_stream;
use eventstore::{
    Client, Error, ReadAllOptions, ReadStream, ReadStreamOptions, ResolvedEvent, StreamPosition,
};
use futures::{Stream, TryStreamExt};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[derive(Clone)]
pub(super) enum Read {
    Stream(String, ReadStreamOptions),
    All(ReadAllOptions),
}

/// Whether something is read from whatever log the store holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Only from the one that this process began with.
    OurLogOnly,
    /// From any.
    Open,
}

impl EventStore {
    /// Events of a stream from a revision on, oldest first. A stream that does not exist has none.
    pub fn read_stream(
        &self,
        stream: &str,
        from: u64,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).max_count(max);
        self.read(Read::Stream(stream.to_owned(), options), recorded)
    }

    /// Events of a stream, newest first, from a revision (or from the end) on down.
    pub fn read_stream_backwards(
        &self,
        stream: &str,
        from: Option<u64>,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let start = from.map_or(StreamPosition::End, StreamPosition::Position);
        let options = ReadStreamOptions::default().position(start).backwards().max_count(max);
        self.read(Read::Stream(stream.to_owned(), options), recorded)
    }

    /// Events of the whole log, oldest first, from a position on (or from the start), without the store's own.
    pub fn read_all(
        &self,
        from: Option<Position>,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let start = from.map_or(StreamPosition::Start, |from| StreamPosition::Position(theirs(from)));
        self.read_all_with(ReadAllOptions::default().position(start).forwards(), max)
    }

    /// Events of the whole log from a position up to another one, both inside, without the store's own. The store is
    /// asked for no more than there can be, so that a few events cost no more than that.
    pub fn read_all_between(
        &self,
        from: Position,
        to: Position,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        // No two events are at one position.
        let count = to.value().saturating_sub(from.value()).saturating_add(1);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let options = ReadAllOptions::default().position(StreamPosition::Position(theirs(from))).forwards();
        let events = self.read_all_with(options.max_count(count), usize::MAX);
        events.try_take_while(move |event| std::future::ready(Ok(event.position <= to)))
    }

    /// Events of the whole log before a position (or before the end), newest first, without the store's own.
    pub fn read_all_backwards(
        &self,
        before: Option<Position>,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let start = before.map_or(StreamPosition::End, |before| StreamPosition::Position(theirs(before)));
        self.read_all_with(ReadAllOptions::default().position(start).backwards(), max)
    }

    fn read_all_with(
        &self,
        options: ReadAllOptions,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let events = self.read(Read::All(options), recorded);
        try_stream! {
            let mut left = max;
            if left == 0 {
                return;
            }
            for await event in events {
                let event = event?;
                if !is_system(&event) {
                    yield event;
                    left -= 1;
                    if left == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// The position of the last event of the log, the store's own events among them.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn head(&self) -> Result<Option<Position>, EventStoreError> {
        let options = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
        let mut events = pin!(self.read(Read::All(options), recorded));
        Ok(events.try_next().await?.map(|event| event.position))
    }

    /// Reads on one connection; a failure before the first event is tried again on a new one.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: Read,
        translate: fn(ResolvedEvent) -> Option<T>,
    ) -> impl Stream<Item = Result<T, EventStoreError>> + Send + 'static {
        self.read_with(read, translate, Gate::OurLogOnly)
    }

    pub(super) fn read_with<T: Send + 'static>(
        &self,
        read: Read,
        translate: fn(ResolvedEvent) -> Option<T>,
        gate: Gate,
    ) -> impl Stream<Item = Result<T, EventStoreError>> + Send + 'static {
        let store = self.clone();
        try_stream! {
            if gate == Gate::OurLogOnly {
                store.may_be_used().await?;
            }
            let Begun { generation, mut events, first } = store.begin(&read).await?;
            // Behind the same address there may be another log by now.
            if gate == Gate::OurLogOnly {
                store.was_of_our_log().await?;
            }
            let mut next = first;
            while let Some(event) = next {
                if let Some(event) = translate(event) {
                    yield event;
                }
                next = match following(&mut events).await {
                    Ok(next) => next,
                    Err(error) => Err(store.failed(generation, &error))?,
                };
            }
        }
    }

    async fn begin(&self, read: &Read) -> Result<Begun, EventStoreError> {
        let mut patience = Patience::begin();
        loop {
            let (generation, client) = match self.client() {
                Ok(connected) => connected,
                Err((_, error)) => return Err(EventStoreError::Unavailable(error)),
            };
            let asked = Instant::now();
            let opening = pin!(open(&client, read, patience.silence()));
            let (failure, lost) = match self.unless_given_up(&patience, opening).await {
                None => continue,
                Some(Ok((events, first))) => {
                    self.has_answered(generation, asked.elapsed());
                    return Ok(Begun { generation, events, first });
                }
                Some(Err(failed)) => failed,
            };
            let EventStoreError::Unavailable(error) = &failure else { return Err(failure) };
            patience.has_met(&lost);
            self.discard(generation, lost, error);
            if !patience.is_left().await {
                self.gives_up(error);
                return Err(self.with_advice(failure));
            }
        }
    }

    /// A node that is there and speaks no TLS looks like one that is not there.
    fn with_advice(&self, failure: EventStoreError) -> EventStoreError {
        match failure {
            EventStoreError::Unavailable(why) if self.shared.address.settings.is_secure_mode_enabled() => {
                EventStoreError::Unavailable(format!(
                    "{why}; the address asks for TLS, and a store without TLS needs `tls=false` in it"
                ))
            }
            failure => failure,
        }
    }
}

/// A read that has brought its first event, or its end.
struct Begun {
    generation: u64,
    events: ReadStream,
    first: Option<ResolvedEvent>,
}

/// Opens a read and waits for its first event, at most so long.
pub(super) async fn open(
    client: &Client,
    read: &Read,
    silence: Duration,
) -> Result<(ReadStream, Option<ResolvedEvent>), (EventStoreError, Lost)> {
    let opening = async {
        let mut events = match read {
            Read::Stream(stream, options) => client.read_stream(stream.as_str(), options).await,
            Read::All(options) => client.read_all(options).await,
        }?;
        let first = following(&mut events).await?;
        Ok((events, first))
    };
    match timeout(silence, opening).await {
        Ok(opened) => opened.map_err(|error: Error| (failed_read(&error), Lost::from(&error))),
        Err(_) => Err((EventStoreError::Unavailable(NO_ANSWER.to_owned()), Lost::Silent)),
    }
}

/// The next event. A stream that does not exist has none.
async fn following(events: &mut ReadStream) -> Result<Option<ResolvedEvent>, Error> {
    match events.next().await {
        Err(Error::ResourceNotFound) => Ok(None),
        next => next,
    }
}
