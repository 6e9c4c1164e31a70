//! One transaction: the effect of a batch of events, the streams that are parked, and the checkpoint.

use crate::checkpoint::{StepError, advance_to};
use crate::fact::Fact;
use crate::parking::{self, Park};
use crate::projection::{ApplyError, Projection};
use crate::share::Share;
use http_boundary::process::with_causes;
use sqlx::{Connection, PgConnection};
use std::collections::HashMap;
use uuid::Uuid;

/// Events for one transaction, and the position up to which they are all.
#[derive(Debug, Default)]
pub struct Batch {
    /// What is to be applied, in the order of the log.
    pub facts: Vec<Fact>,
    /// Streams that have come to an event that cannot be read.
    pub parks: Vec<Park>,
    /// How many more events of streams that are parked already.
    pub waiting: HashMap<String, i64>,
    /// The position up to which everything is in here that the share wants.
    pub upto: i64,
    /// The id of the event at that position, if it is one of the shop's.
    pub upto_event: Option<Uuid>,
}

/// Applies a batch and moves the checkpoint from `from` to its end, in one transaction. Gives the streams that it had
/// to park.
///
/// Events at or before `from` are applied already and left out. The checkpoint moves first, so that a second
/// runner of the same share waits here for the outcome and has done no work when it loses.
///
/// # Errors
/// When nothing was written; see [`StepError`].
pub async fn step<P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    share: &Share,
    from: Option<i64>,
    batch: &Batch,
) -> Result<Vec<Park>, StepError> {
    let fresh = batch.facts.partition_point(|fact| Some(fact.position) <= from);
    let facts = &batch.facts[fresh..];
    if Some(batch.upto) <= from {
        return Ok(vec![]);
    }
    let events = i64::try_from(facts.len()).unwrap_or(i64::MAX);
    let upto = (batch.upto, batch.upto_event);
    if facts.is_empty() && batch.parks.is_empty() && batch.waiting.is_empty() {
        advance_to(connection, share, from, upto, 0).await?;
        return Ok(vec![]);
    }
    let mut transaction = connection.begin().await?;
    advance_to(&mut transaction, share, from, upto, events).await?;
    let parks = match projection.apply(&mut transaction, facts).await {
        Ok(()) => batch.parks.clone(),
        Err(error) if error.is_about_events() => {
            // Everything again, but one stream at a time, so that only those stand still that must.
            transaction.rollback().await?;
            transaction = connection.begin().await?;
            advance_to(&mut transaction, share, from, upto, events).await?;
            let mut parks = apply_by_stream(projection, &mut transaction, facts).await?;
            for park in &batch.parks {
                match parks.iter_mut().find(|parked| parked.stream == park.stream) {
                    Some(parked) => parked.waiting += park.waiting,
                    None => parks.push(park.clone()),
                }
            }
            parks
        }
        Err(error) => return Err(error.into()),
    };
    parking::park(&mut transaction, share, &parks).await?;
    parking::wait(&mut transaction, share, &batch.waiting).await?;
    transaction.commit().await?;
    Ok(parks)
}

/// Applies each stream's events by themselves. A stream whose events cannot be applied is parked at the first that
/// cannot.
pub(crate) async fn apply_by_stream<P: Projection>(
    projection: &P,
    transaction: &mut PgConnection,
    facts: &[Fact],
) -> Result<Vec<Park>, StepError> {
    let mut streams: Vec<String> = Vec::new();
    let mut by_stream: HashMap<String, Vec<Fact>> = HashMap::new();
    for fact in facts {
        let stream = fact.stream();
        if !by_stream.contains_key(&stream) {
            streams.push(stream.clone());
        }
        by_stream.entry(stream).or_default().push(fact.clone());
    }
    let mut parks = Vec::new();
    for stream in streams {
        let facts = by_stream.remove(&stream).unwrap_or_default();
        if try_apply(projection, transaction, &facts).await?.is_none() {
            continue;
        }
        for (index, fact) in facts.iter().enumerate() {
            if let Some(error) = try_apply(projection, transaction, std::slice::from_ref(fact)).await? {
                let waiting = i64::try_from(facts.len() - index).unwrap_or(i64::MAX);
                parks.push(Park::of_fact(&stream, fact, with_causes(&error), waiting));
                break;
            }
        }
    }
    Ok(parks)
}

/// Applies the facts in a savepoint; gives what is wrong with them, and then nothing of them is written.
async fn try_apply<P: Projection>(
    projection: &P,
    transaction: &mut PgConnection,
    facts: &[Fact],
) -> Result<Option<ApplyError>, StepError> {
    let mut savepoint = transaction.begin().await?;
    match projection.apply(&mut savepoint, facts).await {
        Ok(()) => {
            savepoint.commit().await?;
            Ok(None)
        }
        Err(error) if error.is_about_events() => {
            savepoint.rollback().await?;
            Ok(Some(error))
        }
        Err(error) => Err(error.into()),
    }
}
