//! Events of ours that no shop has written: how that is told, at once and without flooding the log.

use super::figures::Figures;
use audit_seal::stream::Fault;
use event_store::{Position, RecordedEvent, TOMBSTONE_REVISION};
use http_boundary::{Health, PerSecond};
use std::sync::{Mutex, PoisonError};

/// What `/readyz` calls them. They keep the service from nothing.
const PART: &str = "audit-sealing: forged events";
/// So many lines a second go to the log; the rest is counted.
const LINES: u8 = 10;

/// Tells of forged events.
pub struct Forged {
    health: Health,
    figures: Figures,
    lines: PerSecond,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    events: u64,
    first: String,
    /// The last of them: a turn that is lost reads again what is not sealed.
    upto: Option<Position>,
}

impl Forged {
    pub fn new(health: Health, figures: Figures) -> Self {
        Self { health, figures, lines: PerSecond::times(LINES), told: Mutex::default() }
    }

    /// This event is not one that a shop has written. They come in the order of the log.
    pub fn tell(&self, event: &RecordedEvent, fault: Fault) {
        let RecordedEvent { stream, revision, position, .. } = event;
        // Nothing panics while it holds the lock.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.upto >= Some(*position) {
            return;
        }
        self.figures.forged(fault);
        told.upto = Some(*position);
        told.events += 1;
        if told.first.is_empty() {
            let which = match *revision {
                TOMBSTONE_REVISION => "the last event".to_owned(),
                revision => format!("event {revision}"),
            };
            told.first = format!("{which} of {stream} (position {position}): {fault}");
        }
        let how = format!(
            "{} events were not written by a shop, the first was {}; `emporium audit verify` names all",
            told.events, told.first
        );
        self.health.is_well_so(PART, how);
        if let Some(times) = self.lines.line() {
            let untold = times - 1;
            tracing::error!(
                stream,
                revision,
                %position,
                %fault,
                untold,
                "an event of the history was not written by a shop"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io;
    use std::sync::Arc;
    use uuid::Uuid;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_forged_event_is_named_in_the_log_as_an_error() {
        let event = RecordedEvent {
            stream: "order-1".to_owned(),
            revision: 3,
            position: Position::new(17),
            id: Uuid::nil(),
            event_type: "order.cancelled.v1".to_owned(),
            data: Bytes::new(),
            metadata: Bytes::new(),
            recorded_at: chrono::DateTime::UNIX_EPOCH,
        };
        let logged = Logged::default();
        let writer = logged.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let forged = Forged::new(Health::default(), Figures::default());
        tracing::subscriber::with_default(log, || forged.tell(&event, Fault::Unlinked));
        let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        assert_eq!(logged.lines().count(), 1, "{logged}");
        let fault = Fault::Unlinked.to_string();
        for part in ["ERROR", "was not written by a shop", "order-1", "revision=3", "position=17", &fault] {
            assert!(logged.contains(part), "{part} is not in {logged}");
        }
    }
}
