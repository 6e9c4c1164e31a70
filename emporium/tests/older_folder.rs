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

/// The last position of what the pages show.
const END: u64 = 108;
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
        // What has become of them since has its own events: unpaid orders have run out of their time.
        let now = service.get(&format!("{path}?as_of=position:{END}")).await;
        assert_eq!(without_summaries(now), without_summaries(page.clone()), "{path}");
    }

    // The read models are filled from the log first.
    service.get("/orders?min-position=head").await;
    let (url, token) = (service.url(""), service.token());
    let reconciled = run(&["audit", "reconcile", "--url", &url, "--token", &token], &[]);
    assert!(String::from_utf8_lossy(&reconciled.stdout).contains("everything adds up"), "{reconciled:?}");

    // Fulfilment goes on at the order that nobody has paid, and an operator at the one that is packed.
    let order = |status: &str, total: i64| {
        let is_it = |page: &&Value| page["status"] == status && page["total"]["amount"] == total;
        let page = pages.values().find(is_it).expect("it is among the pages");
        format!("/orders/{}", page["order_id"].as_str().unwrap())
    };
    let (unpaid, packed) = (order("pending", 3000), order("processing", 1000));
    for command in ["shipment", "delivery"] {
        let (status, answer) =
            service.post(&format!("{packed}/{command}"), command, &json!({})).await.unwrap();
        assert!(status.is_success(), "{answer}");
    }
    becomes(&service, &packed, "delivered").await;
    becomes(&service, &unpaid, "cancelled").await;
    service.terminate().await;
}

async fn becomes(service: &Service, path: &str, status: &str) {
    let path = format!("{path}?min-position=head");
    let changing = async { while service.get(&path).await["status"] != status {} };
    tokio::time::timeout(DEADLINE, changing).await.unwrap_or_else(|_| panic!("{path} becomes {status}"));
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
