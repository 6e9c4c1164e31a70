//! A gate that lets only so many through at once; the others wait in the order in which they came.

use crate::asker::Asker;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses that are remembered before it is looked which of them are behind the gate or before it.
const LOOK_AT: usize = 1_024;

/// Lets so many through at once, and so many of one address, so that nobody keeps all others waiting. The operator goes
/// through a gate beside it.
pub struct Gate {
    all: Arc<Semaphore>,
    operator: Arc<Semaphore>,
    for_address: usize,
    for_busy_address: usize,
    by_address: Mutex<HashMap<IpAddr, Weak<OfAddress>>>,
}

/// Those of one address. Busy connections, which send more than a person does, have less.
struct OfAddress {
    all: Arc<Semaphore>,
    busy: Arc<Semaphore>,
}

/// Whoever has it is behind the gate.
pub struct Pass {
    _all: Option<OwnedSemaphorePermit>,
    _of_address: Option<OwnedSemaphorePermit>,
    _of_busy: Option<OwnedSemaphorePermit>,
    /// Kept, so that all of the address have the same.
    _address: Option<Arc<OfAddress>>,
}

impl Gate {
    #[must_use]
    pub fn new(at_once: usize, for_address: usize, for_busy_address: usize, for_operator: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(at_once)),
            operator: Arc::new(Semaphore::new(for_operator)),
            for_address,
            for_busy_address,
            by_address: Mutex::default(),
        }
    }

    /// Waits for its turn.
    pub async fn enter(&self, asker: Asker) -> Pass {
        // No semaphore is ever closed.
        if asker.is_operator {
            let all = Arc::clone(&self.operator).acquire_owned().await.ok();
            return Pass { _all: all, _of_address: None, _of_busy: None, _address: None };
        }
        let address = self.of_address(asker.client.address);
        let of_busy =
            if asker.client.is_busy { Arc::clone(&address.busy).acquire_owned().await.ok() } else { None };
        let of_address = Arc::clone(&address.all).acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        Pass { _all: all, _of_address: of_address, _of_busy: of_busy, _address: Some(address) }
    }

    fn of_address(&self, address: IpAddr) -> Arc<OfAddress> {
        // Nothing panics while it holds the lock.
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_address.get(&address).and_then(Weak::upgrade) {
            return known;
        }
        if by_address.len() >= LOOK_AT {
            by_address.retain(|_, known| known.strong_count() > 0);
        }
        let (all, busy) = (Semaphore::new(self.for_address), Semaphore::new(self.for_busy_address));
        let known = Arc::new(OfAddress { all: Arc::new(all), busy: Arc::new(busy) });
        by_address.insert(address, Arc::downgrade(&known));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use http_boundary::Client;

    fn asker(address: u8, is_operator: bool) -> Asker {
        Asker {
            client: Client { address: [192, 0, 2, address].into(), connection: 1, is_busy: false },
            is_operator,
        }
    }

    #[tokio::test]
    async fn so_many_are_behind_it_at_once_and_one_address_leaves_room_for_others() {
        let gate = Gate::new(3, 2, 1, 1);
        let first = gate.enter(asker(1, false)).now_or_never().expect("there is room");
        let _second = gate.enter(asker(1, false)).now_or_never().expect("there is room");
        assert!(gate.enter(asker(1, false)).now_or_never().is_none(), "its share is used");
        let _other = gate.enter(asker(2, false)).now_or_never().expect("another has its share");
        assert!(gate.enter(asker(3, false)).now_or_never().is_none(), "it is full");
        let _operator =
            gate.enter(asker(1, true)).now_or_never().expect("the operator has a gate of its own");
        let mut waiting = Box::pin(gate.enter(asker(3, false)));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!(waiting.now_or_never().is_some(), "who waits goes on when one leaves");
    }

    #[tokio::test]
    async fn busy_connections_of_an_address_have_less_than_it_has() {
        let gate = Gate::new(9, 3, 1, 1);
        let busy = |address| {
            let asker = asker(address, false);
            Asker { client: Client { is_busy: true, ..asker.client }, ..asker }
        };
        let first = gate.enter(busy(1)).now_or_never().expect("there is room");
        let mut second = Box::pin(gate.enter(busy(1)));
        assert!((&mut second).now_or_never().is_none());
        let _others = [asker(1, false), asker(1, false), busy(2)]
            .map(|other| gate.enter(other).now_or_never().expect("there is room"));
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn addresses_that_are_gone_are_forgotten() {
        let gate = Gate::new(1, 1, 1, 1);
        for address in 0..2_000_u32 {
            let address = IpAddr::from(address.to_be_bytes());
            let client = Client { address, connection: 1, is_busy: false };
            drop(gate.enter(Asker { client, is_operator: false }).await);
        }
        assert!(gate.by_address.lock().unwrap().len() <= LOOK_AT);
    }
}
