//! A service that has no descriptor left. The limit is set from outside, to fewer than it has open: it can open nothing more.

use crate::running::Service;
use crate::{is_received, offer, receive};
use event_store::{AppendError, EventStore, ExpectedRevision, RawEvent};
use reqwest::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use uuid::Uuid;

const FEW: u64 = 3;
/// Bytes of an event that only fills the log, and how many of them are written at most until a new file is needed.
const FILLING: usize = 800 * 1024;
const MOST_APPENDS: usize = 500;

/// Sets how many descriptors the service may have; how many it could have before.
fn may_have(service: &Service, descriptors: u64) -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(descriptors), maximum };
    prlimit(Some(service.pid()), Resource::Nofile, limit).unwrap().current.unwrap()
}

async fn fill(store: &EventStore) -> Result<(), AppendError> {
    let event = RawEvent {
        id: Uuid::now_v7(),
        event_type: "filling".to_owned(),
        is_json: false,
        data: vec![7; FILLING].into(),
        metadata: Vec::new().into(),
    };
    let stream = format!("filling-{}", Uuid::now_v7());
    store.append_raw(&stream, ExpectedRevision::NoStream, vec![event]).await.map(|_| ())
}

async fn received(service: &Service) -> Value {
    service.get("/stock/MUG?min-position=head").await["received"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_commands_are_refused_and_with_some_they_are_taken_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    offer(&service, "MUG").await;
    let store = service.store();
    fill(&store).await.unwrap();

    let before = may_have(&service, FEW);
    let mut refused = None;
    for _ in 0..MOST_APPENDS {
        if let Err(error) = fill(&store).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the log comes to need a file");
    assert!(refused.to_string().contains("descriptor"), "{refused}");
    // The connection is open already: nobody new could be let in.
    let key = Uuid::now_v7();
    let (status, problem) = receive(&service, "MUG", key).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["type"], "urn:emporium:problem:event-store-unavailable", "{problem}");
    let (status, ready) = service.page("/readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let connections = &ready["parts"]["connections"];
    assert_eq!((status, &connections["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::Bool(false)));
    let word = connections["detail"]["word"].as_str().unwrap();
    assert!(word.starts_with("the process has no descriptor left"), "{word}");

    may_have(&service, before);
    let taken = async { while receive(&service, "MUG", key).await.0 != StatusCode::CREATED {} };
    tokio::time::timeout(crate::DEADLINE, taken).await.expect("it takes commands again in time");
    is_received(&service, "MUG").await;
    assert_eq!(received(&service).await, 3);
    let service = service.kill_and_restart().await;
    assert_eq!(received(&service).await, 3);
    service.terminate().await;
}
