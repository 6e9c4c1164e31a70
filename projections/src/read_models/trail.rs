use crate::fact::{Fact, Subject, UnreadableFact};
use crate::pace::UNHURRIED;
use crate::projection::{ApplyError, Projection};
use event_store::RecordedEvent;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The audit trail's index: every event in the streams of the shop's things, whatever it says. What this program cannot
/// read is in it too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trail;

/// What an event is, and who did it.
type Kind<'a> = (&'a str, &'a str, &'a str);

impl Projection for Trail {
    const NAME: &'static str = "trail";
    const VERSION: i32 = 1;
    const WANTS: &'static [&'static str] = domain::CATEGORIES;
    const TABLES: &'static [&'static str] = &["trail", "trail_kinds"];
    const STREAM_COLUMN: Option<&'static str> = None;
    const LEAST_REST: Duration = UNHURRIED;

    fn wants(event: &RecordedEvent) -> bool {
        Self::WANTS.contains(&event.category())
    }

    fn read(event: &RecordedEvent) -> Result<Fact, UnreadableFact> {
        Fact::read_any(event)
    }

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut kinds: BTreeMap<i64, Kind<'_>> = BTreeMap::new();
        let (mut positions, mut of_kind) = (vec![], vec![]);
        let (mut correlations, mut times) = (vec![], vec![]);
        for fact in facts {
            let Subject::Any(event) = &fact.subject else { continue };
            let kind = (event.category(), fact.event_type.as_str(), fact.actor.as_str());
            let key = key_of(kind);
            kinds.entry(key).or_insert(kind);
            positions.push(fact.position);
            of_kind.push(key);
            correlations.push(event.correlation_id);
            times.push(fact.occurred_at);
        }
        if positions.is_empty() {
            return Ok(());
        }
        note_kinds(transaction, &kinds).await?;
        sqlx::query!(
            "INSERT INTO trail (position, kind, correlation, occurred_at)
             SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::uuid[], $4::timestamptz[])",
            &positions,
            &of_kind,
            &correlations as _,
            &times
        )
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// Those that are not known yet.
async fn note_kinds(
    transaction: &mut PgConnection,
    kinds: &BTreeMap<i64, Kind<'_>>,
) -> Result<(), ApplyError> {
    let keys: Vec<i64> = kinds.keys().copied().collect();
    let categories: Vec<&str> = kinds.values().map(|(category, ..)| *category).collect();
    let types: Vec<&str> = kinds.values().map(|(_, event_type, _)| *event_type).collect();
    let actors: Vec<&str> = kinds.values().map(|(.., actor)| *actor).collect();
    sqlx::query!(
        "INSERT INTO trail_kinds (kind, category, event_type, actor)
         SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[])
         ON CONFLICT DO NOTHING",
        &keys,
        &categories as _,
        &types as _,
        &actors as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// Of 64 bits: for two of some hundred kinds to share one is out of the question.
fn key_of((category, event_type, actor): Kind<'_>) -> i64 {
    i64::from_ne_bytes(xxh3_64(format!("{category}\0{event_type}\0{actor}").as_bytes()).to_ne_bytes())
}
