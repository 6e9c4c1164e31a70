//! The rules of the house that no compiler knows. What is let off is named in [`Exceptions`], and should become less.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a file.
const MAX_LINES: usize = 400;
/// Characters of a line. Code has fewer by itself; texts and comments are not wrapped by rustfmt.
const MAX_CHARACTERS: usize = 160;

/// What is let off.
struct Exceptions;

impl Exceptions {
    /// Tests that sleep because time itself is what they are about: kills at random moments, and outer servers that are
    /// asked again after a pause.
    const SLEEPS: &[&str] = &[
        "emporium/tests/any_server/shopper.rs",
        "projections/tests/killed.rs",
        "crates/private-postgres/tests/support/mod.rs",
    ];
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// Every file of our own with this ending, by its path in the tree.
fn files(ending: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, ending: &str, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    walk(&path, root, ending, found);
                }
            } else if name.ends_with(ending) {
                let path_in_tree = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.insert(path_in_tree, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let (root, mut found) = (root(), BTreeMap::new());
    walk(&root, &root, ending, &mut found);
    assert!(found.len() > 20, "the tree was walked: {}", found.len());
    found
}

fn is_of_tests(path: &str) -> bool {
    path.contains("tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let long = files(".rs").into_iter().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn no_line_is_too_long() {
    let mut long = Vec::new();
    for (path, text) in files(".rs") {
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > MAX_CHARACTERS {
                long.push(format!("{path}:{number}"));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_test_sleeps() {
    let sleeping: BTreeSet<String> = files(".rs")
        .into_iter()
        .filter(|(path, text)| is_of_tests(path) && path != "tests/tidy/main.rs" && text.contains("sleep("))
        .map(|(path, _)| path)
        .collect();
    let allowed: BTreeSet<String> = Exceptions::SLEEPS.iter().map(|&path| path.to_owned()).collect();
    assert_eq!(sleeping, allowed, "wait for a position or a state, with a deadline");
}

/// A new event must not compile until each fold has decided what it means.
#[test]
fn folds_name_the_events_that_they_pass_over() {
    let folds = [
        "domain/src/",
        "projections/src/read_models/",
        "projections/src/reconciliation/",
        "query-api/src/history/",
    ];
    let mut hidden = Vec::new();
    for (path, text) in files(".rs") {
        if !folds.iter().any(|folder| path.starts_with(folder)) || is_of_tests(&path) {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("_ =>")) {
            let depth = line.len() - line.trim_start().len();
            let arms = lines[..at].iter().rev().take_while(|arm| {
                let is_end = arm.len() - arm.trim_start().len() < depth && !arm.trim().is_empty();
                !is_end
            });
            let is_of_this_match = |arm: &&&str| arm.len() - arm.trim_start().len() == depth;
            let is_fold = arms.filter(is_of_this_match).any(|arm| {
                let head = arm.split("=>").next().unwrap_or_default().trim_start();
                head.starts_with("Event::")
                    || head.starts_with("order::Event::")
                    || head.starts_with("| Event::")
            });
            if is_fold {
                hidden.push(format!("{path}:{}", at + 1));
            }
        }
    }
    assert!(hidden.is_empty(), "`_ =>` over domain events: {hidden:#?}");
}

#[test]
fn the_domain_does_no_io_and_reads_no_clock() {
    for (path, text) in files(".rs") {
        if !path.starts_with("domain/src/") {
            continue;
        }
        let words = [
            "std::fs",
            "std::net",
            "std::io",
            "std::env",
            "SystemTime",
            "Instant",
            "Utc::now",
            "async ",
            "rand::",
            "now_v7",
            "new_v4",
        ];
        for word in words {
            assert!(!text.contains(word), "{path} has `{word}`");
        }
    }
    assert_eq!(
        dependencies()["domain"],
        BTreeSet::new(),
        "the domain knows nothing of the rest of the house"
    );
}

/// Which of our crates each of our crates builds upon, without those that only its tests need.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |of: &serde_json::Value| of["name"].as_str().unwrap().to_owned();
    let of = |package: &serde_json::Value| -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|on| on["path"].is_string() && on["kind"].is_null()).map(name).collect()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

/// A crate's floor is the folder that it is in: nothing builds upon what stands above it.
#[test]
fn dependencies_run_one_way() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let floor_of = |package: &serde_json::Value| {
        let manifest =
            Path::new(package["manifest_path"].as_str().unwrap()).strip_prefix(root()).unwrap().to_owned();
        match manifest.iter().next().unwrap().to_str().unwrap() {
            "domain" => 0,
            "crates" => 1,
            "consumers" => 2,
            "command-api" | "query-api" | "projections" => 3,
            "emporium" => 4,
            "tools" | "tests" => 5,
            other => panic!("say which floor `{other}` is"),
        }
    };
    let floors: BTreeMap<String, i32> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), floor_of(package)))
        .collect();
    for (name, on) in dependencies() {
        for below in on {
            assert!(floors[&below] <= floors[&name], "{name} builds upon {below}, which stands above it");
        }
    }
}
