//! Appending, through one batch session that all appends share.

use super::translate::{is_conflict_of_a_batch, is_denied_in_a_batch, is_invalid_argument};
use super::{ATTEMPTS, EventStore, backoff, pause};
use crate::{AppendError, Appended, ExpectedRevision, MAX_APPEND_BYTES, NewEvent, Position};
use eventstore::{BatchAppendClient, BatchAppendOptions, Error, EventData, StreamState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an append may take before its outcome counts as unknown.
const APPEND_DEADLINE: Duration = Duration::from_secs(10);

/// Sessions that may end under one append before the caller hears of it.
const MAX_ENDED_SESSIONS: usize = 100;

/// Why one attempt did not bring an answer.
enum FailedAppend {
    /// It did: no.
    Refused(AppendError),
    /// The session ended, perhaps because of somebody else's refused item. The connection is well.
    SessionEnded(String),
    /// The connection is not well.
    ConnectionLost { generation: u64, error: String },
}

impl EventStore {
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
        self.append_encoded(stream, expected, encode(events)?).await
    }

    pub(super) async fn append_encoded(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<EventData>,
    ) -> Result<Appended, AppendError> {
        let state = state(expected);
        let mut delays = backoff();
        let (mut ended_sessions, mut lost_connections) = (0, 0);
        loop {
            match self.try_append(stream, state, events.clone()).await {
                Ok(appended) => return Ok(appended),
                Err(FailedAppend::Refused(error)) => return Err(error),
                // Somebody else's append was refused; ours is asked for again at once.
                Err(FailedAppend::SessionEnded(error)) => {
                    ended_sessions += 1;
                    if ended_sessions == MAX_ENDED_SESSIONS {
                        return Err(AppendError::Unknown(error));
                    }
                }
                Err(FailedAppend::ConnectionLost { generation, error }) => {
                    self.discard(generation);
                    lost_connections += 1;
                    if lost_connections == ATTEMPTS {
                        return Err(AppendError::Unknown(error));
                    }
                    pause(&mut delays).await;
                }
            }
        }
    }

    async fn try_append(
        &self,
        stream: &str,
        state: StreamState,
        events: Vec<EventData>,
    ) -> Result<Appended, FailedAppend> {
        let (generation, session) = self.append_session().await?;
        let lost = |error: String| FailedAppend::ConnectionLost { generation, error };
        let answer =
            tokio::time::timeout(APPEND_DEADLINE, session.append_to_stream(stream, state, events)).await;
        let error = match answer {
            Err(_) => {
                self.end_append_session(&session);
                return Err(lost("no answer in time".to_owned()));
            }
            Ok(Ok(result)) => {
                return match (result.current_revision(), result.current_position()) {
                    (Some(revision), Some(position)) => {
                        self.shared.log.saw(Position::new(position.commit));
                        Ok(Appended { revision, position: Position::new(position.commit) })
                    }
                    _ => Err(lost("the answer has no revision and position".to_owned())),
                };
            }
            Ok(Err(error)) => error,
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
            Error::Grpc { code, message } if is_invalid_argument(code as i32) => {
                FailedAppend::Refused(AppendError::Refused(message))
            }
            Error::ResourceDeleted | Error::UnsupportedFeature => {
                FailedAppend::Refused(AppendError::Refused(error.to_string()))
            }
            // The client's own word for a session that has ended.
            Error::ServerError(error) => FailedAppend::SessionEnded(error),
            other => lost(other.to_string()),
        })
    }

    async fn append_session(&self) -> Result<(u64, Arc<BatchAppendClient>), FailedAppend> {
        let lost = |(generation, error)| FailedAppend::ConnectionLost { generation, error };
        if let Some(trouble) = self.shared.log.trouble() {
            return Err(FailedAppend::Refused(AppendError::Unknown(trouble)));
        }
        if let Some(session) = self.current_session() {
            return Ok(session);
        }
        let _opening = self.shared.opening_session.lock().await;
        if let Some(session) = self.current_session() {
            return Ok(session);
        }
        let (generation, client) = self.client().map_err(lost)?;
        let asked = Instant::now();
        let session = client.batch_append(&BatchAppendOptions::default()).await;
        let session = Arc::new(session.map_err(|error| lost((generation, error.to_string())))?);
        self.has_answered(generation, asked.elapsed());
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            connection.appends = Some(Arc::clone(&session));
        }
        Ok((generation, session))
    }

    fn current_session(&self) -> Option<(u64, Arc<BatchAppendClient>)> {
        let connection = self.shared.lock();
        connection.appends.as_ref().map(|session| (connection.generation, Arc::clone(session)))
    }

    fn end_append_session(&self, ended: &Arc<BatchAppendClient>) {
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
