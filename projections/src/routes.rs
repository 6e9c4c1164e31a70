//! Looking after the projections over HTTP, as the operator.

use crate::backoff::Backoff;
use crate::board::Board;
use crate::catalogue::{self, Entry};
use crate::compare::{CompareError, Wanted};
use crate::databases::Databases;
use crate::overview::{OverviewError, overview};
use crate::parking::asking::{self, AskError, Wish};
use crate::versions::{self, NewVersion, Switch, VersionError, VersionState};
use api::permission::Operate;
use api::problem;
use api::projections::{
    CompareVersion, Comparison, ParkedAsked, ParkedByProjection, Projection, Rebuild, RollBack, SkipParked,
    SwitchVersion, VersionChanged, WhichVersion,
};
use axum::Json;
use axum::extract::{FromRef, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use event_store::EventStore;
use http_boundary::{JsonBody, OperatorToken, PathParams, Problem};
use http_routes::{Allowed, Answers, Description, Routes};
use serde::Serialize;
use sqlx::pool::PoolConnection;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

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

/// The table that everything else about these routes follows from.
pub fn routes() -> Routes<Shared> {
    let changes = Routes::new()
        .post("/projections/{name}/rebuild", rebuild, "Fills a new version from the first event on")
        .post("/projections/{name}/abandon", abandon, "Drops the version that is being filled")
        .post("/projections/{name}/switch", switch, "Has another version serve")
        .post("/projections/{name}/rollback", rollback, "Has the version serve again that served before")
        .post("/projections/{name}/parked/{stream}/retry", retry, "Has a parked stream tried again")
        .post(
            "/projections/{name}/parked/{stream}/skip",
            skip,
            "Leaves an event out of a projection for good",
        )
        .layered(|router| router.route_layer(from_fn(to_its_end)));
    Routes::new()
        .get("/projections", list, "Lists the projections, their versions, and how far each is")
        .post("/projections/{name}/compare", compare, "Compares a version with what its events say")
        .get("/projections/{name}/parked", parked, "Lists the streams that a projection has parked")
        .merge(changes)
}

/// What was noted and is done next: 202.
pub struct Noted<T>(pub T);

impl<T: Serialize> IntoResponse for Noted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl<T: ToSchema> Answers for Noted<T> {
    fn describe(description: &mut Description) {
        description.answers_json::<T>(202, "It is noted, and done next.");
    }
}

/// Carries a change out even if the operator goes away meanwhile. A transaction that is left while it begins stays open
/// on its connection without sqlx knowing of it (0.9.0), and what is written over that connection next is never
/// committed.
async fn to_its_end(request: Request, next: Next) -> Response {
    let answered = tokio::spawn(next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::internal().into_response())
}

async fn list(_: Allowed<Operate>, State(shared): State<Shared>) -> Result<Json<Vec<Projection>>, Problem> {
    let projections = overview(&shared.databases, &shared.store, &shared.board).await;
    Ok(Json(projections.map_err(|error| match error {
        OverviewError::Database(error) => of_version(VersionError::Database(error)),
        OverviewError::EventStore(error) => Problem::unavailable(error.to_string()),
    })?))
}

async fn rebuild(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
    JsonBody(Rebuild { shards, switch }): JsonBody<Rebuild>,
) -> Result<Noted<VersionChanged>, Problem> {
    let entry = find(&name)?;
    let shards = shards.unwrap_or(1);
    if !(1..=MAX_SHARDS).contains(&shards) {
        return Err(Problem::invalid(format!("`shards` is a number from 1 to {MAX_SHARDS}.")));
    }
    let new = NewVersion { rules: entry.rules, shards, switches: switch };
    let version = versions::make(&mut *shared.connection(entry).await?, entry.name, entry.tables, new).await;
    let version = version.map_err(of_version)?;
    Ok(Noted(VersionChanged { name: entry.name.to_owned(), version }))
}

/// Drops the version that is being filled.
async fn abandon(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
) -> Result<Json<VersionChanged>, Problem> {
    let entry = find(&name)?;
    let version = versions::abandon(&mut *shared.connection(entry).await?, entry.name).await;
    let version = version.map_err(of_version)?;
    tracing::info!(projection = entry.name, version, "what was being filled is dropped");
    Ok(Json(VersionChanged { name: entry.name.to_owned(), version }))
}

async fn switch(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
    JsonBody(SwitchVersion { version, even_with_parked }): JsonBody<SwitchVersion>,
) -> Result<Json<VersionChanged>, Problem> {
    switch_to(&shared, find(&name)?, version, even_with_parked).await
}

/// Back to what served before.
async fn rollback(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
    JsonBody(RollBack { even_with_parked }): JsonBody<RollBack>,
) -> Result<Json<VersionChanged>, Problem> {
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
) -> Result<Json<VersionChanged>, Problem> {
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
    Ok(Json(VersionChanged { name: entry.name.to_owned(), version }))
}

async fn compare(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
    JsonBody(CompareVersion { version, percent }): JsonBody<CompareVersion>,
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
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(name): PathParams<String>,
) -> Result<Json<Vec<ParkedByProjection>>, Problem> {
    let entry = find(&name)?;
    let parked = sqlx::query_as!(
        ParkedByProjection,
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
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams((name, stream)): PathParams<(String, String)>,
    JsonBody(WhichVersion { version }): JsonBody<WhichVersion>,
) -> Result<Noted<ParkedAsked>, Problem> {
    ask(&shared, find(&name)?, &Wish { stream, version, skips: None }).await
}

async fn skip(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams((name, stream)): PathParams<(String, String)>,
    JsonBody(SkipParked { version, revision, reason }): JsonBody<SkipParked>,
) -> Result<Noted<ParkedAsked>, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::invalid("`reason` says why the event is left out for good."));
    }
    ask(&shared, find(&name)?, &Wish { stream, version, skips: Some((revision, reason)) }).await
}

/// Notes what is wanted of a parked stream. The worker that parked it does it between two transactions.
async fn ask(shared: &Shared, entry: Entry, wish: &Wish) -> Result<Noted<ParkedAsked>, Problem> {
    let database = &shared.databases.of(entry.home).pool;
    match asking::ask(database, entry.name, wish).await {
        Ok(asked) => Ok(Noted(asked)),
        Err(error @ AskError::NotParked { .. }) => Err(Problem::not_found(format!("{error}."))),
        Err(error @ AskError::Elsewhere { .. }) => {
            Err(Problem::new(problem::PARKED_ELSEWHERE, format!("{error}.")))
        }
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
    let conflict = |kind| Problem::new(kind, format!("{error}."));
    match &error {
        VersionError::UnknownProjection(_) | VersionError::UnknownVersion { .. } => {
            Problem::not_found(format!("{error}."))
        }
        VersionError::Serves { .. } => conflict(problem::VERSION_SERVES),
        VersionError::NoOther(_) => conflict(problem::NO_OTHER_VERSION),
        VersionError::Behind { .. } => conflict(problem::VERSION_BEHIND).retry_after(1),
        VersionError::Rebuilding { .. } => conflict(problem::REBUILDING),
        VersionError::NewerRules { .. } | VersionError::OtherRules { .. } => conflict(problem::OTHER_RULES),
        VersionError::Parked { .. } => conflict(problem::VERSION_HAS_PARKED),
        VersionError::AnotherLog { .. } => conflict(problem::VERSION_OF_ANOTHER_LOG),
        VersionError::EventStore(error) => Problem::unavailable(format!("{error}.")),
        VersionError::NotRebuilding(_) => conflict(problem::NOT_REBUILDING),
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
        CompareError::OtherRules { .. } => Problem::new(problem::OTHER_RULES, format!("{error}.")),
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
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
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
