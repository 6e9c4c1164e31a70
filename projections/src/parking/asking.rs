//! What an operator wants done with a parked stream.

use api::projections::ParkedAsked;
use sqlx::PgPool;
use thiserror::Error;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    pub stream: String,
    /// Of which version; without it, of the one that serves.
    pub version: Option<i32>,
    /// The event that is to be left out for good, and why; without it, another try is wanted.
    pub skips: Option<(i64, String)>,
}

/// Why nothing was noted.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("`{name}` has not parked {stream} in {}", in_words(*version))]
    NotParked { name: String, stream: String, version: Option<i32> },
    #[error(
        "version {version} of `{name}` has parked {stream} at revision {at}, not {wanted}: look at that event first"
    )]
    Elsewhere { name: String, stream: String, version: i32, at: i64, wanted: i64 },
    #[error("the database does not answer")]
    Database(#[from] sqlx::Error),
}

fn in_words(version: Option<i32>) -> String {
    version.map_or_else(|| "the version that serves".to_owned(), |version| format!("version {version}"))
}

/// Notes what is wanted of a parked stream, for the worker that has parked it.
///
/// # Errors
/// When the stream is not parked, or not at the event that is to be left out.
pub async fn ask(database: &PgPool, name: &str, wish: &Wish) -> Result<ParkedAsked, AskError> {
    let not_parked =
        || AskError::NotParked { name: name.to_owned(), stream: wish.stream.clone(), version: wish.version };
    // Postgres has no text with it.
    if wish.stream.contains('\0') {
        return Err(not_parked());
    }
    let mut transaction = database.begin().await?;
    let parked = sqlx::query!(
        "SELECT version, revision FROM parked_streams
         WHERE name = $1 AND stream = $2 AND version = coalesce(
             $3::integer, (SELECT version FROM projection_versions WHERE name = $1 AND state = 'serving'))
         FOR UPDATE",
        name,
        wish.stream,
        wish.version
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let (name_of, stream) = (|| name.to_owned(), || wish.stream.clone());
    let parked = parked.ok_or_else(not_parked)?;
    let (what, reason) = match &wish.skips {
        None => ("retry", None),
        Some((wanted, _)) if *wanted != parked.revision => {
            let (version, at, wanted) = (parked.version, parked.revision, *wanted);
            return Err(AskError::Elsewhere { name: name_of(), stream: stream(), version, at, wanted });
        }
        Some((_, reason)) => ("skip", Some(reason.trim())),
    };
    sqlx::query!(
        "UPDATE parked_streams SET asked = $4, asked_by = 'operator', reason = $5
         WHERE name = $1 AND stream = $2 AND version = $3",
        name,
        wish.stream,
        parked.version,
        what,
        reason
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query_scalar!(r#"SELECT pg_notify('projection_versions', $1)::text AS "done""#, name)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(ParkedAsked { version: parked.version, revision: parked.revision })
}
