//! `emporium projections`: looking after the read models of a running shop.

use api::NoBody;
use api::projections::{
    CompareVersion, Comparison, ParkedAsked, ParkedByProjection, Projection, ProjectionVersion, Rebuild,
    RollBack, SkipParked, SwitchVersion, VersionChanged, VersionState, WhichVersion,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use shop_client::operator::{OperatorArgs, OperatorError};
use shop_client::{ShopClient, ShopError};
use std::time::Duration;
use thiserror::Error;

/// How often a rebuild is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `emporium projections …`
#[derive(Debug, Args)]
pub struct ProjectionsCommand {
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All projections with their versions: which serves, how far each is, what is parked
    List,
    /// Fill a new version from the first event on, while the old one serves
    Rebuild {
        /// The projection, or `all`
        name: String,
        /// In how many parts, each filled by a worker of its own
        #[arg(long, default_value_t = 1)]
        shards: i16,
        /// Let the new version serve as soon as it has caught up
        #[arg(long)]
        switch: bool,
        /// Wait until it has caught up, and say how far it is meanwhile
        #[arg(long)]
        wait: bool,
    },
    /// Drop the version that is being filled
    Abandon {
        /// The projection
        name: String,
    },
    /// Fold the log again and name the rows of a version that differ
    Compare {
        /// The projection
        name: String,
        /// Which version; without it, the one that serves
        #[arg(long)]
        version: Option<i32>,
        /// Only so many streams of a hundred
        #[arg(long, value_name = "PERCENT")]
        sample: Option<u8>,
    },
    /// Let another version serve
    Switch {
        /// The projection
        name: String,
        /// Which version; without it, the newest that does not serve
        #[arg(long)]
        version: Option<i32>,
        /// Even if it has parked streams that the one that serves has not: their rows will be missing
        #[arg(long)]
        even_with_parked: bool,
    },
    /// Let the version serve again that served before
    Rollback {
        /// The projection
        name: String,
        /// Even if it has parked streams that the one that serves has not: their rows will be missing
        #[arg(long)]
        even_with_parked: bool,
    },
    /// The streams that a projection has put aside
    Parked {
        /// The projection
        name: String,
    },
    /// Try a parked stream again, after what was wrong is mended
    Retry {
        /// The projection
        name: String,
        /// The stream
        stream: String,
        /// Of which version; without it, of the one that serves
        #[arg(long)]
        version: Option<i32>,
    },
    /// Leave out the event at which a stream is parked, for good, and go on after it
    Skip {
        /// The projection
        name: String,
        /// The stream
        stream: String,
        /// Of which version; without it, of the one that serves
        #[arg(long)]
        version: Option<i32>,
        /// The event at which it is parked, as `parked` shows it
        #[arg(long)]
        revision: i64,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// What went wrong.
#[derive(Debug, Error)]
pub enum ProjectionsError {
    /// The shop cannot be asked.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// It refuses, or does not answer.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// Rows are not what their events say.
    #[error(
        "{0} rows differ from what the events say: rebuild the projection, and find out who changed them"
    )]
    Differs(u64),
    /// A version that was to serve has caught up and does not.
    #[error(
        "{name} has caught up and does not serve: {streams} of its streams are parked at events that the version that \
         serves has applied; see `parked {name}`"
    )]
    HeldBack {
        /// The projection.
        name: String,
        /// How many.
        streams: u64,
    },
}

impl ProjectionsCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When the shop refuses or does not answer, and when a comparison has found differences.
    pub async fn run(self) -> Result<(), ProjectionsError> {
        let shop = self.operator.client().await?;
        match self.what {
            What::List => print!("{}", table(&list(&shop).await?)),
            What::Rebuild { name, shards, switch, wait } => {
                let names = names(&shop, &name).await?;
                for name in &names {
                    let body = Rebuild { shards: Some(shards), switch };
                    let made: VersionChanged = shop.order(&["projections", name, "rebuild"], &body).await?;
                    println!("{name}: version {} is being filled", made.version);
                }
                if wait {
                    wait_for(&shop, &names, switch).await?;
                    let how = if switch { "serve" } else { "have caught up" };
                    println!("all of them {how}");
                }
            }
            What::Abandon { name } => {
                let path = ["projections", &name, "abandon"];
                let VersionChanged { name, version } = shop.order(&path, &NoBody {}).await?;
                println!("{name}: version {version} is dropped");
            }
            What::Compare { name, version, sample } => {
                let mut differences = 0;
                for name in names(&shop, &name).await? {
                    let body = CompareVersion { version, percent: sample };
                    let compared: Comparison = shop.order(&["projections", &name, "compare"], &body).await?;
                    differences += compared.differences;
                    print!("{}", comparison(&compared));
                }
                if differences > 0 {
                    return Err(ProjectionsError::Differs(differences));
                }
            }
            What::Switch { name, version, even_with_parked } => {
                let body = SwitchVersion { version, even_with_parked };
                serves(&shop.order(&["projections", &name, "switch"], &body).await?);
            }
            What::Rollback { name, even_with_parked } => {
                let body = RollBack { even_with_parked };
                serves(&shop.order(&["projections", &name, "rollback"], &body).await?);
            }
            What::Parked { name } => {
                let parked: Vec<ParkedByProjection> = shop.get(&["projections", &name, "parked"]).await?;
                print!("{}", parked_table(&parked));
            }
            What::Retry { name, stream, version } => {
                let path = ["projections", &name, "parked", &stream, "retry"];
                let asked: ParkedAsked = shop.order(&path, &WhichVersion { version }).await?;
                println!("{stream} is tried again in version {}", asked.version);
            }
            What::Skip { name, stream, version, revision, reason } => {
                let path = ["projections", &name, "parked", &stream, "skip"];
                let asked: ParkedAsked = shop.order(&path, &SkipParked { version, revision, reason }).await?;
                println!("{stream} goes on after revision {revision} in version {}", asked.version);
            }
        }
        Ok(())
    }
}

async fn list(shop: &ShopClient) -> Result<Vec<Projection>, ShopError> {
    shop.get(&["projections"]).await
}

async fn names(shop: &ShopClient, name: &str) -> Result<Vec<String>, ShopError> {
    if name != "all" {
        return Ok(vec![name.to_owned()]);
    }
    let all = list(shop).await?;
    Ok(all.into_iter().map(|projection| projection.name).collect())
}

/// Until what is being filled has caught up; if it then serves by itself, until it does.
async fn wait_for(shop: &ShopClient, names: &[String], switches: bool) -> Result<(), ProjectionsError> {
    let bars = indicatif::MultiProgress::new();
    let style = indicatif::ProgressStyle::with_template("{prefix:>16} {bar:40} {pos:>3} %  {msg}");
    let bars: Vec<_> = names
        .iter()
        .map(|name| {
            let bar = bars.add(indicatif::ProgressBar::new(100)).with_prefix(name.clone());
            style.as_ref().map_or(bar.clone(), |style| bar.with_style(style.clone()))
        })
        .collect();
    loop {
        let all = list(shop).await?;
        let mut is_done = true;
        for (name, bar) in names.iter().zip(&bars) {
            let projection = all.iter().find(|projection| projection.name == *name);
            let versions = projection.map_or(&[][..], |projection| &projection.versions);
            let building = versions.iter().find(|version| version.state == VersionState::Building);
            let Some(building) = building else {
                bar.finish_with_message("serves");
                continue;
            };
            let percent = building.progress.map_or(0.0, |progress| progress.percent);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            bar.set_position(percent as u64);
            let has_caught_up = building.lag.events == 0;
            if has_caught_up && switches && building.newly_parked > 0 {
                let streams = building.newly_parked.unsigned_abs();
                return Err(ProjectionsError::HeldBack { name: name.clone(), streams });
            }
            if has_caught_up && !switches {
                bar.finish_with_message("has caught up");
            } else {
                is_done = false;
                if let Some(progress) = building.progress {
                    let left = progress.seconds_left.map_or("?".to_owned(), |left| left.to_string());
                    bar.set_message(format!("{} events/s, {left} s left", progress.events_per_second));
                }
            }
        }
        if is_done {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn serves(VersionChanged { name, version }: &VersionChanged) {
    println!("{name}: version {version} serves");
}

/// How a value of the contract is called there.
fn called(value: impl Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn table(projections: &[Projection]) -> String {
    let mut table = format!(
        "{:<16} {:>3} {:<9} {:>10} {:>10} {:>8} {:<13} {:>7}  {}\n",
        "projection", "v", "state", "position", "behind", "seconds", "pace", "parked", "progress"
    );
    for Projection { name, versions, .. } in projections {
        for version in versions {
            let lag = version.lag;
            let about = if lag.is_estimate { "~" } else { "" };
            let mut progress =
                match version.progress.map(|progress| (progress.percent, progress.seconds_left)) {
                    Some((percent, Some(left))) => format!("{percent} %, {left} s left"),
                    Some((percent, None)) => format!("{percent} %"),
                    None => String::new(),
                };
            if version.newly_parked > 0 {
                progress += &format!(" {} parked that serve now", version.newly_parked);
            }
            if version.is_of_another_log {
                progress += &of_another_log(version);
            }
            table += &format!(
                "{name:<16} {:>3} {:<9} {:>10} {:>10} {:>8} {:<13} {:>7}  {progress}\n",
                version.version,
                called(version.state),
                version.position.map_or("-".to_owned(), |position| position.to_string()),
                format!("{about}{}", lag.events),
                lag.seconds,
                called(version.pace),
                version.parked_streams,
            );
        }
    }
    table
}

/// What a version of another log is still good for.
fn of_another_log(version: &ProjectionVersion) -> String {
    let whose = version.log_id.map_or_else(String::new, |log_id| format!(" ({log_id})"));
    let so = if version.state == VersionState::Serving {
        "it serves until another version has caught up"
    } else {
        "nobody fills it, and it cannot serve"
    };
    format!(" of another log{whose}, or of one that has lost its end: {so}")
}

fn comparison(compared: &Comparison) -> String {
    let Comparison { name, version, events, rows, differences, named, .. } = compared;
    let mut said =
        format!("{name} version {version}: {events} events folded, {rows} rows read, {differences} differ\n");
    let row = |row: &Option<Value>| row.as_ref().map_or("null".to_owned(), Value::to_string);
    for difference in named {
        said += &format!("  {} {}\n", difference.table, difference.key);
        let (stored, refolded) = (row(&difference.stored), row(&difference.refolded));
        said += &format!("    stored    {stored}\n    by events {refolded}\n");
    }
    said
}

fn parked_table(parked: &[ParkedByProjection]) -> String {
    let mut table = String::new();
    for ParkedByProjection { version, stream, revision, event_type, error, waiting, .. } in parked {
        table += &format!(
            "{stream} is parked at revision {revision} ({event_type}), {waiting} events wait, version {version}\n  \
             {error}\n"
        );
    }
    if table.is_empty() { "nothing is parked\n".to_owned() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_says_of_which_log_a_version_is_that_cannot_serve() {
        let log_id = uuid::Uuid::nil();
        let version = |number: i32, state: &str, is_of_another_log: bool| {
            json!({ "version": number, "state": state, "log_id": log_id, "is_of_another_log": is_of_another_log,
                    "rules": 1, "shards": 1, "position": 7, "pace": "idle", "events_applied": 7,
                    "lag": { "events": 0, "is_estimate": false, "seconds": 0 }, "parked_streams": 0,
                    "newly_parked": 0, "skipped_events": 0, "switches": false, "progress": null, "workers": [] })
        };
        let versions =
            [version(1, "standby", true), version(2, "serving", false), version(3, "serving", true)];
        let told = json!([{ "name": "stock", "rules": 1, "versions": versions }]);
        let table = table(&serde_json::from_value::<Vec<Projection>>(told).unwrap());
        let lines: Vec<_> = table.lines().skip(1).collect();
        assert!(
            lines[0].contains(&format!("of another log ({log_id})")) && lines[0].contains("cannot serve"),
            "{table}"
        );
        assert!(!lines[1].contains("another log"), "{table}");
        assert!(lines[2].ends_with("it serves until another version has caught up"), "{table}");
    }
}
