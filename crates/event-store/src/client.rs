//! The one place that knows the official client.

use crate::{
    AppendError, Appended, EventStoreError, ExpectedRevision, InvalidConnectionString, MAX_APPEND_BYTES,
    NewEvent, Position, RecordedEvent, SubscriptionItem,
};
use async_stream::{stream, try_stream};
use backon::{BackoffBuilder, ExponentialBuilder};
use eventstore::{
    BatchAppendClient, BatchAppendOptions, Client, ClientSettings, Error, EventData, ReadAllOptions,
    ReadStream, ReadStreamOptions, ResolvedEvent, StreamPosition, StreamState, SubscribeToAllOptions,
    SubscriptionEvent,
};
use futures::Stream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an append may take before its outcome counts as unknown.
const APPEND_DEADLINE: Duration = Duration::from_secs(10);
/// How often an append or the start of a read is tried on a new connection before the caller hears of it.
const ATTEMPTS: usize = 4;

/// A connection to an event store: cheap to clone, made lazily, remade when it breaks.
#[derive(Clone)]
pub struct EventStore {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ClientSettings,
    connection: Mutex<Connection>,
}

/// The official client and the session that carries all appends. `generation` tells a caller that met an error
/// whether somebody else has already replaced what failed.
#[derive(Default)]
struct Connection {
    generation: u64,
    client: Option<Client>,
    appends: Option<Arc<BatchAppendClient>>,
}

impl EventStore {
    /// An event store at this address. Connects when it is first used.
    ///
    /// # Errors
    /// When the address has not the form of an EventStoreDB connection string.
    pub fn connect(connection_string: &str) -> Result<Self, InvalidConnectionString> {
        let settings = connection_string.parse::<ClientSettings>().map_err(|error| {
            InvalidConnectionString { given: connection_string.to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { shared: Arc::new(Shared { settings, connection: Mutex::default() }) })
    }

    /// Appends all events, or none, when the stream stands where it is expected.
    ///
    /// An answer that was lost is asked for again with the same event ids: the server then says what it said the
    /// first time, so the caller rarely sees an unknown outcome.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when somebody else wrote; [`AppendError::Unknown`] when no answer came at all.
    pub async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let state = match expected {
            ExpectedRevision::NoStream => StreamState::NoStream,
            ExpectedRevision::Exact(revision) => StreamState::StreamRevision(revision),
        };
        let events = encode(events)?;
        let mut delays = backoff();
        let mut last_error = String::new();
        for _ in 0..ATTEMPTS {
            let generation = match self.try_append(stream, state, events.clone()).await {
                Ok(appended) => return Ok(appended),
                Err(FailedAppend::Final(error)) => return Err(error),
                Err(FailedAppend::Unanswered { generation, error }) => {
                    last_error = error;
                    generation
                }
            };
            self.discard(generation);
            tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
        }
        Err(AppendError::Unknown(last_error))
    }

    async fn try_append(
        &self,
        stream: &str,
        state: StreamState,
        events: Vec<EventData>,
    ) -> Result<Appended, FailedAppend> {
        let (generation, session) = self.append_session().await?;
        let answer =
            tokio::time::timeout(APPEND_DEADLINE, session.append_to_stream(stream, state, events)).await;
        let unanswered = |error: String| FailedAppend::Unanswered { generation, error };
        match answer {
            Err(_) => Err(unanswered("no answer in time".to_owned())),
            Ok(Ok(result)) => match (result.current_revision(), result.current_position()) {
                (Some(revision), Some(position)) => {
                    Ok(Appended { revision, position: Position::new(position.commit) })
                }
                _ => Err(unanswered("the answer has no revision and position".to_owned())),
            },
            Ok(Err(error)) => {
                // A session ends with its first refused item.
                self.end_append_session(&session);
                match error {
                    Error::WrongExpectedVersion { .. } => Err(FailedAppend::Final(AppendError::Conflict)),
                    Error::Grpc { code, .. } if code as i32 == GRPC_FAILED_PRECONDITION => {
                        Err(FailedAppend::Final(AppendError::Conflict))
                    }
                    Error::Grpc { code, message } if code as i32 == GRPC_INVALID_ARGUMENT => {
                        Err(FailedAppend::Final(AppendError::Refused(message)))
                    }
                    Error::AccessDenied | Error::ResourceDeleted | Error::UnsupportedFeature => {
                        Err(FailedAppend::Final(AppendError::Refused(error.to_string())))
                    }
                    other => Err(unanswered(other.to_string())),
                }
            }
        }
    }

    /// Events of a stream from a revision on, oldest first. A stream that does not exist has none.
    pub fn read_stream(
        &self,
        stream: &str,
        from: u64,
        max: usize,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).max_count(max);
        self.read(Read::Stream(stream.to_owned(), options))
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
        self.read(Read::Stream(stream.to_owned(), options))
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
        let events = self.read(Read::All(options));
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
        let (_, mut events) = self.open(&Read::All(options)).await?;
        match events.next().await {
            Ok(event) => Ok(event.and_then(recorded).map(|event| event.position)),
            Err(error) => Err(failed_read(&error)),
        }
    }

    /// Every event of the log after a position (or from the start), and then every new one, for ever. The
    /// store's own events arrive as checkpoints.
    pub fn subscribe_all(
        &self,
        after: Option<Position>,
    ) -> impl Stream<Item = SubscriptionItem> + Send + 'static {
        let store = self.clone();
        stream! {
            let mut last = after;
            let mut delays = backoff();
            loop {
                let (generation, error) = match store.client() {
                    Err((generation, error)) => (generation, error),
                    Ok((generation, client)) => {
                        let start = last.map_or(StreamPosition::Start, |last| StreamPosition::Position(theirs(last)));
                        let options = SubscribeToAllOptions::default().position(start);
                        let mut subscription = client.subscribe_to_all(&options).await;
                        loop {
                            match subscription.next_subscription_event().await {
                                Ok(item) => {
                                    if let Some(item) = delivered(item) {
                                        delays = backoff();
                                        match &item {
                                            SubscriptionItem::Event(event) => last = Some(event.position),
                                            SubscriptionItem::Checkpoint(position) => last = Some(*position),
                                            SubscriptionItem::CaughtUp | SubscriptionItem::Disconnected { .. } => {}
                                        }
                                        yield item;
                                    }
                                }
                                Err(error) => break (generation, error.to_string()),
                            }
                        }
                    }
                };
                store.discard(generation);
                yield SubscriptionItem::Disconnected { error };
                tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
            }
        }
    }

    /// Reads on one connection; a failure before the first event is tried again on a new one.
    fn read(
        &self,
        read: Read,
    ) -> impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static {
        let store = self.clone();
        try_stream! {
            let mut attempt = 0;
            let mut delays = backoff();
            'connection: loop {
                attempt += 1;
                let (generation, mut events) = store.open(&read).await?;
                let mut started = false;
                loop {
                    match events.next().await {
                        Ok(None) | Err(Error::ResourceNotFound) => return,
                        Ok(Some(event)) => {
                            started = true;
                            if let Some(event) = recorded(event) {
                                yield event;
                            }
                        }
                        Err(error) => {
                            let failure = failed_read(&error);
                            if matches!(failure, EventStoreError::Unavailable(_)) {
                                store.discard(generation);
                                if !started && attempt < ATTEMPTS {
                                    tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
                                    continue 'connection;
                                }
                            }
                            Err(failure)?;
                        }
                    }
                }
            }
        }
    }

    async fn open(&self, read: &Read) -> Result<(u64, ReadStream), EventStoreError> {
        let mut delays = backoff();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (generation, opened) = match self.client() {
                Err((generation, error)) => (generation, Err(EventStoreError::Unavailable(error))),
                Ok((generation, client)) => {
                    let opened = match read {
                        Read::Stream(stream, options) => client.read_stream(stream.as_str(), options).await,
                        Read::All(options) => client.read_all(options).await,
                    };
                    (generation, opened.map_err(|error| failed_read(&error)))
                }
            };
            match opened {
                Ok(events) => return Ok((generation, events)),
                Err(EventStoreError::Unavailable(_)) if attempt < ATTEMPTS => {
                    self.discard(generation);
                    tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn client(&self) -> Result<(u64, Client), (u64, String)> {
        let mut connection = self.shared.lock();
        let generation = connection.generation;
        let client = match &connection.client {
            Some(client) => client.clone(),
            None => {
                let client = Client::new(self.shared.settings.clone());
                let client = client.map_err(|error| (generation, error.to_string()))?;
                connection.client.insert(client).clone()
            }
        };
        Ok((generation, client))
    }

    async fn append_session(&self) -> Result<(u64, Arc<BatchAppendClient>), FailedAppend> {
        let unanswered = |(generation, error)| FailedAppend::Unanswered { generation, error };
        let (generation, client) = self.client().map_err(unanswered)?;
        if let Some(session) = &self.shared.lock().appends {
            return Ok((generation, Arc::clone(session)));
        }
        let session = client.batch_append(&BatchAppendOptions::default()).await;
        let session = Arc::new(session.map_err(|error| unanswered((generation, error.to_string())))?);
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            // Two callers may have opened one each: the later one serves from here on, the other drains.
            connection.appends = Some(Arc::clone(&session));
        }
        Ok((generation, session))
    }

    fn end_append_session(&self, ended: &Arc<BatchAppendClient>) {
        let mut connection = self.shared.lock();
        if connection.appends.as_ref().is_some_and(|current| Arc::ptr_eq(current, ended)) {
            connection.appends = None;
        }
    }

    /// Drops the connection that failed, unless somebody else did so already.
    fn discard(&self, generation: u64) {
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            *connection = Connection { generation: generation + 1, client: None, appends: None };
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        // Nothing panics while it holds the lock, and a connection is valid at any time.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const GRPC_INVALID_ARGUMENT: i32 = 3;
const GRPC_FAILED_PRECONDITION: i32 = 9;

enum FailedAppend {
    Final(AppendError),
    Unanswered { generation: u64, error: String },
}

#[derive(Clone)]
enum Read {
    Stream(String, ReadStreamOptions),
    All(ReadAllOptions),
}

fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(3))
        .with_jitter()
        .without_max_times()
        .build()
}

fn encode(events: Vec<NewEvent>) -> Result<Vec<EventData>, AppendError> {
    let mut bytes = 0;
    let encoded = events
        .into_iter()
        .map(|event| {
            let metadata = serde_json::to_vec(&event.metadata)
                .map_err(|error| AppendError::Refused(format!("the metadata is not JSON: {error}")))?;
            bytes += event.data.len() + metadata.len();
            // The payload is JSON already: parse nothing, only say so.
            let payload: &serde_json::value::RawValue = serde_json::from_slice(&event.data)
                .map_err(|error| AppendError::Refused(format!("the payload is not JSON: {error}")))?;
            let data = EventData::json(event.event_type, &payload)
                .map_err(|error| AppendError::Refused(format!("the payload is not JSON: {error}")))?;
            Ok(data.id(event.id).metadata(metadata.into()))
        })
        .collect::<Result<Vec<_>, AppendError>>()?;
    if bytes > MAX_APPEND_BYTES {
        return Err(AppendError::TooLarge { bytes, max: MAX_APPEND_BYTES });
    }
    Ok(encoded)
}

fn theirs(position: Position) -> eventstore::Position {
    eventstore::Position { commit: position.value(), prepare: position.value() }
}

fn recorded(event: ResolvedEvent) -> Option<RecordedEvent> {
    // We do not ask for links to be resolved, so a link is an event like any other.
    let event = event.link.or(event.event)?;
    Some(RecordedEvent {
        stream: event.stream_id().to_owned(),
        revision: event.revision,
        position: Position::new(event.position.commit),
        id: event.id,
        event_type: event.event_type,
        data: event.data,
        metadata: event.custom_metadata,
        recorded_at: event.created,
    })
}

fn is_system(event: &RecordedEvent) -> bool {
    event.event_type.starts_with('$') || event.stream.starts_with('$')
}

fn delivered(item: SubscriptionEvent) -> Option<SubscriptionItem> {
    match item {
        SubscriptionEvent::EventAppeared(event) => recorded(event).map(|event| {
            if is_system(&event) {
                SubscriptionItem::Checkpoint(event.position)
            } else {
                SubscriptionItem::Event(event)
            }
        }),
        SubscriptionEvent::Checkpoint(position) => {
            Some(SubscriptionItem::Checkpoint(Position::new(position.commit)))
        }
        SubscriptionEvent::CaughtUp(..) => Some(SubscriptionItem::CaughtUp),
        _ => None,
    }
}

fn failed_read(error: &Error) -> EventStoreError {
    match error {
        Error::AccessDenied
        | Error::ResourceDeleted
        | Error::UnsupportedFeature
        | Error::InternalParsingError(_)
        | Error::IllegalStateError(_) => EventStoreError::Refused(error.to_string()),
        Error::Grpc { code, .. } if *code as i32 == GRPC_INVALID_ARGUMENT => {
            EventStoreError::Refused(error.to_string())
        }
        _ => EventStoreError::Unavailable(error.to_string()),
    }
}
