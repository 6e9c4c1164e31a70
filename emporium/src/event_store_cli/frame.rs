//! The first and the last line of an exported file: which log the events are of, and how many there are. A file without the
//! last line was cut off.
//!
//! They have the form of events of the stream that a log keeps about itself, which imports leave out. So programs from
//! before there were such lines read the file too.

use chrono::Utc;
use event_store::{LOG_IDENTITY_STREAM, LogId, Origin, Position, RawEvent, RawRecord, is_of_log_identity};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const BEGUN: &str = "log.export-begun.v1";
const ENDED: &str = "log.export-ended.v1";
/// The first line of older files was the event that gave the log its id.
const IDENTIFIED: &str = "log.identified.v1";
const TICKS_PER_MICROSECOND: u64 = 10;

#[derive(Serialize, Deserialize)]
struct Begun {
    /// As in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_id: Option<LogId>,
    #[serde(flatten)]
    origin: Origin,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    events: u64,
}

/// What the first or the last line says of its file.
pub enum Frame {
    /// Where the events come from. The file has a last line that says how many there are.
    Begun(Origin),
    /// Where the events come from, in an older file.
    OfLog(LogId),
    /// There are so many events.
    Ended(u64),
    /// Something of another program's.
    Unknown,
}

/// The first line.
pub fn begun(origin: Origin) -> RawRecord {
    record(BEGUN, &Begun { log_id: origin.of, origin })
}

/// The last line.
pub fn ended(events: u64) -> RawRecord {
    record(ENDED, &Ended { events })
}

/// What a line says of its file; none if it is an event of the log.
pub fn read(record: &RawRecord) -> Option<Frame> {
    if !is_of_log_identity(&record.stream) {
        return None;
    }
    let data = &record.event.data;
    let frame = match record.event.event_type.as_str() {
        BEGUN => serde_json::from_slice(data).ok().map(|begun: Begun| Frame::Begun(begun.origin)),
        ENDED => serde_json::from_slice(data).ok().map(|ended: Ended| Frame::Ended(ended.events)),
        IDENTIFIED => {
            serde_json::from_slice(data).ok().and_then(|begun: Begun| begun.log_id).map(Frame::OfLog)
        }
        _ => None,
    };
    Some(frame.unwrap_or(Frame::Unknown))
}

fn record(event_type: &str, said: &impl Serialize) -> RawRecord {
    let data = serde_json::to_vec(said).expect("ids and numbers can always be written");
    let now = u64::try_from(Utc::now().timestamp_micros()).unwrap_or_default();
    RawRecord {
        stream: LOG_IDENTITY_STREAM.to_owned(),
        revision: 0,
        position: Position::new(0),
        created_ticks: now.saturating_mul(TICKS_PER_MICROSECOND),
        event: RawEvent {
            id: Uuid::new_v4(),
            event_type: event_type.to_owned(),
            is_json: true,
            data: data.into(),
            metadata: "{}".into(),
        },
    }
}
