//! A request to the shop, and what it said.

use crate::harness::{DEADLINE, SecondMachine, TOKEN};
use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

/// What the shop said.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
    pub position: Option<u64>,
    /// The log whose place that is.
    pub log: Option<String>,
    pub etag: Option<String>,
    pub replayed: bool,
    pub retry_after: Option<String>,
    pub content_type: String,
    pub location: Option<String>,
    pub preference_applied: Option<String>,
}

/// A request to the shop.
pub struct Request {
    builder: reqwest::RequestBuilder,
}

impl Request {
    pub fn new(builder: reqwest::RequestBuilder) -> Self {
        Self { builder: builder.timeout(DEADLINE) }
    }

    pub fn operator(self) -> Self {
        self.header("authorization", &format!("Bearer {TOKEN}"))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value) }
    }

    /// The same request to another machine.
    pub fn at(self, machine: &SecondMachine) -> Self {
        let (client, request) = self.builder.build_split();
        let mut request = request.unwrap();
        let port = machine.services.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        request.url_mut().set_port(port).unwrap();
        Self { builder: reqwest::RequestBuilder::from_parts(client, request) }
    }

    /// A key that nobody else has.
    pub fn new_key(self) -> Self {
        self.key(&Uuid::new_v4().to_string())
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: &Value) -> Self {
        Self { builder: self.builder.json(body) }
    }

    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.body_of("application/json", body)
    }

    pub fn body_of(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self { builder: self.builder.header("content-type", content_type).body(body) }
    }

    /// The answer with all its headers.
    pub async fn send_raw(self) -> reqwest::Response {
        self.builder.send().await.expect("the shop answers")
    }

    pub async fn send(self) -> Reply {
        let response = self.send_raw().await;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (position, log) = (header("emporium-position"), header("emporium-log"));
        let etag = header("etag");
        let (replayed, content_type) = (header("idempotent-replayed"), header("content-type"));
        let retry_after = header("retry-after");
        let (location, preference_applied) = (header("location"), header("preference-applied"));
        let status = response.status();
        let text = response.text().await.expect("the answer arrives whole");
        Reply {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
            position: position.and_then(|position| position.parse().ok()),
            log,
            etag,
            replayed: replayed.is_some(),
            retry_after,
            content_type: content_type.unwrap_or_default(),
            location,
            preference_applied,
        }
    }
}

impl Reply {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A problem document of that id, complete in itself.
    #[track_caller]
    pub fn expect_problem(self, status: StatusCode, id: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:emporium:problem:{id}"), "{}", self.body);
        assert_eq!(self.body["status"], status.as_u16());
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        self.body
    }
}
