//! Reconciliations over HTTP, as the operator.

use super::report::Report;
use super::runs::Reconciler;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use http_boundary::{Caller, OperatorToken, PathParams, Problem};
use serde::Serialize;
use uuid::Uuid;

/// Runs that a list has.
const LISTED: i64 = 100;

#[derive(Clone)]
struct Shared {
    reconciler: Reconciler,
    operator_token: OperatorToken,
}

impl FromRef<Shared> for OperatorToken {
    fn from_ref(shared: &Shared) -> Self {
        shared.operator_token.clone()
    }
}

/// All of it.
pub fn routes(reconciler: Reconciler, operator_token: OperatorToken) -> Router {
    Router::new()
        .route("/audit/reconciliations", post(ask).get(list))
        .route("/audit/reconciliations/{id}", get(one))
        .with_state(Shared { reconciler, operator_token })
}

#[derive(Debug, Serialize)]
struct Asked {
    id: Uuid,
}

/// A run.
#[derive(Debug, Serialize)]
struct RunView {
    id: Uuid,
    asked_at: DateTime<Utc>,
    asked_by: String,
    started_at: Option<DateTime<Utc>>,
    /// What it is at, while it runs.
    doing: Option<String>,
    finished_at: Option<DateTime<Utc>>,
    /// Why it could not be done.
    failure: Option<String>,
    differences: Option<i64>,
    /// All that came of it; a list leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<sqlx::types::Json<Report>>,
}

async fn ask(State(shared): State<Shared>, caller: Caller) -> Result<(StatusCode, Json<Asked>), Problem> {
    caller.require_operator()?;
    let id = shared.reconciler.ask("operator").await.map_err(failed)?;
    Ok((StatusCode::ACCEPTED, Json(Asked { id })))
}

async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<RunView>>, Problem> {
    caller.require_operator()?;
    let runs = sqlx::query_as!(
        RunView,
        r#"SELECT id, asked_at, asked_by, started_at, doing, finished_at, failure, differences,
                  NULL::jsonb AS "report: _"
           FROM reconciliations ORDER BY asked_at DESC LIMIT $1"#,
        LISTED
    );
    Ok(Json(runs.fetch_all(shared.reconciler.pool()).await.map_err(failed)?))
}

async fn one(
    State(shared): State<Shared>,
    caller: Caller,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<RunView>, Problem> {
    caller.require_operator()?;
    let run = sqlx::query_as!(
        RunView,
        r#"SELECT id, asked_at, asked_by, started_at, doing, finished_at, failure, differences, report AS "report: _"
           FROM reconciliations WHERE id = $1"#,
        id
    );
    let run = run.fetch_optional(shared.reconciler.pool()).await.map_err(failed)?;
    run.map(Json).ok_or_else(|| Problem::not_found(format!("There is no reconciliation {id}.")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: sqlx::Error) -> Problem {
    tracing::warn!(error = &error as &dyn std::error::Error, "reconciliations cannot be looked at");
    Problem::unavailable("The database does not answer.")
}
