//! Carts and lines of nobody, which fill the disk; and bodies with far too many lines, which are refused.

use super::Attack;
use crate::attack::target::{attacker, client};
use crate::error::BenchError;
use crate::shop::CURRENCY;
use reqwest::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Lines of one request.
const LINES: usize = 100;
/// Requests for lines of one cart.
const TIMES: usize = 10;
/// Lines of a body that is refused: nearly as many bytes as it may have.
const FAR_TOO_MANY: usize = 4_500;
/// After a refusal.
const PAUSE: Duration = Duration::from_millis(100);

/// Fills carts, so many at once.
pub async fn fill(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let http = client(attacker(3))?;
    attack.all(at_once, |attack, _| one_after_the_other(attack, http.clone())).await;
    Ok(())
}

async fn one_after_the_other(attack: Attack, http: Client) {
    let stop = attack.stop.clone();
    let filling = async {
        loop {
            if one(&attack, &http).await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    let _ = stop.run_until_cancelled(filling).await;
}

async fn one(attack: &Attack, http: &Client) -> Option<()> {
    let opened = post(attack, http, "/carts", &json!({ "currency": CURRENCY })).await?;
    let path = format!("/carts/{}/lines", opened["cart_id"].as_str()?);
    for _ in 0..TIMES {
        let line = || json!({ "line_id": Uuid::new_v4(), "sku": attack.target.common.sku, "quantity": 1 });
        let lines: Vec<Value> = (0..LINES).map(|_| line()).collect();
        post(attack, http, &path, &json!({ "lines": lines })).await?;
    }
    Some(())
}

/// Sends far too many lines at once, so many requests at once.
pub async fn many_lines(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let http = client(attacker(9))?;
    let lines = vec![json!({ "sku": "A", "quantity": 1 }); FAR_TOO_MANY];
    let body = Arc::new(json!({ "lines": lines }));
    let path = format!("/carts/{}/lines", Uuid::new_v4());
    attack
        .all(at_once, |attack, _| {
            let (http, path, body) = (http.clone(), path.clone(), Arc::clone(&body));
            async move {
                let stop = attack.stop.clone();
                let sending = async {
                    loop {
                        post(&attack, &http, &path, &body).await;
                        tokio::time::sleep(PAUSE).await;
                    }
                };
                stop.run_until_cancelled(sending).await;
            }
        })
        .await;
    Ok(())
}

/// The body of a success.
pub(super) async fn post(attack: &Attack, http: &Client, path: &str, body: &Value) -> Option<Value> {
    attack.tally.tried();
    let Ok(answer) = attack.target.post(http, path, body).send().await else {
        attack.tally.closed();
        return None;
    };
    attack.tally.answered(answer.status().as_u16());
    let is_success = answer.status().is_success();
    let body = answer.bytes().await.ok().filter(|_| is_success)?;
    serde_json::from_slice(&body).ok()
}
