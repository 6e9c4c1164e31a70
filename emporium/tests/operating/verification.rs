//! The service verifies its own history, and says what it found.

use crate::running::Service;
use crate::{offer, page_when, write};
use serde_json::Value;

const PART: &str = "audit-verification";

/// What the verification says of itself, once that is as wanted.
async fn says(service: &Service, is_wanted: impl Fn(&str) -> bool) -> String {
    let how = |page: &str| {
        let ready: Value = serde_json::from_str(page).unwrap_or_default();
        ready["parts"][PART]["how"].as_str().unwrap_or_default().to_owned()
    };
    how(&page_when(service, "/readyz", |page| is_wanted(&how(page))).await)
}

/// A figure in the metrics.
fn figure(metrics: &str, name: &str) -> Option<u64> {
    let line = metrics.lines().find(|line| line.starts_with(&format!("emporium_audit_{name} ")))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_how_far_its_history_is_verified_and_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--audit-seal-seconds", "1"];
    let service = Service::start(folder.path(), &settings).await;
    says(&service, |how| how == "nothing was verified yet").await;
    offer(&service, "MUG").await;
    write(&service.store(), "inventory-MUG", Some(0), "somebody.wrote.v1", b"{}".to_vec()).await;
    let is_sealed = |page: &str| figure(page, "sealed_events") == Some(3);
    let metrics = page_when(&service, "/metrics", is_sealed).await;
    let position = figure(&metrics, "sealed_position").unwrap();
    let none = ["verified_events", "verified_position", "faults"].map(|name| figure(&metrics, name));
    assert_eq!(none, [Some(0); 3], "{metrics}");
    service.terminate().await;

    // The first run is at the start, because there is a seal; the next one is a day later.
    let service = Service::start(folder.path(), &settings).await;
    let how = says(&service, |how| how.contains("were verified")).await;
    assert!(how.starts_with("the first 3 events were verified"), "{how}");
    assert!(
        how.contains("1 findings, the first: UNLINKED") && how.contains("event 1 of inventory-MUG"),
        "{how}"
    );
    let (_, metrics) = service.page("/metrics").await;
    assert_eq!(figure(&metrics, "verified_events"), Some(3), "{metrics}");
    assert_eq!(figure(&metrics, "verified_position"), Some(position), "{metrics}");
    assert_eq!(figure(&metrics, "faults"), Some(1), "{metrics}");
    assert!(figure(&metrics, "verified_seconds").is_some_and(|seconds| seconds < 3_600), "{metrics}");
    service.terminate().await;
}
