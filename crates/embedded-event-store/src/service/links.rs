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
    let event = match target(&String::from_utf8_lossy(record.data())) {
        Target::Event(stream, place) if reader.may_now(Act::Read, stream)? => look_up(log, stream, place)?,
        Target::Event(..) | Target::Unusable => None,
        Target::NoLink => return Ok(Resolved { event: Some(record), link: None }),
    };
    Ok(Resolved { event, link: Some(record) })
}

fn look_up(log: &Log, stream: &str, place: Place) -> Result<Option<Arc<Record>>, StorageError> {
    let StreamState::Visible(view) = View::of(log, stream, log.head())? else { return Ok(None) };
    let revision = match place {
        Place::Revision(revision) => revision,
        Place::Last => view.last,
    };
    if revision < view.first || revision > view.last {
        return Ok(None);
    }
    let Some(position) = log.index.position(view.number, revision)? else { return Ok(None) };
    Ok(Some(log.record(position)?).filter(|record| view.shows(record)))
}

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    /// To this event.
    Event(&'a str, Place),
    /// To something that cannot be.
    Unusable,
    /// Nowhere: an event that is of a link's type, but is none.
    NoLink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Revision(u64),
    /// The stream's newest event.
    Last,
}

/// A link's data is the revision (spaces around it do not matter), an `@`, and the stream's name. -1 is the last revision.
fn target(data: &str) -> Target<'_> {
    let (number, stream) = match data.split_once('@') {
        Some((number, stream)) => (number, Some(stream)),
        None => (data, None),
    };
    let number = number.trim_matches(|c: char| c == ' ' || ('\t'..='\r').contains(&c)).parse::<i64>();
    match (number, stream) {
        (Err(_), _) => Target::NoLink,
        (Ok(-1), Some(stream)) => Target::Event(stream, Place::Last),
        (Ok(number), Some(stream)) => match u64::try_from(number) {
            Ok(revision) => Target::Event(stream, Place::Revision(revision)),
            Err(_) => Target::Unusable,
        },
        (Ok(_), None) => Target::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::Place::{Last, Revision};
    use super::Target::{Event, NoLink, Unusable};
    use super::target;

    #[test]
    fn a_target_is_a_revision_and_a_name_that_may_hold_the_sign_itself() {
        let cases = [
            ("7@order-1", Event("order-1", Revision(7))),
            ("0@me@home", Event("me@home", Revision(0))),
            (" 1@s", Event("s", Revision(1))),
            ("\t1 @s", Event("s", Revision(1))),
            ("+1@s", Event("s", Revision(1))),
            ("-1@s", Event("s", Last)),
            ("-2@s", Unusable),
            ("7", Unusable),
            ("order-1", NoLink),
            ("x@order-1", NoLink),
            ("@s", NoLink),
            ("", NoLink),
            ("1.0@s", NoLink),
            ("\"1@s\"", NoLink),
            ("18446744073709551615@s", NoLink),
        ];
        for (data, expected) in cases {
            assert_eq!(target(data), expected, "{data}");
        }
    }
}
