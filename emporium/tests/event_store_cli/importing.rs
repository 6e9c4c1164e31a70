//! An import that did not come to its end is known as such, and goes on.

use crate::copying::{all_lines, fill, line, lines, refused};
use crate::store_process::{StoreProcess, emporium, export, import, text, within};
use crate::{append, numbered};
use event_store::{IMPORT_HAS_NOT_ENDED, SubscriptionItem};
use futures::StreamExt;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

const SOME_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn info(url: &str) -> String {
    text(emporium().args(["event-store", "info", "--url", url]).output().unwrap())
}

fn verify(url: &str) -> Output {
    emporium().args(["audit", "verify", "--url", url, "--key", SOME_KEY]).output().unwrap()
}

/// The types of the events in which the log tells of imports.
fn marks(file: &Path) -> Vec<String> {
    let lines = all_lines(file);
    let marks = lines.iter().filter_map(|line| line["type"].as_str()).filter(|name| name.contains("import"));
    marks.map(str::to_owned).collect()
}

/// The beginning of a file, up to the end of a line.
fn cut(file: &Path, lines: usize, to: &Path) {
    let text = fs::read_to_string(file).unwrap();
    fs::write(to, text.split_inclusive('\n').take(lines).collect::<String>()).unwrap();
}

#[tokio::test]
async fn a_killed_import_is_marked_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, half, again] = ["whole", "half", "again"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    let client = source.client();
    for n in 0..2000 {
        append(&client, if n % 2 == 0 { "even" } else { "odd" }, n / 2, vec![numbered(n)]).await;
    }
    let exported = client.log_identity().await.unwrap().id();
    text(export(&["--url", &source.url], &whole));
    let target = StoreProcess::start(&folder.path().join("target")).await;
    let service = target.client();
    service.use_whole_logs_only();
    let mut command = emporium();
    command.args(["event-store", "import", "--url", &target.url]).arg(&whole).stdout(Stdio::null());
    let mut importing = command.spawn().unwrap();
    let mut arriving = std::pin::pin!(target.client().subscribe_all(None));
    let mut arrived = 0;
    while arrived < 100 {
        let item = within(arriving.next()).await.expect("it never ends");
        arrived += u64::from(matches!(item, SubscriptionItem::Event(_)));
    }
    importing.kill().unwrap();
    importing.wait().unwrap();

    assert!(service.head().await.unwrap_err().to_string().contains(IMPORT_HAS_NOT_ENDED));
    assert!(info(&target.url).contains(IMPORT_HAS_NOT_ENDED));
    let verified = verify(&target.url);
    assert!(refused(&verified).expect("it is half").contains(IMPORT_HAS_NOT_ENDED));
    assert!(verified.stdout.is_empty());
    text(export(&["--url", &target.url], &half));

    text(import(&whole, &target.url));
    assert!(!info(&target.url).contains(IMPORT_HAS_NOT_ENDED));
    service.head().await.unwrap();
    assert!(service.log_identity().await.unwrap().imports().are_of(exported));
    text(export(&["--url", &target.url], &again));
    assert_eq!(lines(&again), lines(&whole));
    // Once more changes nothing, and is not noted again.
    let before = service.log_identity().await.unwrap();
    text(import(&whole, &target.url));
    assert_eq!(target.client().log_identity().await.unwrap(), before);
    assert_eq!(marks(&again), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_was_cut_off_does_not_pass_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, half, again] = ["whole", "half", "again"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    fill(&source.client()).await;
    text(export(&["--url", &source.url], &whole));
    let target = StoreProcess::start(&folder.path().join("target")).await;
    // The first line says where the events are from. The cut is within what the whole file has as one append.
    cut(&whole, 8, &half);
    for _ in 0..2 {
        let said = refused(&import(&half, &target.url)).expect("its end is missing");
        assert!(
            said.contains("has not the last line") && said.contains("7 events of the file are in the target")
        );
        assert!(said.contains("import the whole file again"), "{said}");
        assert!(info(&target.url).contains(IMPORT_HAS_NOT_ENDED));
    }
    let verified = emporium().args(["audit", "verify", "--key", SOME_KEY]).arg(&half).output().unwrap();
    assert!(refused(&verified).expect("its end is missing").contains("has not the last line"));

    let rest = text(import(&whole, &target.url));
    assert!(rest.contains("imported        29 events") && rest.contains("already   7 events"), "{rest}");
    assert!(!info(&target.url).contains(IMPORT_HAS_NOT_ENDED));
    text(export(&["--url", &target.url], &again));
    assert_eq!(lines(&again), lines(&whole));
}

#[tokio::test]
async fn a_line_that_is_no_event_ends_the_import_and_not_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, wrong] = ["whole", "wrong"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    fill(&source.client()).await;
    text(export(&["--url", &source.url], &whole));
    cut(&whole, 22, &wrong);
    fs::write(&wrong, fs::read_to_string(&wrong).unwrap() + "{ no event\n").unwrap();
    let target = StoreProcess::start(&folder.path().join("target")).await;
    let said = refused(&import(&wrong, &target.url)).expect("it is refused");
    assert!(said.contains("line 23") && said.contains("21 events of the file are in the target"), "{said}");
    assert!(text(import(&whole, &target.url)).contains("already   21 events"));
}

#[tokio::test]
async fn a_stale_file_is_noticed_in_the_store_that_has_gone_on() {
    let folder = tempfile::tempdir().unwrap();
    let [stale, old] = ["stale", "old"].map(|name| folder.path().join(name));
    let source = StoreProcess::start(&folder.path().join("source")).await;
    append(&source.client(), "s", 0, vec![numbered(1), numbered(2)]).await;
    text(export(&["--url", &source.url], &stale));
    append(&source.client(), "s", 2, vec![numbered(3), numbered(4), numbered(5)]).await;
    let said = text(import(&stale, &source.url));
    assert!(said.contains("the target goes on after this file: 3 more events"), "{said}");

    // An older file says neither where it is from nor where it ends.
    fs::write(&old, line("s", 0, "x", &json!({}))).unwrap();
    let target = StoreProcess::start(&folder.path().join("target")).await;
    let said = text(import(&old, &target.url));
    assert!(said.contains("imported        1 events") && said.contains("an older program"), "{said}");
    assert!(!said.contains("more events"), "{said}");
    assert!(!info(&target.url).contains(IMPORT_HAS_NOT_ENDED));
}

/// A command's user has no service whose /readyz could name what is missing.
#[tokio::test]
async fn a_wrong_password_is_named_as_what_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, line("s", 0, "x", &json!({}))).unwrap();
    let target = StoreProcess::start_with(&folder.path().join("target"), &[]).await;
    let url = target.url.replace("esdb://", "esdb://admin:wrong@");
    let said = refused(&import(&file, &url)).expect("nobody is let in so");
    assert!(said.contains("look at user and password") && !said.contains("readyz"), "{said}");
}
