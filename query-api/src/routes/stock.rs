use super::Shared;
use super::history::{AsOf, page_as_of};
use crate::answer::{Answer, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::StockFold;
use crate::page::{Page, PageRequest};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use domain::Sku;
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem};
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<Shared> {
    Router::new().route("/stock", get(list)).route("/stock/{sku}", get(one))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// As the operator sees it, in units. `reserved` counts the committed ones among it: received + adjusted = available + reserved + shipped.
#[derive(Serialize)]
pub struct StockView {
    pub sku: String,
    pub available: i64,
    pub reserved: i64,
    pub committed: i64,
    pub shipped: i64,
    pub received: i64,
    pub adjusted: i64,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
}

/// What everybody sees: how many can be had, and nothing from which it can be told how many were ever sold. Even the
/// revision counts the orders.
#[derive(Serialize)]
pub struct AvailableView {
    sku: String,
    available: i64,
    changed_at: DateTime<Utc>,
}

/// As its reader may see it.
#[derive(Serialize)]
#[serde(untagged)]
pub enum StockPage {
    Whole(StockView),
    Available(AvailableView),
}

impl StockView {
    /// As everybody sees it.
    pub fn for_shoppers(&self) -> AvailableView {
        AvailableView { sku: self.sku.clone(), available: self.available, changed_at: self.changed_at }
    }
}

async fn list(
    State(shared): State<Shared>,
    client: Client,
    caller: Caller,
    Asked { filter, freshness }: Asked<Filter>,
) -> Result<Answer<Page<StockView>>, Problem> {
    caller.require_operator()?;
    let page = PageRequest::<String>::read(filter.limit, filter.cursor.as_deref())?;
    let reached = shared.checkpoints.reach(ReadModel::Stock, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        StockView,
        "SELECT sku, available, reserved, committed, shipped, received, adjusted, changed_at, revision
         FROM stock WHERE $1::text IS NULL OR sku > $1 ORDER BY sku LIMIT $2",
        page.after.as_deref(),
        page.fetch()
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(page.page(rows, |row| row.sku.clone(), |row| row), reached))
}

async fn one(
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(sku): PathParams<Sku>,
    share: ClientShare,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<StockPage>, Problem> {
    if let Some(point) = filter.as_of {
        let page = page_as_of::<StockFold>(&shared, caller, &sku, point, (freshness, &share)).await?;
        return Ok(Answer {
            body: StockPage::Whole(page.body),
            reached: page.reached,
            revision: page.revision,
        });
    }
    let is_operator = caller?.is_operator();
    let reached = shared.checkpoints.reach(ReadModel::Stock, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let row = sqlx::query_as!(
        StockView,
        "SELECT sku, available, reserved, committed, shipped, received, adjusted, changed_at, revision
         FROM stock WHERE sku = $1",
        sku.as_str()
    )
    .fetch_optional(&mut *database)
    .await
    .map_err(failed_query)?
    .ok_or_else(|| nothing("stock", &sku, reached))?;
    if !is_operator {
        return Ok(Answer::new(StockPage::Available(row.for_shoppers()), reached));
    }
    let revision = row.revision;
    Ok(Answer::of_stream(StockPage::Whole(row), reached, revision))
}
