use super::Shared;
use super::history::{AsOf, page_as_of};
use crate::answer::{Answer, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::ProductFold;
use crate::page::PageRequest;
use crate::parameters::given;
use api::permission::Public;
use api::products::{Product, ProductFilter};
use api::{Amount, Page};
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{MerchantId, Sku};
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/products", list, "Lists products by SKU").get(
        "/products/{sku}",
        one,
        "Shows a product, now or as of a point of its history",
    )
}

struct Row {
    sku: String,
    merchant_id: String,
    name: String,
    price: i64,
    currency: String,
    retired: bool,
    defined_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        Self {
            price: Amount::new(row.price, &row.currency),
            sku: row.sku,
            merchant_id: row.merchant_id,
            name: row.name,
            retired: row.retired,
            defined_at: row.defined_at,
            changed_at: row.changed_at,
            revision: row.revision,
        }
    }
}

async fn list(
    _: Allowed<Public>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter, freshness }: Asked<ProductFilter>,
) -> Result<Answer<Page<Product>>, Problem> {
    let page = PageRequest::<String>::read(filter.limit, filter.cursor.as_deref())?;
    let merchant_id: Option<MerchantId> = given(filter.merchant_id.as_deref())
        .map(str::parse)
        .transpose()
        .map_err(|error: domain::text::InvalidText| Problem::invalid(error.to_string()))?;
    let reached = shared.checkpoints.reach(ReadModel::Products, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT sku, merchant_id, name, price, currency, retired, defined_at, changed_at, revision
         FROM products
         WHERE ($1::text IS NULL OR merchant_id = $1) AND ($2::boolean IS NULL OR retired = $2)
           AND ($3::text IS NULL OR sku > $3)
         ORDER BY sku LIMIT $4",
        merchant_id.as_ref().map(MerchantId::as_str),
        filter.retired,
        page.after.as_deref(),
        page.fetch()
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(page.page(rows, |row| row.sku.clone(), Product::from), reached))
}

async fn one(
    _: Allowed<Public>,
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(sku): PathParams<Sku>,
    share: ClientShare,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<Product>, Problem> {
    if let Some(point) = filter.as_of {
        return page_as_of::<ProductFold>(&shared, caller, &sku, point, (freshness, &share)).await;
    }
    let reached = shared.checkpoints.reach(ReadModel::Products, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let row = sqlx::query_as!(
        Row,
        "SELECT sku, merchant_id, name, price, currency, retired, defined_at, changed_at, revision
         FROM products WHERE sku = $1",
        sku.as_str()
    )
    .fetch_optional(&mut *database)
    .await
    .map_err(failed_query)?
    .ok_or_else(|| nothing("product", &sku, reached))?;
    let revision = row.revision;
    Ok(Answer::of_stream(row.into(), reached, revision))
}
