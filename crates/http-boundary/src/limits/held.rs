//! Refusals that are held back for a moment. Each takes memory meanwhile, so there is room for so many of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A few megabytes.
const MOST: usize = 1_000;
/// What one HTTP/2 connection may have under way.
const MOST_OF_AN_ADDRESS: usize = 64;

/// The refusals that are held back now.
#[derive(Default)]
pub struct Held(Mutex<HashMap<IpAddr, usize>>);

/// The place of one of them.
pub struct HeldBack<'held> {
    held: &'held Held,
    address: IpAddr,
}

impl Held {
    /// A place for a refusal to this address; none if all of its places are taken, or all places.
    pub fn take(&self, address: IpAddr) -> Option<HeldBack<'_>> {
        let mut places = self.lock();
        let all: usize = places.values().sum();
        let of_address = places.entry(address).or_default();
        if all >= MOST || *of_address >= MOST_OF_AN_ADDRESS {
            if *of_address == 0 {
                places.remove(&address);
            }
            return None;
        }
        *of_address += 1;
        Some(HeldBack { held: self, address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        let mut places = self.held.lock();
        if let Some(of_address) = places.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                places.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let held = Held::default();
        let mut places: Vec<_> = (0..MOST_OF_AN_ADDRESS).map(|_| held.take(address(1)).unwrap()).collect();
        assert!(held.take(address(1)).is_none());
        assert!(held.take(address(2)).is_some());
        places.pop();
        assert!(held.take(address(1)).is_some());
        places.clear();
        assert!(held.lock().is_empty());
    }

    #[test]
    fn all_addresses_together_have_no_more_than_there_is_room_for() {
        let held = Held::default();
        let places: Vec<_> = (0..5_000).filter_map(|number| held.take(address(number))).collect();
        assert_eq!(places.len(), MOST);
        assert_eq!(held.lock().len(), MOST);
        drop(places);
        assert!(held.lock().is_empty());
    }
}
