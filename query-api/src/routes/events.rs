//! The log itself, for auditors: by stream or by position, both ways, straight from the event store.

use super::Shared;
use crate::answer::{Answer, failed_read};
use crate::audit::as_json;
use crate::freshness::Asked;
use crate::page::PageRequest;
use api::Page;
use api::audit::{Direction, EventFilter, StoredEvent};
use api::permission::Audit;
use axum::extract::State;
use event_store::{EventStoreError, Position, RecordedEvent, check_stream_name};
use futures::{Stream, StreamExt, TryStreamExt};
use http_boundary::Problem;
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/events", list, "Tells the events of a stream or of the whole log")
}

fn view(event: RecordedEvent) -> StoredEvent {
    StoredEvent {
        data: as_json(&event.data),
        metadata: as_json(&event.metadata),
        stream: event.stream,
        revision: event.revision,
        position: event.position.value(),
        id: event.id,
        event_type: event.event_type,
        recorded_at: event.recorded_at,
    }
}

/// The cursor is the revision or the position of the last event of the page before.
async fn list(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    Asked { filter, freshness }: Asked<EventFilter>,
) -> Result<Answer<Page<StoredEvent>>, Problem> {
    let page = PageRequest::<u64>::read(filter.limit, filter.cursor.as_deref())?;
    let reached = shared.log.reach(freshness).await?;
    let direction = filter.direction.unwrap_or_default();
    let page = match filter.stream.as_deref().filter(|stream| !stream.is_empty()) {
        Some(_) if filter.from_position.is_some() => {
            return Err(Problem::invalid(
                "A stream is read `from` a revision, the whole log `from-position`.",
            ));
        }
        None if filter.from.is_some() => {
            return Err(Problem::invalid("`from` is a revision of a stream: name the `stream` too."));
        }
        Some(stream) => {
            check_stream_name(stream)
                .map_err(|error| Problem::malformed(format!("`stream` cannot be looked for: {error}.")))?;
            let events = of_stream(&shared, stream, filter.from, direction, &page).await?;
            page.page(events, |event| event.revision, view)
        }
        None => {
            let events = of_all(&shared, filter.from_position.map(Position::new), direction, &page).await?;
            page.page(events, |event| event.position.value(), view)
        }
    };
    Ok(Answer::new(page, reached))
}

async fn of_stream(
    shared: &Shared,
    stream: &str,
    from: Option<u64>,
    direction: Direction,
    page: &PageRequest<u64>,
) -> Result<Vec<RecordedEvent>, Problem> {
    let max = page.limit + 1;
    match (direction, page.after) {
        (Direction::Forwards, after) => {
            let start = after.map_or(from.unwrap_or(0), |after| after.saturating_add(1));
            collect(shared.store.read_stream(stream, start, max), max).await
        }
        (Direction::Backwards, Some(0)) => Ok(vec![]),
        (Direction::Backwards, after) => {
            let start = after.map(|after| after - 1).or(from);
            collect(shared.store.read_stream_backwards(stream, start, max), max).await
        }
    }
}

/// Reads on from the last event of the page before, itself left out: a place in the log that surely is one.
async fn of_all(
    shared: &Shared,
    from: Option<Position>,
    direction: Direction,
    page: &PageRequest<u64>,
) -> Result<Vec<RecordedEvent>, Problem> {
    let max = page.limit + 1;
    let after = page.after.map(Position::new);
    match direction {
        Direction::Forwards => {
            let events = shared.store.read_all(after.or(from), max + 1);
            let events = events.try_filter(move |event| std::future::ready(Some(event.position) != after));
            collect(events, max).await
        }
        Direction::Backwards => {
            // The events before it: the place after it need not be an event's.
            collect(shared.store.read_all_backwards(after.or(from), max), max).await
        }
    }
}

async fn collect(
    events: impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send,
    max: usize,
) -> Result<Vec<RecordedEvent>, Problem> {
    events.take(max).try_collect().await.map_err(failed_read)
}
