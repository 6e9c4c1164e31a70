//! A small flash sale, with everything of a large one: a kill -9 in the middle, cards that are declined, a second SKU.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

#[test]
fn a_sale_that_is_killed_in_the_middle_sells_every_unit_once() {
    let folder = tempfile::tempdir().unwrap();
    // Postgres runs as another user when the test is root, and must be able to enter.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_emporium-bench"))
        .args(["flash-sale", "--shoppers", "300", "--units", "20", "--connections", "50"])
        .args(["--hold-seconds", "5", "--no-reference", "--folder"])
        .arg(folder.path())
        .env("RUST_LOG", "warn")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{printed}\n{errors}");
    let figure = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name)).expect(&printed);
        line.trim_start_matches(name).trim().to_owned()
    };
    for zero in ["oversold", "undersold", "charged but unfulfilled", "fulfilled but uncharged", "stuck"] {
        assert_eq!(figure(zero), "0", "{printed}");
    }
    assert_eq!(figure("promised, not in the history"), "0", "{printed}");
    assert_eq!(figure("sold"), "20", "{printed}");
    assert_eq!(figure("bought"), "20", "{printed}");
    // It was killed, and it came back.
    assert!(figure("recovery after the kill").ends_with(" s"), "{printed}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "the folder is empty again");
}
