//! What earlier runs left behind when they were killed.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use private_postgres::{Config, Error, PrivatePostgres};
use rustix::process::{Signal, kill_process};
use support::{Owner, ask, ended, folder, lives, pid, postmaster_pid, server_binaries, start, until};

const CREATE: &str = "create table kept as select 'still here' as word";
const READ: &str = "select word from kept";

fn setpriv_can_bind() -> bool {
    let asked = Command::new("setpriv").args(["--pdeathsig", "INT", "--", "true"]).status();
    asked.is_ok_and(|status| status.success())
}

/// Without `setpriv` on its PATH the program cannot tie the server's life to its own.
#[tokio::test]
async fn a_server_that_survived_its_owner_is_stopped_in_order_and_replaced() {
    let folder = folder();
    let first = start(folder.path()).await;
    let path = server_binaries(&first).await;
    first.stop().await.unwrap();
    let owner = Owner::start(folder.path(), Some(&path));
    ask(&owner.url, CREATE).await;
    let survivor = pid(postmaster_pid(folder.path()));
    owner.kill();
    assert!(lives(survivor), "the server should have survived");

    let second = start(folder.path()).await;
    assert_ne!(pid(second.pid()), survivor);
    assert_eq!(ask(second.database_url(), READ).await.as_deref(), Some("still here"));
    let log = fs::read_to_string(second.log_path()).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(!log.contains("was not properly shut down"), "{log}");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_stops_with_its_killed_owner_where_the_kernel_can_do_that() {
    let folder = folder();
    let owner = Owner::start(folder.path(), None);
    let server = pid(postmaster_pid(folder.path()));
    owner.kill();
    if setpriv_can_bind() {
        until("the server ended", || !folder.path().join("cluster/postmaster.pid").exists()).await;
    }
    let second = start(folder.path()).await;
    ended(server).await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_in_use_by_another_process_is_refused_with_its_number() {
    let folder = folder();
    let owner = Owner::start(folder.path(), None);
    let refused = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&owner.child.id().to_string()), "{refused}");
    assert_eq!(owner.finish().code(), Some(7));
}

#[tokio::test]
async fn an_initdb_that_was_interrupted_is_done_again() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut owner = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .arg("--data-dir")
        .arg(&data_dir)
        .args(["--", "true"])
        .spawn()
        .unwrap();
    until("initdb began", || unfinished(&data_dir).is_some_and(|folder| folder.join("PG_VERSION").exists()))
        .await;
    kill_process(pid(owner.id()), Signal::KILL).unwrap();
    owner.wait().unwrap();
    assert!(!data_dir.join("cluster").exists(), "it was not interrupted");

    let server = start(&data_dir).await;
    assert_eq!(ask(server.database_url(), "select 'whole'").await.as_deref(), Some("whole"));
    assert_eq!(unfinished(&data_dir), None);
    server.stop().await.unwrap();
}

fn unfinished(data_dir: &Path) -> Option<std::path::PathBuf> {
    let mut entries = fs::read_dir(data_dir).ok()?.flatten();
    let is_unfinished =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("initialising.");
    entries.find(is_unfinished).map(|entry| entry.path())
}

#[tokio::test]
async fn lock_files_that_name_a_stranger_do_not_stop_a_start() {
    let folder = folder();
    let first = start(folder.path()).await;
    ask(first.database_url(), CREATE).await;
    let names = ["cluster/postmaster.pid", ".s.PGSQL.5432.lock"];
    let contents = names.map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let own_number = first.pid().to_string();
    first.stop().await.unwrap();

    // The stranger has the server's user and now also its number, as happens after a restart of a container.
    let mut stranger = stranger(folder.path());
    for (name, content) in names.iter().zip(contents) {
        let content = content.replacen(&own_number, &stranger.id().to_string(), 1);
        fs::write(folder.path().join(name), content).unwrap();
        give_to_owner_of(&folder.path().join("cluster"), &folder.path().join(name));
    }
    fs::write(folder.path().join(".s.PGSQL.5432"), "").unwrap();

    let second = start(folder.path()).await;
    assert_eq!(ask(second.database_url(), READ).await.as_deref(), Some("still here"));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger must be left alone");
    second.stop().await.unwrap();
    drop(stranger.stdin.take());
    stranger.wait().unwrap();
}

fn stranger(data_dir: &Path) -> std::process::Child {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = fs::metadata(data_dir).unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read line"]).stdin(Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.spawn().unwrap()
}

fn give_to_owner_of(model: &Path, path: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(model).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

#[tokio::test]
async fn a_killed_server_with_live_lock_files_starts_again() {
    let folder = folder();
    let owner = Owner::start(folder.path(), None);
    ask(&owner.url, CREATE).await;
    let server = pid(postmaster_pid(folder.path()));
    kill_process(server, Signal::KILL).unwrap();
    owner.kill();
    ended(server).await;
    assert!(folder.path().join("cluster/postmaster.pid").exists());
    let second = start(folder.path()).await;
    assert_eq!(ask(second.database_url(), READ).await.as_deref(), Some("still here"));
    second.stop().await.unwrap();
}
