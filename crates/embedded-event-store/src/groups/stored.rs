//! What the groups leave in the log: settings, checkpoints and parked messages, as events of system streams.
//!
//! The streams' names are those of the protocol's own server, so that tools which look into them find what they expect.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::deliveries::ToPark;
use super::settings::Settings;
use super::{GroupError, GroupId, Source};
use crate::log::record::{ProposedEvent, Record};
use crate::log::writer::Expected;
use crate::metadata::metadata_stream;
use crate::service::{Direction, From, Resolved, Store, StreamRead};

/// The stream that holds the settings of all groups; its newest event counts.
const CONFIG_STREAM: &str = "$persistentSubscriptionConfig";
const CONFIG_TYPE: &str = "$PersistentConfig";
const CHECKPOINT_TYPE: &str = "$SubscriptionCheckpoint";
const LINK_TYPE: &str = "$>";
const METADATA_TYPE: &str = "$metadata";
const OWN_PREFIXES: [&[u8]; 2] = [b"$persistentsubscription-", b"$$$persistentsubscription-"];
/// Links written with one append.
const PARKED_AT_ONCE: usize = 500;

/// A group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredGroup {
    pub stream: String,
    pub group: String,
    /// Where the start was when the group was made: everything up to here does not concern it.
    #[serde(default)]
    pub after: Option<u64>,
    #[serde(flatten)]
    pub settings: Settings,
}

impl StoredGroup {
    /// Which group.
    pub fn id(&self) -> GroupId {
        GroupId { source: Source::named(&self.stream), name: self.group.clone() }
    }
}

/// Why a message is parked: the metadata of its link.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WhyParked<'a> {
    added: String,
    reason: &'a str,
    /// Its number in the group's source; the protocol's own server leaves out what is 0.
    #[serde(skip_serializing_if = "is_zero")]
    subscription_event_number: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The metadata of a group's streams, with its keys in the order of the protocol's own server.
#[derive(Serialize)]
struct OwnMetadata {
    #[serde(rename = "$maxCount", skip_serializing_if = "Option::is_none")]
    max_count: Option<u64>,
    #[serde(rename = "$tb", skip_serializing_if = "Option::is_none")]
    truncate_before: Option<u64>,
    #[serde(rename = "$acl")]
    access: Admins,
}

/// Only they may do anything.
#[derive(Serialize)]
struct Admins {
    #[serde(rename = "$r")]
    read: &'static str,
    #[serde(rename = "$w")]
    write: &'static str,
    #[serde(rename = "$d")]
    delete: &'static str,
    #[serde(rename = "$mr")]
    read_metadata: &'static str,
    #[serde(rename = "$mw")]
    write_metadata: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Config<T> {
    version: String,
    entries: Vec<T>,
}

/// The settings of all groups. Anybody may write to the stream: what cannot be read must not keep the store from
/// starting.
pub(super) async fn read_config(store: &Store) -> Result<Vec<StoredGroup>, GroupError> {
    let Some(newest) = newest_of(store, CONFIG_STREAM).await? else { return Ok(Vec::new()) };
    let config: Config<Value> = match serde_json::from_slice(newest.data()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, stream = CONFIG_STREAM, "the newest event is no list of persistent subscriptions; none is started");
            return Ok(Vec::new());
        }
    };
    let entries = config.entries.into_iter().filter_map(|entry| match serde_json::from_value(entry) {
        Ok(group) => Some(group),
        Err(error) => {
            tracing::error!(%error, stream = CONFIG_STREAM, "a persistent subscription cannot be read; it is not started");
            None
        }
    });
    Ok(entries.collect())
}

/// Stores the settings of all groups.
pub(super) async fn write_config(store: &Store, entries: Vec<StoredGroup>) -> Result<(), GroupError> {
    let config = Config { version: "2".to_owned(), entries };
    let data = serde_json::to_vec(&config).map_err(GroupError::Json)?;
    let event = proposed(CONFIG_TYPE, data.into(), Bytes::new());
    store.append_own(CONFIG_STREAM.to_owned(), vec![event]).await?;
    Ok(())
}

/// How far the group had come; `None` if it has no checkpoint.
pub(super) async fn read_checkpoint(store: &Store, id: &GroupId) -> Result<Option<u64>, GroupError> {
    let Some(newest) = newest_of(store, &checkpoint_stream(id)).await? else { return Ok(None) };
    let Ok(Value::String(place)) = serde_json::from_slice(newest.data()) else { return Ok(None) };
    let commit = place.strip_prefix("C:").and_then(|rest| rest.split('/').next()).unwrap_or(&place);
    Ok(commit.parse().ok())
}

/// Stores how far the group has come. The first time it also says that only the newest checkpoints count.
pub(super) async fn write_checkpoint(
    store: &Store,
    id: &GroupId,
    place: String,
    is_first: bool,
) -> Result<(), GroupError> {
    let stream = checkpoint_stream(id);
    if is_first {
        write_metadata(store, &stream, Some(2), None).await?;
    }
    let event = proposed(CHECKPOINT_TYPE, Value::String(place).to_string().into(), Bytes::new());
    store.append_own(stream, vec![event]).await?;
    Ok(())
}

/// Parks messages as links. Gives the revision of the last link.
pub(super) async fn park(
    store: &Store,
    id: &GroupId,
    messages: &[ToPark],
) -> Result<Option<u64>, GroupError> {
    let mut last = None;
    for some in messages.chunks(PARKED_AT_ONCE) {
        let links = some.iter().map(link_to).collect::<Result<_, _>>()?;
        last = store.append_own(parked_stream(id), links).await?.revision;
    }
    Ok(last)
}

/// The first and the last parked message that is there.
pub(super) async fn parked_range(store: &Store, id: &GroupId) -> Result<Option<(u64, u64)>, GroupError> {
    Ok(store.stream_range(&parked_stream(id)).await?)
}

/// Parked messages from a revision on, with what they lead to.
pub(super) async fn read_parked(
    store: &Store,
    id: &GroupId,
    from: u64,
    count: u64,
) -> Result<Vec<Resolved>, GroupError> {
    read(store, &parked_stream(id), From::At(from), Direction::Forwards, count, true).await
}

/// Says that the parked messages before a revision are done.
pub(super) async fn truncate_parked(store: &Store, id: &GroupId, before: u64) -> Result<(), GroupError> {
    write_metadata(store, &parked_stream(id), None, Some(before)).await
}

async fn write_metadata(
    store: &Store,
    stream: &str,
    max_count: Option<u64>,
    truncate_before: Option<u64>,
) -> Result<(), GroupError> {
    let metadata = OwnMetadata { max_count, truncate_before, access: admins_only() };
    let metadata = serde_json::to_vec(&metadata).map_err(GroupError::Json)?;
    store
        .append_own(metadata_stream(stream), vec![proposed(METADATA_TYPE, metadata.into(), Bytes::new())])
        .await?;
    Ok(())
}

/// Deletes what a group has left.
pub(super) async fn delete_streams(store: &Store, id: &GroupId) -> Result<(), GroupError> {
    for stream in [checkpoint_stream(id), parked_stream(id)] {
        if store.stream_range(&stream).await?.is_some() {
            store.delete(stream, Expected::Any).await?;
        }
    }
    Ok(())
}

/// Whether the event was written by a group. Groups do not get these: they would feed themselves for ever.
pub(super) fn is_of_a_group(event: &Resolved) -> bool {
    let Some(record) = event.link.as_ref().or(event.event.as_ref()) else { return false };
    OWN_PREFIXES.iter().any(|prefix| record.stream().starts_with(prefix))
}

fn checkpoint_stream(id: &GroupId) -> String {
    format!("$persistentsubscription-{id}-checkpoint")
}

fn parked_stream(id: &GroupId) -> String {
    format!("$persistentsubscription-{id}-parked")
}

fn link_to(message: &ToPark) -> Result<ProposedEvent, GroupError> {
    let Resolved { event, link } = &message.entry.event;
    let target = match (event, link) {
        (Some(event), _) => {
            Bytes::from(format!("{}@{}", event.revision(), String::from_utf8_lossy(event.stream())))
        }
        (None, Some(link)) => Bytes::copy_from_slice(link.data()),
        (None, None) => Bytes::new(),
    };
    let original = link.as_ref().or(event.as_ref()).map(|record| record.revision());
    let why = WhyParked {
        added: DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, false),
        reason: &message.reason,
        subscription_event_number: original.unwrap_or(0),
    };
    let metadata = serde_json::to_vec_pretty(&why).map_err(GroupError::Json)?;
    let link = proposed(LINK_TYPE, target, metadata.into());
    Ok(ProposedEvent { is_json: false, ..link })
}

fn proposed(event_type: &str, data: Bytes, metadata: Bytes) -> ProposedEvent {
    ProposedEvent { id: Uuid::new_v4(), event_type: event_type.to_owned(), is_json: true, metadata, data }
}

fn admins_only() -> Admins {
    const ADMINS: &str = "$admins";
    Admins { read: ADMINS, write: ADMINS, delete: ADMINS, read_metadata: ADMINS, write_metadata: ADMINS }
}

async fn newest_of(store: &Store, stream: &str) -> Result<Option<Arc<Record>>, GroupError> {
    let newest = read(store, stream, From::End, Direction::Backwards, 1, false).await?;
    Ok(newest.into_iter().next().and_then(|resolved| resolved.event))
}

async fn read(
    store: &Store,
    stream: &str,
    from: From,
    direction: Direction,
    count: u64,
    resolve_links: bool,
) -> Result<Vec<Resolved>, GroupError> {
    let reader = store.access().own_rights();
    let read = StreamRead { stream: stream.to_owned(), from, direction, count, resolve_links, reader };
    let mut events = Vec::new();
    if let Some(found) = store.read_stream(read).await? {
        let mut found = found.events;
        while let Some(event) = found.next().await {
            events.push(event?);
        }
    }
    Ok(events)
}
