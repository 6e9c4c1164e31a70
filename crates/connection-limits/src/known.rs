use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// For so long an address is known.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Addresses are known together if they fall together here, which nobody can bring about: the hash is a secret of the process.
const PLACES: usize = 4096;

/// Addresses from which somebody has shown a key or a password within the last minute.
#[derive(Debug)]
pub struct KnownAddresses {
    begun: Instant,
    /// In milliseconds after `begun`.
    until: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for KnownAddresses {
    fn default() -> Self {
        let until = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { begun: Instant::now(), until, hasher: RandomState::new() }
    }
}

impl KnownAddresses {
    /// Somebody there has just shown it.
    pub fn note(&self, address: IpAddr) {
        self.note_at(address, self.begun.elapsed());
    }

    /// Whether somebody there has shown it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.has_at(address, self.begun.elapsed())
    }

    fn note_at(&self, address: IpAddr, now: Duration) {
        self.place(address).store(millis(now + KNOWN_FOR), Ordering::Relaxed);
    }

    fn has_at(&self, address: IpAddr, now: Duration) -> bool {
        self.place(address).load(Ordering::Relaxed) > millis(now)
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn place(&self, address: IpAddr) -> &AtomicU64 {
        &self.until[self.hasher.hash_one(address) as usize % PLACES]
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_for_a_minute() {
        let known = KnownAddresses::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let at = Duration::from_secs;
        assert!(!known.has_at(address, at(0)));
        known.note_at(address, at(10));
        assert!(known.has_at(address, at(69)));
        assert!(!known.has_at(address, at(71)));
    }
}
