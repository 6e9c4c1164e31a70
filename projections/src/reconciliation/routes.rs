//! Reconciliations over HTTP, as the operator.

use super::runs::Reconciler;
use crate::routes::Noted;
use api::permission::Audit;
use api::reconciliation::{Reconciliation, ReconciliationAsked, ReconciliationReport};
use axum::Json;
use axum::extract::{FromRef, State};
use chrono::{DateTime, Utc};
use http_boundary::{OperatorToken, PathParams, Problem};
use http_routes::{Allowed, Routes};
use uuid::Uuid;

/// Runs that a list has.
const LISTED: i64 = 100;

/// What the handlers need.
#[derive(Clone)]
pub struct Shared {
    pub reconciler: Reconciler,
    pub operator_token: OperatorToken,
}

impl FromRef<Shared> for OperatorToken {
    fn from_ref(shared: &Shared) -> Self {
        shared.operator_token.clone()
    }
}

/// The table that everything else about these routes follows from.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .post("/audit/reconciliations", ask, "Asks for a reconciliation")
        .get("/audit/reconciliations", list, "Lists the reconciliations, the newest first")
        .get("/audit/reconciliations/{id}", one, "Shows a reconciliation with its report")
}

/// A reconciliation as the database has it.
struct Row {
    id: Uuid,
    asked_at: DateTime<Utc>,
    asked_by: String,
    started_at: Option<DateTime<Utc>>,
    doing: Option<String>,
    finished_at: Option<DateTime<Utc>>,
    failure: Option<String>,
    differences: Option<i64>,
    report: Option<sqlx::types::Json<ReconciliationReport>>,
}

impl From<Row> for Reconciliation {
    fn from(row: Row) -> Self {
        let Row { id, asked_at, asked_by, started_at, doing, finished_at, failure, differences, report } =
            row;
        let report = report.map(|report| report.0);
        Self { id, asked_at, asked_by, started_at, doing, finished_at, failure, differences, report }
    }
}

async fn ask(_: Allowed<Audit>, State(shared): State<Shared>) -> Result<Noted<ReconciliationAsked>, Problem> {
    let id = shared.reconciler.ask("operator").await.map_err(failed)?;
    Ok(Noted(ReconciliationAsked { id }))
}

async fn list(_: Allowed<Audit>, State(shared): State<Shared>) -> Result<Json<Vec<Reconciliation>>, Problem> {
    let runs = sqlx::query_as!(
        Row,
        r#"SELECT id, asked_at, asked_by, started_at, doing, finished_at, failure, differences,
                  NULL::jsonb AS "report: _"
           FROM reconciliations ORDER BY asked_at DESC LIMIT $1"#,
        LISTED
    );
    let runs = runs.fetch_all(shared.reconciler.pool()).await.map_err(failed)?;
    Ok(Json(runs.into_iter().map(Reconciliation::from).collect()))
}

async fn one(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<Reconciliation>, Problem> {
    let run = sqlx::query_as!(
        Row,
        r#"SELECT id, asked_at, asked_by, started_at, doing, finished_at, failure, differences, report AS "report: _"
           FROM reconciliations WHERE id = $1"#,
        id
    );
    let run = run.fetch_optional(shared.reconciler.pool()).await.map_err(failed)?;
    run.map(|run| Json(run.into()))
        .ok_or_else(|| Problem::not_found(format!("There is no reconciliation {id}.")))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: sqlx::Error) -> Problem {
    tracing::warn!(error = &error as &dyn std::error::Error, "reconciliations cannot be looked at");
    Problem::unavailable("The database does not answer.")
}
