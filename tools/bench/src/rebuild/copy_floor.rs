//! How long Postgres itself takes for the same rows: a plain COPY into empty tables with the same indexes.

use crate::error::BenchError;
use crate::versions::Version;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::path::Path;
use std::time::{Duration, Instant};

const SCRATCH: &str = "bench_copy";

/// What was copied.
pub struct Copied {
    pub rows: u64,
    pub took: Duration,
}

/// Writes the version's rows to files, then reads them into tables made like its own. Only the reading counts.
pub async fn copy_again(database: &str, folder: &Path, filled: &Version) -> Result<Copied, BenchError> {
    let mut session = PgConnection::connect(database).await?;
    let schema = format!("projection_{}_v{}", filled.name, filled.version);
    let tables: Vec<String> =
        sqlx::query("SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1")
            .bind(&schema)
            .fetch_all(&mut session)
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
    execute(&mut session, format!("CREATE SCHEMA {SCRATCH}")).await?;
    for table in &tables {
        let make = format!("CREATE TABLE {SCRATCH}.{table} (LIKE {schema}.{table} INCLUDING ALL)");
        execute(&mut session, make).await?;
        execute(&mut session, format!("COPY {schema}.{table} TO '{}'", file(folder, table))).await?;
    }
    // As the projections' own sessions do.
    execute(&mut session, "SET synchronous_commit = off; SET client_min_messages = warning".to_owned())
        .await?;
    let mut rows = 0;
    let started = Instant::now();
    for table in &tables {
        let copy = format!("COPY {SCRATCH}.{table} FROM '{}'", file(folder, table));
        rows += sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut session).await?.rows_affected();
    }
    let took = started.elapsed();
    execute(&mut session, format!("DROP SCHEMA {SCRATCH} CASCADE")).await?;
    session.close().await?;
    Ok(Copied { rows, took })
}

/// Beside the database's own files, where its server may write.
fn file(folder: &Path, table: &str) -> String {
    folder.join("postgres").join(format!("{table}.copy")).display().to_string().replace('\'', "''")
}

async fn execute(session: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(session).await?;
    Ok(())
}
