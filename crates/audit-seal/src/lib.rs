//! Proof that a history of events was not altered after it was written.
//!
//! Every event carries the link of a chain over its stream (`chain`): a digest of the event and of the link before it.
//! Whoever changes an event has to change all later links of its stream. The links of all streams, in the order of
//! the log, are the leaves of a Merkle tree (`merkle`); now and then its root is signed and appended to the log as a
//! seal (`seal`). Whoever has the public key can tell from the events alone whether they are the ones that were
//! sealed (`verify`), and that a single event is among them (`prove`).
//!
//! What this cannot prove is in `docs/audit.md`: above all, that events were true when they were written, and that
//! nothing was cut off after the last seal that somebody keeps elsewhere.
//!
//! Nothing here does I/O.

pub mod chain;
pub mod key;
pub mod merkle;
mod pending;
pub mod prove;
pub mod seal;
pub mod stream;
pub mod verification;
pub mod verify;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The stream that seals are appended to.
pub const SEALS_STREAM: &str = "audit-seals";
/// The stream that says how far the log was verified.
pub const VERIFICATIONS_STREAM: &str = "audit-verifications";
/// The event type of what came of a verification.
pub const VERIFIED_TYPE: &str = "audit.verified.v1";
/// The event type of a seal.
pub const SEAL_TYPE: &str = "audit.sealed.v1";

/// Whether seals are appended to this stream: the one above, or the successor of one that somebody has deleted. The chain
/// of seals goes on over them.
#[must_use]
pub fn is_of_seals(stream: &str) -> bool {
    is_or_succeeds(stream, SEALS_STREAM)
}

/// Whether a stream is this one of a process's own, or the successor of it that is used once somebody has deleted it: for
/// `audit-seals` that is `audit-seals-2` and so on.
#[must_use]
pub fn is_or_succeeds(stream: &str, own: &str) -> bool {
    let Some(rest) = stream.strip_prefix(own) else { return false };
    let number = rest.strip_prefix('-').and_then(|number| number.parse::<u32>().ok());
    rest.is_empty() || number.is_some_and(|number| number > 1 && rest == format!("-{number}"))
}

/// Whether a stream's events are chained and sealed: those of every aggregate in the domain's table, the facts of the shop.
/// Snapshots and checkpoints follow from them, are replaced and cut off, and may be lost; and whatever else is in the event
/// store is somebody else's.
#[must_use]
pub fn is_sealed(stream: &str) -> bool {
    stream.split_once('-').is_some_and(|(category, _)| domain::CATEGORIES.contains(&category))
}

/// Whether a stream holds the metadata of a stream of facts, which can delete it or hide a part of it. The facts stay in
/// the log then, and readers of the stream miss them; no shop does that to facts.
#[must_use]
pub fn is_about_facts(stream: &str) -> bool {
    stream.strip_prefix("$$").is_some_and(is_sealed)
}

/// Whether an event is a leaf of the tree: one of a sealed stream, and not one that the event store writes itself.
#[must_use]
pub fn is_fact(stream: &str, event_type: &str) -> bool {
    is_sealed(stream) && !event_type.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_are_in_one_stream_and_its_successors() {
        for stream in ["audit-seals", "audit-seals-2", "audit-seals-10"] {
            assert!(is_of_seals(stream), "{stream}");
        }
        for stream in
            ["audit-seals-", "audit-seals-1", "audit-seals-02", "audit-seals-x", "audit-seals2", "audit"]
        {
            assert!(!is_of_seals(stream), "{stream}");
        }
    }
}
