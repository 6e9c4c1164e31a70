//! A circuit breaker: while the event store does not answer, callers can be told so at once.
//!
//! Each append and each read has a patience of its own. Once a few of them in a row have used it up, the breaker opens.
//! From then on one probe at a time looks whether appends are taken again; the first answer closes it.

use super::EventStore;
use super::apart::ClientApart;
use super::patience::SILENCE;
use super::translate::failed_read;
use crate::{Away, EventStoreError};
use chrono::Utc;
use eventstore::{AppendToStreamOptions, Endpoint, Error, EventData, StreamState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Calls in a row that got no answer, after which it opens.
const FAILURES: u32 = 3;
/// The pause before the first probe; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two probes.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A stream that nobody writes to. A probe expects it at a revision at which it is not, so that nothing is written.
const PROBED: (&str, u64) = ("probe", u32::MAX as u64);

#[derive(Default)]
pub(super) struct Breaker {
    /// Whether there was a failure since the last answer: answers need no lock otherwise.
    has_failures: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// While it is open.
    away: Option<Away>,
}

impl Breaker {
    /// The event store has answered an append, with whatever.
    pub fn has_answered(&self) {
        if self.has_failures.load(Ordering::Relaxed) {
            let mut state = self.lock();
            *state = State::default();
            self.has_failures.store(false, Ordering::Relaxed);
        }
    }

    /// A call got no answer as long as it asked. True if the breaker opens with that: then somebody has to probe.
    pub fn has_failed(&self, error: &str) -> bool {
        let mut state = self.lock();
        self.has_failures.store(true, Ordering::Relaxed);
        state.failures = state.failures.saturating_add(1);
        if let Some(away) = &mut state.away {
            error.clone_into(&mut away.error);
            return false;
        }
        if state.failures < FAILURES {
            return false;
        }
        state.away = Some(Away { since: Utc::now(), error: error.to_owned() });
        true
    }

    /// What is known of the outage, while it is open.
    pub fn away(&self) -> Option<Away> {
        if self.has_failures.load(Ordering::Relaxed) { self.lock().away.clone() } else { None }
    }

    /// Probes, one after the other with a pause before each, until a probe or anybody else gets an answer.
    pub async fn probe_until_answered<P, W>(
        &self,
        mut probe: impl FnMut() -> P + Send,
        mut pause: impl FnMut(Duration) -> W + Send,
    ) where
        P: Future<Output = Result<(), String>> + Send,
        W: Future<Output = ()> + Send,
    {
        let mut next_pause = FIRST_PAUSE;
        loop {
            pause(next_pause).await;
            next_pause = (2 * next_pause).min(LONGEST_PAUSE);
            if self.away().is_none() {
                return;
            }
            match probe().await {
                Ok(()) => return self.has_answered(),
                // It is open already.
                Err(error) => drop(self.has_failed(&error)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventStore {
    /// Whether the last calls have all got no answer, and since when: whoever asks now had better not wait. It is noticed
    /// by itself when the event store answers again.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        self.shared.breaker.away()
    }

    /// A call got no answer as long as it asked.
    pub(super) fn gives_up(&self, error: &str) {
        if !self.shared.breaker.has_failed(error) {
            return;
        }
        tracing::error!(error, "the event store does not answer");
        let breaker = Arc::clone(&self.shared.breaker);
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            let probe = || {
                let shared = shared.upgrade();
                async {
                    match shared {
                        Some(shared) => Self { shared }.probe().await,
                        // Nobody is left who could ask.
                        None => Ok(()),
                    }
                }
            };
            breaker.probe_until_answered(probe, tokio::time::sleep).await;
            tracing::info!("the event store answers again");
        });
    }

    /// Asks for an append that cannot be taken. If the node names the leader, that one is asked.
    async fn probe(&self) -> Result<(), String> {
        match self.probe_at(None).await {
            Err(Error::NotLeaderException(leader)) => self.probe_at(Some(&leader)).await,
            answer => answer,
        }
        .map_err(|error| error.to_string())
    }

    /// With a client of its own: one that met an error may never work again.
    async fn probe_at(&self, leader: Option<&Endpoint>) -> Result<(), Error> {
        let client = ClientApart::new(self.settings_for(leader))?;
        let event = EventData::json("probed", &serde_json::json!({}));
        let event = event.map_err(|error| Error::InitializationError(error.to_string()))?;
        let (stream, revision) = PROBED;
        let options = AppendToStreamOptions::default().stream_state(StreamState::StreamRevision(revision));
        match tokio::time::timeout(SILENCE, client.append_to_stream(stream, &options, event)).await {
            Err(_) => Err(Error::DeadlineExceeded),
            Ok(Ok(_) | Err(Error::WrongExpectedVersion { .. })) => Ok(()),
            Ok(Err(error)) => match failed_read(&error) {
                EventStoreError::Unavailable(_) => Err(error),
                // That is an answer too.
                _ => Ok(()),
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use std::future::ready;
    use std::sync::atomic::AtomicUsize;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        (1..FAILURES).for_each(|_| assert!(!breaker.has_failed("no answer")));
        assert!(breaker.away().is_none());
        assert!(breaker.has_failed("no answer"));
        breaker
    }

    #[test]
    fn it_opens_after_a_few_failures_in_a_row_and_closes_with_an_answer() {
        let breaker = opened();
        // Only the first one to open it has to probe.
        assert!(!breaker.has_failed("refused"));
        assert_eq!(breaker.away().unwrap().error, "refused");
        breaker.has_answered();
        assert!(breaker.away().is_none());
        // Failures count in a row only.
        for _ in 0..10 {
            assert!(!breaker.has_failed("no answer"));
            assert!(!breaker.has_failed("no answer"));
            breaker.has_answered();
        }
        assert!(breaker.away().is_none());
    }

    /// Probes until the probe of that number is answered; says how long the pauses were.
    async fn pauses_until(breaker: &Breaker, answered: usize) -> Vec<Duration> {
        let (mut pauses, probes, is_under_way) = (Vec::new(), AtomicUsize::new(0), AtomicBool::new(false));
        let probe = || async {
            assert!(!is_under_way.swap(true, Ordering::SeqCst), "two probes at once");
            tokio::task::yield_now().await;
            is_under_way.store(false, Ordering::SeqCst);
            let number = probes.fetch_add(1, Ordering::SeqCst) + 1;
            if number == answered { Ok(()) } else { Err("still away".to_owned()) }
        };
        let pause = |pause| {
            pauses.push(pause);
            ready(())
        };
        breaker.probe_until_answered(probe, pause).await;
        pauses
    }

    #[tokio::test]
    async fn it_probes_by_itself_one_probe_at_a_time_until_it_is_answered() {
        let breaker = opened();
        let pauses = pauses_until(&breaker, 10).await;
        assert!(breaker.away().is_none());
        assert_eq!(pauses.len(), 10);
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert!(pauses.is_sorted() && pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
        assert!(pauses.iter().sum::<Duration>() > 5 * LONGEST_PAUSE, "{pauses:?}");
        // The next outage begins with short pauses.
        assert_eq!(pauses_until(&opened(), 1).await, [FIRST_PAUSE]);
    }

    #[tokio::test]
    async fn it_stops_probing_when_somebody_else_is_answered() {
        let breaker = opened();
        let mut pauses = 0;
        let pause = |_| {
            pauses += 1;
            breaker.has_answered();
            ready(())
        };
        breaker.probe_until_answered(|| async { panic!("nobody is away") }, pause).await;
        assert_eq!(pauses, 1);
    }
}
