//! Places of which there are only so many: in all, for one address, and over one connection.

use crate::asker::Asker;
use api::problem;
use http_boundary::{Client, Problem};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// How many places there are. What is for one address or one connection does not hold for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub in_all: usize,
    /// Those of `in_all` that only the operator takes.
    pub for_operator: usize,
    pub for_address: usize,
    pub over_connection: usize,
}

/// The places. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Places {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_operator: usize,
    by_address: HashMap<IpAddr, usize>,
    /// Behind a proxy, several clients share a connection: each has its own share of it.
    over_connection: HashMap<Client, usize>,
}

/// A place that is taken, until this is dropped.
pub struct Place {
    taken: Arc<Mutex<Taken>>,
    asker: Asker,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoPlace {
    #[error("all places are taken")]
    InAll,
    #[error("one address takes at most {max} places")]
    ForAddress { max: usize },
    #[error("one connection takes at most {max} places")]
    OverConnection { max: usize },
}

impl From<NoPlace> for Problem {
    fn from(error: NoPlace) -> Self {
        let too_many = |max: usize, whose: &str| {
            let detail = format!(
                "{max} live pages and waiting requests are all that {whose} may have: close one of them."
            );
            Self::new(problem::TOO_MANY_LIVE_PAGES, detail).with("max", max).retry_after(10)
        };
        match error {
            NoPlace::InAll => Self::new(
                problem::OVERLOADED,
                "All places for live pages and waiting requests are taken: ask again in a moment.",
            )
            .retry_after(2),
            NoPlace::ForAddress { max } => too_many(max, "one address"),
            NoPlace::OverConnection { max } => too_many(max, "one connection"),
        }
    }
}

impl Places {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes one, at once or not at all.
    ///
    /// # Errors
    /// When there is none left for whoever asks.
    pub fn take(&self, asker: Asker) -> Result<Place, NoPlace> {
        let Limits { in_all, for_operator, for_address, over_connection } = self.limits;
        let mut taken = lock(&self.taken);
        if taken.in_all >= in_all {
            return Err(NoPlace::InAll);
        }
        if asker.is_operator {
            taken.by_operator += 1;
        } else {
            if taken.in_all - taken.by_operator >= in_all.saturating_sub(for_operator) {
                return Err(NoPlace::InAll);
            }
            if count(&taken.by_address, &asker.client.address) >= for_address {
                return Err(NoPlace::ForAddress { max: for_address });
            }
            if count(&taken.over_connection, &asker.client) >= over_connection {
                return Err(NoPlace::OverConnection { max: over_connection });
            }
            *taken.by_address.entry(asker.client.address).or_default() += 1;
            *taken.over_connection.entry(asker.client).or_default() += 1;
        }
        taken.in_all += 1;
        Ok(Place { taken: Arc::clone(&self.taken), asker })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.in_all -= 1;
        if self.asker.is_operator {
            taken.by_operator -= 1;
        } else {
            give_back(&mut taken.by_address, self.asker.client.address);
            give_back(&mut taken.over_connection, self.asker.client);
        }
    }
}

fn count<K: Eq + Hash>(taken: &HashMap<K, usize>, by: &K) -> usize {
    taken.get(by).copied().unwrap_or_default()
}

/// Nothing is kept of those who take none.
fn give_back<K: Eq + Hash>(taken: &mut HashMap<K, usize>, by: K) {
    if let Entry::Occupied(mut count) = taken.entry(by) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Nothing panics while it holds the lock.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { in_all: 10, for_operator: 2, for_address: 4, over_connection: 3 };

    fn shopper(address: u8, connection: u64) -> Asker {
        Asker {
            client: Client { address: [192, 0, 2, address].into(), connection, is_busy: false },
            is_operator: false,
        }
    }

    fn operator() -> Asker {
        Asker { is_operator: true, ..shopper(1, 1) }
    }

    fn take(places: &Places, asker: Asker, count: usize) -> Vec<Place> {
        (0..count).map(|_| places.take(asker).map_err(|error| error.to_string()).unwrap()).collect()
    }

    fn refused(places: &Places, asker: Asker) -> Option<NoPlace> {
        places.take(asker).err()
    }

    #[test]
    fn a_connection_and_an_address_have_their_share_and_others_theirs() {
        let places = Places::new(LIMITS);
        let mut taken = take(&places, shopper(1, 1), 3);
        assert_eq!(refused(&places, shopper(1, 1)), Some(NoPlace::OverConnection { max: 3 }));
        taken.extend(take(&places, shopper(1, 2), 1));
        assert_eq!(refused(&places, shopper(1, 3)), Some(NoPlace::ForAddress { max: 4 }));
        taken.extend(take(&places, shopper(2, 4), 3));
        taken.remove(0);
        assert_eq!(refused(&places, shopper(1, 1)), None);
        drop(taken);
        let nobody = lock(&places.taken);
        assert_eq!((nobody.in_all, nobody.by_address.len(), nobody.over_connection.len()), (0, 0, 0));
    }

    #[test]
    fn the_operator_finds_a_place_when_all_others_are_taken() {
        let places = Places::new(LIMITS);
        let operators = take(&places, operator(), 2);
        let taken: Vec<Place> =
            (1..=8).flat_map(|address| take(&places, shopper(address, 1 + u64::from(address)), 1)).collect();
        assert_eq!(refused(&places, shopper(9, 99)), Some(NoPlace::InAll));
        drop(operators);
        assert_eq!(refused(&places, shopper(9, 99)), Some(NoPlace::InAll));
        // No share of an address binds the operator.
        let operators = take(&places, operator(), 2);
        assert_eq!(refused(&places, operator()), Some(NoPlace::InAll));
        drop((taken, operators));
    }
}
