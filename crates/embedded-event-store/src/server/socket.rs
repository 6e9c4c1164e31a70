//! An accepted connection, set up for quick answers.
//!
//! Clients that leave Nagle's algorithm on send an append as two small packets, and hold the second back until the first
//! is acknowledged. Linux delays that acknowledgement by 40 ms unless it is told not to, after every read anew.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use connection_limits::Guarded;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::strangers::Peer;

/// A connection that can be cut from our side: because the store stops, or because its place is needed.
pub struct Socket {
    stream: Guarded<TcpStream>,
    peer: Peer,
    /// Until it may be read.
    pause: Option<Pin<Box<Sleep>>>,
    cuts: [Pin<Box<WaitForCancellationFutureOwned>>; 2],
}

impl Socket {
    /// Sets the connection up. It ends when `cut` is cancelled, or when it loses its place.
    pub fn new(stream: TcpStream, peer: Peer, cut: &CancellationToken) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "TCP_NODELAY could not be set; answers may be late");
        }
        let cuts = [cut.clone(), peer.place().cut_token()].map(|token| Box::pin(token.cancelled_owned()));
        let stream = Guarded::new(stream, peer.place().clone());
        let socket = Socket { stream, peer, pause: None, cuts };
        socket.acknowledge_at_once();
        socket
    }

    #[cfg(target_os = "linux")]
    fn acknowledge_at_once(&self) {
        // A connection that is just closing refuses; the next read says so.
        let _ = rustix::net::sockopt::set_tcp_quickack(self.stream.stream(), true);
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge_at_once(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cuts.iter_mut().any(|cut| cut.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the event store closes the connection",
            )));
        }
        let socket = &mut *self;
        ready!(socket.peer.poll_turn(&mut socket.pause, context));
        let before = buf.filled().len();
        let read = Pin::new(&mut socket.stream).poll_read(context, buf);
        socket.peer.has_read(buf.filled().len() - before);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.acknowledge_at_once();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Socket {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.peer.clone()
    }
}

/// A connection on which requests come.
pub enum Connection {
    /// As it is.
    Plain(Socket),
    /// Encrypted.
    Encrypted(Box<TlsStream<Socket>>),
}

macro_rules! on_either {
    ($connection:expr, $stream:ident => $call:expr) => {
        match $connection.get_mut() {
            Connection::Plain($stream) => $call,
            Connection::Encrypted($stream) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_read(context, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write(context, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write_vectored(context, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Connection::Plain(stream) => stream.is_write_vectored(),
            Connection::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Self::ConnectInfo {
        match self {
            Connection::Plain(stream) => stream.connect_info(),
            Connection::Encrypted(stream) => stream.get_ref().0.connect_info(),
        }
    }
}
