//! The embedded event store lets in who has the password that its first start made, and nobody else unless it is told to.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[allow(dead_code, reason = "the tests of the service use more of it")]
mod running;
#[allow(dead_code, reason = "the tests of the event store use more of it")]
mod store_process;

use event_store::{EventStore, EventStoreError};
use running::Service;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use store_process::{StoreProcess, emporium, text};

/// What a stranger, and somebody with the password, get from the store at this address.
async fn is_guarded(url: &str, file: &Path) -> String {
    let password = fs::read_to_string(file).unwrap().trim().to_owned();
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let as_user =
        |user: &str| EventStore::connect(&url.replace("esdb://", &format!("esdb://{user}"))).unwrap();
    for stranger in ["", "admin:wrong@", "admin:changeit@"] {
        let refused = as_user(stranger).head().await;
        assert!(matches!(refused, Err(EventStoreError::AccessDenied)), "{stranger}: {refused:?}");
    }
    as_user(&format!("admin:{password}@")).head().await.unwrap();
    password
}

fn info(url: &str, data_dir: &Path) -> Output {
    emporium()
        .args(["event-store", "info", "--url", url])
        .env("EMPORIUM_DATA_DIR", data_dir)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_store_has_a_password_which_commands_of_this_machine_find() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    let file = folder.path().canonicalize().unwrap().join("event-store-password");
    let password = is_guarded(&service.event_store, &file).await;
    assert!(!service.printed.contains(&password), "{}", service.printed);
    assert!(service.printed.contains(&format!("$(cat '{}')", file.display())), "{}", service.printed);
    assert!(!service.get("/readyz").await.to_string().contains(&password));

    assert!(text(info(&service.event_store, folder.path())).contains("events "));
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = info(&service.event_store, elsewhere.path());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    // What it prints, a shell understands.
    let url = service.printed.lines().find(|line| line.contains("$(cat")).unwrap();
    let shell = format!("{} event-store info --url {}", env!("CARGO_BIN_EXE_emporium"), url.trim());
    let output = std::process::Command::new("bash").arg("-c").arg(shell).output().unwrap();
    assert!(text(output).contains("events "));

    let service = service.kill_and_restart().await;
    assert_eq!(is_guarded(&service.event_store, &file).await, password);
    service.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_asked_to_be_open_lets_everybody_in() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["--event-store-open"]).await;
    EventStore::connect(&service.event_store).unwrap().head().await.unwrap();
    assert!(!folder.path().join("event-store-password").exists());
    service.terminate().await;
}

#[tokio::test]
async fn a_store_that_runs_alone_has_a_password_too() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("below").join("event-store");
    let store = StoreProcess::start_with(&data_dir, &[]).await;
    is_guarded(&store.url, &folder.path().join("below").join("event-store-password")).await;
    assert!(text(info(&store.url, &folder.path().join("below"))).contains("events "));
    store.terminate().await;
}
