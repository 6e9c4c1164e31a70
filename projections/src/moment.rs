//! How far a version of a projection's tables is at one moment, and which events are in it.

use crate::compare::CompareError;
use crate::fact::stored_position;
use crate::projection::Projection;
use crate::share::{Share, schema_of};
use crate::versions::{self, VersionError, VersionState};
use event_store::{Position, RecordedEvent};
use sqlx::PgConnection;
use std::collections::HashSet;

/// A version as it stands at one moment.
pub struct Moment {
    pub version: i32,
    /// Where its tables are.
    pub schema: String,
    /// Each shard, and up to where it is filled.
    shards: Vec<(Share, Option<i64>)>,
    /// Parked streams, and the first revision of each that is not applied.
    parked: Vec<(String, i64)>,
    /// Events that are left out for good.
    skipped: HashSet<(String, i64)>,
}

impl Moment {
    /// The place from which on a later moment may have events that this one has not; none if they may be anywhere,
    /// as a stream is parked no more.
    pub fn unchanged_until(&self, later: &Self) -> Option<Position> {
        let is_same = self.parked == later.parked && self.skipped == later.skipped;
        let reached = self.shards.iter().map(|(_, position)| *position).min().flatten();
        reached.filter(|_| is_same).and_then(|reached| u64::try_from(reached).ok()).map(Position::new)
    }

    /// The position after which it has applied nothing.
    pub fn position(&self) -> Option<i64> {
        self.shards.iter().map(|(_, position)| *position).max().flatten()
    }

    /// Streams that it has parked.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether the version has applied an event that it wants.
    pub fn has(&self, event: &RecordedEvent) -> bool {
        let (position, revision) =
            (stored_position(event.position), i64::try_from(event.revision).unwrap_or(i64::MAX));
        let is_reached =
            self.shards.iter().any(|(share, upto)| share.has(&event.stream) && position <= *upto);
        let is_parked = |(stream, first): &(String, i64)| *stream == event.stream && revision >= *first;
        is_reached
            && !self.parked.iter().any(is_parked)
            && (self.skipped.is_empty() || !self.skipped.contains(&(event.stream.clone(), revision)))
    }
}

/// How a version stands in this snapshot of the database; without a number, the one that serves.
pub async fn moment<P: Projection>(
    snapshot: &mut PgConnection,
    wanted: Option<i32>,
) -> Result<Moment, CompareError> {
    let all = versions::list(snapshot, P::NAME).await?;
    let version = all.iter().find(|version| match wanted {
        Some(wanted) => version.version == wanted,
        None => version.state == VersionState::Serving,
    });
    let version = match (version, wanted) {
        (Some(version), _) => version,
        (None, Some(version)) => {
            return Err(VersionError::UnknownVersion { name: P::NAME.to_owned(), version }.into());
        }
        (None, None) => return Err(VersionError::UnknownProjection(P::NAME.to_owned()).into()),
    };
    if version.rules != P::VERSION {
        return Err(CompareError::OtherRules {
            name: P::NAME,
            version: version.version,
            rules: version.rules,
        });
    }
    let whole = Share { shards: version.shards, ..Share::whole(P::NAME, version.version) };
    let positions = sqlx::query!(
        "SELECT shard, position FROM projection_checkpoints WHERE name = $1 AND version = $2",
        P::NAME,
        version.version
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let parked = sqlx::query!(
        "SELECT stream, revision FROM parked_streams WHERE name = $1 AND version = $2",
        P::NAME,
        version.version
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let skipped = sqlx::query!(
        "SELECT stream, revision FROM skipped_events WHERE name = $1 AND version = $2",
        P::NAME,
        version.version
    )
    .fetch_all(&mut *snapshot)
    .await?;
    Ok(Moment {
        version: version.version,
        schema: match version.state {
            VersionState::Serving => "public".to_owned(),
            VersionState::Building | VersionState::Standby => schema_of(P::NAME, version.version),
        },
        shards: positions
            .into_iter()
            .map(|row| (Share { shard: row.shard, ..whole }, row.position))
            .collect(),
        parked: parked.into_iter().map(|row| (row.stream, row.revision)).collect(),
        skipped: skipped.into_iter().map(|row| (row.stream, row.revision)).collect(),
    })
}
