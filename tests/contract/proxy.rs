//! A network between a client and a server that can fail.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Passes connections on to a server.
pub struct Proxy {
    pub address: SocketAddr,
    wires: Arc<Wires>,
    _end_on_drop: DropGuard,
}

struct Wires {
    server: SocketAddr,
    /// Answers are lost on their way.
    lose_answers: AtomicBool,
    /// Requests are lost on their way.
    lose_requests: AtomicBool,
    /// Cancelled when the connections that are open are cut.
    cut: Mutex<CancellationToken>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wires = Arc::new(Wires {
            server,
            lose_answers: AtomicBool::default(),
            lose_requests: AtomicBool::default(),
            cut: Mutex::default(),
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(listener, Arc::clone(&wires))));
        Proxy { address, wires, _end_on_drop: end.drop_guard() }
    }

    /// Closes every connection at once, whatever is under way on it. New ones are taken.
    pub fn cut(&self) {
        let mut cut = self.wires.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
    }

    /// From now on answers are lost, or no longer.
    pub fn lose_answers(&self, lost: bool) {
        self.wires.lose_answers.store(lost, Ordering::SeqCst);
    }

    /// From now on everything is lost, and neither side hears that the other is gone.
    pub fn go_silent(&self) {
        self.lose_answers(true);
        self.wires.lose_requests.store(true, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, wires: Arc<Wires>) {
    while let Ok((client, _)) = listener.accept().await {
        let cut = wires.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wires = Arc::clone(&wires);
        tokio::spawn(async move {
            // Either side's end is the end of the connection, with or without an error.
            let _ = cut.run_until_cancelled(connect(client, &wires)).await;
        });
    }
}

async fn connect(client: TcpStream, wires: &Wires) -> io::Result<()> {
    let server = TcpStream::connect(wires.server).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pass(from_client, to_server, &wires.lose_requests) => ended,
        ended = pass(from_server, to_client, &wires.lose_answers) => ended,
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lost: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 && lost.load(Ordering::SeqCst) {
            // That one side has closed is lost as well.
            return std::future::pending().await;
        }
        if read == 0 {
            return Ok(());
        }
        if !lost.load(Ordering::SeqCst) {
            to.write_all(&buffer[..read]).await?;
        }
    }
}
