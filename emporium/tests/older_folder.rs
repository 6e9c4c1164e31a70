//! A data folder that an older program made is read by this one: every page is what it was, everything adds up, its seals
//! verify, and the shop goes on.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[allow(dead_code, reason = "the tests of the service use more of it")]
mod running;

use running::{Service, emporium};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/older_folder").join(name)
}

/// A copy of the folder, as a backup is put back.
fn unpacked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(fixture("data.tar.gz")).arg("-C").arg(folder.path());
    assert!(tar.status().unwrap().success());
    folder
}

/// Events are told in other words than then.
fn without_summaries(mut page: Value) -> Value {
    for event in page["history"].as_array_mut().into_iter().flatten() {
        event.as_object_mut().unwrap().remove("summary");
    }
    page
}

fn run(args: &[&str], paths: &[&Path]) -> Output {
    emporium().args(args).args(paths).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_programs_folder_is_read_and_goes_on() {
    let folder = unpacked();
    let service = Service::start(folder.path(), &[]).await;
    let pages: serde_json::Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture("pages.json")).unwrap()).unwrap();
    assert_eq!(pages.len(), 13);
    for (path, page) in &pages {
        let now = service.get(&format!("{path}?min-position=head")).await;
        assert_eq!(without_summaries(now), without_summaries(page.clone()), "{path}");
    }

    let (url, token) = (service.url("/").trim_end_matches("/v1/").to_owned(), service.token());
    let reconciled = run(&["audit", "reconcile", "--url", &url, "--token", &token], &[]);
    let reconciled = String::from_utf8(reconciled.stdout).unwrap();
    assert!(reconciled.to_lowercase().contains("adds up"), "{reconciled}");

    // The order that nobody has paid goes on where it was.
    let unpaid =
        pages.values().find(|page| page["total"]["amount"] == 3000 && page["status"] == "pending").unwrap();
    let path = format!("/orders/{}", unpaid["order_id"].as_str().unwrap());
    let payment = json!({ "amount": unpaid["total"], "payment_method": "pm_card_visa" });
    let (status, paid) = service.post(&format!("{path}/payments"), "an older order", &payment).await.unwrap();
    assert!(status.is_success(), "{paid}");
    let processing =
        async { while service.get(&format!("{path}?min-position=head")).await["status"] != "processing" {} };
    tokio::time::timeout(DEADLINE, processing).await.expect("it is paid in time");
    service.terminate().await;
}

#[test]
fn an_older_programs_seals_verify() {
    let folder = unpacked();
    let store = folder.path().join("event-store");
    let export = folder.path().join("history.ndjson");
    let exported = run(&["event-store", "export", "--data-dir"], &[&store, &export]);
    assert!(exported.status.success(), "{exported:?}");
    let key = folder.path().join("audit-public-key");
    let verified = emporium()
        .args(["audit", "verify"])
        .arg(&export)
        .arg("--key")
        .arg(&key)
        .arg("--seal")
        .arg(fixture("kept-seals.ndjson"))
        .output()
        .unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(said.starts_with("intact: "), "{said}{:?}", String::from_utf8_lossy(&verified.stderr));
}
