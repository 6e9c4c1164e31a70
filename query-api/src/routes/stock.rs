use super::Shared;
use super::history::{AsOf, page_as_of};
use crate::answer::{Answer, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::StockFold;
use crate::page::PageRequest;
use api::Page;
use api::permission::{ManageStock, Shop};
use api::stock::{StockFilter, StockLevel, StockPage};
use axum::extract::State;
use domain::Sku;
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/stock", list, "Lists stock by SKU").get(
        "/stock/{sku}",
        one,
        "Shows the stock of a SKU, now or as of a point of its history",
    )
}

async fn list(
    _: Allowed<ManageStock>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter, freshness }: Asked<StockFilter>,
) -> Result<Answer<Page<StockLevel>>, Problem> {
    let page = PageRequest::<String>::read(filter.limit, filter.cursor.as_deref())?;
    let reached = shared.checkpoints.reach(ReadModel::Stock, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        StockLevel,
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
    _: Allowed<Shop>,
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
        StockLevel,
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
