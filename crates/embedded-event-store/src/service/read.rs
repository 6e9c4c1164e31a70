//! Reading what is there now: a stream or the whole log, forwards or backwards.

use std::sync::Arc;

use async_stream::try_stream;
use futures::Stream;
use futures::stream::{BoxStream, StreamExt};

use super::view::{StreamState, View};
use super::{EventFilter, From, PAGE_BYTES, PAGE_EVENTS, ReadError, Resolved, Rights, Store, links, on_disk};
use crate::log::record::Record;
use crate::log::{Log, StorageError};

/// How many events of a stream the protocol's own server reads at a time.
const SERVER_PAGE: u64 = 32;

/// Which way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From old to new.
    Forwards,
    /// From new to old.
    Backwards,
}

/// What to read of a stream.
#[derive(Clone)]
pub struct StreamRead {
    /// The stream's name.
    pub stream: String,
    /// Where to start; the event there is the first.
    pub from: From,
    /// Which way.
    pub direction: Direction,
    /// How many events at most.
    pub count: u64,
    /// Whether links are followed.
    pub resolve_links: bool,
    /// Who reads: links to what the reader may not read lead nowhere.
    pub reader: Rights,
}

/// What to read of the whole log.
#[derive(Clone)]
pub struct AllRead {
    /// Where to start. Forwards begins at the position, backwards with the event before it.
    pub from: From,
    /// Which way.
    pub direction: Direction,
    /// How many events at most, of those that pass the filter.
    pub count: u64,
    /// Which events; `None` for all.
    pub filter: Option<EventFilter>,
    /// Whether links are followed.
    pub resolve_links: bool,
    /// Who reads: links to what the reader may not read lead nowhere.
    pub reader: Rights,
}

/// Events as they are read, page by page.
pub type Events = BoxStream<'static, Result<Resolved, ReadError>>;

/// A stream that is there.
pub struct FoundStream {
    /// Where the stream goes on, for each page that was empty and ends elsewhere than it begins. Only forwards.
    pub goes_on_at: Vec<u64>,
    /// The revision of its newest event.
    pub last: u64,
    /// What was asked for of it.
    pub events: Events,
}

impl Store {
    /// Reads a stream; `None` if it is not there. The first page is read before this returns.
    pub async fn read_stream(&self, read: StreamRead) -> Result<Option<FoundStream>, ReadError> {
        self.refuse_unprojected(&read.stream).await?;
        let log = Arc::clone(&self.log);
        let visible = log.head();
        let StreamRead { stream, from, direction, count, resolve_links, reader } = read;
        let first = {
            let log = Arc::clone(&log);
            let stream = stream.clone();
            on_disk(move || first_page(&log, &stream, from, direction, count, visible)).await?
        };
        match first {
            First::Missing => Ok(None),
            First::Deleted => Err(ReadError::StreamDeleted { stream }),
            First::Page(page, rest) => Ok(Some(FoundStream {
                goes_on_at: match (direction, from) {
                    (Direction::Forwards, From::Start) => rest.goes_on_at(0, count, &page),
                    (Direction::Forwards, From::At(revision)) => rest.goes_on_at(revision, count, &page),
                    (Direction::Forwards, From::End) | (Direction::Backwards, _) => Vec::new(),
                },
                last: rest.view.last,
                events: stream_events(log, page, rest, (resolve_links, reader)).boxed(),
            })),
        }
    }

    /// The first and the last revision of a stream that are to be seen; `None` if there are none.
    pub async fn stream_range(&self, stream: &str) -> Result<Option<(u64, u64)>, ReadError> {
        let log = Arc::clone(&self.log);
        let name = stream.to_owned();
        match on_disk(move || View::of(&log, &name, log.head())).await? {
            StreamState::Missing => Ok(None),
            StreamState::Deleted => Err(ReadError::StreamDeleted { stream: stream.to_owned() }),
            StreamState::Visible(view) => Ok(Some((view.first, view.last))),
        }
    }

    /// Reads the whole log.
    pub fn read_all(&self, read: AllRead) -> Events {
        let log = Arc::clone(&self.log);
        let head = log.head();
        let range = match (read.direction, read.from) {
            (Direction::Forwards, From::Start) => (1, head),
            (Direction::Forwards, From::End) | (Direction::Backwards, From::Start) => (1, 0),
            (Direction::Forwards, From::At(position)) => (position.max(1), head),
            (Direction::Backwards, From::End) => (1, head),
            (Direction::Backwards, From::At(position)) => (1, position.saturating_sub(1).min(head)),
        };
        all_events(log, range, read).boxed()
    }
}

enum First {
    Missing,
    Deleted,
    Page(Vec<Arc<Record>>, Rest),
}

/// What is left to read of a stream.
#[derive(Debug, Clone, Copy)]
struct Rest {
    view: View,
    range: (u64, u64),
    direction: Direction,
    count: u64,
    visible: u64,
}

impl Rest {
    fn page(&mut self, log: &Log) -> Result<Vec<Arc<Record>>, StorageError> {
        let wanted = usize::try_from(self.count).unwrap_or(usize::MAX).min(PAGE_EVENTS);
        let entries = match self.direction {
            Direction::Forwards => log.index.forwards(self.view.number, self.range, self.visible, wanted)?,
            Direction::Backwards => {
                log.index.backwards(self.view.number, self.range, self.visible, wanted)?
            }
        };
        let full = entries.len() == wanted;
        let mut bytes = 0;
        let mut page = Vec::with_capacity(entries.len());
        let mut cut = false;
        for (revision, position) in entries {
            if bytes > PAGE_BYTES {
                cut = true;
                break;
            }
            let record = log.record(position)?;
            bytes += record.raw().len();
            match self.direction {
                Direction::Forwards => self.range.0 = revision + 1,
                Direction::Backwards if revision == 0 => self.range = (1, 0),
                Direction::Backwards => self.range.1 = revision - 1,
            }
            if self.view.shows(&record) {
                page.push(record);
                self.count -= 1;
            }
        }
        if !full && !cut {
            self.count = 0;
        }
        Ok(page)
    }

    /// Where a stream goes on that begins with empty pages, as the protocol's own server tells it: a page before the oldest
    /// event leads to that, and one behind the newest to where the next event will be.
    fn goes_on_at(&self, from: u64, count: u64, first_page: &[Arc<Record>]) -> Vec<u64> {
        let mut told = Vec::new();
        if count == 0 {
            return told;
        }
        let mut at = from;
        if from.saturating_add(count.min(SERVER_PAGE)) <= self.view.first {
            at = self.view.first;
            told.push(at);
        }
        let end = self.view.last + 1;
        if first_page.is_empty() && self.count == 0 && at != end {
            told.push(end);
        }
        told
    }
}

fn first_page(
    log: &Log,
    stream: &str,
    from: From,
    direction: Direction,
    count: u64,
    visible: u64,
) -> Result<First, StorageError> {
    let view = match View::of(log, stream, visible)? {
        StreamState::Missing => return Ok(First::Missing),
        StreamState::Deleted => return Ok(First::Deleted),
        StreamState::Visible(view) => view,
    };
    let range = match (direction, from) {
        (Direction::Forwards, From::Start) => (view.first, view.last),
        (Direction::Forwards, From::End) => (view.last + 1, view.last),
        (Direction::Forwards, From::At(revision)) => (revision.max(view.first), view.last),
        (Direction::Backwards, From::Start) => (view.first, 0),
        (Direction::Backwards, From::End) => (view.first, view.last),
        (Direction::Backwards, From::At(revision)) => (view.first, revision.min(view.last)),
    };
    let mut rest = Rest { view, range, direction, count, visible };
    let page = if count == 0 { Vec::new() } else { rest.page(log)? };
    Ok(First::Page(page, rest))
}

fn stream_events(
    log: Arc<Log>,
    first: Vec<Arc<Record>>,
    mut rest: Rest,
    (resolve_links, reader): (bool, Rights),
) -> impl Stream<Item = Result<Resolved, ReadError>> {
    try_stream! {
        let mut page = first;
        loop {
            for resolved in links::resolve(&log, page, resolve_links, &reader).await? {
                yield resolved;
            }
            if rest.count == 0 {
                break;
            }
            let reader = Arc::clone(&log);
            (page, rest) = on_disk(move || {
                let page = rest.page(&reader)?;
                Ok((page, rest))
            })
            .await?;
        }
    }
}

fn all_events(
    log: Arc<Log>,
    (mut from, mut to): (u64, u64),
    read: AllRead,
) -> impl Stream<Item = Result<Resolved, ReadError>> {
    try_stream! {
        let mut left = read.count;
        while left > 0 && from <= to {
            let wanted = match read.filter {
                None => usize::try_from(left).unwrap_or(usize::MAX).min(PAGE_EVENTS),
                Some(_) => PAGE_EVENTS,
            };
            let page = page_of_all(&log, (from, to), read.direction, wanted).await?;
            match (page.last(), read.direction) {
                (None, _) => break,
                (Some(last), Direction::Forwards) => from = last.position() + 1,
                (Some(last), Direction::Backwards) => to = last.position() - 1,
            }
            let page = filtered(page, read.filter.as_ref())?;
            for resolved in links::resolve(&log, page, read.resolve_links, &read.reader).await? {
                if left == 0 {
                    break;
                }
                left -= 1;
                yield resolved;
            }
        }
    }
}

/// One page of the whole log, from memory where it can be.
pub(super) async fn page_of_all(
    log: &Arc<Log>,
    (from, to): (u64, u64),
    direction: Direction,
    count: usize,
) -> Result<Vec<Arc<Record>>, StorageError> {
    if direction == Direction::Forwards
        && let Some(mut page) = log.page_in_memory(from, count, PAGE_BYTES)
    {
        page.retain(|record| record.position() <= to);
        return Ok(page);
    }
    let log = Arc::clone(log);
    on_disk(move || match direction {
        Direction::Forwards => log.page((from, to), count, PAGE_BYTES),
        Direction::Backwards => log.page_backwards((from, to), count, PAGE_BYTES),
    })
    .await
}

fn filtered(page: Vec<Arc<Record>>, filter: Option<&EventFilter>) -> Result<Vec<Arc<Record>>, ReadError> {
    let Some(filter) = filter else { return Ok(page) };
    let mut passed = Vec::new();
    for record in page {
        if filter.passes(&record)? {
            passed.push(record);
        }
    }
    Ok(passed)
}

/// The visible events of a stream after a revision, as of `visible`; used to catch up.
pub(super) async fn page_after(
    log: &Arc<Log>,
    stream: &str,
    after: Option<u64>,
    visible: u64,
) -> Result<Option<CatchUp>, StorageError> {
    let reader = Arc::clone(log);
    let stream = stream.to_owned();
    let from = after.map_or(From::Start, |revision| From::At(revision.saturating_add(1)));
    on_disk(move || {
        Ok(match first_page(&reader, &stream, from, Direction::Forwards, u64::MAX, visible)? {
            First::Missing => Some(CatchUp { page: Vec::new(), reached: None, done: true }),
            First::Deleted => None,
            First::Page(page, rest) => Some(CatchUp {
                reached: rest.range.0.checked_sub(1).filter(|_| rest.range.0 > 0),
                done: rest.count == 0,
                page,
            }),
        })
    })
    .await
}

/// One step of catching up with a stream.
pub(super) struct CatchUp {
    /// The next events.
    pub page: Vec<Arc<Record>>,
    /// The revision up to which the stream was looked at.
    pub reached: Option<u64>,
    /// Whether this was the last step.
    pub done: bool,
}
