//! What the fuzz targets and the property tests call: the readers of bytes that came from a disk or from somebody else.
//!
//! Each must neither panic nor take memory out of proportion, whatever the bytes, and holds the reader to its promises.

use bytes::Bytes;

use crate::log::journal::scan;
use crate::log::record::Record;
use crate::metadata::{self, StreamMetadata};

/// A record of the log: eight bytes of position, then the record.
pub fn record(bytes: &[u8]) {
    let Some((position, raw)) = bytes.split_first_chunk() else { return };
    let position = u64::from_be_bytes(*position);
    if let Ok(record) = Record::decode(position, Bytes::copy_from_slice(raw)) {
        check_parts(&record, raw.len());
    }
    // Random bytes hardly ever have the right checksum: give them one, so that what lies behind it is tried as well.
    let mut sealed = raw.to_vec();
    if let Some((checksum, rest)) = sealed.split_first_chunk_mut() {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&position.to_be_bytes());
        hasher.update(rest);
        *checksum = hasher.finalize().to_le_bytes();
        if let Ok(record) = Record::decode(position, Bytes::from(sealed)) {
            check_parts(&record, raw.len());
        }
    }
}

/// The parts of a record fill it up to its end.
fn check_parts(record: &Record, length: usize) {
    let parts = [record.stream(), record.event_type(), record.metadata(), record.data()];
    let sum: usize = parts.iter().map(|part| part.len()).sum();
    assert!(sum < length, "the parts of a record are larger than the record");
    assert_eq!(record.raw().len(), length, "a record is all of its bytes");
}

/// A journal of the database.
pub fn journal(bytes: &[u8]) {
    let found = scan(bytes);
    assert!(found.whole <= bytes.len(), "a scan stays inside the journal");
    let whole = scan(&bytes[..found.whole]);
    assert!(whole.flaw.is_none() && whole.whole == found.whole, "what was found whole is whole by itself");
    assert_eq!(found.newest(bytes), whole.newest(bytes), "the end does not change what was before it");
    crate::log::journal::whole_group_after(bytes, found.whole, 0);
}

/// The metadata of a stream.
pub fn metadata(json: &[u8]) {
    let read = StreamMetadata::parse(json);
    assert!(read.max_count != Some(0) && read.max_age_seconds != Some(0), "nothing hides everything");
    let Some(went_on) = metadata::go_on(json, 7) else { return };
    assert_eq!(metadata::go_on(&went_on, 7), Some(went_on.clone()), "going on twice is going on once");
    let read = StreamMetadata::parse(&went_on);
    assert!(
        read == StreamMetadata::default() || read.truncate_before == Some(7),
        "a stream goes on where it was told"
    );
}
