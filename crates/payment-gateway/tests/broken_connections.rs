//! The adapter against a gateway that breaks: bare sockets, so that every byte is as the test wants it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use payment_gateway::{Charge, Gateway, GatewayConfig, GatewayError, IntentStatus, UnknownOutcome};
use rstest::rstest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

const INTENT: &str =
    r#"{"id":"pi_1","object":"payment_intent","amount":5,"currency":"gbp","status":"requires_capture"}"#;

/// What the gateway does with a connection.
#[derive(Clone)]
enum Does {
    /// Closes it without a word.
    Drops,
    /// Reads the request and closes it.
    ReadsAndDrops,
    /// Keeps it open and says nothing.
    IsSilent,
    /// Says this.
    Says(String),
}

fn says(status: &str, body: &str) -> Does {
    let length = body.len();
    Does::Says(format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"))
}

/// A gateway that does one thing after the other, and the last one for ever; and the requests that it has read.
struct Broken {
    gateway: Gateway,
    connections: Arc<AtomicUsize>,
    requests: UnboundedReceiver<String>,
}

async fn broken(script: Vec<Does>) -> Broken {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = unbounded_channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let place = count.fetch_add(1, Ordering::SeqCst);
            match script[place.min(script.len() - 1)].clone() {
                Does::Drops => {}
                Does::ReadsAndDrops => sender.send(read_request(&mut stream).await).unwrap(),
                Does::IsSilent => {
                    sender.send(read_request(&mut stream).await).unwrap();
                    open.push(stream);
                }
                Does::Says(answer) => {
                    sender.send(read_request(&mut stream).await).unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        }
    });
    let (secret_key, timeout) = ("sk_test_1".to_owned(), Duration::from_millis(500));
    let gateway = gateway(base_url, secret_key, timeout);
    Broken { gateway, connections, requests }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
    }
}

fn gateway(base_url: String, secret_key: String, timeout: Duration) -> Gateway {
    let keeps_keys = GatewayConfig::STRIPE_KEEPS_KEYS;
    Gateway::new(&GatewayConfig { base_url, secret_key, timeout, keeps_keys }).unwrap()
}

fn charge() -> Charge<'static> {
    let ids = (Uuid::from_u128(1), Uuid::from_u128(2));
    Charge {
        order_id: ids.0,
        payment_id: ids.1,
        amount: 5,
        currency: "GBP",
        payment_method: "pm_card_visa",
        return_url: None,
    }
}

#[rstest]
#[case::drops(Does::Drops)]
#[case::drops_after_the_request(Does::ReadsAndDrops)]
#[case::is_silent(Does::IsSilent)]
#[case::fails(says("500 Internal Server Error", r#"{"error":{"type":"api_error"}}"#))]
#[case::is_away(says("502 Bad Gateway", "<html>"))]
#[case::busy(says("429 Too Many Requests", r#"{"error":{"message":"slow down"}}"#))]
#[case::in_use(says("409 Conflict", r#"{"error":{"code":"idempotency_key_in_use"}}"#))]
#[case::garbage(says("200 OK", "hello"))]
#[case::half(Does::Says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":".to_owned()))]
#[case::no_http(Does::Says("hello\r\n\r\n".to_owned()))]
#[tokio::test]
async fn what_breaks_once_is_asked_again_under_the_same_key(#[case] breaks: Does) {
    let mut broken = broken(vec![breaks, says("200 OK", INTENT)]).await;
    let intent = broken.gateway.authorize(&charge()).await.unwrap();
    assert_eq!(intent.status, IntentStatus::RequiresCapture);
    assert!(broken.connections.load(Ordering::SeqCst) >= 2);
    while let Ok(request) = broken.requests.try_recv() {
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("post /v1/payment_intents http/1.1"), "{request}");
        assert!(request.contains("authorization: bearer sk_test_1\r\n"), "{request}");
        assert!(
            request.contains("idempotency-key: payment-00000000-0000-0000-0000-000000000002\r\n"),
            "{request}"
        );
        assert!(request.contains("confirm=true&capture_method=manual"), "{request}");
    }
}

#[rstest]
#[case(Does::Drops)]
#[case(Does::ReadsAndDrops)]
#[case(Does::IsSilent)]
#[case(says("500 Internal Server Error", "oh"))]
#[case(says("200 OK", "hello"))]
#[case(says("302 Found", ""))]
#[tokio::test]
async fn what_stays_broken_is_unknown_after_three_attempts(#[case] breaks: Does) {
    let mut broken = broken(vec![breaks]).await;
    let unknown = broken.gateway.authorize(&charge()).await.unwrap_err();
    assert!(matches!(unknown, GatewayError::Unknown { .. }), "{unknown:?}");
    let mut requests = 0;
    while broken.requests.try_recv().is_ok() {
        requests += 1;
    }
    assert!(requests <= 3, "{requests}");
}

#[tokio::test]
async fn a_gateway_that_stays_busy_is_busy() {
    let busy = says("429 Too Many Requests", "slow down");
    let mut broken = broken(vec![busy]).await;
    let error = broken.gateway.authorize(&charge()).await.unwrap_err();
    assert!(matches!(error, GatewayError::Busy { .. }), "{error:?}");
    for _ in 0..3 {
        broken.requests.try_recv().expect("three attempts");
    }
    assert!(broken.requests.try_recv().is_err(), "and no more");
}

#[rstest]
#[case(says("402 Payment Required", r#"{"error":{"type":"card_error","code":"card_declined"}}"#))]
#[case(says("400 Bad Request", r#"{"error":{"type":"invalid_request_error"}}"#))]
#[case(says("401 Unauthorized", r#"{"error":{"type":"invalid_request_error"}}"#))]
#[tokio::test]
async fn a_clear_answer_is_not_asked_again(#[case] clear: Does) {
    let broken = broken(vec![clear]).await;
    broken.gateway.authorize(&charge()).await.unwrap_err();
    assert_eq!(broken.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_an_unknown_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (secret_key, timeout) = ("sk_test_1".to_owned(), Duration::from_secs(5));
    let gateway = gateway(base_url, secret_key, timeout);
    let unknown = gateway.authorize(&charge()).await.unwrap_err();
    assert!(matches!(unknown, GatewayError::Unknown { source: UnknownOutcome::NoAnswer(_) }), "{unknown:?}");
}
