//! `emporium-bench rebuild`.

mod copy_floor;
mod readers;

use super::error::BenchError;
use super::folder::Folder;
use super::programs::{ServiceProcess, free_address};
use super::report::load;
use super::timing::per_second;
use crate::versions::{self, Version, fill, wait_until_all_serve, wait_until_idle};
use clap::Args;
use copy_floor::copy_again;
use futures::future::{Either, select};
use importers::{OnlineRetailArgs, ShopArgs, olist};
use private_postgres::{Config, PrivatePostgres};
use readers::Readers;
use serde_json::{Value, json};
use shop_client::ShopClient;
use shop_client::operator::OperatorArgs;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;

/// Orders that are on their way at once while they are imported.
const CONCURRENCY: u16 = 32;

/// `emporium-bench rebuild …`
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The file online_retail.csv, plain or packed with zstd: the history
    pub online_retail: PathBuf,
    /// The folder with Olist's files: what an importer writes during the second rebuild
    pub olist: PathBuf,
    /// Only the first N orders of the history
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How many readers ask at once during the second rebuild
    #[arg(long, default_value_t = 4)]
    pub readers: usize,
    /// Where everything is kept meanwhile; removed in the end, unless a figure is wrong
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
}

/// Measures, and prints the figures.
pub async fn run(args: RebuildArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let postgres = PrivatePostgres::start(Config::durable(folder.path().join("postgres"))).await?;
    let database = format!("--database-url={}", postgres.database_url());
    let service = ServiceProcess::start(folder.path(), free_address()?, vec![database]).await?;
    let shop = Shop { url: format!("http://{}", service.address), token: service.operator_token()? };
    let client = ShopClient::new(&shop.url, &shop.token)?;
    let started = Instant::now();
    let history = OnlineRetailArgs { file: args.online_retail, limit: args.limit, shop: shop.as_operator() };
    let report = importers::import(history).await?;
    println!("\n{report}the history was imported in {:.0} s", started.elapsed().as_secs_f64());
    wait_until_idle(&client).await?;

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\none after the other, nobody else at work; {cores} cores, load {}", load());
    println!(
        "{:<16} {:>10} {:>8} {:>10} {:>10} {:>12}",
        "projection", "events", "seconds", "a second", "rows", "of COPY"
    );
    for name in versions::names(&client).await? {
        let filled = fill(&client, &name).await?;
        let copied = copy_again(postgres.database_url(), folder.path(), &filled).await?;
        versions::switch(&client, &filled).await?;
        print_filled(&filled, &copied);
    }
    let wrong = while_others_work(&client, &shop, args.olist, args.readers).await?;
    service.stop().await?;
    postgres.stop().await?;
    if wrong > 0 {
        let what = format!("{wrong} answers or rows were wrong");
        return Err(BenchError::Broken { what, folder: folder.path().to_owned() });
    }
    folder.remove();
    Ok(())
}

/// Where the shop is, and who may do everything in it.
struct Shop {
    url: String,
    token: String,
}

impl Shop {
    fn as_operator(&self) -> ShopArgs {
        let operator = OperatorArgs {
            url: self.url.clone(),
            token: Some(self.token.clone()),
            token_file: PathBuf::new(),
        };
        ShopArgs { operator, concurrency: CONCURRENCY }
    }
}

fn print_filled(filled: &Version, copied: &copy_floor::Copied) {
    println!(
        "{:<16} {:>10} {:>8.1} {:>10.0} {:>10} {:>10.0} %",
        filled.name,
        filled.events,
        filled.took.as_secs_f64(),
        per_second(filled.events, filled.took),
        copied.rows,
        100.0 * copied.took.as_secs_f64() / filled.took.as_secs_f64().max(f64::EPSILON),
    );
}

/// All at once, while an importer writes and readers read. Gives the number of wrong answers and rows.
async fn while_others_work(
    client: &ShopClient,
    shop: &Shop,
    folder: PathBuf,
    count: usize,
) -> Result<u64, BenchError> {
    let readers = Readers::start(&shop.url, &shop.token, count).await?;
    let before = versions::events_applied(client).await?;
    let writing = olist::OlistArgs { folder, limit: None, refused: None, shop: shop.as_operator() };
    let names = versions::names(client).await?;
    let started = Instant::now();
    let rebuilding = async {
        for name in &names {
            let _: Value =
                client.order(&["projections", name, "rebuild"], &json!({ "switch": true })).await?;
        }
        wait_until_all_serve(client, &names).await?;
        versions::events_applied(client).await
    };
    let (written, is_writing) = match select(pin!(rebuilding), pin!(olist::import(writing))).await {
        Either::Left((written, _)) => (written?, true),
        Either::Right((imported, rebuilding)) => {
            imported?;
            (rebuilding.await?, false)
        }
    };
    let took = started.elapsed();
    let read = readers.stop().await;
    println!("\nall at once, while an importer writes and {count} readers read:");
    println!(
        "{written} events applied to {} new versions in {:.1} s: {:.0}/s",
        names.len(),
        took.as_secs_f64(),
        per_second(written, took)
    );
    println!(
        "before, their tables had {before} events; the importer was {}",
        if is_writing { "at work to the end" } else { "done before" }
    );
    println!(
        "{} answers read, {} failed, {} with another figure than before",
        read.answers, read.failed, read.wrong
    );
    let mut differences = 0;
    for name in &names {
        let compared: Value = client.order(&["projections", name, "compare"], &json!({})).await?;
        println!("{name}: {} rows, {} differ from their events", compared["rows"], compared["differences"]);
        differences += compared["differences"].as_u64().unwrap_or_default();
    }
    Ok(differences + read.failed + read.wrong)
}
