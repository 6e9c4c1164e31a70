//! Reads and subscriptions: one call for all of them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream::{self, BoxStream, Stream, StreamExt};
use prost_types::Timestamp;
use tonic::Status;
use uuid::Uuid;

use super::access::check;
use super::errors::{nothing_chosen, read_status};
use super::event_message::{EventMessage, UuidForm};
use super::messages::streams::read_req::Options;
use super::messages::streams::read_req::options::all_options::AllOption;
use super::messages::streams::read_req::options::filter_options::{Expression, Filter, Window};
use super::messages::streams::read_req::options::stream_options::RevisionOption;
use super::messages::streams::read_req::options::uuid_option::Content as UuidContent;
use super::messages::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption, StreamOptions,
};
use super::messages::streams::read_resp::{
    CaughtUp, Checkpoint, Content, FellBehind, Position, StreamNotFound, SubscriptionConfirmation,
};
use super::messages::streams::{ReadReq, ReadResp};
use super::names::{identifier, stream_name};
use crate::service::{
    Act, AllRead, AllSubscription, Direction, EventFilter, FilterOn, From, Message, ReadError, Rights,
    Spacing, Store, StreamRead, StreamSubscription,
};

/// How many events a filter looks at between checkpoints, if the client leaves it to the server.
const DEFAULT_WINDOW: u64 = 32;

/// The name by which the whole log is read.
const ALL: &str = "$all";

/// The answers to a read or a subscription.
pub type Answers = BoxStream<'static, Result<ReadResp, Status>>;

/// Starts a read or a subscription. What fails before the first answer fails here.
pub async fn read(store: &Arc<Store>, reader: Rights, request: ReadReq) -> Result<Answers, Status> {
    let options = request.options.ok_or_else(|| missing("options"))?;
    let uuids = match options.uuid_option.map(|option| option.content) {
        Some(Some(UuidContent::Structured(_)) | None) => UuidForm::Structured,
        Some(Some(UuidContent::String(_))) | None => UuidForm::Text,
    };
    let direction = match options.read_direction() {
        ReadDirection::Forwards => Direction::Forwards,
        ReadDirection::Backwards => Direction::Backwards,
    };
    // Clients that know of it ask to be told where a truncated stream now begins, and where it ends after its events.
    let tell_ends = options.control_option.is_some_and(|control| control.compatibility >= 1);
    let combination = combination(&options);
    let Options { stream_option, count_option, filter_option, resolve_links, .. } = options;
    let filter = match filter_option {
        Some(FilterOption::Filter(filter)) => Some(filter_of(filter)?),
        Some(FilterOption::NoFilter(_)) | None => None,
    };
    let source =
        stream_option.ok_or_else(|| nothing_chosen("ReadReq+Types+Options+StreamOptionOneofCase"))?;
    match (source, count_option.ok_or_else(|| Status::invalid_argument(combination.clone()))?) {
        (StreamOption::Stream(options), CountOption::Count(count)) => {
            let (stream, from) = stream_and_start(options)?;
            check(&reader, Act::Read, &stream).await?;
            let read = StreamRead { stream, from, direction, count, resolve_links, reader };
            read_stream(store, read, uuids, tell_ends).await
        }
        (StreamOption::All(options), CountOption::Count(count)) => {
            check(&reader, Act::Read, ALL).await?;
            let filter = filter.map(|(filter, _)| filter);
            let from = start_of_all(options)?;
            let read = AllRead { from, direction, count, filter, resolve_links, reader };
            first_of(store.read_all(read).map(move |event| {
                let event = event.map_err(read_status)?;
                Ok(answer(Content::Event(EventMessage::new(event, uuids))))
            }))
            .await
        }
        (_, CountOption::Subscription(_)) if direction == Direction::Backwards => {
            Err(Status::invalid_argument(combination))
        }
        (StreamOption::Stream(options), CountOption::Subscription(_)) => {
            let (stream, from) = stream_and_start(options)?;
            check(&reader, Act::Read, &stream).await?;
            let subscription =
                StreamSubscription { stream: stream.clone(), from, resolve_links, reader: reader.clone() };
            let messages = store.subscribe_to_stream(subscription).await.map_err(read_status)?;
            Ok(subscription_answers(reader.while_readable(&stream, messages), uuids))
        }
        (StreamOption::All(options), CountOption::Subscription(_)) => {
            check(&reader, Act::Read, ALL).await?;
            let from = after_in_all(options)?;
            let subscription = AllSubscription { from, filter, resolve_links, reader: reader.clone() };
            let messages = store.subscribe_to_all(subscription).map_err(read_status)?;
            Ok(subscription_answers(reader.while_readable(ALL, messages), uuids))
        }
    }
}

async fn read_stream(
    store: &Arc<Store>,
    read: StreamRead,
    uuids: UuidForm,
    tell_ends: bool,
) -> Result<Answers, Status> {
    let stream = read.stream.clone();
    let Some(found) = store.read_stream(read).await.map_err(read_status)? else {
        let not_found = StreamNotFound { stream_identifier: Some(identifier(stream)) };
        return Ok(stream::iter([Ok(answer(Content::StreamNotFound(not_found)))]).boxed());
    };
    let events = found.events.map(move |event| {
        let event = event.map_err(read_status)?;
        Ok(answer(Content::Event(EventMessage::new(event, uuids))))
    });
    let goes_on_at = if tell_ends { found.goes_on_at } else { Vec::new() };
    let first = goes_on_at.into_iter().map(|revision| Ok(answer(Content::FirstStreamPosition(revision))));
    let last = tell_ends.then(|| Ok(answer(Content::LastStreamPosition(found.last))));
    first_of(stream::iter(first).chain(events).chain(stream::iter(last))).await
}

/// Waits for the first answer: an error before it must be the whole answer.
async fn first_of(
    answers: impl Stream<Item = Result<ReadResp, Status>> + Send + 'static,
) -> Result<Answers, Status> {
    let mut answers = answers.boxed();
    match answers.next().await {
        None => Ok(stream::empty().boxed()),
        Some(Err(status)) => Err(status),
        Some(Ok(first)) => Ok(stream::once(std::future::ready(Ok(first))).chain(answers).boxed()),
    }
}

fn subscription_answers(
    messages: impl Stream<Item = Result<Message, ReadError>> + Send + 'static,
    uuids: UuidForm,
) -> Answers {
    let confirmation = SubscriptionConfirmation { subscription_id: Uuid::new_v4().to_string() };
    let answers = messages.map(move |message| {
        Ok(answer(match message.map_err(read_status)? {
            Message::Event(event) => Content::Event(EventMessage::new(event, uuids)),
            Message::Checkpoint(position) => Content::Checkpoint(Checkpoint {
                commit_position: position,
                prepare_position: position,
                timestamp: Some(now()),
            }),
            Message::Searched(position) => Content::Checkpoint(Checkpoint {
                commit_position: position,
                prepare_position: 0,
                timestamp: Some(now()),
            }),
            Message::CaughtUp { revision, position } => Content::CaughtUp(CaughtUp {
                timestamp: Some(now()),
                stream_revision: revision.and_then(|revision| i64::try_from(revision).ok()),
                position: position.map(position_of),
            }),
            Message::FellBehind { revision, position } => Content::FellBehind(FellBehind {
                timestamp: Some(now()),
                stream_revision: revision.and_then(|revision| i64::try_from(revision).ok()),
                position: position.map(position_of),
            }),
        }))
    });
    let confirmation = Ok(answer(Content::Confirmation(confirmation)));
    stream::once(std::future::ready(confirmation)).chain(answers).boxed()
}

fn position_of(at: u64) -> Position {
    Position { commit_position: at, prepare_position: at }
}

fn answer(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("the read does not say its {what}; set it"))
}

fn stream_and_start(options: StreamOptions) -> Result<(String, From), Status> {
    let from = match options.revision_option.ok_or_else(|| missing("revision, start or end"))? {
        RevisionOption::Revision(u64::MAX) => From::End,
        RevisionOption::Revision(revision) => From::At(revision),
        RevisionOption::Start(_) => From::Start,
        RevisionOption::End(_) => From::End,
    };
    Ok((stream_name(options.stream_identifier)?, from))
}

fn start_of_all(options: AllOptions) -> Result<From, Status> {
    match options.all_option.ok_or_else(|| missing("position, start or end"))? {
        AllOption::Position(position) if position.prepare_position > position.commit_position => {
            Err(Status::invalid_argument(
                "a position's prepare is not beyond its commit; pass a position that you were given",
            ))
        }
        AllOption::Position(position) => Ok(From::At(position.commit_position)),
        AllOption::Start(_) => Ok(From::Start),
        AllOption::End(_) => Ok(From::End),
    }
}

/// Where a subscription begins: after a position. One whose prepare is before its commit lies before the event there.
fn after_in_all(options: AllOptions) -> Result<From, Status> {
    let is_before = matches!(&options.all_option, Some(AllOption::Position(position))
        if position.prepare_position < position.commit_position);
    Ok(match start_of_all(options)? {
        From::At(position) if is_before => From::At(position - 1),
        from => from,
    })
}

/// The filter, and how far apart its checkpoints are. Without an expression or a prefix nothing passes.
fn filter_of(options: FilterOptions) -> Result<(EventFilter, Spacing), Status> {
    let Some(filter) = options.filter else { return Err(no_filter(&options)) };
    let (on, Expression { regex, prefix }) = match filter {
        Filter::StreamIdentifier(expression) => (FilterOn::StreamName, expression),
        Filter::EventType(expression) => (FilterOn::EventType, expression),
    };
    let filter = if regex.is_empty() {
        EventFilter::prefixes(on, prefix)
    } else {
        EventFilter::expression(on, &regex).map_err(|error| Status::invalid_argument(error.to_string()))?
    };
    let window = match options.window {
        Some(Window::Max(max)) => u64::from(max.max(1)),
        Some(Window::Count(_)) | None => DEFAULT_WINDOW,
    };
    let every = window.saturating_mul(u64::from(options.checkpoint_interval_multiplier.max(1)));
    Ok((filter, Spacing { window, every }))
}

fn no_filter(options: &FilterOptions) -> Status {
    let window = match options.window {
        Some(Window::Max(max)) => Some(format!("\"max\": {max}")),
        Some(Window::Count(_)) => Some("\"count\": { }".to_owned()),
        None => None,
    };
    let multiplier = Some(options.checkpoint_interval_multiplier)
        .filter(|multiplier| *multiplier > 0)
        .map(|multiplier| format!("\"checkpointIntervalMultiplier\": {multiplier}"));
    let set: Vec<String> = window.into_iter().chain(multiplier).collect();
    let set = if set.is_empty() { "{ }".to_owned() } else { format!("{{ {} }}", set.join(", ")) };
    Status::invalid_argument(format!(
        "'{set}' is not a valid EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions"
    ))
}

/// What is said of a request whose parts do not belong together.
fn combination(options: &Options) -> String {
    let source = match options.stream_option {
        Some(StreamOption::Stream(_)) => "Stream",
        Some(StreamOption::All(_)) => "All",
        None => "None",
    };
    let count = match options.count_option {
        Some(CountOption::Count(_)) => "Count",
        Some(CountOption::Subscription(_)) => "Subscription",
        None => "None",
    };
    let direction = match options.read_direction() {
        ReadDirection::Forwards => "Forwards",
        ReadDirection::Backwards => "Backwards",
    };
    let filter = match options.filter_option {
        Some(FilterOption::Filter(_)) => "Filter",
        Some(FilterOption::NoFilter(_)) => "NoFilter",
        None => "None",
    };
    format!("The combination of ({source}, {count}, {direction}, {filter}) is invalid.")
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(now.subsec_nanos()).unwrap_or(0),
    }
}
