//! `emporium projections`: looking after the read models of a running shop.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
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
                    let body = json!({ "shards": shards, "switch": switch });
                    let made: Value = shop.order(&["projections", name, "rebuild"], &body).await?;
                    println!("{name}: version {} is being filled", made["version"]);
                }
                if wait {
                    wait_for(&shop, &names, switch).await?;
                    let how = if switch { "serve" } else { "have caught up" };
                    println!("all of them {how}");
                }
            }
            What::Abandon { name } => {
                let gone: Value = shop.order(&["projections", &name, "abandon"], &json!({})).await?;
                println!("{}: version {} is dropped", text(&gone["name"]), gone["version"]);
            }
            What::Compare { name, version, sample } => {
                let mut differences = 0;
                for name in names(&shop, &name).await? {
                    let body = json!({ "version": version, "percent": sample });
                    let compared: Value = shop.order(&["projections", &name, "compare"], &body).await?;
                    differences += compared["differences"].as_u64().unwrap_or_default();
                    print!("{}", comparison(&compared));
                }
                if differences > 0 {
                    return Err(ProjectionsError::Differs(differences));
                }
            }
            What::Switch { name, version, even_with_parked } => {
                let body = json!({ "version": version, "even_with_parked": even_with_parked });
                serves(&shop.order(&["projections", &name, "switch"], &body).await?);
            }
            What::Rollback { name, even_with_parked } => {
                let body = json!({ "even_with_parked": even_with_parked });
                serves(&shop.order(&["projections", &name, "rollback"], &body).await?);
            }
            What::Parked { name } => {
                let parked: Vec<Value> = shop.get(&["projections", &name, "parked"]).await?;
                print!("{}", parked_table(&parked));
            }
            What::Retry { name, stream, version } => {
                let path = ["projections", &name, "parked", &stream, "retry"];
                let asked: Value = shop.order(&path, &json!({ "version": version })).await?;
                println!("{stream} is tried again in version {}", asked["version"]);
            }
            What::Skip { name, stream, version, revision, reason } => {
                let path = ["projections", &name, "parked", &stream, "skip"];
                let body = json!({ "version": version, "revision": revision, "reason": reason });
                let asked: Value = shop.order(&path, &body).await?;
                println!("{stream} goes on after revision {revision} in version {}", asked["version"]);
            }
        }
        Ok(())
    }
}

async fn list(shop: &ShopClient) -> Result<Vec<Value>, ShopError> {
    shop.get(&["projections"]).await
}

async fn names(shop: &ShopClient, name: &str) -> Result<Vec<String>, ShopError> {
    if name != "all" {
        return Ok(vec![name.to_owned()]);
    }
    let all = list(shop).await?;
    Ok(all.iter().filter_map(|projection| projection["name"].as_str().map(str::to_owned)).collect())
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
            let projection = all.iter().find(|projection| projection["name"] == name.as_str());
            let versions = projection.and_then(|projection| projection["versions"].as_array());
            let building = versions.into_iter().flatten().find(|version| version["state"] == "building");
            let Some(building) = building else {
                bar.finish_with_message("serves");
                continue;
            };
            let progress = &building["progress"];
            let percent = progress["percent"].as_f64().unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            bar.set_position(percent as u64);
            let newly_parked = building["newly_parked"].as_u64().unwrap_or_default();
            if building["lag"]["events"] == 0 && switches && newly_parked > 0 {
                return Err(ProjectionsError::HeldBack { name: name.clone(), streams: newly_parked });
            }
            if building["lag"]["events"] == 0 && !switches {
                bar.finish_with_message("has caught up");
            } else {
                is_done = false;
                let (speed, left) = (&progress["events_per_second"], &progress["seconds_left"]);
                bar.set_message(format!("{speed} events/s, {left} s left"));
            }
        }
        if is_done {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn serves(changed: &Value) {
    println!("{}: version {} serves", text(&changed["name"]), changed["version"]);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn table(projections: &[Value]) -> String {
    let mut table = format!(
        "{:<16} {:>3} {:<9} {:>10} {:>10} {:>8} {:<13} {:>7}  {}\n",
        "projection", "v", "state", "position", "behind", "seconds", "pace", "parked", "progress"
    );
    for projection in projections {
        for version in projection["versions"].as_array().into_iter().flatten() {
            let lag = &version["lag"];
            let about = if lag["is_estimate"] == true { "~" } else { "" };
            let progress = &version["progress"];
            let mut progress = match (progress["percent"].as_f64(), progress["seconds_left"].as_u64()) {
                (Some(percent), Some(left)) => format!("{percent} %, {left} s left"),
                (Some(percent), None) => format!("{percent} %"),
                (None, _) => String::new(),
            };
            if let Some(held) = version["newly_parked"].as_u64().filter(|held| *held > 0) {
                progress += &format!(" {held} parked that serve now");
            }
            if version["is_of_another_log"] == true {
                progress += &of_another_log(version);
            }
            table += &format!(
                "{:<16} {:>3} {:<9} {:>10} {:>10} {:>8} {:<13} {:>7}  {progress}\n",
                text(&projection["name"]),
                version["version"].to_string(),
                text(&version["state"]),
                version["position"].to_string(),
                format!("{about}{}", lag["events"]),
                lag["seconds"].to_string(),
                text(&version["pace"]),
                version["parked_streams"].to_string(),
            );
        }
    }
    table
}

/// What a version of another log is still good for.
fn of_another_log(version: &Value) -> String {
    let whose = version["log_id"].as_str().map_or_else(String::new, |log_id| format!(" ({log_id})"));
    let so = if version["state"] == "serving" {
        "it serves until another version has caught up"
    } else {
        "nobody fills it, and it cannot serve"
    };
    format!(" of another log{whose}, or of one that has lost its end: {so}")
}

fn comparison(compared: &Value) -> String {
    let mut said = format!(
        "{} version {}: {} events folded, {} rows read, {} differ\n",
        text(&compared["name"]),
        compared["version"],
        compared["events"],
        compared["rows"],
        compared["differences"]
    );
    for difference in compared["named"].as_array().into_iter().flatten() {
        said += &format!("  {} {}\n", text(&difference["table"]), difference["key"]);
        said +=
            &format!("    stored    {}\n    by events {}\n", difference["stored"], difference["refolded"]);
    }
    said
}

fn parked_table(parked: &[Value]) -> String {
    let mut table = String::new();
    for stream in parked {
        table += &format!(
            "{} is parked at revision {} ({}), {} events wait, version {}\n  {}\n",
            text(&stream["stream"]),
            stream["revision"],
            text(&stream["event_type"]),
            stream["waiting"],
            stream["version"],
            text(&stream["error"])
        );
    }
    if table.is_empty() { "nothing is parked\n".to_owned() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_of_which_log_a_version_is_that_cannot_serve() {
        let version = |number: i32, state: &str, is_of_another_log: bool| {
            json!({ "version": number, "state": state, "log_id": "6f2c", "is_of_another_log": is_of_another_log,
                    "position": 7, "lag": { "events": 0, "seconds": 0 }, "pace": "up_to_date", "parked_streams": 0 })
        };
        let versions =
            [version(1, "standby", true), version(2, "serving", false), version(3, "serving", true)];
        let table = table(&[json!({ "name": "stock", "versions": versions })]);
        let lines: Vec<_> = table.lines().skip(1).collect();
        assert!(lines[0].contains("of another log (6f2c)") && lines[0].contains("cannot serve"), "{table}");
        assert!(!lines[1].contains("another log"), "{table}");
        assert!(lines[2].ends_with("it serves until another version has caught up"), "{table}");
    }
}
