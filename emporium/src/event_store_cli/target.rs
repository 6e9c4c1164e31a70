//! The store that is imported into: how far each of its streams goes, and what is put there.

use super::EventStoreCliError;
use super::error::Standing;
use super::import::{is_same, is_servers_own};
use event_store::{AppendError, EventStore, ExpectedRevision, RawRecord};
use futures::TryStreamExt;
use std::collections::{HashMap, VecDeque};

/// What became of the file's events.
#[derive(Debug, Default)]
pub struct Tally {
    /// Appended.
    pub imported: u64,
    /// The target had them.
    pub present: u64,
    /// A server's own, for which the target has others.
    pub left_out: u64,
}

/// The target.
pub struct Target {
    store: EventStore,
    /// The newest revision of each of its streams.
    standing: HashMap<String, u64>,
    /// What became of the events so far.
    pub tally: Tally,
}

impl Target {
    /// A target of which nothing is known yet.
    pub fn new(store: EventStore) -> Self {
        Self { store, standing: HashMap::new(), tally: Tally::default() }
    }

    /// Notes that the stream goes so far.
    pub fn stands(&mut self, stream: &str, revision: u64) {
        match self.standing.get_mut(stream) {
            Some(standing) => *standing = revision.max(*standing),
            None => {
                self.standing.insert(stream.to_owned(), revision);
            }
        }
    }

    /// Where the stream must stand for an append that begins with this event, if it stands there as far as is known.
    pub fn next_expected(&self, first: &RawRecord) -> Option<ExpectedRevision> {
        let is_next = self.standing.get(&first.stream).is_none_or(|last| *last < first.revision);
        self.expected(first).ok().filter(|_| is_next)
    }

    /// Sees to it that the events of a stream are in the target.
    pub async fn put(&mut self, mut records: VecDeque<RawRecord>) -> Result<(), EventStoreCliError> {
        let count = records.len() as u64;
        let Some(stream) = records.front().map(|record| record.stream.clone()) else { return Ok(()) };
        match self.put_all(&stream, &mut records).await {
            Err(EventStoreCliError::OtherEvents { .. } | EventStoreCliError::BeginningMissing { .. })
                if is_servers_own(&stream) =>
            {
                tracing::debug!(stream, count, "left out: the target has its own");
                self.tally.left_out += records.len() as u64;
                Ok(())
            }
            result => result,
        }
    }

    /// Takes from `records` what is known to be there.
    async fn put_all(
        &mut self,
        stream: &str,
        records: &mut VecDeque<RawRecord>,
    ) -> Result<(), EventStoreCliError> {
        let mut asked_again = false;
        loop {
            self.pass_over(stream, records).await?;
            let (Some(first), Some(last)) = (records.front(), records.back()) else { return Ok(()) };
            let last = last.revision;
            let expected = self.expected(first)?;
            let appended = if first.is_tombstone() {
                self.store.tombstone(stream, expected).await
            } else {
                let events = records.iter().map(|record| record.event.clone()).collect();
                self.store.append_raw(stream, expected, events).await.map(|_| ())
            };
            match appended {
                Ok(()) => {
                    self.stands(stream, last);
                    self.tally.imported += records.len() as u64;
                    records.clear();
                    return Ok(());
                }
                // Somebody else writes there too, or the server did so itself: look once more.
                Err(AppendError::Conflict) if !asked_again => {
                    asked_again = true;
                    self.look_again(stream).await?;
                }
                Err(AppendError::Conflict) => {
                    return Err(EventStoreCliError::OtherEvents {
                        stream: stream.to_owned(),
                        revision: first.revision,
                    });
                }
                Err(source) => return Err(EventStoreCliError::of_append(stream, source)),
            }
        }
    }

    /// Drops the events that the target has, having seen that they are the same.
    async fn pass_over(
        &mut self,
        stream: &str,
        records: &mut VecDeque<RawRecord>,
    ) -> Result<(), EventStoreCliError> {
        let Some(first) = records.front().map(|record| record.revision) else { return Ok(()) };
        let Some(standing) = self.standing.get(stream).copied().filter(|standing| *standing >= first) else {
            return Ok(());
        };
        let other = |revision| EventStoreCliError::OtherEvents { stream: stream.to_owned(), revision };
        let expected = records.iter().take_while(|record| record.revision <= standing).count();
        let mut there = std::pin::pin!(self.store.read_raw_stream(stream, first, expected));
        for _ in 0..expected {
            // A stream that is closed or cut off cannot be compared.
            let there = there.try_next().await.ok().flatten();
            let Some(record) = records.front() else { break };
            if !there.is_some_and(|there| is_same(record, &there)) {
                return Err(other(record.revision));
            }
            records.pop_front();
            self.tally.present += 1;
        }
        Ok(())
    }

    fn expected(&self, first: &RawRecord) -> Result<ExpectedRevision, EventStoreCliError> {
        let standing = self.standing.get(&first.stream).copied();
        match standing {
            None if first.revision == 0 || first.is_tombstone() => Ok(ExpectedRevision::NoStream),
            Some(last) if last.checked_add(1) == Some(first.revision) || first.is_tombstone() => {
                Ok(ExpectedRevision::Exact(last))
            }
            _ => Err(EventStoreCliError::BeginningMissing {
                stream: first.stream.clone(),
                revision: first.revision,
                standing: Standing(standing),
            }),
        }
    }

    /// Asks the target how far the stream goes.
    pub async fn look_again(&mut self, stream: &str) -> Result<(), EventStoreCliError> {
        let newest = std::pin::pin!(self.store.read_raw_stream_end(stream)).try_next().await?;
        match newest {
            Some(newest) => self.standing.insert(stream.to_owned(), newest.revision),
            None => self.standing.remove(stream),
        };
        Ok(())
    }
}
