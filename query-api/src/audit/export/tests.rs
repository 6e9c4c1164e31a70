use super::*;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use event_store::{Metadata, Position};
use futures::{TryStreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

fn event(number: u64) -> RecordedEvent {
    let metadata = Metadata {
        correlation_id: Uuid::from_u128(1),
        causation_id: Uuid::from_u128(2),
        command_id: Uuid::from_u128(u128::from(number)),
        actor: "shopper".to_owned(),
        occurred_at: "2026-11-21T12:00:00.000001Z".parse().unwrap(),
        fingerprint: String::new(),
        more: false,
    };
    let data = format!(
        r#"{{"delta":{number},"reason":"a \"quoted\", reason\u000a","adjustment_id":"{}"}}"#,
        Uuid::nil()
    );
    RecordedEvent {
        stream: "inventory-MUG,1".to_owned(),
        revision: number,
        position: Position::new(number + 100),
        id: Uuid::from_u128(u128::from(number) + 1_000),
        event_type: "inventory.adjusted.v1".to_owned(),
        data: data.into(),
        metadata: metadata.to_json().into(),
        recorded_at: "2026-11-21T12:00:01Z".parse().unwrap(),
    }
}

/// One that is not ours: no metadata, and bytes.
fn foreign(number: u64) -> RecordedEvent {
    RecordedEvent { data: vec![0xff].into(), metadata: Vec::new().into(), ..event(number) }
}

async fn file(format: ExportFormat, events: Vec<RecordedEvent>) -> Vec<u8> {
    let pieces: Vec<Bytes> =
        export(format, stream::iter(events.into_iter().map(Ok))).try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn ndjson_has_an_object_for_each_event() {
    let file = file(ExportFormat::Ndjson, vec![event(1), foreign(2)]).await;
    let lines: Vec<Value> = file
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], serde_json::to_value(record(&event(1))).unwrap());
    assert_eq!((&lines[0]["data"]["delta"], &lines[0]["actor"]), (&json!(1), &json!("shopper")));
    assert_eq!(
        (&lines[1]["data"], &lines[1]["actor"]),
        (&json!("(1 bytes that are not text)"), &Value::Null)
    );
}

#[tokio::test]
async fn csv_can_be_read_back() {
    let file = file(ExportFormat::Csv, (0..1_200).map(event).collect()).await;
    let mut reader = ::csv::Reader::from_reader(file.as_slice());
    assert_eq!(reader.headers().unwrap().iter().next_back(), Some("metadata"));
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 1_200);
    let row: Vec<&str> = rows[7].iter().collect();
    assert_eq!(row[..3], ["107", "inventory-MUG,1", "7"]);
    assert_eq!(row[7..9], ["2026-11-21T12:00:00.000001Z", "2026-11-21T12:00:01.000000Z"]);
    assert_eq!(row[12].as_bytes(), event(7).data);
}

#[tokio::test]
async fn parquet_can_be_read_back() {
    let events: Vec<RecordedEvent> = (0..1_200).map(event).chain([foreign(1_200)]).collect();
    let file = file(ExportFormat::Parquet, events.clone()).await;
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let rows: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| as_json(&row.unwrap())).collect();
    assert_eq!(rows.len(), events.len());
    for (row, event) in rows.iter().zip(&events) {
        let record = record(event);
        assert_eq!(row["position"], event.position.value());
        assert_eq!(row["stream"], event.stream.as_str());
        assert_eq!(row["revision"], event.revision);
        assert_eq!(row["event_id"], event.id.to_string());
        assert_eq!(row["type"], event.event_type.as_str());
        assert_eq!(row["summary"], record.summary);
        assert_eq!(row["actor"], json!(record.actor));
        assert_eq!(row["command_id"], json!(record.command_id));
        assert_eq!(row["causation_id"], json!(record.causation_id));
        assert_eq!(row["correlation_id"], json!(record.correlation_id));
        assert_eq!(row["data"], record.data.get());
        assert_eq!(row["metadata"], record.metadata.get());
        assert_eq!(row["occurred_at"].is_null(), record.occurred_at.is_none());
    }
    assert_eq!(rows[0]["occurred_at"], 1_795_262_400_000_001_i64);
    assert_eq!(rows[0]["recorded_at"], 1_795_262_401_000_000_i64);
}

fn as_json(row: &Row) -> Value {
    let value = |field: &Field| match field {
        Field::Null => Value::Null,
        Field::Str(text) => json!(text),
        Field::ULong(number) => json!(number),
        Field::TimestampMicros(micros) => json!(micros),
        other => panic!("a column of an unexpected type: {other}"),
    };
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

#[tokio::test]
async fn a_selection_without_events_is_a_file_all_the_same() {
    assert!(file(ExportFormat::Ndjson, vec![]).await.is_empty());
    assert!(file(ExportFormat::Csv, vec![]).await.starts_with(b"position,stream,"));
    let empty = SerializedFileReader::new(Bytes::from(file(ExportFormat::Parquet, vec![]).await)).unwrap();
    assert_eq!(empty.get_row_iter(None).unwrap().count(), 0);
}

/// What was read and not sent yet is never more than a row group and a chunk, however long the selection.
#[tokio::test]
async fn a_long_parquet_file_leaves_the_memory_row_group_by_row_group() {
    const EVENTS: usize = 200_000;
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let events = stream::iter(0..EVENTS as u64).map(move |number| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(event(number))
    });
    let mut pieces = std::pin::pin!(export(ExportFormat::Parquet, events));
    let (mut file, mut read_before, mut largest) = (Vec::new(), 0, 0);
    while let Some(piece) = pieces.try_next().await.unwrap() {
        let now = read.load(Ordering::Relaxed);
        largest = largest.max(now - read_before);
        // The magic number at the front comes before the first row group.
        if piece.len() > 4 {
            read_before = now;
        }
        file.extend_from_slice(&piece);
    }
    let bytes_of_one = event(0).data.len() + event(0).metadata.len();
    let rows_of_a_group = (parquet::MAX_BYTES / bytes_of_one).min(parquet::MAX_ROWS);
    assert!(largest <= rows_of_a_group + 2 * CHUNK, "{largest} events were in memory");
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let groups = reader.metadata().row_groups();
    assert!(groups.len() >= EVENTS / rows_of_a_group, "{} row groups", groups.len());
    assert_eq!(groups.iter().map(|group| group.num_rows()).sum::<i64>(), EVENTS as i64);
}

#[tokio::test]
async fn a_log_that_breaks_off_breaks_the_file_off() {
    let broken = Err(EventStoreError::Unavailable("gone".to_owned()));
    let pieces: Vec<_> = export(ExportFormat::Ndjson, stream::iter([Ok(event(1)), broken])).collect().await;
    assert!(matches!(pieces.last(), Some(Err(ExportError::EventStore(_)))));
}
