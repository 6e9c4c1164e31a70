//! All projections there are, by name.

use crate::board::Board;
use crate::compare::{CompareError, Wanted, compare};
use crate::config::ReadModelArgs;
use crate::projection::{Home, Projection};
use crate::read_models::{
    AnalyticsCarts, AnalyticsOrders, AnalyticsSales, AnalyticsStock, Carts, Orders, Products, Sales, Stock,
    Trail,
};
use crate::supervisor::Supervisor;
use api::projections::Comparison;
use event_store::EventStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

type Run =
    fn(EventStore, PgConnectOptions, Board, ReadModelArgs, CancellationToken) -> BoxFuture<'static, ()>;
type Compare =
    fn(PgConnectOptions, EventStore, Wanted) -> BoxFuture<'static, Result<Comparison, CompareError>>;

/// A projection, for those who have its name only.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The version of its rules in this program.
    pub rules: i32,
    /// Its tables.
    pub tables: &'static [&'static str],
    /// In which database they are.
    pub home: Home,
    /// Keeps workers at all its versions until told to stop.
    pub run: Run,
    /// Compares one of its versions with what the log says.
    pub compare: Compare,
}

/// All of them.
pub const ALL: [Entry; 10] = [
    entry::<Products>(),
    entry::<Carts>(),
    entry::<Orders>(),
    entry::<Stock>(),
    entry::<Sales>(),
    entry::<Trail>(),
    entry::<AnalyticsSales>(),
    entry::<AnalyticsOrders>(),
    entry::<AnalyticsCarts>(),
    entry::<AnalyticsStock>(),
];

const fn entry<P: Projection>() -> Entry {
    Entry {
        name: P::NAME,
        rules: P::VERSION,
        tables: P::TABLES,
        home: P::HOME,
        run: |store, database, board, read_models, stop| {
            Supervisor::new(P::default(), store, database, board, read_models).run(stop).boxed()
        },
        compare: |database, store, wanted| compare(P::default(), database, store, wanted).boxed(),
    }
}

/// The projection of this name.
#[must_use]
pub fn find(name: &str) -> Option<Entry> {
    ALL.into_iter().find(|entry| entry.name == name)
}
