//! What the machine itself can do: fsyncs of its disk, and round trips over its loopback.

use super::timing::{Laps, Measured, all_at_once, per_second};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What an acknowledgement has, about.
const ANSWER_BYTES: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;

/// Appends so many bytes to a plain file, with an fdatasync each time.
pub fn fsyncs(folder: &Path, bytes: usize, span: Duration) -> io::Result<Measured> {
    let path = folder.join("fsync-floor");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let chunk = vec![b'x'; bytes];
    let mut laps = Laps::start(span);
    let started = Instant::now();
    while let Some(begun) = laps.next() {
        file.write_all(&chunk)?;
        file.sync_data()?;
        laps.done(begun);
    }
    let measured = Measured::new(laps.finish(), started.elapsed());
    std::fs::remove_file(&path)?;
    Ok(measured)
}

/// So many connections at once, each asking with so many bytes and waiting for a short answer, on this runtime.
pub async fn round_trips(connections: usize, bytes: usize, span: Duration) -> io::Result<Measured> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answering = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, bytes));
        }
    });
    let measured = all_at_once((0..connections).map(|_| async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (question, mut answer) = (vec![b'x'; bytes], [0; ANSWER_BYTES]);
        let mut laps = Laps::start(span);
        while let Some(begun) = laps.next() {
            stream.write_all(&question).await?;
            stream.read_exact(&mut answer).await?;
            laps.done(begun);
        }
        Ok(laps.finish())
    }))
    .await;
    answering.abort();
    measured
}

async fn answer(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut question = vec![0; bytes];
    loop {
        stream.read_exact(&mut question).await?;
        stream.write_all(&[b'y'; ANSWER_BYTES]).await?;
    }
}

/// Bytes in a second from one task to another over the loopback.
pub async fn throughput(span: Duration) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let sending = tokio::spawn(async move {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let chunk = vec![b'x'; CHUNK_BYTES];
        while stream.write_all(&chunk).await.is_ok() {}
    });
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    let started = Instant::now();
    while started.elapsed() < span {
        bytes += stream.read(&mut buffer).await? as u64;
    }
    let rate = per_second(bytes, started.elapsed());
    sending.abort();
    Ok(rate)
}
