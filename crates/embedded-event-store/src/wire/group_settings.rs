//! A group's settings, as clients ask for them and as they are told.

use tonic::Status;

use super::errors::group_status;
use super::messages::StreamIdentifier;
use super::messages::persistent_subscriptions::all_options::filter_options::{Expression, Filter};
use super::messages::persistent_subscriptions::all_options::{AllOption, FilterOption, FilterOptions};
use super::messages::persistent_subscriptions::group_options::StreamOption;
use super::messages::persistent_subscriptions::settings::{CheckpointAfter, MessageTimeout};
use super::messages::persistent_subscriptions::stream_options::RevisionOption;
use super::messages::persistent_subscriptions::subscription_info::{ConnectionInfo, Measurement};
use super::messages::persistent_subscriptions::{
    AllOptions, ConsumerStrategy, GroupOptions, Settings as WireSettings, StreamOptions, SubscriptionInfo,
};
use super::names::stream_name;
use crate::groups::{FilterSettings, GroupError, GroupId, GroupInfo, Settings, Source, Start, Strategy};

const TICKS_PER_MILLISECOND: i64 = 10_000;
/// What the protocol's own clients take for the end, where only a number can be said.
const END: u64 = u64::MAX;

/// Places from here on are none.
const NO_PLACE: u64 = 1 << 63;

/// The group and its settings that a client asks for with a `request` of this name.
pub fn group_of(request: &str, options: Option<GroupOptions>) -> Result<(GroupId, Settings), Status> {
    let options = options.ok_or_else(|| invalid("the request has no options; set them"))?;
    // A request without settings is one in which all of them are zero.
    let settings = options.settings.unwrap_or_default();
    let (source, start_from, filter) = match options.stream_option {
        Some(StreamOption::Stream(options)) => stream_source(request, options)?,
        Some(StreamOption::All(options)) => all_source(request, options)?,
        None => (stream_of(options.stream_identifier)?, start_at(settings.revision)?, None),
    };
    let id = GroupId { source, name: options.group_name };
    let settings = settings_of(&id, &settings, start_from, filter)?;
    Ok((id, settings))
}

/// The stream that a client names as a group's source.
pub fn stream_of(identifier: Option<StreamIdentifier>) -> Result<Source, Status> {
    match Source::named(&stream_name(identifier)?) {
        Source::All => Err(invalid("$all is not a stream; use the option for the whole log")),
        stream => Ok(stream),
    }
}

fn stream_source(
    request: &str,
    options: StreamOptions,
) -> Result<(Source, Start, Option<FilterSettings>), Status> {
    let start = match options.revision_option {
        Some(RevisionOption::Revision(revision)) => start_at(revision)?,
        Some(RevisionOption::Start(_)) => Start::Beginning,
        Some(RevisionOption::End(_)) => Start::End,
        None => return Err(left_out(request, "StreamOptions+RevisionOptionOneofCase")),
    };
    Ok((stream_of(options.stream_identifier)?, start, None))
}

fn start_at(place: u64) -> Result<Start, Status> {
    match place {
        END => Ok(Start::End),
        0 => Ok(Start::Beginning),
        place if place < NO_PLACE => Ok(Start::At(place)),
        place => {
            Err(invalid(format!("a group cannot start at {place}; give a number that an event can have")))
        }
    }
}

/// The refusal of a request that leaves a choice open, in the words of the protocol's own server.
fn left_out(request: &str, choice: &str) -> Status {
    let of = "EventStore.Client.PersistentSubscriptions";
    invalid(format!("'None' is not a valid {of}.{request}+Types+{choice}"))
}

fn all_source(request: &str, options: AllOptions) -> Result<(Source, Start, Option<FilterSettings>), Status> {
    let start = match options.all_option {
        Some(AllOption::Position(position)) if position.prepare_position > position.commit_position => {
            return Err(invalid(
                "a position's prepare is not beyond its commit; pass one that you were given",
            ));
        }
        Some(AllOption::Position(position)) => start_at(position.commit_position)?,
        Some(AllOption::Start(_)) => Start::Beginning,
        Some(AllOption::End(_)) => Start::End,
        None => return Err(left_out(request, "AllOptions+AllOptionOneofCase")),
    };
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => Some(filter_of(request, filter)?),
        Some(FilterOption::NoFilter(_)) | None => None,
    };
    Ok((Source::All, start, filter))
}

fn filter_of(request: &str, options: FilterOptions) -> Result<FilterSettings, Status> {
    let (on_stream_name, expression) = match options.filter {
        Some(Filter::StreamIdentifier(expression)) => (true, expression),
        Some(Filter::EventType(expression)) => (false, expression),
        None => return Err(left_out(request, "AllOptions+Types+FilterOptions+FilterOneofCase")),
    };
    let Expression { regex, prefix } = expression;
    Ok(FilterSettings { on_stream_name, prefixes: prefix, expression: regex })
}

fn settings_of(
    id: &GroupId,
    wire: &WireSettings,
    start_from: Start,
    filter: Option<FilterSettings>,
) -> Result<Settings, Status> {
    let named = wire.named_consumer_strategy();
    let strategy = match wire.consumer_strategy.as_str() {
        "" => match named {
            ConsumerStrategy::DispatchToSingle => Strategy::DispatchToSingle,
            ConsumerStrategy::RoundRobin => Strategy::RoundRobin,
            ConsumerStrategy::Pinned => Strategy::Pinned,
        },
        name => Strategy::named(name).ok_or_else(|| {
            group_status(GroupError::unworkable(id, format!("Consumer strategy {name} does not exist.")))
        })?,
    };
    let message_timeout_ms = match wire.message_timeout {
        Some(MessageTimeout::MessageTimeoutTicks(ticks)) => ticks / TICKS_PER_MILLISECOND,
        Some(MessageTimeout::MessageTimeoutMs(milliseconds)) => milliseconds.into(),
        None => 0,
    };
    let checkpoint_after_ms = match wire.checkpoint_after {
        Some(CheckpointAfter::CheckpointAfterTicks(ticks)) => ticks / TICKS_PER_MILLISECOND,
        Some(CheckpointAfter::CheckpointAfterMs(milliseconds)) => milliseconds.into(),
        None => 0,
    };
    Ok(Settings {
        resolve_links: wire.resolve_links,
        start_from,
        extra_statistics: wire.extra_statistics,
        max_retry_count: count("max_retry_count", wire.max_retry_count.into())?,
        message_timeout_ms: count("message_timeout", message_timeout_ms)?,
        checkpoint_after_ms: count("checkpoint_after", checkpoint_after_ms)?,
        min_checkpoint_count: count("min_checkpoint_count", wire.min_checkpoint_count.into())?,
        max_checkpoint_count: count("max_checkpoint_count", wire.max_checkpoint_count.into())?,
        max_subscriber_count: count("max_subscriber_count", wire.max_subscriber_count.into())?,
        live_buffer_size: count("live_buffer_size", wire.live_buffer_size.into())?,
        read_batch_size: count("read_batch_size", wire.read_batch_size.into())?,
        history_buffer_size: count("history_buffer_size", wire.history_buffer_size.into())?,
        strategy,
        filter,
    })
}

fn count(what: &str, number: i64) -> Result<u32, Status> {
    u32::try_from(number)
        .map_err(|_| invalid(format!("{what} is {number}; give a number that is not negative")))
}

/// What is told of a group.
pub fn info(info: GroupInfo) -> SubscriptionInfo {
    let place = |place: Option<u64>| place.map(|place| info.place(place)).unwrap_or_default();
    let start_from = match (info.settings.start_from, &info.id.source) {
        (Start::Beginning, Source::All) => "C:0/P:0".to_owned(),
        (Start::Beginning, Source::Stream(_)) => "0".to_owned(),
        (Start::End, Source::All) => "C:-1/P:-1".to_owned(),
        (Start::End, Source::Stream(_)) => "-1".to_owned(),
        (Start::At(at), _) => info.place(at),
    };
    let settings = &info.settings;
    SubscriptionInfo {
        event_source: info.id.source.name().to_owned(),
        group_name: info.id.name.clone(),
        status: if info.live { "Live" } else { "Behind" }.to_owned(),
        average_per_second: small(info.since_asked.per_second),
        total_items: large(info.total_items),
        count_since_last_measurement: large(info.since_asked.count),
        last_checkpointed_event_position: place(info.checkpoint),
        last_known_event_position: place(info.last_known),
        resolve_link_tos: settings.resolve_links,
        start_from,
        message_timeout_milliseconds: small(settings.message_timeout_ms.into()),
        extra_statistics: settings.extra_statistics,
        max_retry_count: small(settings.max_retry_count.into()),
        live_buffer_size: small(settings.live_buffer_size.into()),
        buffer_size: small(settings.history_buffer_size.into()),
        read_batch_size: small(settings.read_batch_size.into()),
        check_point_after_milliseconds: settings
            .checkpoint_after()
            .map_or(i32::MAX, |_| small(settings.checkpoint_after_ms.into())),
        min_check_point_count: small(settings.min_checkpoint_count.into()),
        max_check_point_count: small(settings.max_checkpoint_count.into()),
        read_buffer_count: small(if info.live { 0 } else { info.waiting as u64 }),
        live_buffer_count: large(if info.live { info.waiting as u64 } else { 0 }),
        retry_buffer_count: small(info.retrying as u64),
        total_in_flight_messages: small(info.in_flight as u64),
        outstanding_messages_count: small(info.in_flight as u64),
        named_consumer_strategy: settings.strategy.name().to_owned(),
        max_subscriber_count: small(settings.max_subscriber_count.into()),
        parked_message_count: large(info.parked),
        connections: info
            .consumers
            .into_iter()
            .map(|consumer| ConnectionInfo {
                from: String::new(),
                username: consumer.user,
                average_items_per_second: small(consumer.since_asked.per_second),
                total_items: large(consumer.total_items),
                count_since_last_measurement: large(consumer.since_asked.count),
                observed_measurements: consumer
                    .measurements
                    .into_iter()
                    .map(|(key, value)| Measurement { key: key.to_owned(), value: large(value) })
                    .collect(),
                available_slots: small(consumer.free as u64),
                in_flight_messages: small(consumer.in_flight as u64),
                connection_name: consumer.connection_name,
            })
            .collect(),
    }
}

fn small(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn large(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn invalid(message: impl Into<String>) -> Status {
    Status::invalid_argument(message)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_group_starts_where_it_is_said_and_not_where_nothing_is_said() {
        let asked = |revision_option| {
            let identifier = Some(StreamIdentifier { stream_name: "s".into() });
            stream_source("CreateReq", StreamOptions { stream_identifier: identifier, revision_option })
                .map(|(_, start, _)| start)
        };
        assert_eq!(asked(Some(RevisionOption::Revision(7))).unwrap(), Start::At(7));
        assert_eq!(asked(Some(RevisionOption::Revision(u64::MAX))).unwrap(), Start::End);
        let beyond = asked(Some(RevisionOption::Revision(1 << 63))).unwrap_err();
        assert_eq!(beyond.code(), Code::InvalidArgument);
        let left_out = asked(None).unwrap_err();
        assert_eq!(left_out.code(), Code::InvalidArgument);
        let text = "'None' is not a valid EventStore.Client.PersistentSubscriptions.CreateReq+Types+StreamOptions+\
                    RevisionOptionOneofCase";
        assert_eq!(left_out.message(), text);
    }

    #[test]
    fn a_strategy_is_chosen_by_name_and_an_unknown_one_is_a_group_that_fails() {
        let id = GroupId { source: Source::All, name: "g".into() };
        let asked = |name: &str| {
            let wire = WireSettings { consumer_strategy: name.into(), ..WireSettings::default() };
            settings_of(&id, &wire, Start::End, None).map(|settings| settings.strategy)
        };
        assert_eq!(asked("PinnedByCorrelation").unwrap(), Strategy::PinnedByCorrelation);
        let refused = asked("Whatever").unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert_eq!(refused.metadata().get("exception").unwrap(), "persistent-subscription-failed");
    }
}
