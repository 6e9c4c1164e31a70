//! A connection over which no answer came: its node is gone without a word, or stands still for a while.
//!
//! A client that is given up keeps its connection (see `apart`). So a silent one is replaced only when another client has
//! found a node that answers, and the silent one still says nothing. If it was its node that stood still, it goes on.

use super::apart::ClientApart;
use super::patience::{Patience, backoff, pause};
use super::reads::{Read, open};
use super::{Connection, EventStore, NO_ANSWER, Shared};
use crate::EventStoreError;
use eventstore::{Client, ReadAllOptions, StreamPosition};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long the silent client has for an answer once another one has got one.
const LAST_WORD: Duration = Duration::from_millis(300);

impl EventStore {
    /// Begins to find out whether to give a client up that was silent, unless somebody does so already.
    pub(super) fn examine(&self, generation: u64) {
        let mut connection = self.shared.lock();
        if connection.generation != generation
            || connection.examiner.as_ref().is_some_and(|examiner| !examiner.is_finished())
        {
            return;
        }
        if let Some(silent) = connection.client.clone() {
            let examiner = tokio::spawn(examine(Arc::downgrade(&self.shared), generation, silent));
            connection.examiner = Some(examiner.abort_handle());
        }
    }

    /// An attempt, unless the connection is given up meanwhile: then another one should be made. Only one that comes after
    /// silence looks for that.
    pub(super) async fn unless_given_up<A: Future>(
        &self,
        patience: &Patience,
        attempt: Pin<&mut A>,
    ) -> Option<A::Output> {
        if !patience.has_met_silence() {
            return Some(attempt.await);
        }
        let mut given_up = self.shared.silent.subscribe();
        tokio::select! {
            biased;
            answer = attempt => Some(answer),
            _ = given_up.changed() => None,
        }
    }

    async fn finds_a_node(&self) -> bool {
        match ClientApart::new(self.settings_for(None)) {
            Ok(client) => client.server_info().await.is_ok(),
            Err(_) => false,
        }
    }

    fn give_up(&self, generation: u64) {
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            let failure = NO_ANSWER.to_owned();
            *connection = Connection { generation: generation + 1, failure, ..Connection::default() };
            drop(connection);
            self.shared.silent.send_replace(Some(generation));
        }
    }
}

async fn examine(shared: Weak<Shared>, generation: u64, silent: Client) {
    let mut delays = backoff();
    while let Some(shared) = shared.upgrade() {
        let store = EventStore { shared };
        if store.shared.lock().generation != generation {
            return;
        }
        if store.finds_a_node().await {
            if !has_a_last_word(&silent).await {
                store.give_up(generation);
            }
            return;
        }
        drop(store);
        pause(&mut delays).await;
    }
}

async fn has_a_last_word(silent: &Client) -> bool {
    let newest = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
    !matches!(open(silent, &Read::All(newest), LAST_WORD).await, Err((EventStoreError::Unavailable(_), _)))
}
