//! New connections, before they have a place. Each costs work, even if nothing comes over it: so an address may make so many
//! a second, and more of them wait here. They take no place meanwhile, and nobody has to make one for them.

use crate::network::counted_as;
use crate::rates::AddressRates;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// This part of a port's connections is kept for those that wait.
const WAITING_PARTS: usize = 8;
/// More never wait.
const WAITING_MOST: usize = 1_024;
/// Of one address.
const WAITING_OF_AN_ADDRESS: usize = 64;

/// A new connection, and where it comes from.
pub type Newcomer = (TcpStream, SocketAddr);

type Waiting = Pin<Box<dyn Future<Output = Newcomer> + Send + Sync>>;

/// How many new connections one address may make.
#[derive(Clone)]
pub struct NewConnections {
    /// In a second; ten seconds' worth at once.
    pub a_second: NonZeroU32,
    /// Addresses that connect for others, and have no limit.
    pub are_exempt: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl fmt::Debug for NewConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConnections").field("a_second", &self.a_second).finish_non_exhaustive()
    }
}

/// The new connections of a port.
#[derive(Debug)]
pub(crate) struct Newcomers {
    limit: Option<(NewConnections, AddressRates)>,
    waiting: FuturesUnordered<Waiting>,
    by_address: HashMap<IpAddr, usize>,
    most: usize,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// It goes on.
    Now(Newcomer),
    /// It waits.
    Later,
    /// Too many wait: it was closed.
    Never,
}

impl Newcomers {
    /// Of a port that may have so many connections.
    pub fn new(limit: Option<NewConnections>, of_the_port: usize) -> Self {
        let most = if limit.is_some() { (of_the_port / WAITING_PARTS).min(WAITING_MOST) } else { 0 };
        let limit = limit.map(|limit| (limit.clone(), AddressRates::new(limit.a_second)));
        Self { limit, waiting: FuturesUnordered::new(), by_address: HashMap::new(), most }
    }

    /// So many wait at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Lets a new connection go on, if its address may make one more.
    pub fn admit(&mut self, newcomer: Newcomer) -> Admitted {
        let Some((limit, rates)) = &self.limit else { return Admitted::Now(newcomer) };
        let (from, address) = (newcomer.1.ip(), counted_as(newcomer.1.ip()));
        if (limit.are_exempt)(from) {
            return Admitted::Now(newcomer);
        }
        let of_address = self.by_address.get(&address).copied().unwrap_or_default();
        let has_room = self.waiting.len() < self.most && of_address < WAITING_OF_AN_ADDRESS;
        // One that is closed is not counted: an address that goes on for long is as well off a second later.
        if !has_room && !rates.charge(address, 0).is_zero() {
            return Admitted::Never;
        }
        let pause = rates.charge(address, 1);
        if pause.is_zero() {
            return Admitted::Now(newcomer);
        }
        if !has_room {
            return Admitted::Never;
        }
        *self.by_address.entry(address).or_default() += 1;
        self.waiting.push(Box::pin(async move {
            sleep(pause).await;
            newcomer
        }));
        Admitted::Later
    }

    /// The next one that has waited long enough; none if none waits.
    pub async fn next(&mut self) -> Option<Newcomer> {
        let newcomer = self.waiting.next().await?;
        let address = counted_as(newcomer.1.ip());
        if let Some(waiting) = self.by_address.get_mut(&address) {
            *waiting -= 1;
            if *waiting == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(newcomer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A connection; where it seems to come from is said apart.
    async fn newcomer(listener: &TcpListener, from: u8) -> Newcomer {
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (connected, accepted) = tokio::join!(connecting, listener.accept());
        drop(connected);
        (accepted.unwrap().0, SocketAddr::from(([192, 0, 2, from], 1)))
    }

    fn newcomers(of_the_port: usize) -> Newcomers {
        let are_exempt = Arc::new(|address: IpAddr| address == IpAddr::from([192, 0, 2, 9]));
        Newcomers::new(
            Some(NewConnections { a_second: NonZeroU32::new(1).unwrap(), are_exempt }),
            of_the_port,
        )
    }

    #[tokio::test]
    async fn an_address_that_makes_very_many_waits_and_others_do_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = newcomers(800);
        for _ in 0..10 {
            assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Now(_)));
        }
        for _ in 0..WAITING_OF_AN_ADDRESS {
            assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Later));
        }
        // As many wait as may.
        assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Never));
        for other in [2, 9] {
            assert!(matches!(all.admit(newcomer(&listener, other).await), Admitted::Now(_)), "{other}");
        }
        // The first of them waits for its own second only.
        let (_, address) = all.next().await.unwrap();
        assert_eq!(address.ip(), IpAddr::from([192, 0, 2, 1]));
        assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Later), "its place is free");
    }

    #[tokio::test]
    async fn those_that_wait_are_few_in_all_and_an_address_that_owes_nothing_never_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = newcomers(8);
        for _ in 0..10 {
            assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Now(_)));
        }
        assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Later));
        assert!(matches!(all.admit(newcomer(&listener, 1).await), Admitted::Never));
        for _ in 0..10 {
            assert!(matches!(all.admit(newcomer(&listener, 2).await), Admitted::Now(_)));
        }
        assert!(matches!(all.admit(newcomer(&listener, 2).await), Admitted::Never));
        assert_eq!(all.most(), 1);
        // Without a limit nobody waits.
        let mut free = Newcomers::new(None, 8);
        for _ in 0..100 {
            assert!(matches!(free.admit(newcomer(&listener, 1).await), Admitted::Now(_)));
        }
        assert_eq!(free.most(), 0);
    }
}
