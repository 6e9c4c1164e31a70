//! The client sends a command again until it is answered, and only then.
//!
//! The answers are scripted, because a real service is busy or away only when it likes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use shop_client::{Command, Refusal, ShopClient, ShopError};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

type Scripted = (u16, &'static [(&'static str, &'static str)], Value);

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Script {
    fn new<const N: usize>(answers: [Scripted; N]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into())), ..Self::default() }
    }

    fn seen(&self) -> Vec<(String, HeaderMap)> {
        self.seen.lock().unwrap().clone()
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.serve(listener);
        address
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    script.seen.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
    let (status, headers, body) = script.answers.lock().unwrap().pop_front().unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

fn problem(id: &str) -> Value {
    json!({ "type": format!("urn:emporium:problem:{id}"), "title": "No", "detail": "Not so." })
}

fn client(address: SocketAddr) -> ShopClient {
    ShopClient::new(&format!("http://{address}"), "secret\n").unwrap()
}

#[derive(Debug, PartialEq, Deserialize)]
struct Made {
    id: u32,
}

async fn post(client: &ShopClient) -> Result<(bool, Made), ShopError> {
    let path = ["stock", "BANK CHARGES/Ä", "receipts"];
    let occurred_at = Some("2010-12-01T08:26:00Z".parse().unwrap());
    let command = Command { path: &path, key: "a/key", occurred_at, wait: true, body: &json!({}) };
    client.post(command).await.map(|answer| (answer.replayed, answer.body))
}

fn refusal(error: ShopError) -> Refusal {
    match error {
        ShopError::Refused(refusal) => *refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_busy_or_absent_service_is_asked_again_with_the_same_key() {
    let script = Script::new([
        (503, &[("retry-after", "0")], problem("unavailable")),
        (409, &[], problem("idempotency-key-in-flight")),
        (502, &[], Value::Null),
        (201, &[("idempotent-replayed", "true")], json!({ "id": 7, "more": true })),
    ]);
    let client = client(script.start().await);
    assert_eq!(post(&client).await.unwrap(), (true, Made { id: 7 }));
    let seen = script.seen();
    assert_eq!(seen.len(), 4);
    for (uri, headers) in seen {
        assert_eq!(uri, "/v1/stock/BANK%20CHARGES%2F%C3%84/receipts");
        assert_eq!(headers["idempotency-key"], "a/key");
        assert_eq!(headers["emporium-occurred-at"], "2010-12-01T08:26:00Z");
        assert_eq!(headers["prefer"], "wait=30");
        assert_eq!(headers["authorization"], "Bearer secret");
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_real_no_is_not_asked_again() {
    let script = Script::new([(409, &[], problem("price-changed"))]);
    let refusal = refusal(post(&client(script.start().await)).await.unwrap_err());
    assert_eq!(refusal.to_string(), "409 price-changed: Not so.");
    assert_eq!(refusal.problem, problem("price-changed"));
    assert_eq!(script.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_token_concerns_every_command_and_a_refused_order_only_itself() {
    for (status, concerns_all) in [(401, true), (403, true), (404, false), (422, false), (500, false)] {
        let script = Script::new([(status, &[], problem("no"))]);
        let error = post(&client(script.start().await)).await.unwrap_err();
        assert_eq!(error.concerns_all(), concerns_all, "{status}");
    }
}

#[tokio::test]
async fn a_service_that_comes_back_gets_the_command() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    // Accepts a connection and drops it, as a killed service does, and is away until that has been noticed.
    let script = Script::new([(200, &[], json!({ "id": 1 }))]);
    let comes_back = script.clone();
    tokio::spawn(async move {
        drop(gone.accept().await.unwrap());
        drop(gone);
        comes_back.serve(TcpListener::bind(address).await.unwrap());
    });
    assert_eq!(post(&client(address)).await.unwrap(), (false, Made { id: 1 }));
}

#[tokio::test]
async fn a_service_that_stays_away_is_given_up() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let client = client(address).with_patience(Duration::from_millis(300));
    assert!(matches!(client.find().await, Err(ShopError::Unreachable { .. })));
    let error = post(&client).await.unwrap_err();
    assert!(matches!(error, ShopError::Unreachable { .. }), "{error}");
    assert!(error.concerns_all());
}

#[tokio::test]
async fn an_answer_of_another_form_says_so() {
    let script = Script::new([(200, &[], Value::Null)]);
    let error = post(&client(script.start().await)).await.unwrap_err();
    assert!(matches!(error, ShopError::UnreadableAnswer { .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
}

#[test]
fn what_is_no_address_of_a_shop_is_refused() {
    for url in ["", "127.0.0.1:8080", "shop", "ftp://shop", "mailto:shop@example.org"] {
        assert!(ShopClient::new(url, "token").is_err(), "{url}");
    }
    assert!(ShopClient::new("http://shop:8080/api/", "token").is_ok());
    assert!(ShopClient::new("http://shop", "to\nken").is_err());
}
