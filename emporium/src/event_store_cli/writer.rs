//! Many appends under way at once, and the target's log in the file's order all the same.
//!
//! A server takes what comes over one session in the order in which it comes. So the appends of a file go over one
//! session, one behind the other, without waiting for each answer. When one of them fails, none is sent any more until
//! all under way have an end; then what has no good answer is put one by one.

use super::EventStoreCliError;
use super::import::Line;
use super::target::{Tally, Target};
use event_store::{AppendError, RawEvent, RawRecord, Session, UnmendedClient};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt, poll};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

/// Far enough below the 1 MiB that a server takes in one append, and not too much to be read again.
const BATCH_BYTES: usize = 512 * 1024;
const BATCH_EVENTS: usize = 500;
/// Appends under way at once.
const AT_ONCE: usize = 256;
/// Bytes in them.
const AT_ONCE_BYTES: usize = 8 * 1024 * 1024;

/// Events of one stream, one after the other, for one append.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events, with their revisions in a row.
    pub records: VecDeque<RawRecord>,
    bytes: usize,
    goes_alone: bool,
}

impl Batch {
    pub fn takes(&self, line: &Line) -> bool {
        let (Some(last), record) = (self.records.back(), &line.record) else { return true };
        last.stream == record.stream
            && last.revision.checked_add(1) == Some(record.revision)
            && !record.is_tombstone()
            && self.goes_alone == line.goes_alone
            && self.records.len() < BATCH_EVENTS
            && self.bytes + size(&record.event) <= BATCH_BYTES
    }

    pub fn add(&mut self, line: Line) {
        self.bytes += size(&line.record.event);
        self.goes_alone = line.goes_alone;
        self.records.push_back(line.record);
    }
}

fn size(event: &RawEvent) -> usize {
    event.size() + event.event_type.len()
}

/// An append that has an end.
struct Sent {
    batch: Batch,
    answer: Result<(), AppendError>,
}

/// Writes batches into the target.
pub struct Writer {
    target: Target,
    client: UnmendedClient,
    session: Option<Arc<Session>>,
    under_way: FuturesOrdered<BoxFuture<'static, Sent>>,
    bytes: usize,
}

impl Writer {
    /// Into the store at this address.
    pub fn new(url: &str, target: Target) -> Result<Self, EventStoreCliError> {
        let client = UnmendedClient::connect(url)?;
        Ok(Self { target, client, session: None, under_way: FuturesOrdered::new(), bytes: 0 })
    }

    /// How many events are known to be there.
    pub fn done(&self) -> u64 {
        self.target.tally.imported + self.target.tally.present
    }

    /// Sees to it that the events get into the target, after all that was given before.
    pub async fn put(&mut self, batch: Batch) -> Result<(), EventStoreCliError> {
        let Some((first, last)) = batch.records.front().zip(batch.records.back()) else { return Ok(()) };
        let expected = self.target.next_expected(first);
        let Some(expected) = expected.filter(|_| !batch.goes_alone) else {
            self.settle_all().await?;
            return self.target.put(batch.records).await;
        };
        while self.under_way.len() >= AT_ONCE || self.bytes + batch.bytes > AT_ONCE_BYTES {
            let Some(sent) = self.under_way.next().await else { break };
            self.settle(sent).await?;
        }
        let session = match &self.session {
            Some(session) => Arc::clone(session),
            None => {
                let session = self.client.session().await;
                let failed = |source| EventStoreCliError::of_append(&first.stream, source);
                Arc::clone(self.session.insert(Arc::new(session.map_err(failed)?)))
            }
        };
        self.target.stands(&first.stream, last.revision);
        self.bytes += batch.bytes;
        let events = batch.records.iter().map(|record| record.event.clone()).collect();
        self.under_way.push_back(
            async move {
                let answer = session.append(&batch.records[0].stream, expected, events).await;
                Sent { batch, answer }
            }
            .boxed(),
        );
        // It is sent when it is asked for the first time.
        if let Poll::Ready(Some(sent)) = poll!(self.under_way.next()) {
            self.settle(sent).await?;
        }
        Ok(())
    }

    /// Waits until everything that was given has an end, and says what became of it.
    pub async fn finish(mut self) -> (Tally, Result<(), EventStoreCliError>) {
        let settled = self.settle_all().await;
        (self.target.tally, settled)
    }

    async fn settle_all(&mut self) -> Result<(), EventStoreCliError> {
        while let Some(sent) = self.under_way.next().await {
            self.settle(sent).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, sent: Sent) -> Result<(), EventStoreCliError> {
        let Some((batch, error)) = self.note(sent) else { return Ok(()) };
        tracing::debug!(%error, "an append has failed: what is under way is put one by one");
        let mut again = vec![batch];
        // Nothing else is sent meanwhile. The session has ended: all of them have an end soon.
        while let Some(sent) = self.under_way.next().await {
            again.extend(self.note(sent).map(|(batch, _)| batch));
        }
        self.session = None;
        for batch in &again {
            if let Some(first) = batch.records.front() {
                self.target.look_again(&first.stream).await?;
            }
        }
        for batch in again {
            self.target.put(batch.records).await?;
        }
        Ok(())
    }

    /// Counts an append that was taken; gives one that was not, or is not known to be.
    fn note(&mut self, sent: Sent) -> Option<(Batch, AppendError)> {
        self.bytes -= sent.batch.bytes;
        match sent.answer {
            Ok(()) => {
                self.target.tally.imported += sent.batch.records.len() as u64;
                None
            }
            Err(error) => Some((sent.batch, error)),
        }
    }
}
