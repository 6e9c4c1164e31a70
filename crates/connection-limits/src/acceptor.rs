//! Takes a port's connections.

use crate::connection::Connection;
use crate::descriptors::{self, Descriptors, is_shortage};
use crate::newcomers::{Admitted, NewConnections, Newcomer, Newcomers};
use crate::ports::Port;
use crate::throttle::PerSecond;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tracing::warn;

/// How long a new connection waits for the place of one that was told to close.
const PLACE_WITHIN: Duration = Duration::from_millis(250);
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);
/// How often connections are looked at, at most and at least.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
const LOOK_AT_MOST: Duration = Duration::from_millis(10);
/// The shortest limit is overstepped by a quarter at most.
const LOOKS_WITHIN_A_LIMIT: u32 = 4;

/// A port's part of the connections that the process may have. Together the parts are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    name: &'static str,
    /// In 64ths.
    parts: u64,
}

impl Share {
    /// The port on which shoppers ask: three quarters.
    pub const PUBLIC: Self = Self { name: "http", parts: 48 };
    /// The port of the event store: an eighth.
    pub const EVENT_STORE: Self = Self { name: "event-store", parts: 8 };
    /// The port of the sandbox gateway.
    pub const SANDBOX: Self = Self { name: "sandbox-gateway", parts: 4 };
    /// The port for those who run the shop.
    pub const OPERATIONS: Self = Self { name: "operations", parts: 4 };

    fn of(self, all: u64) -> usize {
        usize::try_from((all * self.parts / 64).max(1)).unwrap_or(usize::MAX)
    }
}

/// What a port puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that may be open at once, if the process may have as many.
    pub most: usize,
    /// Of these, from one address; without it, half. This machine itself has no such limit: behind a proxy on it, all
    /// the world has one address.
    pub most_by_peer: Option<usize>,
    /// How long the head of a request may take, and the first request of a connection.
    pub head: Duration,
    /// How long a connection may be without a request after its last one.
    pub idle: Duration,
    /// How long the other end may leave what it asked for without reading any of it.
    pub unread: Duration,
}

/// Takes a port's connections one by one, and gives up those that overstep the limits.
#[derive(Debug)]
pub struct Acceptor {
    port: Arc<Port>,
    newcomers: Newcomers,
    limits: Limits,
    looks: Interval,
    lines: PerSecond,
    eviction_lines: PerSecond,
    /// The evictions that the log has named: quiet and busy ones.
    said: (u64, u64),
}

impl Acceptor {
    /// For a port with this share, on which an address may make so many new connections, or any number. Must be called inside a
    /// tokio runtime.
    #[must_use]
    pub fn new(share: Share, limits: Limits, new: Option<NewConnections>) -> Self {
        let most = limits.most.clamp(1, share.of(Descriptors::of_this_process().for_connections()));
        let newcomers = Newcomers::new(new, most);
        let most = most - newcomers.most();
        let most_by_peer = limits.most_by_peer.unwrap_or(most / 2).clamp(1, most);
        let shortest = limits.head.min(limits.idle).min(limits.unread);
        let mut looks = interval((shortest / LOOKS_WITHIN_A_LIMIT).clamp(LOOK_AT_MOST, LOOK_AT_LEAST));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            port: Port::open(share.name, most, most_by_peer),
            newcomers,
            limits,
            looks,
            lines: PerSecond::once(),
            eviction_lines: PerSecond::once(),
            said: (0, 0),
        }
    }

    /// As many connections may be open at once.
    #[must_use]
    pub fn most(&self) -> usize {
        self.port.most()
    }

    /// Tells how many connections are open, even when this is gone.
    pub fn open_connections(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let port = Arc::clone(&self.port);
        move || port.figures().open
    }

    /// Waits for the next connection that is taken. Errors are waited out. Looks after the other connections meanwhile,
    /// so it has to be called again and again.
    pub async fn accept(&mut self, listener: &TcpListener) -> (TcpStream, SocketAddr, Connection) {
        loop {
            let newcomer = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(newcomer) => self.admit(newcomer),
                    Err(error) => {
                        self.wait_out(&error).await;
                        None
                    }
                },
                Some(newcomer) = self.newcomers.next() => Some(newcomer),
                _ = self.looks.tick() => {
                    self.port.sweep(&self.limits);
                    self.say_evictions();
                    None
                }
            };
            let Some((stream, address)) = newcomer else { continue };
            match self.place(address).await {
                Some(connection) => {
                    give_up_when_gone(&stream, self.limits.unread);
                    return (stream, address, connection);
                }
                None => self.refuse(),
            }
        }
    }

    /// Lets a new connection go on now, or later, or closes it.
    fn admit(&mut self, newcomer: Newcomer) -> Option<Newcomer> {
        let address = newcomer.1.ip();
        match self.newcomers.admit(newcomer) {
            Admitted::Now(newcomer) => return Some(newcomer),
            Admitted::Later => self.port.count_slowed(),
            Admitted::Never => self.port.count_refused(),
        }
        if let Some(times) = self.lines.line() {
            warn!(port = self.port.name(), %address, times, "new connections wait or are closed: their address makes very many");
        }
        None
    }

    /// A place for a connection, which may have to be made first.
    async fn place(&self, address: SocketAddr) -> Option<Connection> {
        if let Some(connection) = self.port.place(address.ip()) {
            return Some(connection);
        }
        if !self.port.make_place(address.ip()) {
            return None;
        }
        let freed = async {
            loop {
                self.port.freed.notified().await;
                if let Some(connection) = self.port.place(address.ip()) {
                    return connection;
                }
            }
        };
        timeout(PLACE_WITHIN, freed).await.ok()
    }

    fn refuse(&self) {
        self.port.count_refused();
        if let Some(times) = self.lines.line() {
            warn!(
                port = self.port.name(),
                most = self.port.most(),
                times,
                "a connection was refused: all places are taken by requests that are under way"
            );
        }
    }

    /// Says how many connections made place for others since the last time, and why these. Each is in one line, if not
    /// at once.
    fn say_evictions(&mut self) {
        let (quiet, busy) = self.unsaid_evictions();
        if (quiet, busy) == (0, 0) || !self.eviction_lines.is_due() {
            return;
        }
        self.said = (self.said.0 + quiet, self.said.1 + busy);
        warn!(
            port = self.port.name(),
            most = self.port.most(),
            quiet,
            busy,
            "connections were closed to make place for new ones"
        );
    }

    fn unsaid_evictions(&self) -> (u64, u64) {
        let figures = self.port.figures();
        (figures.evicted - figures.evicted_busy - self.said.0, figures.evicted_busy - self.said.1)
    }

    async fn wait_out(&self, error: &io::Error) {
        if is_shortage(error) {
            descriptors::note_shortage();
            if let Some(times) = self.lines.line() {
                warn!(
                    port = self.port.name(),
                    times,
                    %error,
                    "a connection cannot be accepted: raise the limit for open files (ulimit -n)"
                );
            }
            self.port.sweep(&self.limits);
            sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
        } else if error.kind() != io::ErrorKind::ConnectionAborted {
            if let Some(times) = self.lines.line() {
                warn!(port = self.port.name(), times, %error, "a connection could not be accepted");
            }
            sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
        }
    }
}

/// What is sent and not acknowledged for so long ends the connection: its other end is gone without a word.
#[cfg(target_os = "linux")]
fn give_up_when_gone(stream: &TcpStream, after: Duration) {
    let milliseconds = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(%error, "a connection whose other end is gone will be noticed late");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_up_when_gone(_: &TcpStream, _: Duration) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[tokio::test]
    async fn each_connection_that_made_place_is_said_once() {
        let forever = Duration::from_secs(600);
        let limits = Limits { most: 1, most_by_peer: None, head: forever, idle: forever, unread: forever };
        let mut acceptor = Acceptor::new(Share::PUBLIC, limits, None);
        let address = |last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
        for round in 1..=2 {
            let _quiet = acceptor.port.place(address(1)).unwrap();
            assert!(acceptor.port.make_place(address(2)));
            assert_eq!(acceptor.unsaid_evictions(), (1, 0), "{round}");
            acceptor.eviction_lines = PerSecond::once();
            acceptor.say_evictions();
            assert_eq!(acceptor.unsaid_evictions(), (0, 0), "{round}");
        }
        let _quiet = acceptor.port.place(address(1)).unwrap();
        assert!(acceptor.port.make_place(address(2)));
        acceptor.eviction_lines = PerSecond::times(0);
        acceptor.say_evictions();
        assert_eq!(acceptor.unsaid_evictions(), (1, 0), "it is kept for the next line");
    }
}
