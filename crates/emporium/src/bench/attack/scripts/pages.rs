//! Pages, as fast as they come.

use super::Attack;
use crate::bench::attack::target::{attacker, client};
use crate::bench::error::BenchError;
use reqwest::Client;
use std::time::Duration;

/// Connections for each of those that other scripts have at once.
const CONNECTIONS: usize = 4;
/// Of one connection, between one page and the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for pages over so many connections.
pub async fn flood(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let http = client(attacker(5))?;
    attack
        .all(at_once * CONNECTIONS, |attack, number| one_after_the_other(attack, http.clone(), number))
        .await;
    Ok(())
}

async fn one_after_the_other(attack: Attack, http: Client, number: usize) {
    let paths = [
        "/products?limit=500".to_owned(),
        format!("/products/{}", attack.target.common.sku),
        "/products?min-position=head".to_owned(),
        format!("/carts/{}", attack.target.cart_id),
        format!("/carts/{}/history", attack.target.cart_id),
        format!("/stock/{}", attack.target.scarce.sku),
    ];
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
