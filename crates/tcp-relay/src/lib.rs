//! A plain TCP relay between a client and a server, for tests and benchmarks.
//!
//! It leaves acknowledging to the kernel, which waits up to 40 ms for data to send the acknowledgement with. The embedded
//! event store asks the kernel to acknowledge at once, and a real server does not: with the relay between, a client that
//! leaves Nagle's algorithm on is as slow as it is at a real server.
//!
//! It is also a network that can fail: it cuts connections, refuses new ones, and holds or loses what passes.
//!
//! It runs in a thread of its own, so that it is as quick as it can be and outlives the runtime that started it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const BUFFER_BYTES: usize = 64 * 1024;

/// What becomes of the bytes that come in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// They are passed on.
    #[default]
    Through,
    /// They wait until they are let through. Nothing is lost unless the connection is cut first.
    Held,
    /// They vanish, and the other side does not hear of a connection's end either.
    Lost,
}

/// Passes connections on to a server until it is dropped; then all of them are cut.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    wires: Arc<Wires>,
    _end_on_drop: DropGuard,
}

#[derive(Debug)]
struct Wires {
    server: Mutex<SocketAddr>,
    requests: watch::Sender<Flow>,
    answers: watch::Sender<Flow>,
    is_down: AtomicBool,
    /// Cancelled when the open connections are cut.
    cut: Mutex<CancellationToken>,
}

impl Relay {
    /// A relay to this server, on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be had, or no thread.
    pub fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let wires = Arc::new(Wires {
            server: Mutex::new(server),
            requests: watch::Sender::default(),
            answers: watch::Sender::default(),
            is_down: AtomicBool::default(),
            cut: Mutex::default(),
        });
        let end = CancellationToken::new();
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let (passing, ended) = (Arc::clone(&wires), end.clone());
        thread::Builder::new().name("tcp-relay".to_owned()).spawn(move || {
            runtime.block_on(ended.run_until_cancelled(accept(listener, passing)));
        })?;
        Ok(Self { address, wires, _end_on_drop: end.drop_guard() })
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections go to this server.
    pub fn lead_to(&self, server: SocketAddr) {
        *lock(&self.wires.server) = server;
    }

    /// Closes every connection, whatever is under way on it. New ones are taken.
    pub fn cut(&self) {
        std::mem::take(&mut *lock(&self.wires.cut)).cancel();
    }

    /// Cuts every connection, and closes new ones at once, as a server that is down; or takes them again.
    pub fn set_down(&self, is_down: bool) {
        self.wires.is_down.store(is_down, Ordering::SeqCst);
        if is_down {
            self.cut();
        }
    }

    /// What becomes of the clients' bytes from now on.
    pub fn set_requests(&self, flow: Flow) {
        self.wires.requests.send_replace(flow);
    }

    /// What becomes of the server's bytes from now on.
    pub fn set_answers(&self, flow: Flow) {
        self.wires.answers.send_replace(flow);
    }

    /// What becomes of everybody's bytes from now on.
    pub fn set_both(&self, flow: Flow) {
        self.set_answers(flow);
        self.set_requests(flow);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, wires: Arc<Wires>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((client, _)) = listener.accept().await {
        // Taken before it is asked whether the relay is down: a connection that comes in between is cut.
        let cut = lock(&wires.cut).clone();
        if wires.is_down.load(Ordering::SeqCst) {
            continue;
        }
        let wires = Arc::clone(&wires);
        tokio::spawn(async move {
            // Either side's end is the end of the connection, with or without an error.
            let _ = cut.run_until_cancelled(connect(client, &wires)).await;
        });
    }
}

async fn connect(client: TcpStream, wires: &Wires) -> io::Result<()> {
    let server = *lock(&wires.server);
    let server = TcpStream::connect(server).await?;
    // The relay itself holds nothing back. When it acknowledges is the kernel's affair: TCP_QUICKACK is left alone.
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pass(from_client, to_server, wires.requests.subscribe()) => ended,
        ended = pass(from_server, to_client, wires.answers.subscribe()) => ended,
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        // The sender lives as long as the relay, which cuts its connections when it ends.
        let flow = flow.wait_for(|flow| *flow != Flow::Held).await.map_or(Flow::Lost, |flow| *flow);
        match (flow, read) {
            (Flow::Lost, 0) => return std::future::pending().await,
            (Flow::Lost, _) => {}
            (_, 0) => return Ok(()),
            (_, read) => to.write_all(&buffer[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server that answers each byte with the next one, in capital letters.
    fn shouting() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
                        if stream.write_all(&[byte[0].to_ascii_uppercase()]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn connection(relay: &Relay) -> TcpStream {
        let stream = TcpStream::connect(relay.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn answer(mut stream: &TcpStream) -> u8 {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// Its peer has closed it, with or without a reset.
    fn is_closed(mut stream: &TcpStream) -> bool {
        match stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    #[test]
    fn bytes_go_through_both_ways_and_a_held_one_arrives_when_it_is_let_through() {
        let relay = Relay::to(shouting()).unwrap();
        let mut stream = connection(&relay);
        stream.write_all(b"a").unwrap();
        assert_eq!(answer(&stream), b'A');
        relay.set_answers(Flow::Held);
        stream.write_all(b"b").unwrap();
        relay.set_answers(Flow::Through);
        assert_eq!(answer(&stream), b'B');
    }

    #[test]
    fn what_is_lost_does_not_arrive_later() {
        let relay = Relay::to(shouting()).unwrap();
        let mut stream = connection(&relay);
        relay.set_requests(Flow::Lost);
        stream.write_all(b"a").unwrap();
        // The relay has read it when it reads the end, and neither is passed on.
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read(&mut [0]).is_err(), "neither an answer nor an end");
        let mut other = connection(&relay);
        relay.set_requests(Flow::Through);
        other.write_all(b"b").unwrap();
        assert_eq!(answer(&other), b'B');
    }

    #[test]
    fn a_cut_ends_the_connections_that_are_open_and_a_relay_that_is_down_takes_none() {
        let relay = Relay::to(shouting()).unwrap();
        let mut stream = connection(&relay);
        stream.write_all(b"a").unwrap();
        assert_eq!(answer(&stream), b'A');
        relay.cut();
        assert!(is_closed(&stream));
        relay.set_down(true);
        assert!(is_closed(&connection(&relay)));
        relay.set_down(false);
        let mut stream = connection(&relay);
        stream.write_all(b"c").unwrap();
        assert_eq!(answer(&stream), b'C');
    }

    #[test]
    fn new_connections_go_where_it_leads_now() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let relay = Relay::to(nobody).unwrap();
        assert!(is_closed(&connection(&relay)));
        relay.lead_to(shouting());
        let mut stream = connection(&relay);
        stream.write_all(b"a").unwrap();
        assert_eq!(answer(&stream), b'A');
    }
}
