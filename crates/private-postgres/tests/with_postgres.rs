//! The program `with-postgres`, as `make test` uses it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use support::{folder, pid};

fn with_postgres(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-postgres"));
    command.env("TMPDIR", temporary).env_remove("DATABASE_URL");
    command
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_command_gets_the_address_and_its_code_is_ours() {
    let folder = folder();
    let script = "echo $DATABASE_URL; echo $1; exit 42";
    let answer =
        with_postgres(folder.path()).args(["--", "sh", "-c", script, "sh", "--data-dir"]).output().unwrap();
    assert_eq!(answer.status.code(), Some(42));
    let output = String::from_utf8(answer.stdout).unwrap();
    assert!(output.starts_with("postgres://emporium@%2Ftmp%2F"), "{output}");
    assert!(output.ends_with("\n--data-dir\n"), "{output}");
    assert!(is_empty(folder.path()), "the server's folder must be removed");
}

#[test]
fn a_signal_reaches_the_command_and_the_server_is_stopped() {
    let folder = folder();
    let script = "trap 'echo stopped; exit 3' TERM; echo ready; while :; do read line; done";
    let mut child = with_postgres(folder.path())
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    kill_process(pid(child.id()), Signal::TERM).unwrap();
    assert_eq!(lines.next().as_deref(), Some("stopped"));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(is_empty(folder.path()));
}

#[test]
fn a_command_that_a_signal_ended_gives_the_shells_code() {
    let folder = folder();
    let status = with_postgres(folder.path()).args(["sh", "-c", "kill -KILL $$"]).status().unwrap();
    assert_eq!(status.code(), Some(128 + 9));
}

#[test]
fn a_closed_temporary_folder_of_root_is_passed_over() {
    let folder = folder();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let status = with_postgres(&closed).args(["--", "sh", "-c", "exit 5"]).status().unwrap();
    assert_eq!(status.code(), Some(5));
}

#[test]
fn what_cannot_be_run_is_said() {
    let folder = folder();
    let answer = with_postgres(folder.path()).args(["--", "/no/such/program"]).output().unwrap();
    assert_eq!(answer.status.code(), Some(125));
    let message = String::from_utf8(answer.stderr).unwrap();
    assert!(message.contains("could not run /no/such/program"), "{message}");
    assert!(is_empty(folder.path()));

    let answer = with_postgres(folder.path()).output().unwrap();
    assert_eq!(answer.status.code(), Some(125));
    assert!(String::from_utf8(answer.stderr).unwrap().contains("usage: with-postgres"));
}
