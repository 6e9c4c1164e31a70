//! What the projections say in `/readyz`.

use crate::catalogue;
use crate::lag::Pace;
use crate::overview::overview;
use crate::routes::Shared;
use crate::status::Status;
use crate::versions::VersionState;
use api::projections::Projection;
use http_boundary::Finding;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// How long it is waited for the database and the event store to say how far everything is.
const WITHIN: Duration = Duration::from_secs(2);

/// A version of which something must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Named {
    name: &'static str,
    version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<i64>,
}

/// What is worth a word, whatever the workers say of themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Noticed {
    /// It is told and keeps nobody from their work: all other streams go on.
    parked: Vec<Named>,
    /// What serves and was filled from another log, until another version has caught up.
    of_another_log: Vec<Named>,
    /// What serves and does not move although there is something to do. Whoever fills it, here or elsewhere, does not.
    stands_still: Vec<Named>,
}

/// How the projections are.
pub async fn finding(shared: Shared) -> Finding {
    let looking = async {
        let looked = overview(&shared.databases, &shared.store, &shared.board).await;
        looked.map_err(|error| error.to_string())
    };
    let head = tokio::time::timeout(WITHIN, shared.store.head());
    let (looked, head) = tokio::join!(tokio::time::timeout(WITHIN, looking), head);
    let head = head.ok().and_then(Result::ok).flatten();
    // Who is away then is named by the workers.
    let (noticed, unknown) = match looked.unwrap_or_else(|_| Err("it takes too long".to_owned())) {
        Ok(views) => (notice(&views), None),
        Err(error) => (Noticed::default(), Some(error)),
    };
    let projections = shared.board.statuses();
    let is_there = |name| projections.iter().any(|status| status.name == name);
    let nobody_fills: Vec<_> =
        catalogue::ALL.iter().map(|entry| entry.name).filter(|name| !is_there(*name)).collect();
    let ready = nobody_fills.is_empty()
        && noticed.stands_still.is_empty()
        && noticed.of_another_log.is_empty()
        && projections.iter().all(Status::is_well);
    let why = projections.iter().find_map(Status::is_of_another_history);
    Finding {
        ready,
        detail: json!({
            "why": why,
            "head": head,
            "projections": projections,
            "nobody_fills": nobody_fills,
            "parked": noticed.parked,
            "stands_still": noticed.stands_still,
            "of_another_log": noticed.of_another_log,
            "unknown": unknown,
        }),
    }
}

fn notice(views: &[Projection]) -> Noticed {
    let mut noticed = Noticed::default();
    for view in views {
        let Some(name) = catalogue::find(&view.name).map(|entry| entry.name) else { continue };
        for version in &view.versions {
            let named = Named { name, version: version.version, streams: None };
            if version.parked_streams > 0 {
                noticed.parked.push(Named { streams: Some(version.parked_streams), ..named.clone() });
            }
            if version.is_of_another_log && version.state == VersionState::Serving {
                noticed.of_another_log.push(named.clone());
            }
            if version.pace == Pace::StandsStill && version.state == VersionState::Serving {
                noticed.stands_still.push(named);
            }
        }
    }
    noticed
}
