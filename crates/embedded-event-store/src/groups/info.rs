//! What a group says about itself.

use super::measurements::SinceAsked;
use super::settings::Settings;
use super::{GroupId, Source};

/// A group as it is now.
#[derive(Debug, Clone)]
pub struct GroupInfo {
    /// Which group.
    pub id: GroupId,
    /// Its settings.
    pub settings: Settings,
    /// Whether it has caught up with its source.
    pub live: bool,
    /// Its consumers.
    pub consumers: Vec<ConsumerInfo>,
    /// Messages handed out since the group was started.
    pub total_items: u64,
    /// Messages handed out since somebody last asked.
    pub since_asked: SinceAsked,
    /// Up to here the group is done, and the log knows it.
    pub checkpoint: Option<u64>,
    /// The newest revision or position of the source.
    pub last_known: Option<u64>,
    /// Messages that wait for a consumer.
    pub waiting: usize,
    /// Messages that wait to be given again.
    pub retrying: usize,
    /// Messages that are with consumers.
    pub in_flight: usize,
    /// Messages that are parked.
    pub parked: u64,
}

impl GroupInfo {
    /// A revision or position of the source as clients write it.
    pub fn place(&self, place: u64) -> String {
        match self.id.source {
            Source::All => format!("C:{place}/P:{place}"),
            Source::Stream(_) => place.to_string(),
        }
    }
}

/// A consumer as it is now.
#[derive(Debug, Clone)]
pub struct ConsumerInfo {
    /// Its user.
    pub user: String,
    /// Its connection's name.
    pub connection_name: String,
    /// Messages handed to it.
    pub total_items: u64,
    /// Messages handed to it since somebody last asked.
    pub since_asked: SinceAsked,
    /// How many more it takes.
    pub free: usize,
    /// Messages that are with it.
    pub in_flight: usize,
    /// How long it takes for its messages, in milliseconds, by the names that the protocol has for the figures; empty
    /// if nobody asked for them, or nothing was answered yet.
    pub measurements: Vec<(&'static str, u64)>,
}
