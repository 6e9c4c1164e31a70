//! What the sandbox still knows after a stop, a kill, and a torn journal.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod world;

use reqwest::StatusCode;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use world::{Receiver, Sandbox, WireClient};

const APPROVED: &str =
    "amount=500&currency=gbp&payment_method=pm_card_visa&confirm=true&capture_method=manual&metadata[a]=b";

#[tokio::test]
async fn a_restart_keeps_all_of_it() {
    let sandbox = Sandbox::start(None).await;
    let made = sandbox.post("payment_intents", "make", APPROVED).await;
    let id = made.id();
    let captured =
        sandbox.post(&format!("payment_intents/{id}/capture"), "capture", "amount_to_capture=400").await;
    let refunded = sandbox.post("refunds", "refund", &format!("payment_intent={id}&amount=150")).await;
    let declined = "amount=5&currency=gbp&confirm=true&payment_method=pm_card_chargeDeclined";
    let declined_answer = sandbox.post("payment_intents", "declined", declined).await;
    let intents = sandbox.get("payment_intents").await.body;
    let refunds = sandbox.get("refunds").await.body;

    let folder = sandbox.stop().await;
    let sandbox = Sandbox::start_in(folder, None).await;
    assert_eq!(sandbox.get("payment_intents").await.body, intents);
    assert_eq!(sandbox.get("refunds").await.body, refunds);
    for (path, key, body, first) in [
        ("payment_intents".to_owned(), "make", APPROVED.to_owned(), &made),
        (format!("payment_intents/{id}/capture"), "capture", "amount_to_capture=400".to_owned(), &captured),
        ("refunds".to_owned(), "refund", format!("payment_intent={id}&amount=150"), &refunded),
        ("payment_intents".to_owned(), "declined", declined.to_owned(), &declined_answer),
    ] {
        let again = sandbox.post(&path, key, &body).await;
        assert_eq!((again.status, again.replayed, &again.body), (first.status, true, &first.body), "{key}");
    }
    // 400 were taken and 150 given back.
    let too_much = sandbox.post("refunds", "refund-2", &format!("payment_intent={id}&amount=251")).await;
    assert_eq!(too_much.error(), (StatusCode::BAD_REQUEST, "invalid_request_error", "amount_too_large"));
    let rest = sandbox.post("refunds", "refund-3", &format!("payment_intent={id}")).await;
    assert_eq!(rest.body["amount"], 250);
    let next = sandbox.post("payment_intents", "next", APPROVED).await;
    assert_eq!(sandbox.get("payment_intents?limit=1").await.body["data"], json!([next.body]));
}

#[tokio::test]
async fn a_long_journal_becomes_short_at_the_next_start_and_says_the_same() {
    let sandbox = Sandbox::start(None).await;
    for number in 0..100 {
        let made = sandbox.post("payment_intents", &format!("make-{number}"), APPROVED).await;
        sandbox.post(&format!("payment_intents/{}/capture", made.id()), &format!("take-{number}"), "").await;
    }
    let intents = sandbox.get("payment_intents?limit=100").await.body;
    let folder = sandbox.stop().await;
    let journal = folder.path().join("journal.jsonl");
    let length = fs::metadata(&journal).unwrap().len();
    // Keys that nobody knows any more are most of it.
    let sandbox = Sandbox::start_with(folder, |config| config.keeps_keys = Duration::ZERO).await;
    assert!(fs::metadata(&journal).unwrap().len() < length / 2);
    assert_eq!(sandbox.get("payment_intents?limit=100").await.body, intents);
    let next = sandbox.post("payment_intents", "next", APPROVED).await;
    let folder = sandbox.stop().await;
    let sandbox = Sandbox::start_in(folder, None).await;
    assert_eq!(sandbox.get("payment_intents?limit=1").await.body["data"], json!([next.body]));
}

#[tokio::test]
async fn a_forgotten_key_makes_the_request_a_new_one_and_the_metadata_still_tell() {
    let sandbox = Sandbox::start(None).await;
    let first = sandbox.post("payment_intents", "key", APPROVED).await;
    let folder = sandbox.stop().await;
    let sandbox = Sandbox::start_with(folder, |config| config.keeps_keys = Duration::ZERO).await;
    let second = sandbox.post("payment_intents", "key", APPROVED).await;
    assert!(!second.replayed && first.id() != second.id());
    let found = sandbox.get("payment_intents/search?query=metadata['a']:'b'").await.body;
    assert_eq!(found["data"], json!([second.body, first.body]));
    let none = sandbox.get("payment_intents/search?query=metadata['a']:'c'").await.body;
    assert_eq!((&none["object"], &none["data"]), (&json!("search_result"), &json!([])));
    let unknown = sandbox.get("payment_intents/search?query=amount>5").await;
    assert_eq!(unknown.error(), (StatusCode::BAD_REQUEST, "invalid_request_error", ""));
}

#[tokio::test]
async fn a_webhook_that_was_not_received_comes_after_the_restart() {
    let mut receiver = Receiver::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let sandbox = Sandbox::start(Some(receiver.webhook())).await;
    sandbox.post("payment_intents", "key", "amount=5&currency=gbp").await;
    let refused = receiver.next().await;
    let folder = sandbox.stop().await;
    receiver.answer(StatusCode::OK);
    let sandbox = Sandbox::start_in(folder, Some(receiver.webhook())).await;
    let mut received = receiver.next().await;
    while received.answered != StatusCode::OK {
        received = receiver.next().await;
    }
    assert_eq!(received.event, refused.event);
    // And then no more: the next thing told is the next thing that happens.
    let folder = sandbox.stop().await;
    let sandbox = Sandbox::start_in(folder, Some(receiver.webhook())).await;
    let next = sandbox.post("payment_intents", "key-2", "amount=6&currency=gbp").await;
    assert_eq!(receiver.next().await.event["data"]["object"]["id"], next.body["id"]);
}

#[tokio::test]
async fn a_torn_last_line_is_dropped_and_the_rest_is_there() {
    let sandbox = Sandbox::start(None).await;
    let whole = sandbox.post("payment_intents", "whole", APPROVED).await;
    let torn = sandbox.post("payment_intents", "torn", APPROVED).await;
    let folder = sandbox.stop().await;
    let path = folder.path().join("journal.jsonl");
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 20).unwrap();

    let sandbox = Sandbox::start_in(folder, None).await;
    assert_eq!(sandbox.get("payment_intents").await.body["data"], json!([whole.body]));
    let again = sandbox.post("payment_intents", "torn", APPROVED).await;
    assert_eq!((again.status, again.replayed), (StatusCode::OK, false));
    assert_ne!(again.id(), torn.id());
    let folder = sandbox.stop().await;
    let sandbox = Sandbox::start_in(folder, None).await;
    assert_eq!(sandbox.get("payment_intents").await.body["data"], json!([again.body, whole.body]));
}

/// The binary, in a process of its own.
struct Process {
    child: Child,
    client: WireClient,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox-gateway"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().last().unwrap();
        Self { client: WireClient::new(address), child }
    }

    /// Ends it as `kill -9` does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered: Vec<Value> = Vec::new();
    for round in 0..3 {
        let process = Process::start(folder.path());
        for number in 0..20 {
            let made = process.client.post("payment_intents", &format!("{round}-{number}"), APPROVED).await;
            answered.insert(0, made.body);
        }
        process.kill();
        // As if the kill had come in the middle of a write.
        let journal = folder.path().join("journal.jsonl");
        OpenOptions::new().append(true).open(journal).unwrap().write_all(b"{\"intent\":{").unwrap();
    }
    let process = Process::start(folder.path());
    assert_eq!(process.client.get("payment_intents?limit=100").await.body["data"], json!(answered));
}
