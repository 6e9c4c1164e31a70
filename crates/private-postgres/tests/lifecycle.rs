//! Starting, stopping, and starting again after a crash.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use private_postgres::{Config, Error, PrivatePostgres};
use rustix::process::{Signal, kill_process};
use support::{ask, ended, folder, pid, start};

const CREATE: &str = "create table kept as select 'still here' as word";
const READ: &str = "select word from kept";

#[tokio::test]
async fn a_fresh_server_answers_and_is_private() {
    let folder = folder();
    let data_dir = folder.path().join("new/postgres");
    let server = start(&data_dir).await;
    let url = server.database_url();
    assert_eq!(ask(url, "select current_database()::text").await.as_deref(), Some("emporium"));
    assert_eq!(ask(url, "select current_user::text").await.as_deref(), Some("emporium"));
    assert_eq!(ask(url, "show server_encoding").await.as_deref(), Some("UTF8"));
    assert_eq!(ask(url, "show data_checksums").await.as_deref(), Some("on"));
    assert_eq!(ask(url, "show listen_addresses").await.as_deref(), Some(""));
    assert_eq!(ask(url, "show max_connections").await.as_deref(), Some("200"));
    assert_eq!(ask(url, "show synchronous_commit").await.as_deref(), Some("on"));
    assert_eq!(ask(url, "select upper('ü') || 1").await.as_deref(), Some("Ü1"));
    let metadata = fs::metadata(&data_dir).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
    assert_ne!(metadata.uid(), 0, "root must not own what the server writes");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_durable_server_waits_for_the_disk() {
    let folder = folder();
    let server = PrivatePostgres::start(Config::durable(folder.path())).await.unwrap();
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        assert_eq!(
            ask(server.database_url(), &format!("show {setting}")).await.as_deref(),
            Some("on"),
            "{setting}"
        );
    }
    assert_eq!(ask(server.database_url(), "show max_connections").await.as_deref(), Some("100"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_after_an_orderly_stop_keeps_the_data_and_needs_no_recovery() {
    let folder = folder();
    let first = start(folder.path()).await;
    ask(first.database_url(), CREATE).await;
    let process = pid(first.pid());
    first.stop().await.unwrap();
    ended(process).await;
    assert!(!folder.path().join("cluster/postmaster.pid").exists());

    let second = start(folder.path()).await;
    assert_eq!(ask(second.database_url(), READ).await.as_deref(), Some("still here"));
    let log = fs::read_to_string(second.log_path()).unwrap();
    assert!(log.contains("database system was shut down at"), "{log}");
    assert!(!log.contains("was interrupted"), "{log}");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn the_death_of_the_server_is_noticed_and_repaired() {
    let folder = folder();
    let first = start(folder.path()).await;
    ask(first.database_url(), CREATE).await;
    kill_process(pid(first.pid()), Signal::KILL).unwrap();
    let died = first.died().await;
    assert!(matches!(&died, Error::Died { how, .. } if how.contains("signal: 9")), "{died}");
    let stopped = first.stop().await;
    assert!(matches!(stopped, Err(Error::Died { .. })), "{stopped:?}");

    let second = start(folder.path()).await;
    assert_eq!(ask(second.database_url(), READ).await.as_deref(), Some("still here"));
    let log = fs::read_to_string(second.log_path()).unwrap();
    assert!(log.contains("was not properly shut down"), "{log}");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_outlives_its_killed_server_is_waited_for() {
    let folder = folder();
    let first = start(folder.path()).await;
    let url = first.database_url().to_owned();
    // Busy for a second without looking whether the server still lives.
    let busy = "do $$ declare till timestamptz := clock_timestamp() + interval '1 second'; \
                begin while clock_timestamp() < till loop null; end loop; end $$";
    let session = tokio::spawn(async move {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query(busy).execute(&mut connection).await.ok();
    });
    let running =
        "select count(*)::text from pg_stat_activity where query like 'do $$%' and state = 'active'";
    while ask(first.database_url(), running).await.as_deref() != Some("1") {
        assert!(!session.is_finished(), "the busy session ended before it was seen");
    }
    kill_process(pid(first.pid()), Signal::KILL).unwrap();
    first.died().await;
    drop(first);
    let second = start(folder.path()).await;
    assert_eq!(ask(second.database_url(), "select 'yes'").await.as_deref(), Some("yes"));
    second.stop().await.unwrap();
    session.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_only_dropped_ends_too() {
    let folder = folder();
    let server = start(folder.path()).await;
    let process = pid(server.pid());
    drop(server);
    ended(process).await;
    start(folder.path()).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_owner_at_a_time() {
    let folder = folder();
    let first = start(folder.path()).await;
    let refused = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("in use by process {}", std::process::id())), "{refused}");
    assert_eq!(ask(first.database_url(), "select 'unharmed'").await.as_deref(), Some("unharmed"));
    first.stop().await.unwrap();
}
