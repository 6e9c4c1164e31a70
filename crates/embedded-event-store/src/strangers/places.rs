//! What strangers have under way, in all and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many may be under way at once.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_by_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The address has as many as it may have.
    Address,
    /// All together have.
    All,
}

impl Places {
    /// So many in all, and of these so many for one address.
    pub fn new(most: usize, most_by_address: usize) -> Arc<Self> {
        Arc::new(Places { most, most_by_address, taken: Mutex::default() })
    }

    /// A place for this address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let mut taken = self.lock();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if of_address >= self.most_by_address {
            return Err(Full::Address);
        }
        if taken.all >= self.most {
            return Err(Full::All);
        }
        taken.all += 1;
        taken.by_address.insert(address, of_address + 1);
        Ok(Place { places: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it holds the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_leaves_places_to_others_and_all_of_them_come_back() {
        let places = Places::new(3, 2);
        let of_one = [(); 2].map(|()| places.take(address(1)).unwrap());
        assert_eq!(places.take(address(1)).unwrap_err(), Full::Address);
        let of_another = places.take(address(2)).unwrap();
        assert_eq!(places.take(address(3)).unwrap_err(), Full::All);
        drop((of_one, of_another));
        assert!(places.lock().by_address.is_empty());
        assert!(places.take(address(3)).is_ok());
    }
}
