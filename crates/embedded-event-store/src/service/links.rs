//! Links: events that stand for an event of another stream.

use std::sync::Arc;

use super::view::{StreamState, View};
use super::{Act, Resolved, Rights, on_disk};
use crate::log::record::Record;
use crate::log::{Log, StorageError};

const LINK_TYPE: &[u8] = b"$>";

/// Follows the links among the records, if `follow`. What is not a link stays as it is, and a link to what the reader may not
/// read leads nowhere.
pub async fn resolve(
    log: &Arc<Log>,
    records: Vec<Arc<Record>>,
    follow: bool,
    reader: &Rights,
) -> Result<Vec<Resolved>, StorageError> {
    if follow && records.iter().any(|record| record.event_type() == LINK_TYPE) {
        let (log, reader) = (Arc::clone(log), reader.clone());
        let resolved =
            on_disk(move || records.into_iter().map(|record| resolve_one(&log, record, &reader)).collect());
        return resolved.await;
    }
    Ok(records.into_iter().map(|record| Resolved { event: Some(record), link: None }).collect())
}

fn resolve_one(log: &Log, record: Arc<Record>, reader: &Rights) -> Result<Resolved, StorageError> {
    if record.event_type() != LINK_TYPE {
        return Ok(Resolved { event: Some(record), link: None });
    }
    let event = match target(record.data()) {
        Some((revision, stream)) if reader.may_now(Act::Read, stream)? => look_up(log, stream, revision)?,
        Some(_) | None => None,
    };
    Ok(Resolved { event, link: Some(record) })
}

fn look_up(log: &Log, stream: &str, revision: u64) -> Result<Option<Arc<Record>>, StorageError> {
    let StreamState::Visible(view) = View::of(log, stream, log.head())? else { return Ok(None) };
    if revision < view.first || revision > view.last {
        return Ok(None);
    }
    let Some(position) = log.index.position(view.number, revision)? else { return Ok(None) };
    Ok(Some(log.record(position)?).filter(|record| view.shows(record)))
}

/// A link's data is the revision, an `@`, and the stream's name.
fn target(data: &[u8]) -> Option<(u64, &str)> {
    let (revision, stream) = std::str::from_utf8(data).ok()?.split_once('@')?;
    Some((revision.parse().ok()?, stream))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_target_is_a_revision_and_a_name_that_may_hold_the_sign_itself() {
        assert_eq!(target(b"7@order-1"), Some((7, "order-1")));
        assert_eq!(target(b"0@me@home"), Some((0, "me@home")));
        assert_eq!(target(b"order-1"), None);
        assert_eq!(target(b"x@order-1"), None);
    }
}
