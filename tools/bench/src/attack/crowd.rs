//! Ordinary shoppers, who shop on while the service is attacked.

use super::shopper::{Bought, Shopper};
use super::target::{self, Target};
use crate::error::BenchError;
use reqwest::Client;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Addresses from which they come, one after the other.
const ADDRESSES: usize = 64;
/// Between one who has bought and the next who comes.
const PAUSE: Duration = Duration::from_millis(100);
/// Reasons that are kept of those who have no order.
const REASONS: usize = 20;

/// What the service acknowledged to all shoppers.
#[derive(Debug, Default, Clone)]
pub struct Acknowledged {
    pub placed: HashSet<Uuid>,
    pub paid: HashSet<Uuid>,
}

/// What became of the shoppers in a while.
#[derive(Debug, Default)]
pub struct Shopped {
    /// Those who have an order that is paid.
    pub bought: u64,
    /// Those who have none.
    pub without: u64,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
    /// What each of their requests took, with all its repetitions.
    pub took: Vec<Duration>,
    /// Requests that were refused or got no answer, and were sent again.
    pub sent_again: u64,
}

impl Acknowledged {
    pub fn extend(&mut self, more: Self) {
        self.placed.extend(more.placed);
        self.paid.extend(more.paid);
    }
}

#[derive(Default)]
struct Ledger {
    /// In all.
    acknowledged: Acknowledged,
    /// Since it was last asked for.
    lately: (Shopped, Acknowledged),
}

/// Shoppers who come one after the other, so many at once.
pub struct Crowd {
    ledger: Arc<Mutex<Ledger>>,
    shopping: JoinSet<()>,
    stop: CancellationToken,
}

impl Crowd {
    pub fn gather(target: &Arc<Target>, at_once: usize) -> Result<Self, BenchError> {
        let clients: Vec<Client> =
            (0..ADDRESSES).map(|number| target::client(target::shopper(number))).collect::<Result<_, _>>()?;
        let clients: Arc<[Client]> = clients.into();
        let (ledger, stop) = (Arc::new(Mutex::new(Ledger::default())), CancellationToken::new());
        let shopping = (0..at_once).map(|first| {
            let (target, clients) = (Arc::clone(target), Arc::clone(&clients));
            let (ledger, stop) = (Arc::clone(&ledger), stop.clone());
            async move {
                let mut turns = clients.iter().cycle().skip(first * ADDRESSES / at_once.max(1));
                while let (false, Some(http)) = (stop.is_cancelled(), turns.next()) {
                    let mut bought = Bought::default();
                    let shopper = Shopper { target: &target, http };
                    let outcome = shopper.buy(&target.common, &mut bought).await;
                    note(&ledger, bought, outcome.err().map(|error| error.to_string()));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        let shopping = shopping.collect();
        Ok(Self { ledger, shopping, stop })
    }

    /// What became of them since it was last asked for, and what the service acknowledged to them.
    pub fn take(&self) -> (Shopped, Acknowledged) {
        std::mem::take(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner).lately)
    }

    /// Lets those who are there come to their end, and nobody else in: what became of them, and all that the service
    /// ever acknowledged.
    pub async fn leave(mut self) -> (Shopped, Acknowledged) {
        self.stop.cancel();
        while let Some(done) = self.shopping.join_next().await {
            if let Err(lost) = done {
                std::panic::resume_unwind(lost.into_panic());
            }
        }
        let ledger = std::mem::take(&mut *self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        (ledger.lately.0, ledger.acknowledged)
    }
}

fn note(ledger: &Mutex<Ledger>, bought: Bought, failed: Option<String>) {
    // Nothing panics while it holds the lock.
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let Ledger { acknowledged, lately: (shopped, acknowledged_lately) } = &mut *ledger;
    for acknowledged in [acknowledged, acknowledged_lately] {
        acknowledged.placed.extend(bought.placed);
        acknowledged.paid.extend(bought.placed.filter(|_| bought.is_paid));
    }
    shopped.took.extend(bought.took);
    shopped.sent_again += bought.sent_again;
    match failed {
        None => shopped.bought += 1,
        Some(reason) => {
            shopped.without += 1;
            if shopped.reasons.len() < REASONS {
                shopped.reasons.push(reason);
            }
        }
    }
}
