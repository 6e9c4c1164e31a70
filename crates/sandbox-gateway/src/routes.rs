//! The addresses.

use crate::answer::{failure_body, intent_body, list_body, refund_body, search_body, status_of};
use crate::book::{Done, Performed, Request};
use crate::failure::Failure;
use crate::later;
use crate::operation::Endpoint;
use crate::page;
use crate::params::Params;
use crate::search;
use crate::server::{Sandbox, now};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http_boundary::HangUp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const MAX_KEY_BYTES: usize = 255;
/// How long an answer waits for a webhook that is to come before it.
const FIRST_TOLD_WITHIN: Duration = Duration::from_secs(5);

type Shared = State<Arc<Sandbox>>;

pub(crate) fn router(sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .route("/v1/payment_intents", get(list_intents).post(change))
        .route("/v1/payment_intents/search", get(search_intents))
        .route("/v1/payment_intents/{id}", get(intent))
        .route("/v1/payment_intents/{id}/{operation}", post(change))
        .route("/v1/refunds", get(list_refunds).post(change))
        .route("/v1/refunds/{id}", get(refund))
        .fallback(unknown_address)
        .method_not_allowed_fallback(unknown_address)
        .layer(middleware::from_fn_with_state(sandbox.clone(), at_the_door))
        // A shopper's browser has no key.
        .merge(page::routes())
        .with_state(sandbox)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (status_of(&self), Json(failure_body(&self, None))).into_response()
    }
}

/// Lets in whoever has the key, and gives every request an id.
async fn at_the_door(
    State(sandbox): Shared,
    headers: HeaderMap,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let mut response = match key_of(&headers).is_some_and(|key| sandbox.lets_in(&key)) {
        true => next.run(request).await,
        false => Failure::unknown_key().into_response(),
    };
    let id = HeaderValue::try_from(format!("req_{}", Uuid::new_v4().simple()));
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn key_of(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| value.trim().to_owned())
}

async fn unknown_address(method: Method, uri: Uri) -> Failure {
    Failure::unknown_address(method.as_str(), uri.path())
}

async fn intent(State(sandbox): Shared, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let intent = sandbox.book().intent(&id).cloned();
    let intent = intent.ok_or_else(|| Failure::no_such("payment_intent", &id, "intent"))?;
    Ok(Json(intent_body(&intent)))
}

async fn refund(State(sandbox): Shared, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let refund = sandbox.book().refund(&id).cloned();
    let refund = refund.ok_or_else(|| Failure::no_such("refund", &id, "id"))?;
    Ok(Json(refund_body(&refund)))
}

async fn list_intents(State(sandbox): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Failure> {
    let mut params = Params::parse(query.unwrap_or_default().as_bytes());
    let (limit, after) = (params.limit()?, params.text("starting_after"));
    params.finish()?;
    let (page, has_more) = sandbox.book().intents(after.as_deref(), limit)?;
    let page: Vec<_> = page.iter().map(|intent| intent_body(intent)).collect();
    Ok(Json(list_body("/v1/payment_intents", &page, has_more)))
}

async fn search_intents(State(sandbox): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Failure> {
    let mut params = Params::parse(query.unwrap_or_default().as_bytes());
    let (limit, query) = (params.limit()?, params.required("query")?);
    params.finish()?;
    let wanted = search::in_metadata(&query)?;
    let (found, has_more) = sandbox.book().search(wanted, limit);
    let found: Vec<_> = found.iter().map(|intent| intent_body(intent)).collect();
    Ok(Json(search_body("/v1/payment_intents/search", &found, has_more)))
}

async fn list_refunds(State(sandbox): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Failure> {
    let mut params = Params::parse(query.unwrap_or_default().as_bytes());
    let (limit, after) = (params.limit()?, params.text("starting_after"));
    let intent = params.text("payment_intent");
    params.finish()?;
    let (page, has_more) = sandbox.book().refunds(intent.as_deref(), after.as_deref(), limit)?;
    let page: Vec<_> = page.iter().map(|refund| refund_body(refund)).collect();
    Ok(Json(list_body("/v1/refunds", &page, has_more)))
}

/// Every request that changes something.
async fn change(
    State(sandbox): Shared,
    Extension(hang_up): Extension<HangUp>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let path = uri.path();
    let endpoint = endpoint_of(path).ok_or_else(|| Failure::unknown_address(method.as_str(), path))?;
    let key_header = headers.get(IDEMPOTENCY_KEY);
    let key = key_header.map(idempotency_key).transpose()?;
    let params = Params::parse(&body);
    let request = Request { key: key.clone(), path: path.to_owned(), endpoint, params, now: now() };
    let performed = sandbox.book().perform(request);
    let (answer, replayed) = match performed {
        Performed::Refused(failure) => return Err(failure),
        Performed::Replayed(answer) => (answer, true),
        Performed::Hangs => return hang(&sandbox, &hang_up).await,
        Performed::Done(done) => {
            let answer = done.answer.clone();
            finish(&sandbox, done, key, &hang_up).await;
            (answer, false)
        }
    };
    let mut response = (answer.status(), Json(answer.body())).into_response();
    if let Some(key) = key_header {
        response.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
    }
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn endpoint_of(path: &str) -> Option<Endpoint> {
    Some(match path.strip_prefix("/v1/")?.split('/').collect::<Vec<_>>()[..] {
        ["payment_intents"] => Endpoint::Create,
        ["payment_intents", id, "confirm"] => Endpoint::Confirm(id.to_owned()),
        ["payment_intents", id, "capture"] => Endpoint::Capture(id.to_owned()),
        ["payment_intents", id, "cancel"] => Endpoint::Cancel(id.to_owned()),
        ["refunds"] => Endpoint::Refund,
        _ => return None,
    })
}

fn idempotency_key(value: &HeaderValue) -> Result<String, Failure> {
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES);
    let message = || format!("An idempotency key has 1 to {MAX_KEY_BYTES} printable characters.");
    key.map(str::to_owned).ok_or_else(|| Failure::invalid(message()).param("idempotency_key"))
}

/// What is to go on after a change, and whatever the answer waits for.
async fn finish(sandbox: &Arc<Sandbox>, done: Done, key: Option<String>, hang_up: &HangUp) {
    if let Some((id, due)) = done.due {
        later::settle(sandbox, id, due);
    }
    if let Some(refund) = &done.answer.refund
        && let Some(due) = refund.due
    {
        later::settle_refund(sandbox, refund.id.clone(), due);
    }
    if done.tells_twice {
        let _answered = Answered { sandbox, key };
        if sandbox.webhooks.is_some() {
            let first_told = later::tell_twice(sandbox, done.events);
            // Whether it came or not: the answer does not wait for ever.
            let _ = tokio::time::timeout(FIRST_TOLD_WITHIN, first_told).await;
        }
        return;
    }
    later::tell(sandbox, done.events);
    if done.answers_late {
        let wait = tokio::time::sleep(sandbox.delays.late_answer);
        if sandbox.stop.run_until_cancelled(wait).await.is_none() {
            let _: Result<Response, Failure> = hang(sandbox, hang_up).await;
        }
    }
}

/// Never answers. The connection is cut off when the gateway stops. If many others hang already, it says so at once: payments
/// of all shoppers come over the connections that the port has, and a client that loses one makes another.
async fn hang(sandbox: &Sandbox, hang_up: &HangUp) -> Result<Response, Failure> {
    let Ok(_place) = sandbox.hanging.try_acquire() else { return Err(Failure::too_many_hang()) };
    sandbox.stop.cancelled().await;
    hang_up.now();
    std::future::pending().await
}

/// Says that a request is not under way any more, also when its connection breaks.
struct Answered<'a> {
    sandbox: &'a Sandbox,
    key: Option<String>,
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.sandbox.book().answered(key);
        }
    }
}
