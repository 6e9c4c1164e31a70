//! How many requests an address may send in a second, and all at once.

use crate::Client;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Keys that a limiter knows, in all its parts: a few megabytes. With more, those that were silent for longest begin again
/// with a full burst.
const KNOWN: usize = 32 * 1024;
/// A busy request waits for a lock of one part only.
const PARTS: usize = 16;
/// Of what an address may send, its busy connections together have all but a fifth.
const SHARE_OF_THE_BUSY: f64 = 0.8;
/// And so many seconds' worth at once: a flood is to be over soon, not after all that an office may send at once.
const BURST_SECONDS_OF_THE_BUSY: f64 = 1.0;
/// A connection is busy that sends more at once than this part of its address's burst,
const BURST_OF_A_CONNECTION: f64 = 0.004;
/// and for long more than this part of what its address may send for long. A hundred busy ones are to leave something.
const RATE_OF_A_CONNECTION: f64 = 0.001;
/// An address may owe so many bursts, for work that is known only once it is done.
const BURSTS_OWED: f64 = 1.0;

type Limiter<K, C> = RateLimiter<K, Known<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The requests of one kind, by address. What an address may send is shared by all who are behind it, so connections
/// that send more than a person does leave a fifth of it to the others: one of an office cannot shut out the rest.
pub struct Bucket<C: Clock = DefaultClock> {
    by_address: Limiter<IpAddr, C>,
    /// The same requests, as far as an address may owe them; so below.
    owed: Limiter<IpAddr, C>,
    of_the_busy: Limiter<IpAddr, C>,
    owed_by_the_busy: Limiter<IpAddr, C>,
    by_connection: Limiter<Client, C>,
    burst: NonZeroU32,
    burst_of_the_busy: NonZeroU32,
}

/// Whether a connection sends more than a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsBusy(pub bool);

/// A request that was not counted, because the share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Until there is enough of it again.
    pub wait: Duration,
}

impl<C: Clock + Clone> Bucket<C> {
    /// So many requests a second, and so many seconds' worth at once.
    pub fn new(a_second: NonZeroU32, burst_seconds: NonZeroU32, clock: &C) -> Self {
        let burst = f64::from(a_second.saturating_mul(burst_seconds).get());
        let quota = |share_of_rate: f64, burst: f64| {
            let every = Duration::from_secs_f64(1.0 / (f64::from(a_second.get()) * share_of_rate));
            let quota = Quota::with_period(every).unwrap_or(Quota::per_second(a_second));
            quota.allow_burst(whole(burst))
        };
        let burst_of_the_busy = f64::from(a_second.get()) * SHARE_OF_THE_BUSY * BURST_SECONDS_OF_THE_BUSY;
        let owed_by_the_busy = quota(SHARE_OF_THE_BUSY, burst_of_the_busy * (1.0 + BURSTS_OWED));
        let of_the_busy = quota(SHARE_OF_THE_BUSY, burst_of_the_busy);
        let of_a_connection = quota(RATE_OF_A_CONNECTION, burst * BURST_OF_A_CONNECTION);
        let (addresses, busy_addresses) = (Known::default(), Known::default());
        Self {
            by_address: RateLimiter::new(quota(1.0, burst), addresses.clone(), clock.clone()),
            owed: RateLimiter::new(quota(1.0, burst * (1.0 + BURSTS_OWED)), addresses, clock.clone()),
            of_the_busy: RateLimiter::new(of_the_busy, busy_addresses.clone(), clock.clone()),
            owed_by_the_busy: RateLimiter::new(owed_by_the_busy, busy_addresses, clock.clone()),
            by_connection: RateLimiter::new(of_a_connection, Known::default(), clock.clone()),
            burst: whole(burst),
            burst_of_the_busy: of_the_busy.burst_size(),
        }
    }

    /// Counts a request, and says whether its connection is busy; or how long to wait before the next one.
    pub fn take(&self, client: Client) -> Result<IsBusy, Refused> {
        self.take_many(client, NonZeroU32::MIN)
    }

    /// Counts a request that was [taken](Self::take) as so many more, without a word on how busy its connection is.
    pub fn take_more(&self, client: Client, requests: NonZeroU32) -> Result<(), Refused> {
        let refused = |wait| Refused { wait };
        if client.is_busy {
            check(&self.of_the_busy, &client.address, requests, self.burst_of_the_busy).map_err(refused)?;
        }
        check(&self.by_address, &client.address, requests, self.burst).map_err(refused)
    }

    /// Counts a request that was [taken](Self::take) as so many more, of a whole burst at most, even if there is no room for
    /// them: the next ones of its address wait for that.
    pub fn owe(&self, client: Client, requests: NonZeroU32) {
        // Refused only if the address owes as much as it may already.
        let _ = check(&self.owed, &client.address, requests, self.burst);
        if client.is_busy {
            let _ = check(&self.owed_by_the_busy, &client.address, requests, self.burst_of_the_busy);
        }
    }

    /// Counts a request that does the work of so many; of a whole burst at most.
    pub fn take_many(&self, client: Client, requests: NonZeroU32) -> Result<IsBusy, Refused> {
        let connection = Client { is_busy: false, ..client };
        let is_busy = check(&self.by_connection, &connection, requests, NonZeroU32::MAX).is_err();
        let refused = |wait| Refused { wait };
        if is_busy {
            check(&self.of_the_busy, &client.address, requests, self.burst_of_the_busy).map_err(refused)?;
        }
        check(&self.by_address, &client.address, requests, self.burst).map_err(refused)?;
        Ok(IsBusy(is_busy))
    }
}

/// Takes so many, or as many as a burst has; or says how long to wait for them.
fn check<K: Hash + Eq + Clone, C: Clock + Clone>(
    limiter: &Limiter<K, C>,
    key: &K,
    requests: NonZeroU32,
    burst: NonZeroU32,
) -> Result<(), Duration> {
    match limiter.check_key_n(key, requests.min(burst)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refused)) => Err(refused.wait_time_from(limiter.clock().now())),
        // More than a burst: no time would be enough.
        Err(_) => Err(Duration::MAX),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32 is one")]
fn whole(number: f64) -> NonZeroU32 {
    NonZeroU32::new(number.round() as u32).unwrap_or(NonZeroU32::MIN)
}

/// What is kept of each key, of as many as there is room for.
#[derive(Clone)]
struct Known<K> {
    parts: Arc<[Mutex<LruCache<K, Nanos>>; PARTS]>,
    hasher: RandomState,
}

impl<K: Hash + Eq> Default for Known<K> {
    fn default() -> Self {
        // Not a cache with a capacity, which would take all its room at once.
        let parts = std::array::from_fn(|_| Mutex::new(LruCache::unbounded()));
        Self { parts: Arc::new(parts), hasher: RandomState::new() }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
impl<K: Hash + Eq + Clone> StateStore for Known<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let part = &self.parts[self.hasher.hash_one(key) as usize % PARTS];
        // Nothing panics while it holds the lock.
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let known = part.get_mut(key);
        let (outcome, next) = f(known.as_deref().copied())?;
        match known {
            Some(known) => *known = next,
            None => {
                part.put(key.clone(), next);
                if part.len() > KNOWN / PARTS {
                    part.pop_lru();
                }
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use std::net::Ipv4Addr;

    fn client(address: u32, connection: u64) -> Client {
        Client { address: Ipv4Addr::from_bits(address).into(), connection, is_busy: false }
    }

    fn bucket(a_second: u32) -> (Bucket<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let number = |number| NonZeroU32::new(number).unwrap();
        (Bucket::new(number(a_second), number(10), &clock), clock)
    }

    fn taken(bucket: &Bucket<FakeRelativeClock>, client: Client, requests: usize) -> usize {
        (0..requests).filter(|_| bucket.take(client).is_ok()).count()
    }

    #[test]
    fn a_connection_has_its_burst_and_what_comes_back() {
        let (bucket, clock) = bucket(100);
        // A part of the burst as an ordinary connection, and a second's worth as a busy one.
        assert_eq!(taken(&bucket, client(1, 1), 2_000), 84);
        let Refused { wait } = bucket.take(client(1, 1)).unwrap_err();
        assert!(!wait.is_zero() && wait <= Duration::from_secs(1), "{wait:?}");
        clock.advance(Duration::from_secs(1));
        assert_eq!(taken(&bucket, client(1, 1), 2_000), 80);
        assert_eq!(taken(&bucket, client(2, 2), 2_000), 84);
    }

    #[test]
    fn busy_connections_leave_a_fifth_to_the_others_of_their_address() {
        let (bucket, clock) = bucket(100);
        for second in 0..60 {
            (1..=20).for_each(|connection| {
                taken(&bucket, client(1, connection), 500);
            });
            // A person who has just connected.
            assert_eq!(taken(&bucket, client(1, 1_000 + second), 1), 1);
            clock.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn an_address_cannot_have_more_by_opening_connections() {
        let (bucket, _) = bucket(100);
        let taken: usize = (0..500).map(|connection| taken(&bucket, client(1, connection), 40)).sum();
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn what_was_more_work_than_there_was_room_for_is_owed_and_the_next_requests_wait_for_it() {
        let (bucket, clock) = bucket(100);
        let number = |number| NonZeroU32::new(number).unwrap();
        let taken = |connection| taken(&bucket, client(1, connection), 1);
        assert_eq!(bucket.take(client(1, 1)), Ok(IsBusy(false)));
        // Half of the burst, then a whole one: after that, half a burst is owed.
        bucket.owe(client(1, 1), number(500));
        assert_eq!(taken(2), 1);
        bucket.owe(client(1, 2), number(1_000));
        let wait = bucket.take(client(1, 3)).unwrap_err().wait;
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_millis(5_050), "{wait:?}");
        assert_eq!(bucket.take(client(2, 4)), Ok(IsBusy(false)), "others owe nothing");
        // More than a burst is owed by nobody: who has used everything and does the most work is back after that.
        (0..100).for_each(|_| bucket.owe(client(1, 3), number(5_000)));
        clock.advance(Duration::from_secs(11));
        assert_eq!(taken(3), 1);
    }

    #[test]
    fn busy_connections_owe_from_their_own_share() {
        let (bucket, _) = bucket(100);
        let busy = Client { is_busy: true, ..client(1, 1) };
        // A second's worth, twice: the address has far more left.
        (0..2).for_each(|_| bucket.owe(busy, NonZeroU32::new(80).unwrap()));
        let taken = (0..100).filter(|_| bucket.take(client(1, 1)).is_ok()).count();
        assert_eq!(taken, 4, "as an ordinary connection, and none as a busy one");
        assert_eq!(bucket.take(client(1, 2)), Ok(IsBusy(false)), "other connections of the address go on");
    }

    #[test]
    fn what_is_known_of_very_many_addresses_has_a_bound() {
        let (bucket, _) = bucket(1);
        (0..200_000).for_each(|address| assert!(bucket.take(client(address, address.into())).is_ok()));
        let known = |parts: &[Mutex<LruCache<IpAddr, Nanos>>]| -> usize {
            parts.iter().map(|part| part.lock().unwrap().len()).sum()
        };
        assert_eq!(known(&*bucket.by_address.into_state_store().parts), KNOWN);
    }

    #[test]
    fn a_connection_is_busy_after_its_burst_and_a_request_that_does_much_makes_it_so() {
        let (bucket, _) = bucket(100);
        let busy: Vec<bool> = (0..12).map(|_| bucket.take(client(1, 1)).unwrap().0).collect();
        assert_eq!(busy.iter().position(|busy| *busy), Some(4));
        assert_eq!(bucket.take_many(client(2, 2), NonZeroU32::new(50).unwrap()), Ok(IsBusy(true)));
    }

    #[test]
    fn what_a_person_does_now_and_then_is_charged_and_makes_nobody_busy() {
        let (bucket, _) = bucket(100);
        let twenty = NonZeroU32::new(20).unwrap();
        // Of this address, busy connections have used up their share.
        while bucket.take_many(client(1, 1), twenty).is_ok() {}
        let person = client(1, 2);
        assert_eq!(bucket.take(person), Ok(IsBusy(false)));
        assert_eq!(bucket.take_more(person, twenty), Ok(()));
        assert_eq!(bucket.take(person), Ok(IsBusy(false)));
        assert!(bucket.take_more(Client { is_busy: true, ..client(1, 1) }, twenty).is_err());
        while bucket.take_more(person, twenty).is_ok() {}
        assert!(bucket.take_many(client(1, 3), twenty).is_err());
    }

    #[test]
    fn a_request_that_does_the_work_of_many_is_charged_for_them_and_is_never_refused_for_good() {
        let (bucket, clock) = bucket(100);
        let many = |number| bucket.take_many(client(1, 1), NonZeroU32::new(number).unwrap());
        assert_eq!(many(60), Ok(IsBusy(true)));
        let Refused { wait, .. } = many(60).unwrap_err();
        assert_eq!(wait.as_millis(), 500);
        clock.advance(wait);
        assert_eq!(many(60), Ok(IsBusy(true)));
        // More than there ever is: all that there is.
        clock.advance(Duration::from_secs(20));
        assert_eq!(many(5_000), Ok(IsBusy(true)));
        assert!(many(1).is_err());
    }
}
