//! The hot row: a Postgres's, and ours, each with nothing around it.

use super::FlashSaleArgs;
use crate::error::BenchError;
use crate::hot_row;
use crate::report::short;
use crate::timing::{Laps, Measured, all_at_once, per_second};
use private_postgres::{Config, PrivatePostgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

const UPDATE: &str = "UPDATE stock SET quantity = quantity - 1 WHERE sku = $1 AND quantity >= 1";
const HOT: &str = "HOT-1";
/// More than can be sold while it is measured.
const PLENTY: i32 = 1_000_000_000;
/// Sessions beside those of the clients.
const SPARE_SESSIONS: u16 = 10;

/// Measures both hot rows and prints how they compare.
pub async fn compare(
    args: &FlashSaleArgs,
    folder: &Path,
    shoppers: u64,
    elapsed: Duration,
) -> Result<(), BenchError> {
    let span = Duration::from_secs(args.seconds);
    let (theirs, settings) = postgres(folder, args.connections, span).await?;
    let ours = hot_row::reservations(&folder.join("hot-row"), args.connections, span).await?;
    println!("\nthe hot row, {} clients     a second      p50      p99", args.connections);
    print("Postgres, UPDATE", &theirs);
    print("ours, reservations", &ours);
    println!("{:<26} {:>9.1} times the reference", "  that is", ratio(ours.rate, theirs.rate));
    let buyers = per_second(shoppers, elapsed);
    println!(
        "{:<26} {buyers:>9.0} {:.1} times the reference",
        "buyers over HTTP, whole sale",
        ratio(buyers, theirs.rate)
    );
    println!("Postgres had {settings}; both waited for the disk.");
    Ok(())
}

fn print(name: &str, measured: &Measured) {
    println!("{name:<26} {:>9.0} {:>8} {:>8}", measured.rate, short(measured.p50), short(measured.p99));
}

fn ratio(ours: f64, theirs: f64) -> f64 {
    ours / theirs.max(f64::EPSILON)
}

async fn postgres(folder: &Path, clients: usize, span: Duration) -> Result<(Measured, String), BenchError> {
    let mut config = Config::durable(folder.join("postgres"));
    config.max_connections = u16::try_from(clients).unwrap_or(u16::MAX - SPARE_SESSIONS) + SPARE_SESSIONS;
    let server = PrivatePostgres::start(config).await?;
    // That statements are slow on one hot row is what is measured here.
    let options = PgConnectOptions::from_str(server.database_url())?.disable_statement_logging();
    let mut session = PgConnection::connect_with(&options).await?;
    sqlx::raw_sql("CREATE TABLE stock (sku text PRIMARY KEY, quantity integer NOT NULL)")
        .execute(&mut session)
        .await?;
    let insert = "INSERT INTO stock (sku, quantity) VALUES ($1, $2)";
    sqlx::query(insert).bind(HOT).bind(PLENTY).execute(&mut session).await?;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut session).await?;
    let commit: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut session).await?;

    let mut sessions = Vec::with_capacity(clients);
    for _ in 0..clients {
        sessions.push(PgConnection::connect_with(&options).await?);
    }
    let measured = all_at_once(sessions.into_iter().map(|mut session| async move {
        let mut laps = Laps::start(span);
        while let Some(begun) = laps.next() {
            let updated = sqlx::query(UPDATE).bind(HOT).execute(&mut session).await?;
            if updated.rows_affected() != 1 {
                return Err(sqlx::Error::RowNotFound);
            }
            laps.done(begun);
        }
        Ok(laps.finish())
    }))
    .await?;
    server.stop().await?;
    Ok((measured, format!("fsync {fsync}, synchronous_commit {commit}")))
}
