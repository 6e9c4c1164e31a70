//! What cannot be started, and whether the message says why and what to do.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use private_postgres::{Config, Error, PrivatePostgres};
use support::{ask, folder, server_binaries, start};

#[tokio::test]
async fn a_machine_without_a_server_is_told_what_to_install() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    let config = Config {
        server_binaries: Some(vec![nowhere.clone()]),
        ..Config::throwaway(folder.path().join("data"))
    };
    let error = PrivatePostgres::start(config).await.unwrap_err();
    assert!(matches!(error, Error::BinariesMissing { .. }), "{error}");
    let message = error.to_string();
    for part in ["apt-get install postgresql", "postgresql@17", "DATABASE_URL", nowhere.to_str().unwrap()] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[tokio::test]
async fn binaries_are_found_behind_a_link_after_a_useless_folder() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let first = start(&data_dir).await;
    let binaries = server_binaries(&first).await;
    first.stop().await.unwrap();
    let links = folder.path().join("bin");
    fs::create_dir(&links).unwrap();
    symlink(binaries.join("postgres"), links.join("postgres")).unwrap();
    let search = vec![PathBuf::from("/nonexistent"), links];
    let config = Config { server_binaries: Some(search), ..Config::throwaway(data_dir) };
    PrivatePostgres::start(config).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_long_or_odd_path_gets_its_socket_elsewhere() {
    let folder = folder();
    let long = folder.path().join("a folder, with a \"long\" name ".repeat(4));
    let server = start(&long).await;
    assert!(server.database_url().contains("%2Ftmp%2Femporium-postgres-"), "{}", server.database_url());
    assert_eq!(ask(server.database_url(), "select 'reached'").await.as_deref(), Some("reached"));
    let socket_folder = ask(server.database_url(), "show unix_socket_directories").await.unwrap();
    let socket_folder = PathBuf::from(socket_folder.trim_matches('"'));
    assert_eq!(fs::metadata(&socket_folder).unwrap().permissions().mode() & 0o777, 0o700);
    server.stop().await.unwrap();
    assert!(!socket_folder.exists());

    let odd = folder.path().join("odd, \"ü\"");
    let server = start(&odd).await;
    assert!(odd.join(".s.PGSQL.5432").exists());
    assert_eq!(ask(server.database_url(), "select 'reached'").await.as_deref(), Some("reached"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_the_server_may_not_enter_is_named() {
    let folder = folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o600)).unwrap();
    let error = PrivatePostgres::start(Config::throwaway(closed.join("data"))).await.unwrap_err();
    assert!(error.to_string().contains(closed.to_str().unwrap()), "{error}");
    if rustix::process::geteuid().is_root() {
        assert!(matches!(&error, Error::NoEntry { folder, .. } if *folder == closed), "{error}");
        assert!(error.to_string().contains("chmod o+x"), "{error}");
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_folder_with_somebody_elses_files_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let error = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs(_)), "{error}");
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn a_cluster_of_another_version_or_without_its_heart_is_refused() {
    let folder = folder();
    start(folder.path()).await.stop().await.unwrap();
    let version = folder.path().join("cluster/PG_VERSION");
    let right = fs::read_to_string(&version).unwrap();
    fs::write(&version, "9\n").unwrap();
    let error = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(&error, Error::OtherVersion { wanted, .. } if wanted == "9"), "{error}");
    fs::write(&version, right).unwrap();

    let heart = folder.path().join("cluster/global/pg_control");
    fs::rename(&heart, folder.path().join("heart")).unwrap();
    let error = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_to_start_is_quoted() {
    let folder = folder();
    start(folder.path()).await.stop().await.unwrap();
    fs::write(folder.path().join("cluster/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = PrivatePostgres::start(Config::throwaway(folder.path())).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
