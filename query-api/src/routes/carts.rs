use super::history::{AsOf, page_as_of};
use super::{SNAPSHOT_OF_CARTS, Shared};
use crate::answer::{Answer, failed_query, nothing};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::CartFold;
use crate::page::PageRequest;
use crate::parameters::given;
use crate::views::{self, carts::CartRow};
use api::Page;
use api::carts::{Cart, CartFilter};
use api::permission::{ManageCarts, Public};
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::CartId;
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem};
use http_routes::{Allowed, Routes};
use uuid::Uuid;

const STATUSES: [&str; 3] = ["open", "checked_out", "abandoned"];

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/carts", list, "Lists carts, newest first").get(
        "/carts/{cart_id}",
        one,
        "Shows a cart, now or as of a point of its history",
    )
}

/// Newest first.
async fn list(
    _: Allowed<ManageCarts>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter, freshness }: Asked<CartFilter>,
) -> Result<Answer<Page<Cart>>, Problem> {
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
        CartRow,
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
    Ok(Answer::new(page.page(rows, |row| (row.opened_at, row.cart_id), Cart::from), reached))
}

async fn one(
    _: Allowed<Public>,
    State(shared): State<Shared>,
    client: Client,
    caller: Result<Caller, Problem>,
    PathParams(cart_id): PathParams<CartId>,
    share: ClientShare,
    Asked { filter, freshness }: Asked<AsOf>,
) -> Result<Answer<Cart>, Problem> {
    if let Some(point) = filter.as_of {
        return page_as_of::<CartFold>(&shared, caller, cart_id, point, (freshness, &share)).await;
    }
    let reached = shared.checkpoints.reach(ReadModel::Carts, freshness).await?;
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_CARTS).await?;
    let cart = views::carts::read(&mut snapshot, cart_id.0).await.map_err(failed_query)?;
    drop(snapshot);
    let cart = cart.ok_or_else(|| nothing("cart", cart_id, reached))?;
    let revision = cart.revision;
    Ok(Answer::of_stream(cart, reached, revision))
}
