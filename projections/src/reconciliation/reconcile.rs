//! One look at everything.

use super::books::{Books, Moments};
use super::checks::{check_books, check_strangers};
use super::evidence;
use super::report::Suspicions;
use super::tables::check_tables;
use crate::catalogue;
use crate::compare::{CompareError, Wanted};
use crate::databases::Databases;
use crate::fact::{UnreadableFact, stored_position};
use crate::moment::moment;
use crate::projection::Home;
use crate::read_models::{Orders, Sales, Stock};
use api::reconciliation::ReconciliationReport;
use chrono::{DateTime, Utc};
use event_store::{EventStore, EventStoreError};
use futures::{TryStreamExt, pin_mut};
use sqlx::{ConnectOptions, Connection, PgConnection};
use thiserror::Error;
use tokio::sync::watch;

/// Why it could not be told whether everything adds up.
#[derive(Debug, Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
    #[error("the database does not answer")]
    Database(#[from] sqlx::Error),
    #[error("an event that should be added up cannot be read")]
    Unreadable(#[from] Box<UnreadableFact>),
}

/// Looks whether everything adds up; `doing` says what it is at. Orders to which something happened within a minute
/// before `now` are under way.
///
/// # Errors
/// When that cannot be told: something is away, a table is filled by another program's rules, or an event cannot be
/// read.
pub async fn reconcile(
    databases: &Databases,
    store: &EventStore,
    now: DateTime<Utc>,
    doing: watch::Sender<String>,
) -> Result<ReconciliationReport, ReconcileError> {
    let (mut report, mut found) = (ReconciliationReport::default(), Suspicions::default());
    for entry in catalogue::ALL {
        doing.send_replace(format!("folding `{}` again", entry.name));
        let compared =
            (entry.compare)(databases.of(entry.home).options.clone(), store.clone(), Wanted::default())
                .await?;
        report.rows += compared.rows;
        report.parked += compared.parked as u64;
        for difference in &compared.named {
            let suspicion = evidence::suspicion_of(&entry, &compared, difference);
            found.add(suspicion.check, suspicion.what, suspicion.evidence);
        }
        found.add_unnamed(compared.differences - compared.named.len() as u64);
    }
    doing.send_replace("adding up stock and money".to_owned());
    let mut connection = databases.of(Home::Shop).options.connect().await?;
    add_up(&mut connection, store, now, &mut report, &mut found).await?;
    connection.close().await?;
    doing.send_replace("reading the events of what was found".to_owned());
    report.differences = found.count;
    report.findings = evidence::read(store, found.first).await?;
    Ok(report)
}

async fn add_up(
    connection: &mut PgConnection,
    store: &EventStore,
    now: DateTime<Utc>,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) -> Result<(), ReconcileError> {
    // The lock comes before the moment, so that no switch can fall in between.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                 LOCK TABLE orders, stock, sales IN ACCESS SHARE MODE";
    let mut snapshot = connection.begin_with(begin).await?;
    let moments = Moments {
        orders: moment::<Orders>(&mut snapshot, None).await?,
        stock: moment::<Stock>(&mut snapshot, None).await?,
        sales: moment::<Sales>(&mut snapshot, None).await?,
    };
    let head = store.head().await?.and_then(stored_position);
    let books = fold(store, &moments).await?;
    report.events = books.events;
    let (orders, stock) = (moments.orders.position(), moments.stock.position());
    if orders >= stock && moments.parked() == 0 {
        check_strangers(&books, found);
    }
    // Behind the head, what has not happened yet according to the tables may have happened long ago.
    let until = if orders.min(stock) >= head { Some(now) } else { books.known_until() };
    check_books(&books, until.unwrap_or(DateTime::UNIX_EPOCH), report, found);
    check_tables(&mut snapshot, &books, report, found).await?;
    Ok(snapshot.rollback().await?)
}

async fn fold(store: &EventStore, moments: &Moments) -> Result<Books, ReconcileError> {
    let furthest = moments.furthest();
    let mut books = Books::default();
    let events = store.read_all(None, usize::MAX);
    pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        if stored_position(event.position) > furthest {
            break;
        }
        books.sees(&event, moments).map_err(Box::new)?;
    }
    Ok(books)
}
