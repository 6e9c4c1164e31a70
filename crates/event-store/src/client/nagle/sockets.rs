//! The process's own sockets.

use std::io;
use std::net::SocketAddr;

/// What was found among the sockets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Connections to wanted peers.
    pub connections: usize,
    /// Those of them that had Nagle's algorithm on until now.
    pub newly_set: usize,
}

/// Sets TCP_NODELAY on every connection of this process to a wanted peer.
#[cfg(target_os = "linux")]
pub fn set_nodelay(is_wanted: impl Fn(SocketAddr) -> bool) -> io::Result<Found> {
    use rustix::net::sockopt::{set_tcp_nodelay, tcp_nodelay};

    let mut found = Found::default();
    each_connection(|peer, socket| {
        if is_wanted(peer)
            && let Ok(is_set) = tcp_nodelay(socket)
        {
            found.connections += 1;
            if !is_set {
                set_tcp_nodelay(socket, true)?;
                found.newly_set += 1;
            }
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(not(target_os = "linux"))]
pub fn set_nodelay(_: impl Fn(SocketAddr) -> bool) -> io::Result<Found> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux lists a process's sockets in /proc/self/fd"))
}

/// Shows every socket that has an internet address as its peer.
#[cfg(target_os = "linux")]
pub fn each_connection(
    mut show: impl FnMut(SocketAddr, std::os::fd::BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<()> {
    use rustix::net::getpeername;
    use std::os::fd::{BorrowedFd, RawFd};

    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else {
            continue;
        };
        // SAFETY: the number is no -1. Its owner may close it meanwhile and the kernel give it to somebody else: then a
        // call here fails, or reads the peer or sets TCP_NODELAY of another socket, and changes nothing else.
        #[expect(unsafe_code, reason = "the official client hands out no socket, only the kernel lists it")]
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        // Files and listening sockets have no peer.
        if let Ok(Some(peer)) = getpeername(socket)
            && let Ok(peer) = SocketAddr::try_from(peer)
        {
            show(peer, socket)?;
        }
    }
    Ok(())
}
