//! What several of the tests need.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{fs, str};

use private_postgres::{Config, PrivatePostgres};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A folder that the server's user can reach, also when the tests run as root with a private TMPDIR.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("private-postgres-test-").tempdir_in("/tmp").unwrap()
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

/// Waits until a process is gone: not even a zombie of it is left.
pub async fn gone(process: Pid) {
    until("the process is gone", || test_kill_process(process).is_err()).await;
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

/// The folder of the server's binaries on this machine.
pub fn server_binaries() -> PathBuf {
    let bindir = Command::new("pg_config").arg("--bindir").output().ok().map(|answer| answer.stdout);
    let from_pg_config = bindir.and_then(|bytes| Some(PathBuf::from(str::from_utf8(&bytes).ok()?.trim())));
    let on_path =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|folder| folder.join("postgres"));
    let on_path =
        on_path.filter_map(|program| fs::canonicalize(program).ok()?.parent().map(Path::to_path_buf));
    let mut candidates = on_path.chain(from_pg_config);
    candidates.find(|folder| folder.join("initdb").exists()).expect("the server binaries are installed")
}
