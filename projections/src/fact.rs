//! An event of the log as a projection sees it: read, typed, and with what every read model asks of its metadata.

use chrono::{DateTime, Utc};
use domain::stored::UnreadableEvent;
use domain::{Aggregate, Event};
use event_store::{Position, RecordedEvent};
use serde::Deserialize;
use thiserror::Error;
use uuid::Uuid;

macro_rules! subjects {
    ($($name:ident => $aggregate:ty),+ $(,)?) => {
        /// What happened, and to whom.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Subject {
            $($name(<$aggregate as Aggregate>::Id, <$aggregate as Aggregate>::Event),)+
            /// Of any of them, unread: for those who ask only what it is called and whose it is.
            Any(AnyEvent),
        }

        impl Subject {
            /// The name of the stream that it is in.
            fn stream(&self) -> String {
                match self {
                    $(Self::$name(id, _) => <$aggregate>::stream(id),)+
                    Self::Any(event) => event.stream.clone(),
                }
            }

            fn read(recorded: &RecordedEvent) -> Result<Self, UnreadableCause> {
                Ok(match Event::read(&recorded.event_type, &recorded.data)? {
                    $(Event::$name(event) => {
                        let id = <$aggregate>::id_of(&recorded.stream).ok_or(UnreadableCause::StreamName)?;
                        Self::$name(id, event)
                    })+
                })
            }
        }
    };
}

domain::with_aggregates!(subjects);

/// An event whose payload was not looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyEvent {
    pub stream: String,
    /// None where the metadata is not ours.
    pub correlation_id: Option<Uuid>,
}

impl AnyEvent {
    /// All before the first `-` of its stream's name.
    #[must_use]
    pub fn category(&self) -> &str {
        self.stream.split_once('-').map_or(self.stream.as_str(), |(category, _)| category)
    }
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    pub subject: Subject,
    pub event_type: String,
    pub revision: i64,
    pub position: i64,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
    pub actor: String,
}

/// An event that a projection wants and cannot read. It stops the projection: to skip it would be a wrong figure
/// that nobody sees.
#[derive(Debug, Error)]
#[error(
    "the event {revision} of the stream `{stream}` at position {position} cannot be read: \
     run a version of Emporium that knows it"
)]
pub struct UnreadableFact {
    pub stream: String,
    pub revision: u64,
    pub position: Position,
    #[source]
    pub cause: UnreadableCause,
}

/// What is wrong with it.
#[derive(Debug, Error)]
pub enum UnreadableCause {
    #[error(transparent)]
    Event(#[from] UnreadableEvent),
    #[error("its metadata is not ours")]
    Metadata(#[source] serde_json::Error),
    #[error("its stream is not named after the id of its aggregate")]
    StreamName,
    #[error("its numbers are larger than Postgres can store")]
    TooLarge,
}

/// The part of the metadata that the audit trail asks for.
#[derive(Deserialize)]
struct WhoWhenAndWhy {
    actor: String,
    occurred_at: DateTime<Utc>,
    #[serde(rename = "$correlationId")]
    correlation_id: Uuid,
}

/// The part of the metadata that read models show.
#[derive(Deserialize)]
struct WhoAndWhen {
    actor: String,
    occurred_at: DateTime<Utc>,
}

impl Fact {
    /// The name of the stream that it is in.
    #[must_use]
    pub fn stream(&self) -> String {
        self.subject.stream()
    }

    /// Reads an event of ours.
    ///
    /// # Errors
    /// When the payload, the metadata or the stream's name is not as this program knows it.
    pub fn read(recorded: &RecordedEvent) -> Result<Self, UnreadableFact> {
        read(recorded).map_err(|cause| unreadable(recorded, cause))
    }

    /// Takes any event as it is, without its payload. One whose metadata is not ours was done by nobody that we know,
    /// when the store took it.
    ///
    /// # Errors
    /// When its numbers are larger than Postgres can store.
    pub fn read_any(recorded: &RecordedEvent) -> Result<Self, UnreadableFact> {
        let place = place(recorded).map_err(|cause| unreadable(recorded, cause))?;
        let metadata = serde_json::from_slice::<WhoWhenAndWhy>(&recorded.metadata).ok();
        let (actor, occurred_at, correlation_id) = match metadata {
            Some(known) => (known.actor, known.occurred_at, Some(known.correlation_id)),
            None => (String::new(), recorded.recorded_at, None),
        };
        let stream = recorded.stream.clone();
        Ok(Self {
            subject: Subject::Any(AnyEvent { stream, correlation_id }),
            event_type: recorded.event_type.clone(),
            revision: place.0,
            position: place.1,
            occurred_at,
            actor,
        })
    }
}

fn unreadable(recorded: &RecordedEvent, cause: UnreadableCause) -> UnreadableFact {
    UnreadableFact {
        stream: recorded.stream.clone(),
        revision: recorded.revision,
        position: recorded.position,
        cause,
    }
}

/// Its revision and its position.
fn place(recorded: &RecordedEvent) -> Result<(i64, i64), UnreadableCause> {
    let revision = i64::try_from(recorded.revision).map_err(|_| UnreadableCause::TooLarge)?;
    Ok((revision, stored_position(recorded.position).ok_or(UnreadableCause::TooLarge)?))
}

fn read(recorded: &RecordedEvent) -> Result<Fact, UnreadableCause> {
    let WhoAndWhen { actor, occurred_at } =
        serde_json::from_slice(&recorded.metadata).map_err(UnreadableCause::Metadata)?;
    let (revision, position) = place(recorded)?;
    let subject = Subject::read(recorded)?;
    Ok(Fact { subject, event_type: recorded.event_type.clone(), revision, position, occurred_at, actor })
}

/// A position as Postgres stores it.
#[must_use]
pub fn stored_position(position: Position) -> Option<i64> {
    i64::try_from(position.value()).ok()
}
