//! The versions of the read models, as the shop tells of them.

use super::error::BenchError;
use serde::Deserialize;
use serde_json::{Value, json};
use shop_client::{ShopClient, ShopError};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A version that was filled.
pub struct Version {
    pub name: String,
    pub version: i64,
    pub events: u64,
    pub took: Duration,
}

#[derive(Deserialize)]
struct Projection {
    name: String,
    versions: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    version: i64,
    state: String,
    events_applied: u64,
    lag: Lag,
}

#[derive(Deserialize)]
struct Lag {
    events: u64,
}

#[derive(Deserialize)]
struct Made {
    version: i64,
}

async fn all(client: &ShopClient) -> Result<Vec<Projection>, ShopError> {
    client.get(&["projections"]).await
}

/// The names of all projections.
pub async fn names(client: &ShopClient) -> Result<Vec<String>, BenchError> {
    Ok(all(client).await?.into_iter().map(|projection| projection.name).collect())
}

/// Events that the newest versions have applied, together.
pub async fn events_applied(client: &ShopClient) -> Result<u64, BenchError> {
    let newest =
        |projection: &Projection| projection.versions.last().map_or(0, |newest| newest.events_applied);
    Ok(all(client).await?.iter().map(newest).sum())
}

/// Events that the read model furthest behind has not applied.
pub async fn events_behind(client: &ShopClient) -> Result<u64, BenchError> {
    let all = all(client).await?;
    let behind = all.iter().flat_map(|projection| &projection.versions).map(|version| version.lag.events);
    Ok(behind.max().unwrap_or(0))
}

/// Until all versions have applied everything.
pub async fn wait_until_idle(client: &ShopClient) -> Result<(), BenchError> {
    loop {
        let all = all(client).await?;
        if all.iter().flat_map(|projection| &projection.versions).all(|version| version.lag.events == 0) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Fills a new version of one projection, which then does not serve.
pub async fn fill(client: &ShopClient, name: &str) -> Result<Version, BenchError> {
    let started = Instant::now();
    let Made { version } = client.order(&["projections", name, "rebuild"], &json!({})).await?;
    loop {
        let all = all(client).await?;
        let mine = all.iter().find(|projection| projection.name == name);
        let made = mine.and_then(|mine| mine.versions.iter().find(|shown| shown.version == version));
        if let Some(made) = made.filter(|made| made.lag.events == 0 && made.events_applied > 0) {
            return Ok(Version {
                name: name.to_owned(),
                version,
                events: made.events_applied,
                took: started.elapsed(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Until the newest version of each of them serves.
pub async fn wait_until_all_serve(client: &ShopClient, names: &[String]) -> Result<(), BenchError> {
    loop {
        let all = all(client).await?;
        let serves = |projection: &Projection| {
            projection.versions.last().is_some_and(|newest| newest.state == "serving")
        };
        if all.iter().filter(|projection| names.contains(&projection.name)).all(serves) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Lets what was filled serve; the next rebuild then takes away what served before.
pub async fn switch(client: &ShopClient, filled: &Version) -> Result<(), BenchError> {
    let body = json!({ "version": filled.version });
    let _: Value = client.order(&["projections", &filled.name, "switch"], &body).await?;
    Ok(())
}
