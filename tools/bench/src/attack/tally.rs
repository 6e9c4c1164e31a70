//! What an attack did, and what the service made of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts while an attack runs.
#[derive(Debug, Default)]
pub struct Tally {
    tried: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
    closed: AtomicU64,
    open: AtomicU64,
    most_open: AtomicU64,
}

/// What was counted up to a moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Connections or requests that were begun.
    pub tried: u64,
    /// Requests that the service did.
    pub taken: u64,
    /// Requests that it refused, and connections that could not be made.
    pub refused: u64,
    /// Connections that it closed, and requests without an answer.
    pub closed: u64,
    /// Connections that were open at the same time.
    pub most_open: u64,
}

/// A connection that is open as long as this lives.
pub struct Open<'a>(&'a Tally);

impl Tally {
    pub fn tried(&self) {
        self.tried.fetch_add(1, Ordering::Relaxed);
    }

    pub fn taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// By the status of an answer.
    pub fn answered(&self, status: u16) {
        if (200..300).contains(&status) { self.taken() } else { self.refused() }
    }

    /// A connection is open.
    pub fn open(&self) -> Open<'_> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_open.fetch_max(open, Ordering::Relaxed);
        Open(self)
    }

    pub fn counted(&self) -> Counted {
        Counted {
            tried: self.tried.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            closed: self.closed.load(Ordering::Relaxed),
            most_open: self.most_open.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_open_connections_are_those_at_the_same_time() {
        let tally = Tally::default();
        let first = tally.open();
        drop(tally.open());
        drop((tally.open(), first));
        drop(tally.open());
        assert_eq!(tally.counted(), Counted { most_open: 2, ..Counted::default() });
    }
}
