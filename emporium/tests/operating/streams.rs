//! `emporium streams` as a person types it, at a shop that runs.

use crate::running::{Service, emporium};
use crate::{is_received, offer, receive, write};
use reqwest::StatusCode;
use serde_json::json;
use std::path::Path;
use std::process::Output;
use uuid::Uuid;

/// What the command line says.
fn streams(service: &Service, folder: &Path, args: &[&str]) -> Output {
    let mut command = emporium();
    command.args(["streams", "--url", &service.url(""), "--token-file"]).arg(folder.join("operator-token"));
    command.args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn is_refused(service: &Service, sku: &str, id: &str) {
    let (status, problem) = receive(service, sku, Uuid::now_v7()).await;
    let problem = (status, &problem["type"]);
    assert_eq!(problem, (StatusCode::CONFLICT, &json!(format!("urn:emporium:problem:{id}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_shown_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    let streams = |args: &[&str]| streams(&service, folder.path(), args);
    offer(&service, "MUG").await;
    assert_eq!(said(&streams(&["parked"])), "nothing is parked\n");

    write(&service.store(), "inventory-MUG", Some(0), "somebody.wrote.v1", b"{}".to_vec()).await;
    is_refused(&service, "MUG", "stream-unreadable").await;
    let parked = said(&streams(&["parked"]));
    let first = "inventory-MUG is parked at revision 1 (somebody.wrote.v1) since ";
    assert!(parked.starts_with(first), "{parked}");
    let elsewhere = streams(&["skip", "inventory-MUG", "--revision", "7", "--reason", "by mistake"]);
    assert_eq!(elsewhere.status.code(), Some(1), "{elsewhere:?}");
    is_refused(&service, "MUG", "stream-unreadable").await;
    let skipped = streams(&["skip", "inventory-MUG", "--revision", "1", "--reason", "a script wrote it"]);
    assert_eq!(said(&skipped), "inventory-MUG goes on after revision 1: event 2 says so\n");
    assert_eq!(said(&streams(&["parked"])), "nothing is parked\n");
    is_received(&service, "MUG").await;
    assert_eq!(service.get("/stock/MUG?min-position=head").await["received"], 2);
    service.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_mended_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    offer(&service, "MUG").await;
    is_received(&service, "MUG").await;
    // Somebody hides events of the stream. A service that has to read it notices.
    let settings = "$$inventory-MUG";
    write(&service.store(), settings, None, "$metadata", br#"{"$maxCount":1}"#.to_vec()).await;
    service.terminate().await;
    let service = Service::start(folder.path(), &[]).await;
    let streams = |args: &[&str]| streams(&service, folder.path(), args);
    is_refused(&service, "MUG", "history-altered").await;
    let is_listed = || {
        let parked = said(&streams(&["parked"]));
        assert!(parked.starts_with("inventory-MUG is parked at revision 1 "), "{parked}");
    };
    is_listed();
    // And takes that back. Nobody has asked for the stream since.
    write(&service.store(), settings, Some(0), "$metadata", b"{}".to_vec()).await;
    is_listed();
    assert_eq!(said(&streams(&["retry", "inventory-MUG"])), "inventory-MUG is read again\n");
    assert_eq!(said(&streams(&["parked"])), "nothing is parked\n");
    is_received(&service, "MUG").await;
    assert_eq!(service.get("/stock/MUG?min-position=head").await["received"], 3);
    let again = streams(&["retry", "inventory-MUG"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not parked"), "{again:?}");
    service.terminate().await;
}
