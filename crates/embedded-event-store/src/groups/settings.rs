//! What can be set about a group, in the form in which it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GroupError;
use crate::service::{EventFilter, FilterOn};

/// Most messages that may wait for consumers, whatever the settings say.
const MOST_WAITING: usize = 10_000;
/// A message is not given again sooner than this, whatever the settings say: clients gather their answers for up to a few
/// hundred milliseconds before they send them. The protocol's own server looks once a second, also at messages that may
/// take no time at all.
const LEAST_MESSAGE_TIMEOUT: Duration = Duration::from_millis(500);

/// How a group chooses the consumer for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// Everything to the first consumer, until it is busy.
    DispatchToSingle,
    /// One after the other.
    RoundRobin,
    /// The events of one stream to one consumer, as long as it is there.
    Pinned,
    /// The events with one correlation id to one consumer, as long as it is there.
    PinnedByCorrelation,
}

impl Strategy {
    /// The strategy that goes by this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::DispatchToSingle, Self::RoundRobin, Self::Pinned, Self::PinnedByCorrelation]
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }

    /// The name by which it goes.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::DispatchToSingle => "DispatchToSingle",
            Strategy::RoundRobin => "RoundRobin",
            Strategy::Pinned => "Pinned",
            Strategy::PinnedByCorrelation => "PinnedByCorrelation",
        }
    }

    /// Whether it ties events to a consumer.
    pub fn pins(self) -> bool {
        matches!(self, Strategy::Pinned | Strategy::PinnedByCorrelation)
    }
}

/// Where a new group starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Start {
    /// With the oldest event.
    Beginning,
    /// With what comes after the group was made.
    End,
    /// With the event at this revision or position.
    At(u64),
}

impl From<Start> for String {
    fn from(start: Start) -> Self {
        match start {
            Start::Beginning => "0".to_owned(),
            Start::End => "-1".to_owned(),
            Start::At(place) => place.to_string(),
        }
    }
}

impl TryFrom<String> for Start {
    type Error = std::num::ParseIntError;

    /// Reads a revision, or a position as clients write it.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = text.strip_prefix("C:").and_then(|rest| rest.split('/').next()).unwrap_or(&text);
        match number {
            "0" => Ok(Start::Beginning),
            "-1" => Ok(Start::End),
            number => Ok(Start::At(number.parse()?)),
        }
    }
}

/// Which events of the whole log a group wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterSettings {
    /// Whether it looks at the stream's name rather than at the event's type.
    pub on_stream_name: bool,
    /// Names that begin with one of these; used if there are any.
    pub prefixes: Vec<String>,
    /// Names that match this, otherwise.
    pub expression: String,
}

impl FilterSettings {
    /// The filter; fails if the expression is none.
    pub fn filter(&self) -> Result<EventFilter, GroupError> {
        let on = if self.on_stream_name { FilterOn::StreamName } else { FilterOn::EventType };
        // With neither, no event has a name that begins with any of no prefixes.
        if self.prefixes.is_empty() && !self.expression.is_empty() {
            return EventFilter::expression(on, &self.expression)
                .map_err(|error| GroupError::Invalid(error.to_string()));
        }
        Ok(EventFilter::prefixes(on, self.prefixes.clone()))
    }
}

/// The settings of a group. Stored under the names that the protocol's own server uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Whether links are followed.
    #[serde(rename = "resolveLinkTos")]
    pub resolve_links: bool,
    /// Where it starts.
    #[serde(rename = "startPosition")]
    pub start_from: Start,
    /// Whether it is measured how long each consumer takes for its messages.
    pub extra_statistics: bool,
    /// How often a message is given again before it is parked.
    pub max_retry_count: u32,
    /// After how many milliseconds without an answer a message is given again.
    #[serde(rename = "messageTimeout")]
    pub message_timeout_ms: u32,
    /// A checkpoint is due after so many milliseconds (0: not because of the time) ...
    #[serde(rename = "checkPointAfter")]
    pub checkpoint_after_ms: u32,
    /// ... if at least so many messages are done ...
    #[serde(rename = "minCheckPointCount")]
    pub min_checkpoint_count: u32,
    /// ... and at once if so many are.
    #[serde(rename = "maxCheckPointCount")]
    pub max_checkpoint_count: u32,
    /// How many consumers may be connected; 0 for any number.
    pub max_subscriber_count: u32,
    /// How many live messages may wait for consumers.
    pub live_buffer_size: u32,
    /// How many parked messages are read at a time.
    pub read_batch_size: u32,
    /// How many messages from history may wait for consumers.
    pub history_buffer_size: u32,
    /// Who gets what.
    #[serde(rename = "namedConsumerStrategy")]
    pub strategy: Strategy,
    /// Which events of the whole log.
    #[serde(default)]
    pub filter: Option<FilterSettings>,
}

impl Settings {
    /// How long a consumer may take for a message.
    pub fn message_timeout(&self) -> Duration {
        Duration::from_millis(self.message_timeout_ms.into()).max(LEAST_MESSAGE_TIMEOUT)
    }

    /// How long messages that are done may go without a checkpoint; `None` for as long as their number allows.
    pub fn checkpoint_after(&self) -> Option<Duration> {
        let after = Duration::from_millis(self.checkpoint_after_ms.into());
        (!after.is_zero()).then_some(after)
    }

    /// How many messages may wait for consumers.
    pub fn buffer_size(&self) -> usize {
        (self.history_buffer_size as usize).clamp(1, MOST_WAITING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_timeout_leaves_clients_the_time_to_send_their_answers() {
        let json = |milliseconds: u32| {
            serde_json::json!({
                "resolveLinkTos": false, "startPosition": "0", "extraStatistics": false, "maxRetryCount": 1,
                "messageTimeout": milliseconds, "checkPointAfter": 1, "minCheckPointCount": 1,
                "maxCheckPointCount": 1, "maxSubscriberCount": 1, "liveBufferSize": 1, "readBatchSize": 1,
                "historyBufferSize": 2, "namedConsumerStrategy": "RoundRobin",
            })
        };
        for (asked, given) in [(0, 500), (1, 500), (500, 500), (1234, 1234)] {
            let settings: Settings = serde_json::from_value(json(asked)).unwrap();
            assert_eq!(settings.message_timeout(), Duration::from_millis(given), "{asked}");
            assert_eq!(settings.message_timeout_ms, asked, "it is told as it was given");
        }
    }
}
