//! The chain over one stream.
//!
//! An event's metadata ends with `,"chain":"<64 hex digits>"}`. The link is
//!
//! ```text
//! SHA-256( "emporium.chain.v1" | link of the event before (32 zero bytes for the first)
//!        | revision (u64, big endian) | event id (16 bytes)
//!        | len stream | stream | len type | type | len data | data | len metadata | metadata )
//! ```
//!
//! with lengths as u64, big endian, and the metadata up to `,"chain":`. An event from before there were chains has no
//! link of its own; its digest, over all of its metadata, counts in the next one's all the same.
//!
//! With and without a link, metadata is digested alike. So that nobody can cut a link off or put one on unseen, only one
//! of the two may stand in a log ([`is_as_written`]).

use crate::Digest;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const DOMAIN: &[u8] = b"emporium.chain.v1";
const KEY: &[u8] = b",\"chain\":\"";
const END: &[u8] = b"\"}";
const HEX: usize = 64;

/// The link before a stream's first event.
pub const START: Digest = [0; 32];

/// What a link says of an event.
#[derive(Debug, Clone, Copy)]
pub struct Linked<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// Its number in the stream.
    pub revision: u64,
    /// Its identity.
    pub id: Uuid,
    /// Its name on disk.
    pub event_type: &'a str,
    /// The payload.
    pub data: &'a [u8],
    /// The metadata without the link.
    pub metadata: &'a [u8],
}

/// The link of an event that follows `previous`.
#[must_use]
pub fn link(previous: &Digest, event: &Linked<'_>) -> Digest {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(previous);
    hash.update(event.revision.to_be_bytes());
    hash.update(event.id.as_bytes());
    for part in [event.stream.as_bytes(), event.event_type.as_bytes(), event.data, event.metadata] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Metadata with a link in it.
///
/// The metadata must be a JSON object with at least one member, as ours always is; it stays as it is byte for byte.
#[must_use]
pub fn with_link(mut metadata: Vec<u8>, link: &Digest) -> Vec<u8> {
    if metadata.last() == Some(&b'}') {
        metadata.pop();
    }
    with_link_behind(metadata, link)
}

fn with_link_behind(mut metadata: Vec<u8>, link: &Digest) -> Vec<u8> {
    metadata.extend_from_slice(KEY);
    metadata.extend_from_slice(hex::encode(link).as_bytes());
    metadata.extend_from_slice(END);
    metadata
}

/// What the link is taken over: metadata that has no link yet, without its last brace.
#[must_use]
pub fn open(metadata: &[u8]) -> &[u8] {
    metadata.strip_suffix(b"}").unwrap_or(metadata)
}

/// Takes the metadata of a stored event apart: what the link was taken over, and the link, if it has one.
#[must_use]
pub fn split(metadata: &[u8]) -> (&[u8], Option<Digest>) {
    let without = || {
        let rest = metadata.strip_suffix(END)?;
        let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(HEX)?)?;
        // The digits have one way to be written, so that the bytes of a link have one, too.
        if digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut link = START;
        hex::decode_to_slice(digits, &mut link).ok()?;
        Some((rest.strip_suffix(KEY)?, link))
    };
    match without() {
        Some((before, link)) => (before, Some(link)),
        None => (metadata, None),
    }
}

/// Whether metadata stands as a shop writes it, and not as what is left when a link is cut off or put on.
///
/// `M` and `M,"chain":"…"}` have the same digest. The second is as it was written if it is one JSON object, and the
/// first only if the second would not be one: whatever `M` is, one of the two is a forgery.
#[must_use]
pub fn is_as_written(metadata: &[u8]) -> bool {
    match split(metadata) {
        (_, Some(_)) => is_object(metadata),
        (all, None) => !is_object(&with_link_behind(all.to_vec(), &START)),
    }
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    fn event<'a>(data: &'a [u8], metadata: &'a [u8]) -> Linked<'a> {
        Linked {
            stream: "cart-1",
            revision: 3,
            id: Uuid::from_u128(7),
            event_type: "cart.opened.v1",
            data,
            metadata,
        }
    }

    #[test]
    fn metadata_with_a_link_is_json_and_comes_apart_again() {
        let metadata = br#"{"actor":"shopper"}"#.to_vec();
        let link = link(&START, &event(b"{}", open(&metadata)));
        let stored = with_link(metadata.clone(), &link);
        let read: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!((&read["actor"], &read["chain"]), (&"shopper".into(), &hex::encode(link).into()));
        assert_eq!(split(&stored), (open(&metadata), Some(link)));
        assert_eq!(split(&metadata), (metadata.as_slice(), None));
    }

    #[rstest]
    #[case::of_a_shop(br#"{"actor":"shopper"}"#)]
    #[case::with_an_object_at_its_end(br#"{"a":{"b":1}}"#)]
    #[case::with_a_brace_in_a_text(br#"{"a":"}"}"#)]
    #[case::with_a_link_of_its_own(br#"{"a":1,"chain":"mine"}"#)]
    #[case::with_space(b" {\n\"a\" : [1, {}] }")]
    fn a_link_can_neither_be_cut_off_nor_put_on(#[case] metadata: &[u8]) {
        let linked = with_link(metadata.to_vec(), &[0xab; 32]);
        assert!(is_as_written(metadata) && is_as_written(&linked));
        let cut = split(&linked).0;
        assert!(!is_as_written(cut), "{}", String::from_utf8_lossy(cut));
        let put_on = with_link_behind(metadata.to_vec(), &[0xab; 32]);
        assert_eq!(split(&put_on), (metadata, Some([0xab; 32])));
        assert!(!is_as_written(&put_on), "{}", String::from_utf8_lossy(&put_on));
    }

    /// Events of others, from before there were chains, may have any.
    #[rstest]
    #[case::none(b"")]
    #[case::text(b"text")]
    #[case::an_empty_object(b"{}")]
    #[case::an_array(b"[1]")]
    #[case::bytes(b"\xff\x00{")]
    fn a_link_cannot_be_put_on_what_is_no_metadata_of_ours(#[case] metadata: &[u8]) {
        assert!(is_as_written(metadata));
        assert!(!is_as_written(&with_link_behind(metadata.to_vec(), &START)));
    }

    #[test]
    fn a_link_is_written_in_one_way() {
        let linked = with_link(br#"{"actor":"shopper"}"#.to_vec(), &[0xab; 32]);
        let text = String::from_utf8(linked).unwrap();
        let others = [
            text.replacen("abab", "ABAB", 1),
            text.replacen(":\"ab", ": \"ab", 1),
            text.replacen(",\"chain", ", \"chain", 1),
            format!("{text} "),
            text.replacen("\"chain", "\"Chain", 1),
        ];
        for other in others {
            assert_eq!(split(other.as_bytes()), (other.as_bytes(), None));
        }
    }

    /// Whoever verifies in ten years computes the same. The digest was computed from the format above by another program.
    #[test]
    fn a_link_stays_what_it_is() {
        let link = link(&START, &event(br#"{"currency":"GBP"}"#, br#"{"actor":"shopper""#));
        assert_eq!(hex::encode(link), "22c764998fa9a4a0ce6d626f52249bb25e541fd2706547f6681bb5e652d016d1");
    }

    proptest! {
        #[test]
        fn of_any_metadata_at_most_one_form_is_as_written(metadata in "[{}\\[\\]\":,a1 ]{0,12}") {
            let linked = with_link_behind(metadata.clone().into_bytes(), &START);
            prop_assert!(!(is_as_written(metadata.as_bytes()) && is_as_written(&linked)));
        }

        #[test]
        fn every_byte_of_every_part_counts(
            data in prop::collection::vec(any::<u8>(), 0..40),
            metadata in prop::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let base = link(&START, &event(&data, &metadata));
            // The same bytes with another border between them are another event.
            let mut all = data.clone();
            all.extend_from_slice(&metadata);
            let cut = at.index(all.len() + 1);
            if cut != data.len() {
                prop_assert_ne!(base, link(&START, &event(&all[..cut], &all[cut..])));
            }
            if !all.is_empty() {
                let changed = at.index(all.len());
                all[changed] ^= 1 << bit;
                prop_assert_ne!(base, link(&START, &event(&all[..data.len()], &all[data.len()..])));
            }
            prop_assert_ne!(base, link(&base, &event(&data, &metadata)));
            prop_assert_ne!(base, link(&START, &Linked { revision: 4, ..event(&data, &metadata) }));
            prop_assert_ne!(base, link(&START, &Linked { stream: "cart-2", ..event(&data, &metadata) }));
            prop_assert_ne!(base, link(&START, &Linked { id: Uuid::from_u128(8), ..event(&data, &metadata) }));
        }
    }
}
