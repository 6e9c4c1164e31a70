//! The addresses, one file for each read model.

mod analytics;
mod audit;
mod carts;
mod events;
mod history;
mod live;
mod orders;
mod prices;
mod products;
mod sales;
mod stock;

use crate::analytics::Analytics;
use crate::checkpoints::Checkpoints;
use crate::database::Database;
use crate::history::Readers;
use crate::live::{Events, Log, States};
use axum::extract::FromRef;
use event_store::EventStore;
use http_boundary::OperatorToken;
use http_routes::Routes;
use std::time::Duration;

/// What every handler can use.
#[derive(Clone)]
pub struct Shared {
    pub checkpoints: Checkpoints,
    pub database: Database,
    pub analytics: Analytics,
    pub store: EventStore,
    /// The log as it grows.
    pub log: Log,
    /// Those who read histories.
    pub readers: Readers,
    pub live_events: Events,
    pub live_states: States,
    pub live_heartbeat: Duration,
    pub operator_token: OperatorToken,
}

impl FromRef<Shared> for OperatorToken {
    fn from_ref(shared: &Shared) -> Self {
        shared.operator_token.clone()
    }
}

/// All queries: the table that everything else about them follows from.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .merge(products::routes())
        .merge(stock::routes())
        .merge(carts::routes())
        .merge(orders::routes())
        .merge(live::routes())
        .merge(sales::routes())
        .merge(analytics::routes())
        .merge(events::routes())
        .merge(history::routes())
        .merge(prices::routes())
        .merge(audit::routes())
}

/// All queries of a request see the database at one moment. The lock comes before that moment: no other version of
/// the tables can begin to serve between what the database shows and the tables in which it is looked for.
const SNAPSHOT_OF_ORDERS: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE orders IN ACCESS SHARE MODE";
/// The same for carts.
const SNAPSHOT_OF_CARTS: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE carts IN ACCESS SHARE MODE";
