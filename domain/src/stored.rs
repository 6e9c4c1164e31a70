//! How events stand on disk: a type name that only grows (`category.fact.vN`) and a JSON payload.
//!
//! A type name, once written, is read for ever: an optional new field gets a default, an incompatible change
//! gets a new version, and the old one is upcast in its aggregate's `stored.rs`. Golden files in
//! `domain/tests/golden` hold one payload of each version and are never edited.

use thiserror::Error;

/// The name on disk of a marker that stands in any aggregate's stream: a command with an idempotency key was answered and
/// changed nothing. Who asked what stands in its metadata; for the aggregate nothing has happened, and whoever folds a
/// stream passes it over. Its payload is an empty object.
pub const COMMAND_NOTED: &str = "command.noted.v1";

/// An event that can be written to and read from the log.
pub trait StoredEvent: Sized {
    /// The name on disk.
    fn type_name(&self) -> &'static str;

    /// The payload: JSON.
    fn payload(&self) -> Vec<u8>;

    /// Reads an event of this kind.
    ///
    /// # Errors
    /// When the type name is not known here or the payload does not have its shape.
    fn read(type_name: &str, payload: &[u8]) -> Result<Self, UnreadableEvent>;
}

/// Bytes in the log that this program cannot read. Whoever meets them must stop rather than skip them.
#[derive(Debug, Error)]
pub enum UnreadableEvent {
    /// No event of that name is known: perhaps a newer program wrote it.
    #[error("the event type `{0}` is not known: run a version of Emporium that knows it")]
    UnknownType(String),
    /// The payload does not have the shape that its type name promises.
    #[error("the payload of a `{type_name}` event cannot be read")]
    Payload {
        /// The event's type name.
        type_name: String,
        /// What is wrong with the JSON.
        #[source]
        source: serde_json::Error,
    },
}

/// Writes the mapping between an event enum and its names on disk, both ways, from one table.
macro_rules! stored_events {
    ($event:ident { $($name:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::stored::StoredEvent for $event {
            fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            fn payload(&self) -> Vec<u8> {
                let payload = match self {
                    $(Self::$variant(payload) => serde_json::to_vec(payload),)+
                };
                payload.expect("our payloads have only string keys and finite numbers")
            }

            fn read(type_name: &str, payload: &[u8]) -> Result<Self, $crate::stored::UnreadableEvent> {
                let event = match type_name {
                    $($name => serde_json::from_slice(payload).map(Self::$variant),)+
                    _ => return Err($crate::stored::UnreadableEvent::UnknownType(type_name.to_owned())),
                };
                event.map_err(|source| $crate::stored::UnreadableEvent::Payload {
                    type_name: type_name.to_owned(),
                    source,
                })
            }
        }

        impl $event {
            /// Every type name of this aggregate that was ever written.
            pub const TYPE_NAMES: &'static [&'static str] = &[$($name),+];
        }
    };
}
pub(crate) use stored_events;
