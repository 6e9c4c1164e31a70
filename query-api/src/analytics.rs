//! The tables of analytics, in the shop's database or in one of their own. Their queries have connections of their own
//! either way: however many dashboards ask, the shop's pages wait for none of them.

use crate::application::for_reading;
use crate::checkpoints::Checkpoints;
use crate::places::Places;
use event_store::EventStore;
use http_boundary::Health;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MAX_CONNECTIONS: u32 = 8;
/// How long a question waits for a connection.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// Where analytics are read. Cheap to clone.
#[derive(Clone)]
pub struct Analytics {
    pub pool: PgPool,
    pub checkpoints: Checkpoints,
    is_apart: bool,
}

impl Analytics {
    /// In the shop's database.
    pub fn beside(database: PgConnectOptions, checkpoints: &Checkpoints) -> Self {
        Self { pool: pool(database), checkpoints: checkpoints.clone(), is_apart: false }
    }

    /// In a database of their own.
    pub fn apart(database: PgConnectOptions, store: &EventStore, health: &Health, waiting: Places) -> Self {
        let pool = pool(for_reading(database));
        let checkpoints =
            Checkpoints::new("queries: analytics", pool.clone(), store.clone(), health, waiting);
        Self { pool, checkpoints, is_apart: true }
    }

    /// Listens for the checkpoints, if nobody else does.
    pub async fn follow(&self, health: &Health, stop: &CancellationToken) {
        if self.is_apart {
            self.checkpoints.follow(health, stop).await;
        }
    }
}

fn pool(database: PgConnectOptions) -> PgPool {
    let database = database.application_name("emporium-query-api-analytics").options([
        // How many rows a question reads depends on its period and filters: a plan for all of them fits none.
        ("plan_cache_mode", "force_custom_plan"),
        // To compile a question takes longer than to answer it.
        ("jit", "off"),
    ]);
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_WITHIN)
        .connect_lazy_with(database)
}
