use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What an address may use at once after it was silent, as the time in which it would come at its rate.
const BURST: Duration = Duration::from_secs(10);
/// The longest that an address waits, however much it has used.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Addresses share a rate if they fall together here, which nobody can bring about: the hash is a secret of the process.
const RATES: usize = 4096;

/// The same rate for each address, of something that is not refused beyond it but waits.
#[derive(Debug)]
pub struct AddressRates {
    micros_of_one: u64,
    begun: Instant,
    /// In microseconds after `begun`: until when what came is paid for.
    paid_until: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl AddressRates {
    /// So many a second, and ten seconds' worth at once. Nothing is used yet.
    #[must_use]
    pub fn new(a_second: NonZeroU32) -> Self {
        let paid_until = (0..RATES).map(|_| AtomicU64::new(0)).collect();
        let micros_of_one = 1_000_000 / u64::from(a_second.get());
        Self { micros_of_one, begun: Instant::now(), paid_until, hasher: RandomState::new() }
    }

    /// Charges an address with so many, and says how long to wait for them: a minute at most.
    pub fn charge(&self, address: IpAddr, count: u64) -> Duration {
        self.charge_at(address, count, Instant::now())
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn charge_at(&self, address: IpAddr, count: u64, at: Instant) -> Duration {
        let rate = &self.paid_until[self.hasher.hash_one(address) as usize % RATES];
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // What was not used counts back to the beginning of the burst.
        let now = micros(at.saturating_duration_since(self.begun) + BURST);
        let cost = count.saturating_mul(self.micros_of_one);
        let paid = |before: u64| {
            let after = before.max(now - micros(BURST)).saturating_add(cost);
            Some(after.min(now + micros(LONGEST_PAUSE)))
        };
        let before = rate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
        let after = before.ok().and_then(paid).unwrap_or_default();
        Duration::from_micros(after.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn an_address_has_a_burst_and_then_waits_for_what_it_used() {
        let rates = AddressRates::new(NonZeroU32::new(1_000).unwrap());
        let charge = |count, after| rates.charge_at(ADDRESS, count, rates.begun + Duration::from_secs(after));
        assert_eq!(charge(10_000, 0), Duration::ZERO);
        assert_eq!(charge(2_000, 0), Duration::from_secs(2));
        // Others behind the address wait after it.
        assert_eq!(charge(1_000, 1), Duration::from_secs(2));
        assert_eq!(charge(1_000, 4), Duration::ZERO);
        assert_eq!(charge(10_000, 1_000), Duration::ZERO);
        assert_eq!(charge(u64::MAX, 1_000), LONGEST_PAUSE);
        assert_eq!(charge(0, 1_000), LONGEST_PAUSE);
    }
}
