//! Pages, as fast as they come: over connections that are kept, or with a new one for each.

use super::Attack;
use crate::attack::target::{attacker, client, client_without_keep_alive};
use crate::error::BenchError;
use reqwest::Client;
use std::time::Duration;

/// Connections for each of those that other scripts have at once.
const CONNECTIONS: usize = 4;
/// Addresses that ask for pages together.
const ADDRESSES: usize = 10;
/// A time at which there was nothing: all of a history is looked through for it.
const BEFORE_EVERYTHING: &str = "2000-01-01T00:00:00Z";
/// Of one connection, between one page and the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for pages over so many connections.
pub async fn flood(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let paths = [
        "/products?limit=500".to_owned(),
        format!("/products/{}", attack.target.common.sku),
        "/products?min-position=head".to_owned(),
        format!("/carts/{}", attack.target.cart_id),
        format!("/carts/{}/history", attack.target.cart_id),
        format!("/stock/{}", attack.target.scarce.sku),
    ];
    ask(attack, client(attacker(5))?, &paths, at_once * CONNECTIONS).await
}

/// Asks for what costs the service most: the whole past of a cart, and what changed in it.
pub async fn histories(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let cart = format!("/carts/{}", attack.target.cart_id);
    let paths = [
        cart.clone(),
        format!("{cart}/history?limit=500"),
        format!("{cart}?as_of=revision:3000"),
        format!("{cart}/diff?from=revision:1&to=revision:3000"),
        format!("{cart}/diff?from={BEFORE_EVERYTHING}&to={BEFORE_EVERYTHING}"),
    ];
    ask(attack, client_without_keep_alive(attacker(7))?, &paths, at_once * CONNECTIONS).await
}

/// Asks for large pages from ten addresses, each over few connections and within what it may ask for.
pub async fn many_addresses(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let paths = vec!["/products?limit=500".to_owned()];
    let clients: Vec<Client> =
        (100..100 + ADDRESSES).map(|number| client(attacker(number))).collect::<Result<_, _>>()?;
    let at_once = at_once * CONNECTIONS;
    let client = |number: usize| clients[number % clients.len()].clone();
    attack
        .all(at_once, |attack, number| one_after_the_other(attack, client(number), paths.clone(), number))
        .await;
    Ok(())
}

/// Small pages with a new connection for each, far more than an address may have: nearly all are refused.
pub async fn new_connections(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let paths = [format!("/products/{}", attack.target.common.sku)];
    ask(attack, client_without_keep_alive(attacker(8))?, &paths, at_once * 2 * CONNECTIONS).await
}

async fn ask(attack: &Attack, http: Client, paths: &[String], at_once: usize) -> Result<(), BenchError> {
    attack
        .all(at_once, |attack, number| one_after_the_other(attack, http.clone(), paths.to_vec(), number))
        .await;
    Ok(())
}

async fn one_after_the_other(attack: Attack, http: Client, paths: Vec<String>, number: usize) {
    let mut paths = paths.iter().cycle().skip(number);
    while let (false, Some(path)) = (attack.stop.is_cancelled(), paths.next()) {
        attack.tally.tried();
        let asking = async {
            let answer = http.get(attack.target.url(path)).send().await.ok()?;
            let status = answer.status().as_u16();
            answer.bytes().await.ok()?;
            Some(status)
        };
        match attack.stop.run_until_cancelled(asking).await {
            Some(Some(status)) => attack.tally.answered(status),
            Some(None) => attack.tally.closed(),
            None => {}
        }
        attack.pause(PAUSE).await;
    }
}
