use super::history::{AsOf, page_as_of};
use super::{SNAPSHOT_OF_CARTS, Shared};
use crate::answer::{Answer, MoneyView, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::CartFold;
use crate::page::{Page, PageRequest};
use crate::parameters::given;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use domain::CartId;
use http_boundary::{Caller, Client, PathParams, Problem};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

const STATUSES: [&str; 3] = ["open", "checked_out", "abandoned"];

pub fn routes() -> Router<Shared> {
    Router::new().route("/carts", get(list)).route("/carts/{cart_id}", get(one))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A cart. `total` is the sum of the lines at the prices that the shopper saw and of the charge for sending; from
/// checkout on, what was locked.
#[derive(Serialize)]
pub struct CartView {
    pub cart_id: Uuid,
    pub status: String,
    pub currency: String,
    pub customer_id: Option<String>,
    pub order_id: Option<Uuid>,
    pub country: Option<String>,
    pub line_count: i64,
    pub units: i64,
    /// For sending it, a part of the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<MoneyView>,
    pub total: MoneyView,
    pub opened_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<LineView>>,
}

#[derive(Serialize)]
pub struct LineView {
    pub line_id: Uuid,
    pub sku: String,
    pub quantity: i64,
    pub unit_price: MoneyView,
    pub amount: MoneyView,
    pub agreed: bool,
}

struct Row {
    cart_id: Uuid,
    status: String,
    currency: String,
    customer_id: Option<String>,
    order_id: Option<Uuid>,
    country: Option<String>,
    opened_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
    line_count: i64,
    units: i64,
    shipping: Option<i64>,
    total: i64,
}

impl From<Row> for CartView {
    fn from(row: Row) -> Self {
        Self {
            shipping: row.shipping.map(|shipping| MoneyView::new(shipping, &row.currency)),
            total: MoneyView::new(row.total, &row.currency),
            cart_id: row.cart_id,
            status: row.status,
            currency: row.currency,
            customer_id: row.customer_id,
            order_id: row.order_id,
            country: row.country,
            line_count: row.line_count,
            units: row.units,
            opened_at: row.opened_at,
            changed_at: row.changed_at,
            revision: row.revision,
            lines: None,
        }
    }
}

/// Newest first.
async fn list(
    State(shared): State<Shared>,
    client: Client,
    caller: Caller,
    Asked { filter, freshness }: Asked<Filter>,
) -> Result<Answer<Page<CartView>>, Problem> {
    caller.require_operator()?;
    let page = PageRequest::<(DateTime<Utc>, Uuid)>::read(filter.limit, filter.cursor.as_deref())?;
    let status = given(filter.status.as_deref());
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        let known = STATUSES.join(", ");
        return Err(Problem::invalid(format!("`{status}` is not a cart's status: give one of {known}.")));
    }
    let reached = shared.checkpoints.reach(ReadModel::Carts, freshness).await?;
    // An open cart is priced again at checkout, so its sum may be more than any order's total: cut it off.
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.cart_id, c.status, c.currency, c.customer_id, c.order_id, c.country, c.opened_at,
                  c.changed_at, c.revision, l.line_count AS "line_count!", l.units AS "units!",
                  c.shipping, coalesce(c.total, l.total) AS "total!"
           FROM (
               SELECT * FROM carts
               WHERE ($1::text IS NULL OR status = $1)
                 AND ($2::timestamptz IS NULL OR (opened_at, cart_id) < ($2, $3::uuid))
               ORDER BY opened_at DESC, cart_id DESC LIMIT $4
           ) AS c
           CROSS JOIN LATERAL (
               SELECT count(*) AS line_count, coalesce(sum(quantity), 0)::bigint AS units,
                      least(coalesce(sum(quantity::numeric * unit_price), 0) + coalesce(c.shipping, 0),
                            9223372036854775807)::bigint AS total
               FROM cart_lines WHERE cart_lines.cart_id = c.cart_id
           ) AS l
           ORDER BY c.opened_at DESC, c.cart_id DESC"#,
        status,
        page.after.map(|(opened_at, _)| opened_at),
        page.after.map(|(_, cart_id)| cart_id),
        page.fetch()
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(page.page(rows, |row| (row.opened_at, row.cart_id), CartView::from), reached))
}

async fn one(
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(cart_id): PathParams<CartId>,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<CartView>, Problem> {
    if let Some(point) = filter.as_of {
        return page_as_of::<CartFold>(&shared, caller, cart_id, point, freshness).await;
    }
    let reached = shared.checkpoints.reach(ReadModel::Carts, freshness).await?;
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_CARTS).await?;
    let cart = read(&mut snapshot, cart_id.0).await.map_err(failed_query)?;
    drop(snapshot);
    let cart = cart.ok_or_else(|| nothing("cart", cart_id, reached))?;
    let revision = cart.revision;
    Ok(Answer::of_stream(cart, reached, revision))
}

async fn read(snapshot: &mut PgConnection, cart_id: Uuid) -> Result<Option<CartView>, sqlx::Error> {
    let cart = sqlx::query!(
        "SELECT status, currency, customer_id, order_id, country, shipping, total, opened_at, changed_at,
                revision
         FROM carts WHERE cart_id = $1",
        cart_id
    )
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some(cart) = cart else { return Ok(None) };
    let lines = sqlx::query!(
        "SELECT line_id, sku, quantity, unit_price, agreed FROM cart_lines WHERE cart_id = $1 ORDER BY added",
        cart_id
    )
    .fetch_all(snapshot)
    .await?;
    let lines: Vec<LineView> = lines
        .into_iter()
        .map(|line| LineView {
            line_id: line.line_id,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: MoneyView::new(line.unit_price, &cart.currency),
            amount: MoneyView::new(line.quantity.saturating_mul(line.unit_price), &cart.currency),
            agreed: line.agreed,
        })
        .collect();
    let sum =
        lines.iter().fold(cart.shipping.unwrap_or(0), |sum, line| sum.saturating_add(line.amount.amount));
    Ok(Some(CartView {
        cart_id,
        status: cart.status,
        shipping: cart.shipping.map(|shipping| MoneyView::new(shipping, &cart.currency)),
        total: MoneyView::new(cart.total.unwrap_or(sum), &cart.currency),
        currency: cart.currency,
        customer_id: cart.customer_id,
        order_id: cart.order_id,
        country: cart.country,
        line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        units: lines.iter().map(|line| line.quantity).sum(),
        opened_at: cart.opened_at,
        changed_at: cart.changed_at,
        revision: cart.revision,
        lines: Some(lines),
    }))
}
