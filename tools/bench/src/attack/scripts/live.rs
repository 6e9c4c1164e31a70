//! Live pages whose whole past is asked for and not read.

use super::Attack;
use super::http2::{Asks, ask};
use crate::attack::target::attacker;
use axum::http::{HeaderName, HeaderValue};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const LISTENERS_OF_A_CONNECTION: usize = 100;
/// One in so many connections speaks HTTP/2, with very many listeners on it.
const ONE_IN: usize = 8;
/// Between one listener and the next of an HTTP/1 connection.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an HTTP/1 listener stays.
const STAYS: Duration = Duration::from_secs(10);

/// One connection of listeners.
pub async fn listen(attack: Attack, number: usize) {
    let path = format!("/carts/{}/live", attack.target.cart_id);
    if number.is_multiple_of(ONE_IN) {
        let header = (LAST_EVENT_ID, HeaderValue::from_static("0"));
        let asks = Asks { path, header, at_once: LISTENERS_OF_A_CONNECTION };
        return ask(&attack, attacker(1), &asks).await;
    }
    while !attack.stop.is_cancelled() {
        attack.tally.tried();
        let _ = attack.stop.run_until_cancelled(one(&attack, &path)).await;
        attack.pause(PAUSE).await;
    }
}

/// One listener of HTTP/1, who reads how the answer begins, and no more.
async fn one(attack: &Attack, path: &str) -> Option<()> {
    let Ok(mut stream) = attack.target.connect(attacker(1)).await else {
        attack.tally.refused();
        return None;
    };
    let _open = attack.tally.open();
    let request = format!("GET /v1{path} HTTP/1.1\r\nhost: shop\r\nlast-event-id: 0\r\n\r\n");
    let mut beginning = [0; "HTTP/1.1 200".len()];
    stream.write_all(request.as_bytes()).await.ok()?;
    if stream.read_exact(&mut beginning).await.is_err() {
        attack.tally.closed();
        return None;
    }
    if !beginning.ends_with(b"200") {
        attack.tally.refused();
        return None;
    }
    attack.tally.taken();
    tokio::time::sleep(STAYS).await;
    Some(())
}
