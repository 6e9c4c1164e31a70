use super::history::{AsOf, page_as_of};
use super::{SNAPSHOT_OF_ORDERS, Shared};
use crate::answer::{Answer, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::OrderFold;
use crate::page::PageRequest;
use crate::parameters::{ending, given, starting};
use crate::views::{self, orders::OrderRow};
use api::Page;
use api::orders::{Order, OrderFilter, OrderSummary};
use api::permission::{ManageOrders, Public};
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::{CountryCode, CustomerId, OrderId};
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem};
use http_routes::{Allowed, Routes};
use uuid::Uuid;

const STATUSES: [&str; 7] =
    ["pending", "paid", "processing", "shipped", "delivered", "cancelled", "refunded"];

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/orders", list, "Lists orders, newest first").get(
        "/orders/{order_id}",
        one,
        "Shows an order, now or as of a point of its history",
    )
}

fn invalid(error: impl std::fmt::Display) -> Problem {
    Problem::invalid(error.to_string())
}

/// Newest first.
async fn list(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter, freshness }: Asked<OrderFilter>,
) -> Result<Answer<Page<OrderSummary>>, Problem> {
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
    Ok(Answer::new(page.page(rows, |row| (row.placed_at, row.order_id), OrderSummary::from), reached))
}

async fn one(
    _: Allowed<Public>,
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(order_id): PathParams<OrderId>,
    share: ClientShare,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<Order>, Problem> {
    if let Some(point) = filter.as_of {
        return page_as_of::<OrderFold>(&shared, caller, order_id, point, (freshness, &share)).await;
    }
    let reached = shared.checkpoints.reach(ReadModel::Orders, freshness).await?;
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_ORDERS).await?;
    let order = views::orders::read(&mut snapshot, order_id.0).await.map_err(failed_query)?;
    drop(snapshot);
    let order = order.ok_or_else(|| nothing("order", order_id, reached))?;
    let revision = order.order.revision;
    Ok(Answer::of_stream(order, reached, revision))
}
