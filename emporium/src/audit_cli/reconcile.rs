//! `emporium audit reconcile`: whether everything in a running shop adds up.

use api::reconciliation::{Finding, ReconciliationReport};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use shop_client::{ShopClient, ShopError};
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// How often a run is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How it is told.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
}

/// What went wrong.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// It refuses, or does not answer.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// The shop could not tell.
    #[error("it could not be told whether everything adds up: {0}")]
    Failed(String),
    /// Something is wrong.
    #[error("{0} things do not add up: look at their events, and rebuild what is only a table")]
    Differs(u64),
    /// The report cannot be printed.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Deserialize)]
struct Asked {
    id: Uuid,
}

/// The part of a run that is of interest here.
#[derive(Debug, Deserialize)]
struct Run {
    doing: Option<String>,
    failure: Option<String>,
    report: Option<ReconciliationReport>,
}

/// Asks for a run, waits for its end, and prints what came of it.
///
/// # Errors
/// When something does not add up, when that could not be told, and when the shop does not answer.
pub async fn run(shop: &ShopClient, args: &ReconcileArgs) -> Result<(), ReconcileError> {
    let Asked { id } = shop.order(&["audit", "reconciliations"], &json!({})).await?;
    let report = wait_for(shop, &id.to_string()).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", in_words(&report));
    }
    if report.differences > 0 { Err(ReconcileError::Differs(report.differences)) } else { Ok(()) }
}

async fn wait_for(shop: &ShopClient, id: &str) -> Result<ReconciliationReport, ReconcileError> {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(LOOK_EVERY / 4);
    loop {
        let run: Run = shop.get(&["audit", "reconciliations", id]).await?;
        if let Some(failure) = run.failure {
            return Err(ReconcileError::Failed(failure));
        }
        if let Some(report) = run.report {
            bar.finish_and_clear();
            return Ok(report);
        }
        bar.set_message(run.doing.unwrap_or_else(|| "waiting for its turn".to_owned()));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn in_words(report: &ReconciliationReport) -> String {
    let ReconciliationReport {
        events,
        rows,
        skus,
        orders,
        under_way,
        waiting,
        days,
        parked,
        differences,
        findings,
    } = report;
    let mut said = format!(
        "{rows} rows, {skus} SKUs, {orders} orders ({under_way} of them under way, {waiting} waiting for the payment \
         gateway) and {days} days were held against {events} events of stock and orders; {parked} streams are parked\n"
    );
    for Finding { check, what, events } in findings {
        said += &format!("\n{check:?}: {what}\n");
        for event in events {
            said += &format!(
                "  {:>12}  {} {}  {}\n",
                event.position, event.stream, event.revision, event.event_type
            );
        }
    }
    if *differences == 0 {
        said += "everything adds up\n";
    } else if *differences > findings.len() as u64 {
        said += &format!("\nand {} more\n", differences - findings.len() as u64);
    }
    said
}
