//! Looking after the projections over HTTP, as the operator.

use crate::backoff::Backoff;
use crate::board::Board;
use crate::catalogue::{self, Entry};
use crate::compare::{CompareError, Comparison, Wanted};
use crate::databases::Databases;
use crate::overview::{OverviewError, ProjectionView, overview};
use crate::parking::asking::{self, AskError, Asked, Wish};
use crate::versions::{self, NewVersion, Switch, VersionError, VersionState};
use axum::extract::{FromRef, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use event_store::EventStore;
use http_boundary::{Caller, JsonBody, Operator, OperatorToken, PathParams, Problem};
use serde::{Deserialize, Serialize};
use sqlx::pool::PoolConnection;
use std::time::Duration;
use tokio::time::Instant;

const MAX_SHARDS: i16 = 64;
/// How long it is tried to switch while queries hold the tables, and how long after the first try.
const SWITCH_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What the handlers need.
#[derive(Clone)]
pub struct Shared {
    pub databases: Databases,
    pub store: EventStore,
    pub board: Board,
    pub operator_token: OperatorToken,
}

impl FromRef<Shared> for OperatorToken {
    fn from_ref(shared: &Shared) -> Self {
        shared.operator_token.clone()
    }
}

/// All of it.
pub fn router(shared: Shared) -> Router {
    let changes = Router::new()
        .route("/projections/{name}/rebuild", post(rebuild))
        .route("/projections/{name}/abandon", post(abandon))
        .route("/projections/{name}/switch", post(switch))
        .route("/projections/{name}/rollback", post(rollback))
        .route("/projections/{name}/parked/{stream}/retry", post(retry))
        .route("/projections/{name}/parked/{stream}/skip", post(skip))
        .route_layer(from_fn(to_its_end));
    Router::new()
        .route("/projections", get(list))
        .route("/projections/{name}/compare", post(compare))
        .route("/projections/{name}/parked", get(parked))
        .merge(changes)
        .with_state(shared)
}

/// Carries a change out even if the operator goes away meanwhile. A transaction that is left while it begins stays open
/// on its connection without sqlx knowing of it (0.9.0), and what is written over that connection next is never
/// committed.
async fn to_its_end(request: Request, next: Next) -> Response {
    let answered = tokio::spawn(next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::internal().into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rebuild {
    /// In how many parts it is filled, each by a worker of its own.
    shards: Option<i16>,
    /// Whether it serves by itself as soon as it has caught up.
    switch: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    version: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SwitchTo {
    version: Option<i32>,
    even_with_parked: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    even_with_parked: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CompareWhat {
    version: Option<i32>,
    percent: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    version: Option<i32>,
    /// Of the event at which the stream is parked: nobody leaves out another one than they have looked at.
    revision: i64,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Changed {
    name: &'static str,
    version: i32,
}

/// A stream that is put aside.
#[derive(Debug, Serialize)]
struct ParkedView {
    version: i32,
    stream: String,
    revision: i64,
    position: i64,
    event_type: String,
    error: String,
    waiting: i64,
    parked_at: DateTime<Utc>,
    asked: Option<String>,
}

async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<ProjectionView>>, Problem> {
    caller.require_operator()?;
    let projections = overview(&shared.databases, &shared.store, &shared.board).await;
    Ok(Json(projections.map_err(|error| match error {
        OverviewError::Database(error) => of_version(VersionError::Database(error)),
        OverviewError::EventStore(error) => Problem::unavailable(error.to_string()),
    })?))
}

async fn rebuild(
    State(shared): State<Shared>,
    _: Operator,
    PathParams(name): PathParams<String>,
    JsonBody(Rebuild { shards, switch }): JsonBody<Rebuild>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let entry = find(&name)?;
    let shards = shards.unwrap_or(1);
    if !(1..=MAX_SHARDS).contains(&shards) {
        return Err(Problem::invalid(format!("`shards` is a number from 1 to {MAX_SHARDS}.")));
    }
    let new = NewVersion { rules: entry.rules, shards, switches: switch };
    let version = versions::make(&mut *shared.connection(entry).await?, entry.name, entry.tables, new).await;
    let version = version.map_err(of_version)?;
    Ok((StatusCode::ACCEPTED, Json(Changed { name: entry.name, version })))
}

/// Drops the version that is being filled.
async fn abandon(
    State(shared): State<Shared>,
    caller: Caller,
    PathParams(name): PathParams<String>,
) -> Result<Json<Changed>, Problem> {
    caller.require_operator()?;
    let entry = find(&name)?;
    let version = versions::abandon(&mut *shared.connection(entry).await?, entry.name).await;
    let version = version.map_err(of_version)?;
    tracing::info!(projection = entry.name, version, "what was being filled is dropped");
    Ok(Json(Changed { name: entry.name, version }))
}

async fn switch(
    State(shared): State<Shared>,
    _: Operator,
    PathParams(name): PathParams<String>,
    JsonBody(SwitchTo { version, even_with_parked }): JsonBody<SwitchTo>,
) -> Result<Json<Changed>, Problem> {
    switch_to(&shared, find(&name)?, version, even_with_parked).await
}

/// Back to what served before.
async fn rollback(
    State(shared): State<Shared>,
    _: Operator,
    PathParams(name): PathParams<String>,
    JsonBody(Rollback { even_with_parked }): JsonBody<Rollback>,
) -> Result<Json<Changed>, Problem> {
    let entry = find(&name)?;
    let versions = versions::list(&mut *shared.connection(entry).await?, entry.name).await;
    let versions = versions.map_err(|error| of_version(error.into()))?;
    let before = versions.iter().find(|version| version.state == VersionState::Standby);
    let before = before.ok_or_else(|| of_version(VersionError::NoOther(entry.name.to_owned())))?;
    switch_to(&shared, entry, Some(before.version), even_with_parked).await
}

async fn switch_to(
    shared: &Shared,
    entry: Entry,
    to: Option<i32>,
    even_with_parked: bool,
) -> Result<Json<Changed>, Problem> {
    let mut connection = shared.connection(entry).await?;
    let log_id = shared.store.log_identity().await.map_err(|error| of_version(error.into()))?.id();
    let to = Switch { to, rules: entry.rules, even_with_parked, log_id: Some(log_id) };
    let mut backoff = Backoff::new(FIRST_PAUSE, FIRST_PAUSE * 8);
    let deadline = Instant::now() + SWITCH_WITHIN;
    let version = loop {
        match versions::switch(&mut connection, entry.name, entry.tables, to).await {
            Err(VersionError::Busy) if Instant::now() < deadline => {
                tokio::time::sleep(backoff.next_pause()).await;
            }
            switched => break switched.map_err(of_version)?,
        }
    };
    tracing::info!(projection = entry.name, version, "another version serves now");
    Ok(Json(Changed { name: entry.name, version }))
}

async fn compare(
    State(shared): State<Shared>,
    _: Operator,
    PathParams(name): PathParams<String>,
    JsonBody(CompareWhat { version, percent }): JsonBody<CompareWhat>,
) -> Result<Json<Comparison>, Problem> {
    let entry = find(&name)?;
    if percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
        return Err(Problem::invalid("`percent` is a number from 1 to 100."));
    }
    let wanted = Wanted { version, percent };
    let compared =
        (entry.compare)(shared.databases.of(entry.home).options.clone(), shared.store.clone(), wanted).await;
    Ok(Json(compared.map_err(of_comparison)?))
}

async fn parked(
    State(shared): State<Shared>,
    caller: Caller,
    PathParams(name): PathParams<String>,
) -> Result<Json<Vec<ParkedView>>, Problem> {
    caller.require_operator()?;
    let entry = find(&name)?;
    let parked = sqlx::query_as!(
        ParkedView,
        "SELECT version, stream, revision, position, event_type, error, waiting, parked_at, asked
         FROM parked_streams WHERE name = $1 ORDER BY version, position",
        entry.name
    )
    .fetch_all(&shared.databases.of(entry.home).pool)
    .await
    .map_err(|error| of_version(error.into()))?;
    Ok(Json(parked))
}

async fn retry(
    State(shared): State<Shared>,
    _: Operator,
    PathParams((name, stream)): PathParams<(String, String)>,
    JsonBody(Which { version }): JsonBody<Which>,
) -> Result<(StatusCode, Json<Asked>), Problem> {
    ask(&shared, find(&name)?, &Wish { stream, version, skips: None }).await
}

async fn skip(
    State(shared): State<Shared>,
    _: Operator,
    PathParams((name, stream)): PathParams<(String, String)>,
    JsonBody(Skip { version, revision, reason }): JsonBody<Skip>,
) -> Result<(StatusCode, Json<Asked>), Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::invalid("`reason` says why the event is left out for good."));
    }
    ask(&shared, find(&name)?, &Wish { stream, version, skips: Some((revision, reason)) }).await
}

/// Notes what is wanted of a parked stream. The worker that parked it does it between two transactions.
async fn ask(shared: &Shared, entry: Entry, wish: &Wish) -> Result<(StatusCode, Json<Asked>), Problem> {
    let database = &shared.databases.of(entry.home).pool;
    match asking::ask(database, entry.name, wish).await {
        Ok(asked) => Ok((StatusCode::ACCEPTED, Json(asked))),
        Err(error @ AskError::NotParked { .. }) => Err(Problem::not_found(format!("{error}."))),
        Err(error @ AskError::Elsewhere { .. }) => Err(Problem::new(
            StatusCode::CONFLICT,
            "parked-elsewhere",
            "The stream is parked at another event",
            format!("{error}."),
        )),
        Err(AskError::Database(error)) => Err(of_version(error.into())),
    }
}

impl Shared {
    async fn connection(&self, entry: Entry) -> Result<PoolConnection<sqlx::Postgres>, Problem> {
        self.databases.of(entry.home).pool.acquire().await.map_err(|error| of_version(error.into()))
    }
}

fn find(name: &str) -> Result<Entry, Problem> {
    catalogue::find(name).ok_or_else(|| {
        let known = catalogue::ALL.map(|entry| entry.name).join(", ");
        Problem::not_found(format!("There is no projection `{name}`: there are {known}."))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn of_version(error: VersionError) -> Problem {
    let conflict = |id, title| Problem::new(StatusCode::CONFLICT, id, title, format!("{error}."));
    match &error {
        VersionError::UnknownProjection(_) | VersionError::UnknownVersion { .. } => {
            Problem::not_found(format!("{error}."))
        }
        VersionError::Serves { .. } => conflict("version-serves", "This version serves already"),
        VersionError::NoOther(_) => conflict("no-other-version", "There is no version to switch to"),
        VersionError::Behind { .. } => {
            conflict("version-behind", "The version has not caught up").retry_after(1)
        }
        VersionError::Rebuilding { .. } => conflict("rebuilding", "The projection is being rebuilt already"),
        VersionError::NewerRules { .. } | VersionError::OtherRules { .. } => {
            conflict("other-rules", "The version is filled by other rules")
        }
        VersionError::Parked { .. } => {
            conflict("version-has-parked", "The version has parked streams that serve now")
        }
        VersionError::AnotherLog { .. } => {
            conflict("version-of-another-log", "This version was filled from another log")
        }
        VersionError::EventStore(error) => Problem::unavailable(format!("{error}.")),
        VersionError::NotRebuilding(_) => conflict("not-rebuilding", "The projection is not being rebuilt"),
        VersionError::Busy => Problem::unavailable(format!("{error}.")),
        VersionError::Database(error) => {
            tracing::warn!(error = error as &dyn std::error::Error, "the projections cannot be looked after");
            Problem::unavailable("The database does not answer.")
        }
    }
}

fn of_comparison(error: CompareError) -> Problem {
    match error {
        CompareError::Version(error) => of_version(error),
        CompareError::OtherRules { .. } => Problem::new(
            StatusCode::CONFLICT,
            "other-rules",
            "The version is filled by other rules",
            format!("{error}."),
        ),
        CompareError::EventStore(error) => Problem::unavailable(error.to_string()),
        CompareError::Step(_) | CompareError::Unreadable(_) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a projection cannot be compared");
            Problem::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures::FutureExt;
    use tokio::sync::oneshot;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_change_whose_operator_goes_away_is_carried_out() {
        let (go_on, wait) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let both = std::sync::Mutex::new(Some((wait, done)));
        let handler = move || {
            let both = both.lock().unwrap().take();
            async move {
                let (wait, done) = both.unwrap();
                wait.await.unwrap();
                done.send(()).unwrap();
            }
        };
        let handler = std::sync::Arc::new(handler);
        let router = Router::new().route("/", post(move || handler())).route_layer(from_fn(to_its_end));
        let request = Request::post("/").body(Body::empty()).unwrap();
        let mut asked = Box::pin(router.oneshot(request));
        assert!((&mut asked).now_or_never().is_none());
        drop(asked);
        go_on.send(()).unwrap();
        is_done.await.unwrap();
    }
}
