//! A store that runs alone: who may use it, and what it says of itself.

use crate::numbered;
use crate::store_process::{StoreProcess, emporium, text, within};
use event_store::{EventStore, ExpectedRevision};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// The log is for the operator alone, as in the service's own data folder.
#[tokio::test]
async fn the_data_folder_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("new"), folder.path().join("old"));
    fs::create_dir(&old).unwrap();
    fs::set_permissions(&old, Permissions::from_mode(0o755)).unwrap();
    for data_dir in [new, old] {
        let store = StoreProcess::start(&data_dir).await;
        assert_eq!(fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777, 0o700);
        store.terminate().await;
    }
}

/// A node that speaks no TLS looks like one that is not there.
#[tokio::test]
async fn an_address_with_tls_for_a_store_without_is_told_how_to_ask_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreProcess::start(&folder.path().join("data")).await;
    let url = store.url.split('?').next().unwrap();
    let output = emporium().args(["event-store", "info", "--url", url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("needs `tls=false`"), "{said}");
    store.terminate().await;
}

#[tokio::test]
async fn only_listed_users_may_use_the_store_and_a_reader_may_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.json");
    let listed = json!([
        { "name": "ann", "password": "first", "role": "admin" },
        { "name": "bob", "password": "second", "role": "read-only" },
    ]);
    fs::write(&users, listed.to_string()).unwrap();
    let data_dir = folder.path().join("data");
    let store = StoreProcess::start_with(&data_dir, &["--users", users.to_str().unwrap()]).await;
    let as_user = |credentials: &str| {
        EventStore::connect(&store.url.replacen("://", &format!("://{credentials}@"), 1)).unwrap()
    };
    let event = || vec![numbered(1)];
    as_user("ann:first").append_raw("s", ExpectedRevision::NoStream, event()).await.unwrap();
    let bob = as_user("bob:second");
    assert!(bob.head().await.unwrap().is_some());
    bob.append_raw("t", ExpectedRevision::NoStream, event()).await.expect_err("he may only read");
    as_user("bob:wrong").head().await.expect_err("not his password");
    store.client().head().await.expect_err("nobody is not listed");
    store.terminate().await;
}

#[tokio::test]
async fn users_that_are_changed_count_after_a_hangup_and_one_is_granted_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.json");
    let listed = |password: &str| {
        let ops = json!({ "name": "shop", "password": password, "groups": ["$ops"] });
        json!([{ "name": "ann", "password": "first", "role": "admin" }, ops]).to_string()
    };
    fs::write(&users, listed("old")).unwrap();
    let data_dir = folder.path().join("data");
    let store = StoreProcess::start_with(&data_dir, &["--users", users.to_str().unwrap()]).await;
    let url = |credentials: &str| store.url.replacen("://", &format!("://{credentials}@"), 1);
    let shop = |password: &str| EventStore::connect(&url(&format!("shop:{password}"))).unwrap();
    shop("old").head().await.expect_err("it may not read the log yet");
    let grant = || {
        let mut command = emporium();
        command.args(["event-store", "grant", "--user", "shop", "--url", &url("ann:first")]);
        text(command.output().unwrap())
    };
    assert!(grant().contains("from now on"));
    assert!(grant().contains("already"));
    shop("old").head().await.unwrap();

    fs::write(&users, listed("new")).unwrap();
    store.signal(Signal::HUP);
    within(async {
        while shop("new").head().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    shop("old").head().await.expect_err("its password is another now");
    store.terminate().await;
}

#[test]
fn a_list_that_names_nobody_does_not_open_the_store_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.json");
    fs::write(&users, "[]").unwrap();
    let data_dir = folder.path().join("data");
    let output = emporium()
        .args(["event-store", "serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .arg("--users")
        .arg(users)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("names nobody"));
}

#[tokio::test]
async fn a_store_that_runs_alone_says_what_connections_and_descriptors_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--open", "--operations-listen", "127.0.0.1:0"];
    let mut store = StoreProcess::start_with(folder.path(), &args).await;
    store.client().head().await.unwrap();
    let line = store.line().await;
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect(&line).to_owned();
    let ready = within(reqwest::get(&url)).await.unwrap();
    assert_eq!(ready.status(), reqwest::StatusCode::OK);
    let ready: Value = ready.json().await.unwrap();
    let detail = &ready["parts"]["connections"]["detail"];
    assert!(detail["ports"]["event-store"]["most"].as_u64() > Some(0), "{ready}");
    assert!(detail["descriptors"]["used"].as_u64() > Some(0), "{ready}");
    let metrics = within(reqwest::get(url.replace("readyz", "metrics"))).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let figure = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("emporium_{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {metrics}"))
            .rsplit_once(' ')
            .unwrap()
            .1
            .parse::<u64>()
            .unwrap()
    };
    assert!(figure("connections_accepted_total{port=\"event-store\"}") > 0);
    assert!(figure("descriptors_used") > 0 && figure("descriptors_limit") >= figure("descriptors_used"));

    let taken = url.trim_start_matches("http://").trim_end_matches("/readyz");
    let other = tempfile::tempdir().unwrap();
    let data_dir = other.path().join("store");
    let mut command = emporium();
    command.args(["event-store", "serve", "--open", "--listen", "127.0.0.1:0", "--operations-listen", taken]);
    let output = command.arg("--data-dir").arg(&data_dir).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains(taken) && error.contains("--operations-listen"));
    assert!(!data_dir.exists(), "something was started");
    store.terminate().await;
}
