//! The attacks. Each is a script of our own, with bounds, against the service that was started for it.

mod disk;
mod frames;
mod holding;
mod http2;
mod live;
mod pages;
mod places;
mod stock;

use super::tally::Tally;
use super::target::Target;
use crate::error::BenchError;
use clap::ValueEnum;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What strangers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Script {
    /// Connections over which nothing is ever said
    Silent,
    /// Heads of requests that come byte by byte
    SlowHeads,
    /// Bodies that come byte by byte after as much as a body may have
    SlowBodies,
    /// Live pages with an old Last-Event-ID that nobody reads, over HTTP/1 and HTTP/2
    LivePages,
    /// Queries that wait for a position that never comes
    Places,
    /// Carts and lines of nobody, without end
    Disk,
    /// Orders that hold a scarce SKU and are not paid
    Stock,
    /// Pages, as fast as they come
    Pages,
    /// Long histories and differences, over a new connection for each
    Histories,
    /// Small pages, over a new connection for each
    NewConnections,
    /// Payments on which the gateway never answers, of orders that are called off
    Payments,
    /// Payments with declined cards, as often as an order may be paid, from ten addresses
    Declines,
    /// Large pages, from ten addresses
    ManyAddresses,
    /// Bodies in chunks of a byte, as fast as they are taken
    TinyChunks,
    /// Bodies with thousands of lines, for a cart that is not there
    ManyLines,
    /// Frames of HTTP/2 that belong to no request, pings and refused heads, as fast as they are taken
    Frames,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Strength {
    /// Silent connections; there are a fifth as many slow ones.
    pub connections: usize,
    /// Requests at once of the scripts that ask for something.
    pub at_once: usize,
}

/// What all workers of a script share.
#[derive(Clone)]
struct Attack {
    target: Arc<Target>,
    tally: Arc<Tally>,
    stop: CancellationToken,
}

impl Attack {
    /// Waits a moment, or until the attack is over.
    async fn pause(&self, pause: Duration) {
        let _ = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }

    /// Lets so many workers do the same until the attack is over.
    async fn all<F: Future<Output = ()> + Send + 'static>(
        &self,
        workers: usize,
        work: impl Fn(Self, usize) -> F,
    ) {
        let working: JoinSet<()> = (0..workers).map(|number| work(self.clone(), number)).collect();
        working.join_all().await;
    }
}

impl Script {
    /// All of them, in the order in which they are run.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name, as on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Goes on until it is told to stop.
    pub async fn run(
        self,
        target: Arc<Target>,
        tally: Arc<Tally>,
        strength: Strength,
        stop: CancellationToken,
    ) -> Result<(), BenchError> {
        let attack = Attack { target, tally, stop };
        let slow = (strength.connections / 5).max(1);
        match self {
            Self::Silent => attack.all(strength.connections, holding::silent).await,
            Self::SlowHeads => attack.all(slow, holding::slow_head).await,
            Self::SlowBodies => attack.all(slow, holding::slow_body).await,
            Self::LivePages => attack.all(strength.at_once, live::listen).await,
            Self::Places => attack.all(strength.at_once, places::take).await,
            Self::Disk => return disk::fill(&attack, strength.at_once).await,
            Self::Stock => return stock::hold(&attack, strength.at_once).await,
            Self::Frames => attack.all(strength.at_once, frames::send).await,
            Self::TinyChunks => attack.all(strength.at_once, holding::tiny_chunks).await,
            Self::Histories => return pages::histories(&attack, strength.at_once).await,
            Self::NewConnections => return pages::new_connections(&attack, strength.at_once).await,
            Self::Payments => return stock::payments(&attack, strength.at_once).await,
            Self::Declines => return stock::declines(&attack, strength.at_once).await,
            Self::ManyAddresses => return pages::many_addresses(&attack, strength.at_once).await,
            Self::ManyLines => return disk::many_lines(&attack, strength.at_once).await,
            Self::Pages => return pages::flood(&attack, strength.at_once).await,
        }
        Ok(())
    }
}
