//! A log says which one it is, and a process that began with one reads and writes no other.

use crate::supervision::{client, reserved_address};
use crate::target::{soon, target};
use crate::writers::event;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::{
    EventStore, ExpectedRevision, IMPORT_HAS_NOT_ENDED, LogId, Origin, Position, SubscriptionItem,
};
use futures::{Stream, StreamExt};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use tokio::sync::watch;
use uuid::Uuid;

async fn start(folder: &Path, address: SocketAddr) -> EmbeddedEventStore {
    EmbeddedEventStore::start(Config { listen: address, ..Config::on_any_port(folder) }).await.unwrap()
}

async fn append(store: &EventStore, stream: &str) -> Position {
    store.append(stream, ExpectedRevision::NoStream, vec![event()]).await.unwrap().position
}

/// The next event's stream, or why there is none.
async fn next(items: &mut Pin<&mut impl Stream<Item = SubscriptionItem>>) -> Result<String, String> {
    loop {
        match soon(items.next()).await.expect("it never ends") {
            SubscriptionItem::Event(event) => return Ok(event.stream.clone()),
            SubscriptionItem::Disconnected { error } => return Err(error.to_string()),
            SubscriptionItem::CaughtUp | SubscriptionItem::Checkpoint(_) | SubscriptionItem::StoresOwn(_) => {
            }
        }
    }
}

/// Waits until a subscription says this of the log.
async fn says(items: &mut Pin<&mut impl Stream<Item = SubscriptionItem>>, what: &str) {
    loop {
        match next(items).await {
            Ok(stream) => panic!("an event of another log was read as if it were ours: {stream}"),
            Err(error) if error.contains(what) => return,
            Err(_) => {}
        }
    }
}

/// What the watch of a log says.
fn watched(store: &EventStore) -> watch::Receiver<Option<String>> {
    let (said, hears) = watch::channel(None);
    let store = store.clone();
    tokio::spawn(async move {
        store.watch_log(|trouble| drop(said.send_replace(trouble.map(str::to_owned)))).await;
    });
    hears
}

#[tokio::test]
async fn a_log_gets_one_id_whoever_asks_first() {
    let target = target().await;
    // Each as a process of its own.
    let others = [(); 3].map(|()| EventStore::connect(&target.url).unwrap());
    let asked = others.iter().map(EventStore::log_identity);
    let ids = soon(futures::future::join_all(asked)).await;
    let ids: Vec<_> = ids.into_iter().map(|identity| identity.unwrap().id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(target.store.log_identity().await.unwrap().id(), ids[0]);
    // Nobody who follows the log or reads it is told of it.
    let mut events = pin!(target.store.read_all(None, usize::MAX));
    while let Some(event) = soon(events.next()).await {
        assert_ne!(event.unwrap().stream, event_store::LOG_IDENTITY_STREAM);
    }
}

/// A process that takes commands alone has no position to keep, and asks nowhere else which log it is.
/// One of them may ask only when another log is at the address: it would take that for its own, and not let go of it.
#[tokio::test]
async fn all_connections_of_a_process_know_the_log_that_one_has_asked_for() {
    let (ours, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (address, _reserved) = reserved_address();
    let server = start(ours.path(), address).await;
    let store = client(address);
    let (early, id) = (store.another(), store.log_identity().await.unwrap().id());
    server.stop().await;
    let server = start(empty.path(), address).await;
    for connection in [early, store.another()] {
        assert_eq!(connection.log_identity().await.unwrap().id(), id);
    }
    assert_eq!(client(address).read_log_identity().await.unwrap(), None, "nothing was written");
    server.stop().await;
}

#[tokio::test]
async fn whoever_watches_a_log_knows_which_one_it_is() {
    let target = target().await;
    let store = EventStore::connect(&target.url).unwrap();
    let mut watch = watched(&store);
    soon(watch.changed()).await.unwrap();
    assert_eq!(store.known_log_id(), Some(target.store.log_identity().await.unwrap().id()));
}

#[tokio::test]
async fn another_log_behind_the_same_address_is_not_read_and_not_written() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (address, _reserved) = reserved_address();
    let server = start(ours.path(), address).await;
    let store = client(address);
    store.log_identity().await.unwrap();
    append(&store, "ours-1").await;
    let mut items = pin!(store.subscribe_all(None));
    assert_eq!(next(&mut items).await.unwrap(), "ours-1");
    let mut watch = watched(&store);
    server.stop().await;

    let other = start(others.path(), address).await;
    let elsewhere = client(address);
    elsewhere.log_identity().await.unwrap();
    for stream in ["theirs-1", "theirs-2"] {
        append(&elsewhere, stream).await;
    }
    says(&mut items, "this process began with the log").await;
    let is_told = |said: &Option<String>| said.as_ref().is_some_and(|why| why.contains("began with the log"));
    soon(watch.wait_for(is_told)).await.unwrap();
    let refused = soon(store.append("ours-2", ExpectedRevision::NoStream, vec![event()])).await;
    assert!(refused.unwrap_err().to_string().contains("began with the log"));
    assert!(soon(store.head()).await.unwrap_err().to_string().contains("began with the log"));
    other.stop().await;

    // The right one is back: everything goes on.
    let server = start(ours.path(), address).await;
    append(&client(address), "ours-2").await;
    loop {
        if let Ok(stream) = next(&mut items).await {
            assert_eq!(stream, "ours-2");
            break;
        }
    }
    soon(watch.wait_for(Option::is_none)).await.unwrap();
    soon(store.head()).await.unwrap();
    server.stop().await;
}

/// Nobody watches, and nothing was heard of the other log yet: the first append after it has come finds out, and
/// every read from then on does.
#[tokio::test]
async fn what_is_asked_first_of_another_log_is_refused_at_once() {
    for has_an_id in [false, true] {
        let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (address, _reserved) = reserved_address();
        let server = start(ours.path(), address).await;
        let store = client(address);
        store.log_identity().await.unwrap();
        append(&store, "ours-1").await;
        server.stop().await;

        let other = start(others.path(), address).await;
        let elsewhere = client(address);
        if has_an_id {
            elsewhere.log_identity().await.unwrap();
        }
        let refused = soon(store.append("ours-2", ExpectedRevision::NoStream, vec![event()])).await;
        assert!(refused.unwrap_err().to_string().contains("began with the log"));
        let not_found = soon(pin!(store.read_stream("ours-1", 0, 1)).next()).await;
        assert!(not_found.unwrap().unwrap_err().to_string().contains("began with the log"));
        let theirs = soon(pin!(elsewhere.read_stream("ours-2", 0, 1)).next()).await;
        assert!(theirs.is_none(), "{theirs:?}");
        other.stop().await;

        let server = start(ours.path(), address).await;
        append(&store, "ours-2").await;
        assert_eq!(
            soon(pin!(store.read_stream("ours-1", 0, 1)).next()).await.unwrap().unwrap().stream,
            "ours-1"
        );
        server.stop().await;
    }
}

/// A process that follows the log hears that its connection has ended, and what it reads next is looked at.
#[tokio::test]
async fn what_is_read_first_from_another_log_is_not_taken_for_ours() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (address, _reserved) = reserved_address();
    let server = start(ours.path(), address).await;
    let store = client(address);
    store.log_identity().await.unwrap();
    append(&store, "ours-1").await;
    let mut items = pin!(store.subscribe_all(None));
    assert_eq!(next(&mut items).await.unwrap(), "ours-1");
    server.stop().await;
    let other = start(others.path(), address).await;
    while next(&mut items).await.is_ok() {}
    let not_found = soon(pin!(store.read_stream("ours-1", 0, 1)).next()).await;
    assert!(not_found.unwrap().unwrap_err().to_string().contains("began with the log"));
    other.stop().await;
}

/// A service that begins with it, and one that is at work when the import begins, go on when the import has ended.
#[tokio::test]
async fn a_log_with_half_a_history_is_used_by_no_service() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _reserved) = reserved_address();
    let server = start(folder.path(), address).await;
    let (tool, service) = (client(address), client(address));
    service.use_whole_logs_only();
    let copied = LogId::new(Uuid::new_v4());
    let origin = Origin { of: Some(copied), ..Origin::default() };
    tool.begin_import(&origin).await.unwrap();
    append(&tool, "imported-1").await;

    let is_refused = |why: String| assert!(why.contains(IMPORT_HAS_NOT_ENDED), "{why}");
    is_refused(soon(service.head()).await.unwrap_err().to_string());
    is_refused(soon(service.log_identity()).await.unwrap_err().to_string());
    let refused = soon(service.append("ours-1", ExpectedRevision::NoStream, vec![event()])).await;
    is_refused(refused.unwrap_err().to_string());
    is_refused(soon(service.another().head()).await.unwrap_err().to_string());
    let mut items = pin!(service.subscribe_all(None));
    says(&mut items, IMPORT_HAS_NOT_ENDED).await;
    let mut watch = watched(&service);
    let is_told = |said: &Option<String>| said.as_ref().is_some_and(|why| why == IMPORT_HAS_NOT_ENDED);
    soon(watch.wait_for(is_told)).await.unwrap();

    let identity = tool.end_import(&origin, 1).await.unwrap();
    assert!(identity.imports().are_of(copied) && !identity.imports().are_of(identity.id()));
    soon(watch.wait_for(Option::is_none)).await.unwrap();
    loop {
        if let Ok(stream) = next(&mut items).await {
            assert_eq!(stream, "imported-1");
            break;
        }
    }
    assert_eq!(service.log_identity().await.unwrap().id(), identity.id());
    append(&service, "ours-1").await;

    let another = Origin { of: Some(LogId::new(Uuid::new_v4())), ..Origin::default() };
    tool.begin_import(&another).await.unwrap();
    soon(watch.wait_for(is_told)).await.unwrap();
    is_refused(soon(service.head()).await.unwrap_err().to_string());
    tool.end_import(&another, 0).await.unwrap();
    soon(watch.wait_for(Option::is_none)).await.unwrap();
    assert!(service.known_log().unwrap().imports().has_ended(&another));
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_was_restored_from_a_backup_is_not_read_on() {
    let (folder, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (address, _reserved) = reserved_address();
    let server = start(folder.path(), address).await;
    let store = client(address);
    store.log_identity().await.unwrap();
    append(&store, "kept-1").await;
    server.stop().await;
    copy(folder.path(), backup.path());

    let server = start(folder.path(), address).await;
    let last = append(&client(address), "lost-1").await;
    let mut items = pin!(store.subscribe_all(None));
    for stream in ["kept-1", "lost-1"] {
        loop {
            if let Ok(next) = next(&mut items).await {
                assert_eq!(next, stream);
                break;
            }
        }
    }
    server.stop().await;

    // It is shorter than it was, and then something else is where the lost event was.
    let server = start(backup.path(), address).await;
    says(&mut items, "restored from a backup").await;
    assert_eq!(append(&client(address), "instead-1").await, last);
    append(&client(address), "instead-2").await;
    for _ in 0..3 {
        says(&mut items, "restored from a backup").await;
    }
    server.stop().await;
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
