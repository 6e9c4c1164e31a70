//! The audit trail: events by what they are, by whom, for which purchase and when; what one purchase set off; and any
//! selection as a file.

use super::Shared;
use crate::answer::{Answer, failed_query, failed_read, nothing};
use crate::audit::{
    Filter, Wanted, at_positions, export, of_correlation, page_of_index, page_of_stream, record, tree,
};
use crate::checkpoints::ReadModel;
use crate::freshness::{Asked, Freshness, MinPosition};
use crate::page::PageRequest;
use crate::parameters::{ending, starting};
use api::Page;
use api::audit::{AuditedEvent, Direction, PurchaseTrail, TrailFilter};
use api::permission::Audit;
use api::problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::OrderId;
use event_store::{EventStore, EventStoreError, Position, RecordedEvent};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http_boundary::{Client, PathParams, Problem, process};
use http_routes::{Allowed, Answers, Description, Routes};
use uuid::Uuid;

/// Places of events that are read at once for an export of a purchase.
const POSITIONS_AT_ONCE: usize = 500;

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get(
            "/audit/events",
            events,
            "Tells the events of the shop by stream, type, actor, purchase and time",
        )
        .get(
            "/audit/purchases/{order_id}",
            purchase,
            "What a purchase set off: which command caused which event",
        )
        .get("/audit/export", file, "Writes a selection of events as a file")
}

fn selection(asked: &TrailFilter) -> Result<Filter, Problem> {
    let from = starting("from", asked.from.as_deref())?;
    let to = ending("to", asked.to.as_deref())?;
    let wanted = Wanted {
        stream: asked.stream.clone(),
        category: asked.category.clone(),
        event_type: asked.event_type.clone(),
        actor: asked.actor.clone(),
        correlation: asked.correlation.clone(),
        from_position: asked.from_position.clone(),
        to_position: asked.to_position.clone(),
    };
    Filter::read(wanted, from, to).map_err(|error| Problem::invalid(format!("{error}.")))
}

/// A page of the trail. The cursor is the position of the last event of the page before, or its revision if a stream
/// is asked for.
async fn events(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter: query, freshness }: Asked<TrailFilter>,
) -> Result<Answer<Page<AuditedEvent>>, Problem> {
    if query.format.is_some() {
        return Err(Problem::invalid("`format` is for /audit/export: a page is always JSON."));
    }
    let filter = selection(&query)?;
    let page = PageRequest::<u64>::read(query.limit, query.cursor.as_deref())?;
    let direction = query.direction.unwrap_or_default();
    if let Some(stream) = &filter.stream {
        let head = shared.log.reach(freshness).await?;
        let part = (page.after, page.limit + 1);
        let events = page_of_stream(&shared.store, stream, &filter, direction, part).await;
        let events = events.map_err(failed_read)?;
        return Ok(Answer::new(page.page(events, |event| event.revision, |event| record(&event)), head));
    }
    let position = shared.checkpoints.reach(ReadModel::Trail, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let found = page_of_index(&mut database, &filter, direction, page.after, page.fetch()).await;
    let found = found.map_err(failed_query)?;
    drop(database);
    let page = page.page(found, |position| position.value(), |position| position);
    let mut places = page.items;
    places.sort_unstable();
    let mut events = all_at(&shared.store, &places).await?;
    if direction == Direction::Backwards {
        events.reverse();
    }
    let items = events.iter().map(record).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }, position))
}

/// Where the events of one purchase are.
async fn places_of(shared: &Shared, client: Client, correlation: Uuid) -> Result<Vec<Position>, Problem> {
    let mut database = shared.database.connection(client).await?;
    of_correlation(&mut database, correlation).await.map_err(failed_query)
}

/// The events at these places. No event is ever deleted, so one that is missing is told and not passed over.
async fn all_at(store: &EventStore, places: &[Position]) -> Result<Vec<RecordedEvent>, Problem> {
    let events = at_positions(store, places).await.map_err(failed_read)?;
    if events.len() < places.len() {
        let missing = places.iter().find(|place| events.iter().all(|event| event.position != **place));
        tracing::error!(position = ?missing, "the log has no event where the trail knows one");
        let detail = "The log has no event at a position where the audit trail knows one: verify the log.";
        let problem = Problem::new(problem::EVENT_MISSING, detail);
        return Err(problem.with("position", missing.map(|place| place.value())));
    }
    Ok(events)
}

async fn purchase(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    client: Client,
    PathParams(order_id): PathParams<OrderId>,
    Asked { freshness, .. }: Asked,
) -> Result<Answer<PurchaseTrail>, Problem> {
    // Half a tree would be a wrong one: everything that is in the log now.
    let position = shared.checkpoints.reach(ReadModel::Trail, freshness.or(MinPosition::Head)).await?;
    let places = places_of(&shared, client, order_id.0).await?;
    let events = all_at(&shared.store, &places).await?;
    if events.is_empty() {
        return Err(nothing("purchase", order_id, position));
    }
    Ok(Answer::new(PurchaseTrail { order_id, events: events.len(), steps: tree(&events) }, position))
}

/// A selection as a file, up to the end that the log has now. It comes from the log itself and not from a read model; only
/// where the events of a purchase are is looked up.
async fn file(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter: query, freshness }: Asked<TrailFilter>,
) -> Result<ExportedFile, Problem> {
    if query.limit.is_some() || query.cursor.is_some() || query.direction.is_some() {
        return Err(Problem::invalid("An export has no pages: leave out `limit`, `cursor` and `direction`."));
    }
    let format =
        query.format.ok_or_else(|| Problem::invalid("Give the `format`: ndjson, csv or parquet."))?;
    let filter = selection(&query)?;
    let head = shared.log.reach(freshness).await?;
    let events = selected(&shared, client, filter, (head.position, freshness)).await?;
    let pieces = export(format, events).inspect_err(|error| {
        tracing::warn!(error = process::with_causes(error), "an export breaks off");
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    let name = format!("attachment; filename=\"events.{}\"", format.ending());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    head.write(headers);
    Ok(ExportedFile(response))
}

/// A file of events.
struct ExportedFile(Response);

impl IntoResponse for ExportedFile {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answers for ExportedFile {
    fn describe(description: &mut Description) {
        description.answers(
            200,
            "The file, in the form that `format` names.",
            Some("application/octet-stream"),
        );
    }
}

type Events = BoxStream<'static, Result<RecordedEvent, EventStoreError>>;

async fn selected(
    shared: &Shared,
    client: Client,
    filter: Filter,
    (head, freshness): (Option<Position>, Freshness),
) -> Result<Events, Problem> {
    let Some(head) = head else { return Ok(futures::stream::empty().boxed()) };
    let store = shared.store.clone();
    let last = filter.to_position.map_or(head, |to| to.min(head));
    let all: Events = match (&filter.stream, filter.correlation) {
        (Some(stream), _) => store.read_stream(stream, 0, usize::MAX).boxed(),
        (None, Some(correlation)) => {
            shared.checkpoints.reach(ReadModel::Trail, freshness.at(head)).await?;
            let places = places_of(shared, client, correlation).await?;
            let parts: Vec<Vec<Position>> = places.chunks(POSITIONS_AT_ONCE).map(<[_]>::to_vec).collect();
            let read = move |part: Vec<Position>| {
                let store = store.clone();
                async move {
                    let events = at_positions(&store, &part).await?;
                    Ok::<_, EventStoreError>(futures::stream::iter(events.into_iter().map(Ok)))
                }
            };
            futures::stream::iter(parts).then(read).try_flatten().boxed()
        }
        (None, None) => store.read_all(filter.from_position, usize::MAX).boxed(),
    };
    let upto_last = all.try_take_while(move |event| {
        let is_within = event.position <= last;
        async move { Ok(is_within) }
    });
    Ok(upto_last.try_filter(move |event| std::future::ready(filter.has(event))).boxed())
}
