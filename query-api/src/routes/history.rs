//! The past of each cart, order, product and stock: its events in words, what changed between two points, and (for the
//! pages themselves, which take `as_of`) how it was at a point.

use super::Shared;
use crate::answer::{Answer, nothing};
use crate::freshness::{Asked, Freshness, Reached};
use crate::history::{
    CartFold, Fold, OrderFold, Point, ProductFold, StockFold, Upto, changes, entries, fold, last_at,
    stream_of,
};
use crate::page::PageRequest;
use api::history::{Difference, HistoryEntry, HistoryFilter};
use api::{Page, Permission};
use axum::extract::State;
use domain::{CartId, OrderId, Sku};
use http_boundary::{Caller, ClientShare, PathParams, Problem};
use http_routes::{Allowed, PathValues, Routes};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Display;
use utoipa::IntoParams;

/// Events that a difference tells; the others are only counted.
const MAX_TOLD: usize = 500;

pub fn routes() -> Routes<Shared> {
    let (history_of, diff_of) =
        ("Tells the events, oldest first", "What differs between two points, and the events that made it so");
    Routes::new()
        .get("/carts/{cart_id}/history", history::<CartFold, CartId>, history_of)
        .get("/orders/{order_id}/history", history::<OrderFold, OrderId>, history_of)
        .get("/products/{sku}/history", history::<ProductFold, Sku>, history_of)
        .get("/stock/{sku}/history", history::<StockFold, Sku>, history_of)
        .get("/carts/{cart_id}/diff", diff::<CartFold, CartId>, diff_of)
        .get("/orders/{order_id}/diff", diff::<OrderFold, OrderId>, diff_of)
        .get("/products/{sku}/diff", diff::<ProductFold, Sku>, diff_of)
        .get("/stock/{sku}/diff", diff::<StockFold, Sku>, diff_of)
}

/// What the page of one thing takes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// As it was then, instead of as it is: a moment (business time), `position:4711`, or `revision:3`.
    #[param(value_type = Option<String>)]
    pub as_of: Option<Point>,
}

/// A page as it was at a point, for those who may look into its past.
pub async fn page_as_of<F: Fold>(
    shared: &Shared,
    caller: Result<Caller, Problem>,
    id: impl Display,
    point: Point,
    (freshness, share): (Freshness, &ClientShare),
) -> Result<Answer<F::Page>, Problem> {
    allow::<F>(caller)?;
    let id = id.to_string();
    let head = head(shared, freshness, &[point]).await?;
    let _reader = shared.readers.enter(freshness.asker).await?;
    let upto = reached::<F>(shared, &id, Some(point), (head, share)).await?;
    share.has_read(count_upto(upto));
    let page = match upto {
        Some(upto) => fold::<F>(&shared.store, &id, upto).await?,
        None => None,
    };
    let page = page.ok_or_else(|| nothing(&format!("{} at that point", F::WHAT), &id, head))?;
    Ok(Answer::new(page, head))
}

fn allow<F: Fold>(caller: Result<Caller, Problem>) -> Result<(), Problem> {
    if F::Permission::IS_ASKED { caller?.require_operator() } else { Ok(()) }
}

/// The end of the log, which must have come as far as the points that are asked about.
async fn head(shared: &Shared, freshness: Freshness, points: &[Point]) -> Result<Reached, Problem> {
    let head = shared.log.reach(freshness).await?;
    let of_point = |point: &Point| match point {
        Point::Position(position) => Some(*position),
        Point::Time(_) | Point::Revision(_) => None,
    };
    match points.iter().filter_map(of_point).find(|wanted| head.position < Some(*wanted)) {
        Some(wanted) => Err(freshness.not_reached(wanted, head.position)),
        None => Ok(head),
    }
}

/// The stream's last event at a point; none if it had none yet.
async fn reached<F: Fold>(
    shared: &Shared,
    id: &str,
    point: Option<Point>,
    (head, share): (Reached, &ClientShare),
) -> Result<Option<u64>, Problem> {
    match last_at(&shared.store, &stream_of::<F>(id), point, share).await? {
        Upto::Revision(revision) => Ok(Some(revision)),
        Upto::Nothing if point.is_none() => Err(nothing(F::WHAT, id, head)),
        Upto::Nothing => Ok(None),
        Upto::OnlyUpTo(last) => Err(Problem::not_found(format!(
            "The {} `{id}` has not come to that revision: its last event is {last}.",
            F::WHAT
        ))
        .with("last_revision", last)),
    }
}

/// The events, oldest first. The cursor is the revision of the last one of the page before.
async fn history<F: Fold, Id: Display + PathValues>(
    _: Allowed<F::Permission>,
    State(shared): State<Shared>,
    PathParams(id): PathParams<Id>,
    Asked { filter: wanted, freshness }: Asked<HistoryFilter>,
) -> Result<Answer<Page<HistoryEntry>>, Problem> {
    let page = PageRequest::<u64>::read(wanted.limit, wanted.cursor.as_deref())?;
    let head = head(&shared, freshness, &[]).await?;
    let id = id.to_string();
    let from = page.after.map_or(0, |after| after.saturating_add(1));
    let _reader = shared.readers.enter(freshness.asker).await?;
    let told = entries(&shared.store, &stream_of::<F>(&id), from, page.limit + 1).await?;
    if told.is_empty() && page.after.is_none() {
        return Err(nothing(F::WHAT, &id, head));
    }
    Ok(Answer::new(page.page(told, |entry| entry.revision, |entry| entry), head))
}

/// Two points of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Between {
    /// A moment (business time), `position:4711`, or `revision:3`.
    #[param(value_type = String)]
    from: Point,
    /// The end of the history, if it is left out.
    #[param(value_type = Option<String>)]
    to: Option<Point>,
}

async fn diff<F: Fold, Id: Display + PathValues>(
    _: Allowed<F::Permission>,
    State(shared): State<Shared>,
    PathParams(id): PathParams<Id>,
    share: ClientShare,
    Asked { filter: between, freshness }: Asked<Between>,
) -> Result<Answer<Difference>, Problem> {
    let id = id.to_string();
    let points: Vec<Point> = [Some(between.from), between.to].into_iter().flatten().collect();
    let head = head(&shared, freshness, &points).await?;
    let _reader = shared.readers.enter(freshness.asker).await?;
    // That there is such a thing at all, before it is said how it was.
    reached::<F>(&shared, &id, None, (head, &share)).await?;
    let from = reached::<F>(&shared, &id, Some(between.from), (head, &share)).await?;
    let to = reached::<F>(&shared, &id, between.to, (head, &share)).await?;
    if from > to {
        return Err(Problem::invalid("`from` is later than `to` in this history: exchange them."));
    }
    share.has_read(count_upto(from).saturating_add(count_upto(to)));
    let before = page_value::<F>(&shared, &id, from).await?;
    let after = if to == from { before.clone() } else { page_value::<F>(&shared, &id, to).await? };
    let first = count_upto(from);
    let count = count_upto(to) - first;
    let told = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_TOLD);
    let events = match told {
        0 => vec![],
        told => entries(&shared.store, &stream_of::<F>(&id), first, told).await?,
    };
    let more_events = count.saturating_sub(u64::try_from(events.len()).unwrap_or(u64::MAX));
    let changes = changes(&before, &after);
    Ok(Answer::new(Difference { from_revision: from, to_revision: to, changes, events, more_events }, head))
}

/// Events of a stream up to its event of this revision.
fn count_upto(revision: Option<u64>) -> u64 {
    revision.map_or(0, |revision| revision.saturating_add(1))
}

async fn page_value<F: Fold>(shared: &Shared, id: &str, upto: Option<u64>) -> Result<Value, Problem> {
    let Some(upto) = upto else { return Ok(Value::Null) };
    let page = fold::<F>(&shared.store, id, upto).await?;
    serde_json::to_value(page).map_err(|error| {
        tracing::error!(%error, "a page cannot be written as JSON");
        Problem::internal()
    })
}
