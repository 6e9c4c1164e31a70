//! Attacks on a service of their own, short ones: nobody may be without an order, memory is bounded, nothing that was
//! acknowledged is lost. How long shoppers wait is not judged here, because the machine may be busy with other tests.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn attack(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Postgres runs as another user when the test is root, and must be able to enter.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_emporium-bench"))
        .args(["attack", "--no-times", "--quiet-seconds", "3"])
        .args(more)
        .arg("--folder")
        .arg(folder.path())
        .env("RUST_LOG", "warn")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("lost after a kill -9: 0"), "{printed}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "the folder is empty again");
    printed
}

/// One after the other, and then all of them for a minute: beside each other they would only slow each other down.
#[test]
fn ordinary_shoppers_get_their_orders_whatever_strangers_do() {
    let printed = attack(&["--seconds", "2"]);
    let verdicts = printed.lines().filter(|line| line.ends_with("holds")).count();
    assert_eq!(verdicts, 17, "sixteen scripts and the full disk: {printed}");
    // After each script what it acknowledged is looked for, and not only in the end.
    let lost_nothing = |line: &&str| line.split_whitespace().rev().nth(1) == Some("0");
    assert_eq!(printed.lines().filter(lost_nothing).count(), 16, "{printed}");
    let printed = attack(&["--mixed", "--minutes", "1"]);
    assert!(
        printed.lines().any(|line| line.starts_with("all at once") && line.ends_with("holds")),
        "{printed}"
    );
}
