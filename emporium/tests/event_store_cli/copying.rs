//! A history goes out and into another store.

use crate::store_process::{StoreProcess, emporium, export, import, text};
use crate::{append, event, numbered};
use event_store::{EventStore, ExpectedRevision};
use futures::StreamExt;
use rstest::rstest;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use uuid::Uuid;

/// All that a history can have: JSON and bytes, white space, metadata, cut off, deleted and closed streams, links.
pub async fn fill(store: &EventStore) {
    append(store, "cart-1", 0, (0..20).map(numbered).collect()).await;
    append(store, "files", 0, vec![event("file", false, b"\x00\xff\n", b"\xfe")]).await;
    append(store, "cart-1", 20, vec![event("spaced", true, b" {\"a\" : 1.00}\n", br#"{"actor":"shopper"}"#)])
        .await;
    append(store, "files", 1, vec![event("file", false, b"", b""), event("null", true, b"null", b"{}")])
        .await;
    let limit = event("$metadata", true, br#"{"$maxCount":3}"#, b"");
    append(store, "$$cart-1", 0, vec![limit]).await;
    append(store, "links", 0, vec![event("$>", false, b"2@cart-1", b"")]).await;
    append(store, "gone", 0, vec![numbered(1)]).await;
    let deleted = event("$metadata", true, br#"{"$tb":9223372036854775807}"#, b"");
    append(store, "$$gone", 0, vec![deleted]).await;
    append(store, "closed", 0, vec![numbered(1), numbered(2)]).await;
    store.tombstone("closed", ExpectedRevision::Exact(1)).await.unwrap();
    append(store, "cart-1", 21, (0..5).map(numbered).collect()).await;
}

/// Exported lines without what the target's server says itself: positions, times, and the ids of tombstones.
pub fn lines(path: &Path) -> Vec<Value> {
    all_lines(path)
        .into_iter()
        // Which log the positions are of.
        .filter(|line| line["stream"] != "log-identity")
        .map(|mut line| {
            let fields = line.as_object_mut().unwrap();
            assert!(fields.remove("position").is_some() && fields.remove("created").is_some());
            if fields["type"] == "$streamDeleted" {
                fields.remove("id");
            }
            line
        })
        .collect()
}

pub fn all_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[rstest]
#[case::plain("history.ndjson")]
#[case::packed("history.ndjson.zst")]
#[tokio::test]
async fn a_history_arrives_as_it_was_and_a_second_import_changes_nothing(#[case] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let [file, first, again] = [name, "first.ndjson", "again.ndjson"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    fill(&source.client()).await;
    text(export(&["--url", &source.url], &file));
    text(export(&["--url", &source.url], &first));
    let target = StoreProcess::start(&folder.path().join("target")).await;
    assert!(text(import(&file, &target.url)).contains("imported        36 events"));
    text(export(&["--url", &target.url], &again));
    assert_eq!(lines(&again).len(), 36);
    assert_eq!(lines(&again), lines(&first));

    let second = text(import(&file, &target.url));
    assert!(
        second.contains("imported        0 events") && second.contains("already   36 events"),
        "{second}"
    );
    text(export(&["--url", &target.url], &again));
    assert_eq!(lines(&again), lines(&first));

    // The metadata has its effect, and a stream that was deleted is not to be seen.
    let seen: Vec<_> = target.client().read_stream("cart-1", 0, 100).collect().await;
    let seen: Vec<_> = seen.into_iter().map(|event| event.unwrap().revision).collect();
    assert_eq!(seen, [23, 24, 25]);
    assert_eq!(target.client().read_stream("gone", 0, 100).count().await, 0);
    let into_closed =
        target.client().append_raw("closed", ExpectedRevision::Exact(2), vec![numbered(3)]).await;
    assert!(into_closed.is_err());
    source.terminate().await;
    target.terminate().await;
}

#[tokio::test]
async fn a_target_with_other_events_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, late] = ["whole", "late"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    append(&source.client(), "s", 0, vec![numbered(1), numbered(2)]).await;
    append(&source.client(), "t", 0, vec![numbered(3)]).await;
    text(export(&["--url", &source.url], &whole));
    text(export(&["--url", &source.url, "--from", "2"], &late));
    let target = StoreProcess::start(&folder.path().join("target")).await;
    append(&target.client(), "s", 0, vec![numbered(1)]).await;
    let refused = import(&whole, &target.url);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("something else than the file") && said.contains("revision 0 of stream `s`"),
        "{said}"
    );
    assert_eq!(target.client().read_stream("s", 0, 10).count().await, 1);
    assert_eq!(target.client().read_stream("t", 0, 10).count().await, 0);

    let empty = StoreProcess::start(&folder.path().join("empty")).await;
    let refused = import(&late, &empty.url);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("revision 1 of stream `s`"), "{said}");
}

/// A line as an export writes it.
pub fn line(stream: &str, revision: u64, event_type: &str, data: &Value) -> String {
    let line = json!({
        "stream": stream, "revision": revision, "position": 0, "id": Uuid::new_v4(), "type": event_type,
        "content_type": "application/json", "created": "2026-11-29T00:00:00.0000000Z", "data": data,
    });
    format!("{line}\n")
}

/// Whether an import was refused, and what it said.
pub fn refused(output: &std::process::Output) -> Option<String> {
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_target_that_holds_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, line("s", 0, "x", &json!({})) + &line("s", 1, "x", &json!({}))).unwrap();
    let target = StoreProcess::start(&folder.path().join("target")).await;
    append(&target.client(), "elsewhere", 0, vec![numbered(1)]).await;
    let said = refused(&import(&file, &target.url)).expect("it is refused");
    assert!(said.contains("something else") && said.contains("`elsewhere`"), "{said}");
    assert_eq!(target.client().read_stream("s", 0, 10).count().await, 0);

    let mut insisting = emporium();
    let insisting = insisting.args(["event-store", "import", "--alongside", "--url", &target.url]).arg(&file);
    assert!(text(insisting.output().unwrap()).contains("imported        2 events"));
}

/// The server's own streams stay with their server, and each log says which one it is.
#[tokio::test]
async fn a_copy_is_another_log_and_takes_no_streams_of_the_server_along() {
    let folder = tempfile::tempdir().unwrap();
    let [file, all, again] = ["file", "all", "again"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    let client = source.client();
    append(&client, "s", 0, vec![numbered(1)]).await;
    append(&client, "$statistics", 0, vec![numbered(2)]).await;
    append(&client, "$$$statistics", 0, vec![event("$metadata", true, br#"{"$maxCount":3}"#, b"")]).await;
    let identity = client.log_identity().await.unwrap();
    text(export(&["--url", &source.url], &file));
    let streams = |path: &Path| -> Vec<String> {
        all_lines(path).iter().map(|line| line["stream"].as_str().unwrap().to_owned()).collect()
    };
    // The first line says which log it is of, and the last one how many events there are.
    assert_eq!(streams(&file), ["log-identity", "s", "log-identity"]);
    assert_eq!(all_lines(&file)[0]["data"]["log_id"], identity.id().to_string());
    text(export(&["--url", &source.url, "--system-streams"], &all));
    assert_eq!(streams(&all), ["log-identity", "s", "$statistics", "$$$statistics", "log-identity"]);

    let target = StoreProcess::start(&folder.path().join("target")).await;
    let said = text(import(&all, &target.url));
    assert!(said.contains("imported        1 events") && said.contains("left out        2 events"), "{said}");
    let copy = target.client().log_identity().await.unwrap();
    assert_ne!(copy.id(), identity.id());
    text(export(&["--url", &target.url, "--system-streams"], &again));
    assert_eq!(streams(&again), ["log-identity", "s", "log-identity"]);
}

/// As other servers write it: metadata after the event with which a deleted stream goes on, metadata of a stream that is
/// closed, and others in between. It goes in, and goes in again.
#[tokio::test]
async fn what_another_server_wrote_in_its_order_can_be_appended() {
    let folder = tempfile::tempdir().unwrap();
    let [file, again, cut] = ["file", "again", "cut"].map(|name| folder.path().join(name));
    let one = json!({ "n": 1 });
    let deleted = json!({ "$tb": 9_223_372_036_854_775_807_u64 });
    let lines_of_file = [
        line("s", 0, "x", &one),
        line("$$s", 0, "$metadata", &deleted),
        line("s", 1, "x", &one),
        line("other", 0, "x", &one),
        line("$$s", 1, "$metadata", &json!({ "$tb": 1 })),
        line("s", 2, "x", &one),
        line("closed", 0, "x", &one),
        line("closed", 9_223_372_036_854_775_807, "$streamDeleted", &json!({})),
        line("$$closed", 0, "$metadata", &json!({ "$maxCount": 1 })),
        line("other", 1, "x", &one),
    ];
    fs::write(&file, lines_of_file.concat()).unwrap();
    let target = StoreProcess::start(&folder.path().join("target")).await;
    for part in [3, 4, 7, 10] {
        fs::write(&cut, lines_of_file[..part].concat()).unwrap();
        text(import(&cut, &target.url));
    }
    let said = text(import(&file, &target.url));
    assert!(said.contains("imported        0 events"), "{said}");
    let seen: Vec<_> = target.client().read_stream("s", 0, 100).collect().await;
    let seen: Vec<_> = seen.into_iter().map(|event| event.unwrap().revision).collect();
    assert_eq!(seen, [1, 2]);
    assert_eq!(target.client().read_stream("other", 0, 100).count().await, 2);
    assert!(target.client().is_closed("closed").await.unwrap());
    text(export(&["--url", &target.url], &again));
    let third = StoreProcess::start(&folder.path().join("third")).await;
    text(import(&again, &third.url));
}

/// Many appends are under way at once, and still the copy has the file's order: seals are over the order of the log.
#[tokio::test]
async fn a_copy_has_the_order_of_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let [file, again] = ["file", "again"].map(|name| folder.path().join(name));
    let mut next = [0_u64; 40];
    let lines_of_file: String = (0..6_000_usize)
        .map(|n| {
            let stream = (n * 7 + n / 13) % next.len();
            next[stream] += 1;
            line(&format!("s-{stream}"), next[stream] - 1, "x", &json!({ "n": n }))
        })
        .collect();
    fs::write(&file, lines_of_file).unwrap();
    let target = StoreProcess::start(&folder.path().join("target")).await;
    text(import(&file, &target.url));
    text(export(&["--url", &target.url], &again));
    let ids = |path: &Path| -> Vec<Value> {
        all_lines(path)
            .into_iter()
            .filter(|line| line["stream"] != "log-identity")
            .map(|line| line["id"].clone())
            .collect()
    };
    assert_eq!(ids(&again), ids(&file));
}

#[tokio::test]
async fn parts_of_a_log_and_single_streams_can_be_exported_from_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let [range, stream] = ["range", "stream"].map(|name| folder.path().join(name));
    let store = StoreProcess::start(&data).await;
    fill(&store.client()).await;
    store.terminate().await;
    let data = data.to_str().unwrap();
    text(export(&["--data-dir", data, "--from", "20", "--to", "22"], &range));
    let streams: Vec<_> = lines(&range).iter().map(|line| line["stream"].clone()).collect();
    assert_eq!(streams, ["cart-1", "files", "cart-1"]);
    text(export(&["--data-dir", data, "--stream", "cart-1"], &stream));
    let lines = lines(&stream);
    let of = |name: &str| lines.iter().filter(|line| line["stream"] == name).count();
    assert_eq!((of("cart-1"), of("$$cart-1"), lines.len()), (26, 1, 27));

    let mut info = emporium();
    let info = text(info.args(["event-store", "info", "--data-dir", data]).output().unwrap());
    assert!(info.contains("events     36") && info.contains("streams    7"), "{info}");
}
