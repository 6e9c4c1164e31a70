//! What a call costs: directly, and through a relay that acknowledges as late as a real server does.

use super::error::BenchError;
use super::relayed::Relayed;
use super::report;
use super::timing::{Laps, Measured};
use event_store::UnmendedClient;
use std::time::Duration;

/// Each path is measured so often, in turns, so that a busy moment of the machine meets all of them.
const TURNS: u32 = 3;

#[derive(Clone, Copy)]
struct Path {
    name: &'static str,
    is_relayed: bool,
    has_nagle: bool,
}

const PATHS: [Path; 3] = [
    Path { name: "directly", is_relayed: false, has_nagle: false },
    Path { name: "relay, the client as it comes", is_relayed: true, has_nagle: true },
    Path { name: "relay, with TCP_NODELAY", is_relayed: true, has_nagle: false },
];

/// Measures each path for so long, and prints the figures.
pub async fn compare(relayed: &Relayed, span: Duration) -> Result<(), BenchError> {
    let mut each: [Vec<Duration>; PATHS.len()] = Default::default();
    for _ in 0..TURNS {
        for (path, each) in PATHS.iter().zip(&mut each) {
            each.extend(calls(relayed, *path, span / TURNS).await?);
        }
    }
    let measured = each.map(|each| Measured::new(each, span));
    report::print_calls_head();
    for (path, through) in PATHS.iter().zip(&measured) {
        report::print_calls(path.name, through, &measured[0]);
    }
    Ok(())
}

/// One call after the other over a connection of its own: TCP_NODELAY may be set on all that are there at the time.
async fn calls(relayed: &Relayed, path: Path, span: Duration) -> Result<Vec<Duration>, BenchError> {
    let url = if path.is_relayed { relayed.url() } else { relayed.direct_url() };
    let client = UnmendedClient::connect(&url)?;
    client.round_trip().await?;
    if !path.has_nagle {
        client.switch_nagle_off().await?;
    }
    let mut laps = Laps::start(span);
    while let Some(begun) = laps.next() {
        client.round_trip().await?;
        laps.done(begun);
    }
    Ok(laps.finish())
}
