//! Queries that wait for a position that the log has not come to, so that nobody else can wait.

use super::Attack;
use super::http2::{Asks, ask};
use crate::attack::target::attacker;
use axum::http::{HeaderName, HeaderValue};

/// Beyond anything that the log has, and not so far that nobody would wait for it.
const POSITION: u64 = 10_000_000;
const WAITING_OF_A_CONNECTION: usize = 200;
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// One connection of those who wait.
pub async fn take(attack: Attack, _: usize) {
    let asks = Asks {
        path: format!("/products?min-position={POSITION}"),
        header: (PREFER, HeaderValue::from_static("wait=30")),
        at_once: WAITING_OF_A_CONNECTION,
    };
    ask(&attack, attacker(2), &asks).await;
}
