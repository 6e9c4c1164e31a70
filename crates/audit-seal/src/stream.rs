//! Where a stream of facts stands, and whether the event that comes next is one that a shop has written there.
//!
//! The one place with this rule: the verifier, the sealer and whoever decides commands from a stream ask here.

use crate::Digest;
use crate::chain::{self, Linked, START, is_as_written};
use crate::verify::Found;
use crate::{VERIFICATIONS_STREAM, is_fact, is_of_seals, is_or_succeeds, is_sealed};
use serde_json::Value;
use std::fmt;

/// The event that closes a stream for good.
const TOMBSTONE_TYPE: &str = "$streamDeleted";
/// The metadata of a stream `x`, in the stream `$$x`.
const METADATA_TYPE: &str = "$metadata";
/// Settings that cut events off: those before a revision, all but the newest, and those beyond an age.
const TRUNCATE_BEFORE: &str = "$tb";
const MAX_COUNT: &str = "$maxCount";
const MAX_AGE: &str = "$maxAge";
/// With all events before this revision cut off, a stream counts as deleted.
const ALL_EVENTS: u64 = i64::MAX as u64;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The revision of the event that comes next.
    pub next_revision: u64,
    /// The link of the last event: its own, or for one from before there were links the one that it would have. None if
    /// nobody knows it: then the next event's own link is believed.
    pub link: Option<Digest>,
    /// An event in it has a link of its own: then all later ones must.
    pub is_linked: bool,
}

/// Why an event is not one that a shop has written at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not the event that was written: its content, its name, its place or its link.
    Changed,
    /// Events before it are missing, from this revision on.
    Dropped {
        /// The first revision that is missing.
        revision: u64,
    },
    /// Its revision comes twice.
    Added,
    /// It has no link, and must have one.
    Unlinked,
    /// The event store itself wrote it: a link, or the metadata of a stream.
    Foreign,
    /// It deletes its stream, for good or until somebody writes to it again.
    Deleted,
    /// It hides events of its stream from those who read the stream.
    Hidden,
    /// It is none of those that the service writes into this stream of its own.
    Strange,
}

/// What there is to say of an event that came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The link that counts: what later events are chained to.
    pub link: Digest,
    /// The fault of its revision, if it has one.
    pub misplaced: Option<Fault>,
    /// It is not the event that was written.
    pub is_changed: bool,
    /// It has no link, and must have one.
    pub is_unlinked: bool,
}

impl Chain {
    /// A stream without events.
    pub const EMPTY: Self = Self { next_revision: 0, link: Some(START), is_linked: false };

    /// A stream of which nobody can say what stands before this revision.
    #[must_use]
    pub fn unknown_before(revision: u64) -> Self {
        Self { next_revision: revision, link: None, is_linked: false }
    }

    /// The stream after an event of which only that event is known; none if it has no link of its own, for then all
    /// events before it count.
    #[must_use]
    pub fn after(found: &Found<'_>) -> Option<Self> {
        let link = chain::split(found.metadata).1?;
        Some(Self { next_revision: found.revision.saturating_add(1), link: Some(link), is_linked: true })
    }

    /// The link that an event should have here, and the one that it has, if it has one.
    pub(crate) fn link(&self, found: &Found<'_>) -> (Digest, Option<Digest>) {
        let (metadata, stored) = chain::split(found.metadata);
        let computed = || {
            let linked = Linked {
                stream: found.stream,
                revision: found.revision,
                id: found.id,
                event_type: found.event_type,
                data: found.data,
                metadata,
            };
            chain::link(&self.link.unwrap_or(START), &linked)
        };
        match (self.link, stored) {
            (None, Some(stored)) => (stored, Some(stored)),
            (Some(_), _) | (None, None) => (computed(), stored),
        }
    }

    /// Goes on to the next event, whatever is wrong with it, and says what is. Where something is wrong it is told of
    /// this event: later ones are held against the link that stands there. An event `must_be_linked` wherever its
    /// stream is when a seal stands before it in the log.
    pub fn take(&mut self, found: &Found<'_>, must_be_linked: bool) -> Taken {
        let (computed, stored) = self.link(found);
        let misplaced = if found.revision > self.next_revision {
            Some(Fault::Dropped { revision: self.next_revision })
        } else if found.revision < self.next_revision {
            Some(Fault::Added)
        } else {
            None
        };
        let has_other_link = misplaced.is_none() && stored.is_some_and(|stored| stored != computed);
        let is_changed = has_other_link || !is_as_written(found.metadata);
        let is_unlinked = stored.is_none() && (self.is_linked || must_be_linked) && !is_changed;
        let link = stored.unwrap_or(computed);
        *self = Self {
            next_revision: found.revision.saturating_add(1),
            link: Some(link),
            is_linked: self.is_linked || (stored.is_some() && !is_changed),
        };
        Taken { link, misplaced, is_changed, is_unlinked }
    }
}

impl Taken {
    /// The first thing that is wrong with the event.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let changed = self.is_changed.then_some(Fault::Changed);
        self.misplaced.or(changed).or(self.is_unlinked.then_some(Fault::Unlinked))
    }
}

impl Fault {
    /// Its name in figures.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Dropped { .. } => "dropped",
            Self::Added => "added",
            Self::Unlinked => "unlinked",
            Self::Foreign => "foreign",
            Self::Deleted => "deleted",
            Self::Hidden => "hidden",
            Self::Strange => "strange",
        }
    }

    /// What is wrong with an event that the event store wrote itself; nothing if it is not about facts, seals or
    /// verifications.
    #[must_use]
    pub fn of_stores_own(found: &Found<'_>) -> Option<Self> {
        let about = found.stream.strip_prefix("$$");
        let stream = about.unwrap_or(found.stream);
        let is_ours = is_of_seals(stream) || is_or_succeeds(stream, VERIFICATIONS_STREAM);
        if !is_sealed(stream) && !is_ours {
            return None;
        }
        match (found.event_type, about) {
            (TOMBSTONE_TYPE, None) => Some(Self::Deleted),
            // Who may read or write a stream of the service's own is the operator's to say.
            (METADATA_TYPE, Some(_)) => hides(found.data).or(is_sealed(stream).then_some(Self::Foreign)),
            _ => Some(Self::Foreign),
        }
    }

    /// What is wrong with an event of a stream of facts that the event store wrote itself.
    #[must_use]
    pub fn of_type(found: &Found<'_>) -> Option<Self> {
        (!is_fact(found.stream, found.event_type)).then_some(Self::Foreign)
    }
}

/// Whether the metadata of a stream deletes it until somebody writes to it again, or cuts events off.
fn hides(settings: &[u8]) -> Option<Fault> {
    let settings: Value = serde_json::from_slice(settings).ok()?;
    let of = |name: &str| settings.get(name).filter(|value| !value.is_null());
    if of(TRUNCATE_BEFORE).and_then(Value::as_u64) == Some(ALL_EVENTS) {
        return Some(Fault::Deleted);
    }
    let hides = [TRUNCATE_BEFORE, MAX_COUNT, MAX_AGE].into_iter().any(|name| of(name).is_some());
    hides.then_some(Fault::Hidden)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("it is not the event that was written"),
            Self::Dropped { revision } => write!(f, "event {revision} of the stream is missing before it"),
            Self::Added => f.write_str("its revision comes twice"),
            Self::Unlinked => f.write_str("it has no link, so no shop has written it"),
            Self::Foreign => f.write_str("the event store wrote it, and not a shop"),
            Self::Deleted => f.write_str("it deletes the stream"),
            Self::Hidden => f.write_str("it hides events of the stream from those who read it"),
            Self::Strange => {
                f.write_str("it is none of those that the service writes into this stream of its own")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// An event with a link after the one before it.
    fn metadata(chain: &Chain, revision: u64) -> Vec<u8> {
        let open = br#"{"actor":"shopper""#;
        let link = chain.link(&found(revision, open)).0;
        chain::with_link([&open[..], b"}"].concat(), &link)
    }

    fn found(revision: u64, metadata: &[u8]) -> Found<'_> {
        Found {
            stream: "cart-1",
            revision,
            position: 0,
            id: Uuid::from_u128(revision.into()),
            event_type: "cart.item_added.v1",
            data: b"{}",
            metadata,
        }
    }

    #[test]
    fn a_stream_goes_from_unlinked_to_linked_and_not_back() {
        let mut chain = Chain::EMPTY;
        let plain = br#"{"actor":"shopper"}"#;
        assert_eq!(chain.take(&found(0, plain), false).fault(), None);
        let linked = metadata(&chain, 1);
        assert_eq!(chain.take(&found(1, &linked), true).fault(), None);
        assert_eq!(chain.take(&found(2, plain), false).fault(), Some(Fault::Unlinked));
        // What comes after it is linked to it all the same.
        let linked = metadata(&chain, 3);
        assert_eq!(chain.take(&found(3, &linked), true).fault(), None);
    }

    #[test]
    fn behind_a_seal_not_even_a_streams_first_event_may_be_without_a_link() {
        let plain = br#"{"actor":"shopper"}"#;
        for metadata in [&plain[..], b""] {
            let mut chain = Chain::EMPTY;
            assert_eq!(chain.take(&found(0, metadata), true).fault(), Some(Fault::Unlinked));
        }
    }

    #[test]
    fn what_is_missing_or_altered_is_told() {
        let mut chain = Chain::EMPTY;
        let first = metadata(&chain, 0);
        chain.take(&found(0, &first), false);
        let next = metadata(&chain, 1);
        let mut gap = chain;
        assert_eq!(gap.take(&found(2, &next), false).fault(), Some(Fault::Dropped { revision: 1 }));
        let mut altered = chain;
        let other = Found { data: b"[]", ..found(1, &next) };
        assert_eq!(altered.take(&other, false).fault(), Some(Fault::Changed));
        assert_eq!(chain.take(&found(0, &first), false).fault(), Some(Fault::Added));
    }

    #[test]
    fn what_the_event_store_is_told_about_our_streams_has_a_name() {
        let fault = |stream, event_type, data: &'static [u8]| {
            Fault::of_stores_own(&Found { stream, event_type, data, ..found(0, b"") })
        };
        let deleted: &[u8] = br#"{"$tb":9223372036854775807}"#;
        for (stream, event_type, data, expected) in [
            ("inventory-A", "$streamDeleted", &b""[..], Some(Fault::Deleted)),
            ("$$inventory-A", "$metadata", deleted, Some(Fault::Deleted)),
            ("$$inventory-A", "$metadata", br#"{"$tb":3}"#, Some(Fault::Hidden)),
            ("$$cart-1", "$metadata", br#"{"$maxCount":10,"$acl":{}}"#, Some(Fault::Hidden)),
            ("$$cart-1", "$metadata", br#"{"$maxAge":10}"#, Some(Fault::Hidden)),
            ("$$cart-1", "$metadata", br#"{"$acl":{"$r":"$admins"}}"#, Some(Fault::Foreign)),
            ("$$cart-1", "$metadata", b"?", Some(Fault::Foreign)),
            ("cart-1", "$>", b"0@order-1", Some(Fault::Foreign)),
            ("audit-seals", "$streamDeleted", b"", Some(Fault::Deleted)),
            ("$$audit-seals-2", "$metadata", br#"{"$tb":3}"#, Some(Fault::Hidden)),
            ("$$audit-verifications", "$metadata", br#"{"$acl":{}}"#, None),
            ("$$snapshot-inventory-A", "$metadata", br#"{"$tb":3}"#, None),
            ("$$process-order_fulfilment", "$metadata", br#"{"$maxCount":9}"#, None),
            ("$stats-127.0.0.1:2113", "$statsCollected", b"{}", None),
            ("notes-1", "$streamDeleted", b"", None),
        ] {
            assert_eq!(fault(stream, event_type, data), expected, "{stream} {event_type}");
        }
    }

    #[test]
    fn where_nothing_is_known_the_next_link_is_believed_and_those_after_it_are_not() {
        let mut known = Chain::EMPTY;
        let first = metadata(&known, 0);
        known.take(&found(0, &first), false);
        let second = metadata(&known, 1);
        let mut chain = Chain::unknown_before(0);
        assert_eq!(chain.take(&found(0, &first), true).fault(), None);
        assert_eq!(Chain::after(&found(0, &first)), Some(chain));
        let other = Found { data: b"[]", ..found(1, &second) };
        assert_eq!(chain.take(&other, true).fault(), Some(Fault::Changed));
        assert_eq!(Chain::after(&found(0, b"{}")), None);
    }
}
