//! What several of the tests need.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use private_postgres::{Config, PrivatePostgres};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A folder that the server's user may pass through, whatever TMPDIR and umask are.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("private-postgres-test-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub async fn start(data_dir: &Path) -> PrivatePostgres {
    PrivatePostgres::start(Config::throwaway(data_dir)).await.unwrap()
}

/// Runs one statement and returns the first column of its first row, if it has one.
pub async fn ask(url: &str, sql: &str) -> Option<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let answer = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

pub fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

pub fn postmaster_pid(data_dir: &Path) -> u32 {
    let content = fs::read_to_string(data_dir.join("cluster/postmaster.pid")).unwrap();
    content.lines().next().unwrap().parse().unwrap()
}

/// Waits until a process has ended. A zombie counts: in a container, process 1 may never reap orphans.
pub async fn ended(process: Pid) {
    until("the process has ended", || !lives(process)).await;
}

#[cfg(target_os = "linux")]
pub fn lives(process: Pid) -> bool {
    fs::read(format!("/proc/{}/cmdline", process.as_raw_nonzero())).is_ok_and(|line| !line.is_empty())
}

#[cfg(not(target_os = "linux"))]
pub fn lives(process: Pid) -> bool {
    rustix::process::test_kill_process(process).is_ok()
}

pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// `with-postgres` around a shell that says the server's address and then waits for a line.
pub struct Owner {
    pub child: Child,
    pub url: String,
}

impl Owner {
    /// `path`: the program's PATH, if it is not to be ours.
    pub fn start(data_dir: &Path, path: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_with-postgres"));
        command.arg("--data-dir").arg(data_dir).args([
            "--",
            "/bin/sh",
            "-c",
            "echo $DATABASE_URL; read line; exit 7",
        ]);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    pub fn kill(mut self) {
        kill_process(pid(self.child.id()), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    pub fn finish(mut self) -> ExitStatus {
        self.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.child.wait().unwrap()
    }
}

/// The folder of the server's binaries on this machine, as a server tells it.
pub async fn server_binaries(server: &PrivatePostgres) -> PathBuf {
    let sql = "select setting from pg_config where name = 'BINDIR'";
    ask(server.database_url(), sql).await.unwrap().into()
}
