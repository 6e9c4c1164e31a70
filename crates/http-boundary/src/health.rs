//! Whether the parts of a service do their work: `/livez` and `/readyz`.

use crate::{Caller, Metrics, OperatorToken, Problem, Refusals, usage};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Anybody may ask whether the service is ready. So that they cost little, all who ask within this time get one answer.
const ANSWER_FOR_ANYBODY: Duration = Duration::from_millis(500);

/// How the parts of a process are. Some say so whenever it changes, others are asked. Cheap to clone; all clones are
/// one.
#[derive(Clone)]
pub struct Health {
    parts: Arc<Mutex<Parts>>,
    metrics: Metrics,
    /// Whether the service was ready when anybody last asked.
    for_anybody: Arc<tokio::sync::Mutex<Option<(Instant, bool)>>>,
    refusals: Refusals,
}

impl Default for Health {
    fn default() -> Self {
        let health = Self {
            parts: Arc::default(),
            metrics: Metrics::default(),
            refusals: Refusals::default(),
            for_anybody: Arc::default(),
        };
        health.refusals.register(&health.metrics);
        usage::watch(&health);
        health
    }
}

#[derive(Default)]
struct Parts {
    said: BTreeMap<String, Result<Option<String>, String>>,
    asked: BTreeMap<&'static str, Probe>,
}

type Probe = Arc<dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync>;

/// What a part says when it is asked.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Whether it does its work.
    pub ready: bool,
    /// More about it, for people and machines.
    pub detail: Value,
}

impl Health {
    /// A part does its work.
    pub fn is_well(&self, part: &str) {
        self.say(part, Ok(None));
    }

    /// A part does its work in a way that is worth a word.
    pub fn is_well_so(&self, part: &str, how: impl Into<String>) {
        self.say(part, Ok(Some(how.into())));
    }

    /// A part does not do its work, and why.
    pub fn is_ill(&self, part: &str, why: impl Into<String>) {
        self.say(part, Err(why.into()));
    }

    /// What a part says whenever it changes: why it does not do its work, or nothing while it does. Trouble is in the log
    /// too.
    pub fn teller(&self, part: &'static str) -> impl FnMut(Option<&str>) + Send + use<> {
        let health = self.clone();
        move |trouble| match trouble {
            Some(why) => {
                tracing::error!(part, why, "a part of the service does not do its work");
                health.is_ill(part, why);
            }
            None => health.is_well(part),
        }
    }

    /// A part that is asked whenever somebody wants to know.
    pub fn ask(
        &self,
        part: &'static str,
        probe: impl Fn() -> BoxFuture<'static, Finding> + Send + Sync + 'static,
    ) {
        self.lock().asked.insert(part, Arc::new(probe));
    }

    /// The figures of the process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What this process refuses for want of room.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// `GET /livez`: the process answers. `GET /readyz`: 200 if every part does its work, otherwise 503; the operator is
    /// told which do not. `GET /metrics`: their figures, for the operator.
    pub fn routes(&self, operator_token: OperatorToken) -> Router {
        let (health, metrics) = (self.clone(), self.metrics.clone());
        Router::new()
            .route("/livez", get(alive))
            .route("/readyz", get(move |caller: Caller| health.clone().answer_to(caller)))
            .route(
                "/metrics",
                get(move |caller: Caller| async move {
                    caller.require_operator()?;
                    Ok::<_, Problem>(metrics.clone().answer().await)
                }),
            )
            .with_state(operator_token)
    }

    /// The same for everybody who can connect, with all details.
    pub fn open_routes(&self) -> Router {
        let health = self.clone();
        Router::new()
            .route("/livez", get(alive))
            .route("/readyz", get(move || health.clone().answer()))
            .merge(self.metrics.routes())
    }

    fn say(&self, part: &str, state: Result<Option<String>, String>) {
        self.lock().said.insert(part.to_owned(), state);
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        // Nothing panics while it holds the lock, and the parts are valid at any time.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_to(self, caller: Caller) -> Response {
        if caller.is_operator() {
            return self.answer().await.into_response();
        }
        let mut last = self.for_anybody.lock().await;
        let known = last.filter(|(asked, _)| asked.elapsed() < ANSWER_FOR_ANYBODY);
        let ready = match known {
            Some((_, ready)) => ready,
            None => {
                let (status, _) = self.clone().answer().await;
                status == StatusCode::OK
            }
        };
        if known.is_none() {
            *last = Some((Instant::now(), ready));
        }
        (status(ready), Json(json!({ "ready": ready }))).into_response()
    }

    async fn answer(self) -> (StatusCode, Json<Value>) {
        let (said, asked) = {
            let parts = self.lock();
            (parts.said.clone(), parts.asked.clone())
        };
        let findings =
            join_all(asked.iter().map(|(part, probe)| async move { (*part, probe().await) })).await;
        let mut ready = true;
        let mut parts = BTreeMap::new();
        for (part, state) in said {
            ready &= state.is_ok();
            parts.insert(
                part,
                match state {
                    Ok(None) => json!({ "ready": true }),
                    Ok(Some(how)) => json!({ "ready": true, "how": how }),
                    Err(why) => json!({ "ready": false, "why": why }),
                },
            );
        }
        for (part, finding) in findings {
            ready &= finding.ready;
            parts.insert(part.to_owned(), json!({ "ready": finding.ready, "detail": finding.detail }));
        }
        (status(ready), Json(json!({ "ready": ready, "parts": parts })))
    }
}

fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn alive() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn one_part_that_is_ill_makes_the_whole_not_ready() {
        let health = Health::default();
        assert_eq!(health.clone().answer().await.0, StatusCode::OK);
        health.is_well("a");
        health.is_ill("b", "its leg is broken");
        let (status, Json(body)) = health.clone().answer().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["parts"]["b"]["why"], "its leg is broken");
        health.is_well_so("b", "on crutches");
        let (status, Json(body)) = health.clone().answer().await;
        assert_eq!((status, &body["parts"]["b"]["how"]), (StatusCode::OK, &json!("on crutches")));
        health.is_well("b");
        let (status, Json(body)) = health.clone().answer().await;
        assert_eq!((status, &body["parts"]["b"]), (StatusCode::OK, &json!({ "ready": true })));
        health.ask("c", || async { Finding { ready: false, detail: json!({ "lag": 7 }) } }.boxed());
        let (status, Json(body)) = health.answer().await;
        assert_eq!(
            (status, &body["parts"]["c"]["detail"]["lag"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!(7))
        );
    }

    #[tokio::test]
    async fn anybody_is_told_whether_it_is_ready_and_nothing_more() {
        let health = Health::default();
        health.is_ill("b", "its leg is broken");
        let answer = health.clone().answer_to(Caller::Shopper).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        assert_eq!(&body[..], br#"{"ready":false}"#);
        let body =
            axum::body::to_bytes(health.answer_to(Caller::Operator).await.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("its leg is broken"));
    }
}
