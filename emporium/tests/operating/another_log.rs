//! Behind the event store's address there is another log all at once, while the service runs.

use crate::running::Service;
use crate::{DEADLINE, offer, page_when, receive};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use futures::TryStreamExt;
use reqwest::StatusCode;
use std::net::SocketAddr;
use std::path::Path;
use uuid::Uuid;

async fn start(folder: &Path, listen: SocketAddr) -> EmbeddedEventStore {
    EmbeddedEventStore::start(Config { listen, ..Config::on_any_port(folder) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_command_after_an_empty_log_has_come_is_refused() {
    let (ours, empty, folder) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = EmbeddedEventStore::start(Config::on_any_port(ours.path())).await.unwrap();
    let (address, url) = (store.address(), store.connection_string());
    let service = Service::start(folder.path(), &["--event-store", &url]).await;
    offer(&service, "MUG").await;
    store.stop().await;

    let store = start(empty.path(), address).await;
    let (status, answer) = receive(&service, "MUG", Uuid::now_v7()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["type"], "urn:emporium:problem:event-store-unavailable");
    // What the reason is, is for those who run the shop.
    page_when(&service, "/readyz", |page| page.contains("this process began with the log")).await;
    let log = EventStore::connect(&url).unwrap();
    let written: Vec<_> = log.read_all(None, usize::MAX).try_collect().await.unwrap();
    assert!(written.is_empty(), "{written:?}");
    store.stop().await;

    let store = start(ours.path(), address).await;
    // It goes on by itself, and what was refused was not done.
    let received = async || service.get("/stock/MUG?min-position=head").await["received"].clone();
    assert_eq!(received().await, 1);
    let key = Uuid::now_v7();
    let taken = async { while receive(&service, "MUG", key).await.0 != StatusCode::CREATED {} };
    tokio::time::timeout(DEADLINE, taken).await.expect("commands are taken again in time");
    assert_eq!(received().await, 2);
    service.terminate().await;
    store.stop().await;
}
