use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use uuid::Uuid;

use super::record::{Place, ProposedEvent, Record, TOMBSTONE_REVISION};
use super::writer::{Expected, WriteError};
use super::{Log, key};
use crate::config::Config;
use crate::index::{StreamNumber, add_event, add_stream};
use crate::service::{AllRead, Direction, From, ReadError, Store, StreamRead};

fn event(event_type: &str, json: &str) -> ProposedEvent {
    ProposedEvent {
        id: Uuid::new_v4(),
        event_type: event_type.to_owned(),
        is_json: true,
        metadata: Bytes::new(),
        data: Bytes::copy_from_slice(json.as_bytes()),
    }
}

/// Writes events past the rules of today, as an older release did.
fn write(config: &Config, events: &[(&str, u64, ProposedEvent)]) {
    let log = Log::open(config).unwrap();
    let written = log.disk.with(|tables| {
        let mut group = tables.group();
        let mut known = std::collections::HashMap::new();
        for (position, (stream, revision, event)) in (1..).zip(events) {
            let number = *known.entry(*stream).or_insert_with(|| {
                add_stream(tables, &mut group, stream, StreamNumber(position));
                StreamNumber(position)
            });
            let place = Place { stream, revision: *revision, position, created_ticks: 1 };
            group.insert(&tables.records, key(position), Record::new(place, event).raw().clone());
            add_event(tables, &mut group, number, *revision, position);
        }
        Ok(group.commit()?)
    });
    written.unwrap();
}

async fn read(store: &Store, stream: &str) -> Result<Option<Vec<String>>, ReadError> {
    let read = StreamRead {
        stream: stream.to_owned(),
        from: From::Start,
        direction: Direction::Forwards,
        count: 100,
        resolve_links: false,
        reader: store.access().own_rights(),
    };
    let Some(found) = store.read_stream(read).await? else { return Ok(None) };
    let text = |event: Result<crate::service::Resolved, ReadError>| {
        String::from_utf8_lossy(event.unwrap().event.unwrap().data()).into_owned()
    };
    Ok(Some(found.events.map(text).collect().await))
}

#[tokio::test]
async fn metadata_of_a_closed_stream_is_in_the_log_and_is_closed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    write(
        &config,
        &[
            ("s", TOMBSTONE_REVISION, event("$streamDeleted", "")),
            ("$$s", 0, event("$metadata", r#"{"$maxCount":1}"#)),
        ],
    );
    assert_eq!(crate::verify::verify(&config, |_, _| ()).unwrap().events, 2);
    let (store, writer) = Store::open(&config, watch::channel(false).0).unwrap();
    assert!(matches!(read(&store, "$$s").await, Err(ReadError::StreamDeleted { .. })));
    let all = AllRead {
        from: From::Start,
        direction: Direction::Forwards,
        count: 10,
        filter: None,
        resolve_links: false,
        reader: store.access().own_rights(),
    };
    assert_eq!(store.read_all(all).count().await, 2);
    let more = vec![event("$metadata", "{}")];
    let refused = store.append("$$s".into(), Expected::Any, more).await.unwrap().wait().await;
    assert!(matches!(refused, Err(WriteError::StreamDeleted { .. })), "{refused:?}");
    store.stop_writing();
    writer.join().unwrap();
}

#[tokio::test]
async fn keys_that_a_delete_once_kept_stay_when_the_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path());
    write(
        &config,
        &[
            ("s", 0, event("t", "0")),
            ("$$s", 0, event("$metadata", r#"{"$maxCount":1,"$tb":9223372036854775807,"mine":1}"#)),
        ],
    );
    let (store, writer) = Store::open(&config, watch::channel(false).0).unwrap();
    assert_eq!(read(&store, "s").await.unwrap(), None);
    let more = vec![event("t", "1"), event("t", "2")];
    store.append("s".into(), Expected::NoStream, more).await.unwrap().wait().await.unwrap();
    assert_eq!(read(&store, "s").await.unwrap().unwrap(), ["2"]);
    let metadata = read(&store, "$$s").await.unwrap().unwrap();
    assert_eq!(metadata, [r#"{"$maxCount":1,"$tb":1,"mine":1}"#]);
    store.stop_writing();
    writer.join().unwrap();
}
