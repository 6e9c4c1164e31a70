//! The interface as it is on the wire: idempotency keys, error objects, lists, webhooks before answers.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod world;

use futures::future::join_all;
use reqwest::StatusCode;
use rstest::rstest;
use sandbox_gateway::SandboxConfig;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use world::{Receiver, Sandbox};

const APPROVED: &str =
    "amount=500&currency=gbp&payment_method=pm_card_visa&confirm=true&capture_method=manual";

#[tokio::test]
async fn the_same_request_under_the_same_key_is_done_once_and_answered_alike() {
    let sandbox = Sandbox::start(None).await;
    let first = sandbox.post("payment_intents", "key", APPROVED).await;
    assert_eq!((first.status, first.replayed), (StatusCode::OK, false));
    let shuffled = "capture_method=manual&confirm=true&payment_method=pm_card_visa&currency=gbp&amount=500";
    let again = sandbox.post("payment_intents", "key", shuffled).await;
    assert_eq!((again.status, again.replayed), (StatusCode::OK, true));
    assert_eq!(again.body, first.body);
    assert_eq!(sandbox.get("payment_intents").await.body["data"], json!([first.body]));

    // It is the first answer, and not how things are now.
    let capture = format!("payment_intents/{}/capture", first.id());
    assert_eq!(sandbox.post(&capture, "capture", "").await.body["status"], "succeeded");
    let again = sandbox.post("payment_intents", "key", APPROVED).await;
    assert_eq!(again.body["status"], "requires_capture");

    for (path, body) in
        [("payment_intents", "amount=501&currency=gbp"), ("refunds", APPROVED), (&capture, "")]
    {
        let other = sandbox.post(path, "key", body).await;
        assert_eq!(other.error(), (StatusCode::BAD_REQUEST, "idempotency_error", ""), "{path} {body}");
    }
}

#[tokio::test]
async fn an_address_without_the_key_has_a_limit_and_the_service_has_none() {
    let sandbox = Sandbox::start(None).await;
    let guest = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = async || {
        let page = guest.get(format!("http://{}/authenticate/pi_none", sandbox.gateway.address())).send();
        page.await.unwrap().status()
    };
    let mut pages = 0;
    while page().await != StatusCode::TOO_MANY_REQUESTS {
        pages += 1;
        assert!(pages < 20_000, "it is never refused");
    }
    // From the same address.
    let asked = join_all((0..200).map(|_| sandbox.get("payment_intents"))).await;
    assert!(asked.iter().all(|answer| answer.status == StatusCode::OK));
}

#[tokio::test]
async fn declines_and_refusals_are_kept_and_wrong_parameters_are_not() {
    let sandbox = Sandbox::start(None).await;
    let declined = "amount=5&currency=gbp&confirm=true&payment_method=pm_card_chargeDeclined";
    let first = sandbox.post("payment_intents", "declined", declined).await;
    assert_eq!(first.error(), (StatusCode::PAYMENT_REQUIRED, "card_error", "card_declined"));
    let again = sandbox.post("payment_intents", "declined", declined).await;
    assert_eq!((again.replayed, again.status, &again.body), (true, first.status, &first.body));

    let path = format!("payment_intents/{}", first.body["error"]["payment_intent"]["id"].as_str().unwrap());
    let early = sandbox.post(&format!("{path}/capture"), "capture", "").await;
    let unexpected = (StatusCode::BAD_REQUEST, "invalid_request_error", "payment_intent_unexpected_state");
    assert_eq!(early.error(), unexpected);
    assert_eq!(early.body["error"]["payment_intent"]["status"], "requires_payment_method");
    let confirmed = sandbox.post(&format!("{path}/confirm"), "confirm", "payment_method=pm_card_visa").await;
    assert_eq!(confirmed.body["status"], "succeeded");
    let again = sandbox.post(&format!("{path}/capture"), "capture", "").await;
    assert_eq!((again.replayed, &again.body), (true, &early.body));

    let wrong = sandbox.post("payment_intents", "wrong", "amount=0&currency=gbp").await;
    assert_eq!(wrong.body["error"]["param"], "amount");
    assert_eq!(
        sandbox.post("payment_intents", "wrong", "amount=1&currency=gbp").await.status,
        StatusCode::OK
    );
}

#[rstest]
#[case("sk_test_other", "payment_intents", StatusCode::UNAUTHORIZED, "")]
#[case("sk_test_emporium", "payment_intents/pi_1", StatusCode::NOT_FOUND, "resource_missing")]
#[case("sk_test_emporium", "refunds/re_1", StatusCode::NOT_FOUND, "resource_missing")]
#[case("sk_test_emporium", "refunds?payment_intent=pi_1", StatusCode::NOT_FOUND, "resource_missing")]
#[case("sk_test_emporium", "payment_intents?starting_after=pi_1", StatusCode::NOT_FOUND, "resource_missing")]
#[case("sk_test_emporium", "payment_intents?limit=101", StatusCode::BAD_REQUEST, "parameter_invalid_integer")]
#[case("sk_test_emporium", "payment_intents?page=2", StatusCode::BAD_REQUEST, "parameter_unknown")]
#[case("sk_test_emporium", "charges", StatusCode::NOT_FOUND, "")]
#[tokio::test]
async fn refusals(#[case] key: &str, #[case] path: &str, #[case] status: StatusCode, #[case] code: &str) {
    let sandbox = Sandbox::start(None).await.with_key(key);
    assert_eq!(sandbox.get(path).await.error(), (status, "invalid_request_error", code));
}

#[tokio::test]
async fn lists_are_newest_first_and_go_on_after_an_id() {
    let sandbox = Sandbox::start(None).await;
    let mut intents = Vec::new();
    for number in 0..5 {
        let made = sandbox.post("payment_intents", &format!("key-{number}"), APPROVED).await;
        intents.insert(0, made.id());
    }
    let page = async |query: &str| {
        let page = sandbox.get(&format!("payment_intents?{query}")).await.body;
        let ids =
            page["data"].as_array().unwrap().iter().map(|intent| intent["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["has_more"] == json!(true))
    };
    assert_eq!(page("").await, (intents.clone(), false));
    assert_eq!(page("limit=2").await, (intents[..2].to_vec(), true));
    assert_eq!(page(&format!("limit=2&starting_after={}", intents[1])).await, (intents[2..4].to_vec(), true));
    assert_eq!(page(&format!("limit=2&starting_after={}", intents[2])).await, (intents[3..].to_vec(), false));

    let mut refunds = Vec::new();
    for (number, intent) in [&intents[0], &intents[1], &intents[0], &intents[0]].into_iter().enumerate() {
        sandbox.post(&format!("payment_intents/{intent}/capture"), &format!("capture-{intent}"), "").await;
        let body = format!("payment_intent={intent}&amount=1");
        let made = sandbox.post("refunds", &format!("refund-{number}"), &body).await;
        assert_eq!(made.body["status"], "succeeded");
        refunds.insert(0, made.body);
    }
    let all = sandbox.get("refunds").await.body;
    assert_eq!((&all["data"], &all["has_more"]), (&json!(refunds), &json!(false)));
    let of_one = sandbox.get(&format!("refunds?payment_intent={}&limit=2", intents[0])).await.body;
    assert_eq!((&of_one["data"], &of_one["has_more"]), (&json!(refunds[..2]), &json!(true)));
    let after = refunds[1]["id"].as_str().unwrap();
    let rest =
        sandbox.get(&format!("refunds?payment_intent={}&starting_after={after}", intents[0])).await.body;
    assert_eq!((&rest["data"], &rest["has_more"]), (&json!(refunds[3..]), &json!(false)));
}

#[tokio::test]
async fn a_request_that_is_under_way_is_not_answered_twice() {
    let mut receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::start(Some(receiver.webhook())).await;
    let slow = APPROVED.replace("pm_card_visa", "pm_sandbox_answers_twice");
    // The first webhook comes before the answer: until it is received, the request is under way.
    receiver.hold();
    let asked = sandbox.post("payment_intents", "key", &slow);
    let meanwhile = async {
        let (_, release): (Value, oneshot::Sender<()>) = receiver.held().await;
        let again = sandbox.post("payment_intents", "key", &slow).await;
        assert_eq!(again.error(), (StatusCode::CONFLICT, "idempotency_error", "idempotency_key_in_use"));
        release.send(()).unwrap();
    };
    let (asked, ()) = tokio::join!(asked, meanwhile);
    assert_eq!((asked.status, asked.replayed), (StatusCode::OK, false));
    let again = sandbox.post("payment_intents", "key", &slow).await;
    assert_eq!((again.replayed, &again.body), (true, &asked.body));
}

#[tokio::test]
async fn a_webhook_is_sent_again_until_it_is_received() {
    let mut receiver = Receiver::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let sandbox = Sandbox::start(Some(receiver.webhook())).await;
    let made = sandbox.post("payment_intents", "key", "amount=5&currency=gbp&metadata[a]=b").await;
    let refused = receiver.next().await;
    receiver.answer(StatusCode::OK);
    let mut received = receiver.next().await;
    while received.answered != StatusCode::OK {
        received = receiver.next().await;
    }
    assert_eq!(received.event["id"], refused.event["id"]);
    assert_eq!(received.event["type"], "payment_intent.created");
    assert_eq!(received.event["data"]["object"], made.body);
    assert_eq!(received.event["request"]["idempotency_key"], "key");
}

#[tokio::test]
async fn a_connection_without_a_request_in_time_is_closed() {
    let change = |config: &mut SandboxConfig| config.limits.request_head_seconds = Duration::from_millis(100);
    let sandbox = Sandbox::start_with(tempfile::tempdir().unwrap(), change).await;
    let mut silent = TcpStream::connect(sandbox.gateway.address()).await.unwrap();
    let read =
        tokio::time::timeout(world::DEADLINE, silent.read(&mut [0])).await.expect("it is closed in time");
    assert_eq!(read.unwrap(), 0);
}
