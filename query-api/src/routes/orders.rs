use super::history::{AsOf, page_as_of};
use super::order_view::{OrderPage, read};
use super::{SNAPSHOT_OF_ORDERS, Shared};
use crate::answer::{Answer, MoneyView, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::OrderFold;
use crate::page::{Page, PageRequest};
use crate::parameters::{ending, given, starting};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use domain::{CountryCode, CustomerId, OrderId};
use http_boundary::{Caller, Client, PathParams, Problem};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const STATUSES: [&str; 7] =
    ["pending", "paid", "processing", "shipped", "delivered", "cancelled", "refunded"];

pub fn routes() -> Router<Shared> {
    Router::new().route("/orders", get(list)).route("/orders/{order_id}", get(one))
}

/// `from` and `to` are about the time at which the order was placed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    status: Option<String>,
    country: Option<String>,
    customer_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// Those whose shoppers people must give money back to, or all others.
    to_refund: Option<bool>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
pub struct OrderView {
    pub order_id: Uuid,
    pub cart_id: Uuid,
    pub customer_id: Option<String>,
    pub country: String,
    pub status: String,
    /// For sending it, a part of the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<MoneyView>,
    pub total: MoneyView,
    pub paid: MoneyView,
    pub refunded: MoneyView,
    /// What people must give back: the gateway does not, or would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_refund: Option<MoneyView>,
    pub line_count: i64,
    pub units: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<serde_json::Value>,
    pub placed_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
}

pub struct OrderRow {
    pub order_id: Uuid,
    pub cart_id: Uuid,
    pub customer_id: Option<String>,
    pub country: String,
    pub currency: String,
    pub status: String,
    pub shipping: Option<i64>,
    pub total: i64,
    pub paid: i64,
    pub refunded: i64,
    pub to_refund: i64,
    pub lines: i64,
    pub units: i64,
    pub cancel_reason: Option<serde_json::Value>,
    pub placed_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
}

impl From<OrderRow> for OrderView {
    fn from(row: OrderRow) -> Self {
        Self {
            shipping: row.shipping.map(|shipping| MoneyView::new(shipping, &row.currency)),
            total: MoneyView::new(row.total, &row.currency),
            paid: MoneyView::new(row.paid, &row.currency),
            refunded: MoneyView::new(row.refunded, &row.currency),
            to_refund: (row.to_refund > 0).then(|| MoneyView::new(row.to_refund, &row.currency)),
            order_id: row.order_id,
            cart_id: row.cart_id,
            customer_id: row.customer_id,
            country: row.country,
            status: row.status,
            line_count: row.lines,
            units: row.units,
            cancel_reason: row.cancel_reason,
            placed_at: row.placed_at,
            changed_at: row.changed_at,
            revision: row.revision,
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> Problem {
    Problem::invalid(error.to_string())
}

/// Newest first.
async fn list(
    State(shared): State<Shared>,
    client: Client,
    caller: Caller,
    Asked { filter, freshness }: Asked<Filter>,
) -> Result<Answer<Page<OrderView>>, Problem> {
    caller.require_operator()?;
    let page = PageRequest::<(DateTime<Utc>, Uuid)>::read(filter.limit, filter.cursor.as_deref())?;
    let status = given(filter.status.as_deref());
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        let known = STATUSES.join(", ");
        return Err(Problem::invalid(format!("`{status}` is not an order's status: give one of {known}.")));
    }
    let country: Option<CountryCode> =
        given(filter.country.as_deref()).map(str::parse).transpose().map_err(invalid)?;
    let customer_id: Option<CustomerId> =
        given(filter.customer_id.as_deref()).map(str::parse).transpose().map_err(invalid)?;
    let from = starting("from", filter.from.as_deref())?;
    let to = ending("to", filter.to.as_deref())?;
    let reached = shared.checkpoints.reach(ReadModel::Orders, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        OrderRow,
        r#"SELECT order_id, cart_id, customer_id, country, currency, status, shipping, total, paid, refunded, lines,
                units, cancel_reason, placed_at, changed_at, revision,
                CASE WHEN o.cancel_reason IS NOT NULL THEN greatest(o.paid - o.refunded - r.requested, 0)
                     ELSE greatest(least(o.owed_by_hand - r.by_hand, o.paid - o.refunded - r.requested), 0)
                END AS "to_refund!"
         FROM orders AS o
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(amount) FILTER (WHERE status = 'requested'), 0)::bigint AS requested,
                    coalesce(sum(amount) FILTER (WHERE payment_id IS NULL AND status = 'done'), 0)::bigint AS by_hand
             FROM order_refunds WHERE order_id = o.order_id
         ) AS r
         WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR country = $2)
           AND ($3::text IS NULL OR customer_id = $3)
           AND ($4::timestamptz IS NULL OR placed_at >= $4) AND ($5::timestamptz IS NULL OR placed_at < $5)
           AND ($6::timestamptz IS NULL OR (placed_at, order_id) < ($6, $7::uuid))
           AND ($9::bool IS NULL OR NOT $9
                OR (cancel_reason IS NOT NULL AND paid > refunded) OR owed_by_hand > 0)
           AND ($9 IS NULL OR $9 = (CASE WHEN o.cancel_reason IS NOT NULL THEN greatest(o.paid - o.refunded - r.requested, 0)
                     ELSE greatest(least(o.owed_by_hand - r.by_hand, o.paid - o.refunded - r.requested), 0)
                END > 0))
         ORDER BY placed_at DESC, order_id DESC LIMIT $8"#,
        status,
        country.map(CountryCode::as_str),
        customer_id.as_ref().map(CustomerId::as_str),
        from,
        to,
        page.after.map(|(placed_at, _)| placed_at),
        page.after.map(|(_, order_id)| order_id),
        page.fetch(),
        filter.to_refund
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(page.page(rows, |row| (row.placed_at, row.order_id), OrderView::from), reached))
}

async fn one(
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(order_id): PathParams<OrderId>,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<OrderPage>, Problem> {
    if let Some(point) = filter.as_of {
        return page_as_of::<OrderFold>(&shared, caller, order_id, point, freshness).await;
    }
    let reached = shared.checkpoints.reach(ReadModel::Orders, freshness).await?;
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_ORDERS).await?;
    let order = read(&mut snapshot, order_id.0).await.map_err(failed_query)?;
    drop(snapshot);
    let order = order.ok_or_else(|| nothing("order", order_id, reached))?;
    let revision = order.order.revision;
    Ok(Answer::of_stream(order, reached, revision))
}
