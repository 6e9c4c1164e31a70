//! Appending, through one batch session that all appends share.

use super::patience::Patience;
use super::same_log::NotTheSame;
use super::translate::{is_conflict_of_a_batch, is_denied_in_a_batch, is_exhausted, is_invalid_argument};
use super::{EventStore, Lost, NO_ANSWER};
use crate::{AppendError, Appended, EventStoreError, ExpectedRevision, MAX_APPEND_BYTES, NewEvent, Position};
use eventstore::{BatchAppendClient, BatchAppendOptions, Error, EventData, StreamState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long an append may take although others are answered.
const APPEND_DEADLINE: Duration = Duration::from_secs(10);

/// Sessions that may end under one append before the caller hears of it.
const MAX_ENDED_SESSIONS: usize = 100;

/// Why one attempt did not bring an answer.
enum FailedAppend {
    /// It did, and asking again is of no use.
    Refused(AppendError),
    /// The session ended, perhaps because of somebody else's refused item. The connection is well.
    SessionEnded(String),
    /// The connection is not well, or leads to a node that does not take appends.
    ConnectionLost { generation: u64, lost: Lost, error: String },
}

impl FailedAppend {
    fn silent(generation: u64) -> Self {
        Self::ConnectionLost { generation, lost: Lost::Silent, error: NO_ANSWER.to_owned() }
    }

    fn lost(generation: u64, error: &Error) -> Self {
        Self::ConnectionLost { generation, lost: Lost::from(error), error: error.to_string() }
    }
}

/// What the client says of a session that it has closed itself. Other errors of the server's come in the same variant.
const SESSION_CLOSED: &str = "Batch-append stream has been closed";

/// The session that carries all appends, and when anything was last heard over it.
pub(super) struct AppendSession {
    client: BatchAppendClient,
    opened: Instant,
    /// In microseconds after it was opened.
    heard: AtomicU64,
}

impl AppendSession {
    fn new(client: BatchAppendClient) -> Self {
        Self { client, opened: Instant::now(), heard: AtomicU64::new(0) }
    }

    fn heard(&self) -> Instant {
        self.opened + Duration::from_micros(self.heard.load(Ordering::Relaxed))
    }

    /// Waits for the answer as long as others are answered; after so long without any it gives up.
    async fn answer<T>(&self, append: impl Future<Output = T>, silence: Duration) -> Option<T> {
        let mut append = pin!(append);
        let asked = Instant::now();
        loop {
            let heard = self.heard().max(asked);
            match timeout_at((heard + silence).min(asked + APPEND_DEADLINE), &mut append).await {
                Ok(answer) => {
                    let heard = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.heard.store(heard, Ordering::Relaxed);
                    return Some(answer);
                }
                Err(_) if self.heard() > heard && asked.elapsed() < APPEND_DEADLINE => {}
                Err(_) => return None,
            }
        }
    }
}

impl EventStore {
    /// Appends all events, or none, when the stream stands where it is expected.
    ///
    /// While there is no answer, or no node that takes appends, it asks again for five seconds: longer than a cluster takes
    /// to elect a leader. An answer that was lost is asked for again with the same event ids: the server then says what it
    /// said the first time, so the caller rarely sees an unknown outcome.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when somebody else wrote; [`AppendError::Unknown`] when no answer came at all.
    pub async fn append(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.append_encoded(stream, expected, encode(events)?).await
    }

    pub(super) async fn append_encoded(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<EventData>,
    ) -> Result<Appended, AppendError> {
        if let Err(EventStoreError::Unavailable(why)) = self.may_be_used().await {
            return Err(AppendError::Unknown(why));
        }
        let state = state(expected);
        let mut patience = Patience::begin();
        let mut ended_sessions = 0;
        loop {
            let attempt = pin!(self.try_append(stream, state, events.clone(), patience.silence()));
            let Some(answer) = self.unless_given_up(&patience, attempt).await else { continue };
            match answer {
                Ok(appended) => {
                    self.shared.breaker.has_answered();
                    return Ok(appended);
                }
                Err(FailedAppend::Refused(error)) => {
                    self.shared.breaker.has_answered();
                    return Err(error);
                }
                // Somebody else's append was refused; ours is asked for again at once.
                Err(FailedAppend::SessionEnded(error)) => {
                    ended_sessions += 1;
                    if ended_sessions == MAX_ENDED_SESSIONS {
                        return Err(AppendError::Unknown(error));
                    }
                }
                Err(FailedAppend::ConnectionLost { generation, lost, error }) => {
                    patience.has_met(&lost);
                    self.discard(generation, lost, &error);
                    if !patience.is_left().await {
                        self.gives_up(&error);
                        return Err(AppendError::Unknown(error));
                    }
                }
            }
        }
    }

    async fn try_append(
        &self,
        stream: &str,
        state: StreamState,
        events: Vec<EventData>,
        silence: Duration,
    ) -> Result<Appended, FailedAppend> {
        let (generation, session) = self.append_session(silence).await?;
        let append = session.client.append_to_stream(stream, state, events);
        let error = match session.answer(append, silence).await {
            None => {
                self.end_append_session(&session);
                return Err(FailedAppend::silent(generation));
            }
            Some(Ok(result)) => {
                return match (result.current_revision(), result.current_position()) {
                    (Some(revision), Some(position)) => {
                        self.shared.log.saw(Position::new(position.commit));
                        Ok(Appended { revision, position: Position::new(position.commit) })
                    }
                    // A repetition of an append whose events are hidden by now.
                    _ => Err(FailedAppend::Refused(AppendError::Unknown(
                        "the answer has no revision and position".to_owned(),
                    ))),
                };
            }
            Some(Err(error)) => error,
        };
        // A session ends with its first refused item, for everybody who shares it.
        self.end_append_session(&session);
        Err(match error {
            Error::WrongExpectedVersion { .. } => FailedAppend::Refused(AppendError::Conflict),
            Error::Grpc { code, .. } if is_conflict_of_a_batch(code as i32) => {
                FailedAppend::Refused(AppendError::Conflict)
            }
            Error::AccessDenied => FailedAppend::Refused(AppendError::AccessDenied),
            Error::Grpc { code, .. } if is_denied_in_a_batch(code as i32) => {
                FailedAppend::Refused(AppendError::AccessDenied)
            }
            // Nothing was written, and it may go at a later time.
            Error::Grpc { code, message } if is_exhausted(code as i32) => {
                FailedAppend::Refused(AppendError::Unknown(message))
            }
            Error::Grpc { code, message } if is_invalid_argument(code as i32) => {
                FailedAppend::Refused(AppendError::Refused(message))
            }
            Error::ResourceDeleted | Error::UnsupportedFeature => {
                FailedAppend::Refused(AppendError::Refused(error.to_string()))
            }
            Error::ServerError(error) if error.contains(SESSION_CLOSED) => FailedAppend::SessionEnded(error),
            other => FailedAppend::lost(generation, &other),
        })
    }

    async fn append_session(&self, silence: Duration) -> Result<(u64, Arc<AppendSession>), FailedAppend> {
        if let Some(trouble) = self.shared.log.trouble() {
            return Err(FailedAppend::Refused(AppendError::Unknown(trouble)));
        }
        if let Some(session) = self.current_session() {
            return Ok(session);
        }
        let failed =
            |generation, error| FailedAppend::ConnectionLost { generation, lost: Lost::Failed, error };
        let asked = self.shared.lock().generation;
        let _opening = self.shared.opening_session.lock().await;
        if let Some(session) = self.current_session() {
            return Ok(session);
        }
        let (generation, client) = self.client().map_err(|(generation, error)| failed(generation, error))?;
        if generation != asked {
            // Somebody else has just found out that there is none: not everybody who waits has to, one after the other.
            return Err(failed(asked, self.shared.lock().failure.clone()));
        }
        let options = BatchAppendOptions::default();
        let opened = Instant::now();
        let session = match timeout(silence, client.batch_append(&options)).await {
            Err(_) => return Err(FailedAppend::silent(generation)),
            Ok(Err(error)) => return Err(FailedAppend::lost(generation, &error)),
            Ok(Ok(session)) => Arc::new(AppendSession::new(session)),
        };
        self.has_answered(generation, opened.elapsed());
        // A session is of one store for as long as it lasts, and this one may be of another store than the last one was.
        match timeout(silence, self.clone().looks_whose_log_it_is()).await {
            Err(_) => return Err(FailedAppend::silent(generation)),
            Ok(Err(NotTheSame::Away(error))) => return Err(failed(generation, error.to_string())),
            Ok(Err(other)) => {
                let why = match other.why() {
                    EventStoreError::Unavailable(why) => why,
                    error => error.to_string(),
                };
                return Err(FailedAppend::Refused(AppendError::Unknown(why)));
            }
            Ok(Ok(())) => {}
        }
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            connection.appends = Some(Arc::clone(&session));
        }
        Ok((generation, session))
    }

    fn current_session(&self) -> Option<(u64, Arc<AppendSession>)> {
        let connection = self.shared.lock();
        connection.appends.as_ref().map(|session| (connection.generation, Arc::clone(session)))
    }

    fn end_append_session(&self, ended: &Arc<AppendSession>) {
        let mut connection = self.shared.lock();
        if connection.appends.as_ref().is_some_and(|current| Arc::ptr_eq(current, ended)) {
            connection.appends = None;
        }
    }
}

pub(super) fn state(expected: ExpectedRevision) -> StreamState {
    match expected {
        ExpectedRevision::NoStream => StreamState::NoStream,
        ExpectedRevision::Exact(revision) => StreamState::StreamRevision(revision),
    }
}

fn encode(events: Vec<NewEvent>) -> Result<Vec<EventData>, AppendError> {
    let mut bytes = 0;
    let encoded = events
        .into_iter()
        .map(|event| {
            bytes += event.data.len() + event.metadata.len();
            // The payload is JSON already: parse nothing, only say so.
            let payload: &serde_json::value::RawValue = serde_json::from_slice(&event.data)
                .map_err(|error| AppendError::Refused(format!("the payload is not JSON: {error}")))?;
            let data = EventData::json(event.event_type, &payload)
                .map_err(|error| AppendError::Refused(format!("the payload is not JSON: {error}")))?;
            Ok(data.id(event.id).metadata(event.metadata.into()))
        })
        .collect::<Result<Vec<_>, AppendError>>()?;
    if bytes > MAX_APPEND_BYTES {
        return Err(AppendError::TooLarge { bytes, max: MAX_APPEND_BYTES });
    }
    Ok(encoded)
}
