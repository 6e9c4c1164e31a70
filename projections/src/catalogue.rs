//! Projections, for those who have their names only.

pub use crate::read_models::ALL;

use crate::board::Board;
use crate::compare::{CompareError, Wanted, compare};
use crate::config::ReadModelArgs;
use crate::projection::{Home, Projection};
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
    /// The event types that it wants.
    pub wants: &'static [&'static str],
    /// The column of every table that says of which stream a row is.
    pub stream_column: Option<&'static str>,
    /// In which database they are.
    pub home: Home,
    /// Keeps workers at all its versions until told to stop.
    pub run: Run,
    /// Compares one of its versions with what the log says.
    pub compare: Compare,
}

/// What is known of a projection by its type.
pub(crate) const fn entry<P: Projection>() -> Entry {
    Entry {
        name: P::NAME,
        rules: P::VERSION,
        tables: P::TABLES,
        home: P::HOME,
        wants: P::WANTS,
        stream_column: P::STREAM_COLUMN,
        run: |store, database, board, read_models, stop| {
            Supervisor::new(P::default(), store, database, board, read_models).run(stop).boxed()
        },
        compare: |database, store, wanted| compare(P::default(), database, store, wanted).boxed(),
    }
}

impl Entry {
    /// The category of the streams that its rows are about: that of the events that it wants, if they are all of one.
    #[must_use]
    pub fn category(&self) -> Option<&'static str> {
        let mut categories = self.wants.iter().filter_map(|wanted| wanted.split('.').next());
        let first = categories.next()?;
        categories.all(|category| category == first).then_some(first)
    }
}

/// The projection of this name.
#[must_use]
pub fn find(name: &str) -> Option<Entry> {
    ALL.into_iter().find(|entry| entry.name == name)
}
