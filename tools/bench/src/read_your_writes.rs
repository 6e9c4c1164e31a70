//! `emporium-bench read-your-writes`: how long after a command is acknowledged its row can be read.

use super::error::BenchError;
use super::folder::Folder;
use super::programs::{ServiceProcess, for_a_crowd, free_address};
use super::report::{load, short};
use super::shop::{self, CURRENCY, Product};
use super::timing::Measured;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

const PRODUCTS: usize = 200;
/// As many as an ordinary shopper puts in.
const LINES_OF_A_CART: usize = 20;
/// Carts that are opened side by side before anything is measured.
const OPENED_AT_ONCE: usize = 32;
/// Commands that are sent one after the other, each when the one before it is read.
const ALONE: usize = 200;
/// How long the answer waits for its row; nothing should come near it.
const PREFER: &str = "wait=10";

/// `emporium-bench read-your-writes …`
#[derive(Debug, Args)]
pub struct ReadYourWritesArgs {
    /// How many commands a second, whether or not those before them are answered
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// How long it is measured
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// How long everything warms up before
    #[arg(long, default_value_t = 3)]
    pub warm_up: u64,
    /// Where everything is kept meanwhile; removed in the end
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
}

/// The shop, as those see it who write and read at once.
struct Shop {
    http: reqwest::Client,
    base: String,
    products: Vec<Product>,
}

/// One command and the query after it.
struct Lap {
    /// From when it was due to its acknowledgement.
    acknowledged: Duration,
    /// From its acknowledgement to the answer that shows its row; none if there was none in time.
    readable: Option<Duration>,
}

/// Measures, and prints the figures.
pub async fn run(args: ReadYourWritesArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let service = ServiceProcess::start(folder.path(), free_address()?, for_a_crowd().collect()).await?;
    let products: Vec<_> = (1..=PRODUCTS)
        .map(|number| Product { sku: format!("ITEM-{number:03}"), price: 1_250, units: 1_000 })
        .collect();
    shop::fill(&service, &products).await?;
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().map_err(BenchError::Http)?;
    let shop = Arc::new(Shop { http, base: format!("http://{}", service.address), products });
    println!(
        "{} commands a second for {} s, everything embedded and durable; {} cores, load {}\n",
        args.rate,
        args.seconds,
        std::thread::available_parallelism().map_or(1, usize::from),
        load(),
    );
    println!("{:<34} {:>9} {:>9} {:>8} {:>8}", "", "count", "a second", "p50", "p99");
    let begun = Instant::now();
    let alone = shop.one_by_one().await?;
    let mut missing = print("one after the other", &alone, begun.elapsed());
    shop.at_rate(args.rate, args.warm_up).await?;
    let begun = Instant::now();
    let together = shop.at_rate(args.rate, args.seconds).await?;
    missing += print(&format!("at {} a second", args.rate), &together, begun.elapsed());
    service.stop().await?;
    if missing > 0 {
        let what = format!("{missing} rows could not be read in time");
        return Err(BenchError::Broken { what, folder: folder.path().to_owned() });
    }
    folder.remove();
    Ok(())
}

/// Gives how many rows could not be read in time.
fn print(what: &str, laps: &[Lap], elapsed: Duration) -> usize {
    let acknowledged: Vec<_> = laps.iter().map(|lap| lap.acknowledged).collect();
    let readable: Vec<_> = laps.iter().filter_map(|lap| lap.readable).collect();
    let missing = laps.len() - readable.len();
    for (how, each) in [("due → acknowledged", acknowledged), ("acknowledged → read", readable)] {
        let (count, measured) = (each.len(), Measured::new(each, elapsed));
        let (p50, p99) = (short(measured.p50), short(measured.p99));
        println!("{:<34} {count:>9} {:>9.0} {p50:>8} {p99:>8}", format!("{what}, {how}"), measured.rate);
    }
    missing
}

impl Shop {
    async fn one_by_one(&self) -> Result<Vec<Lap>, BenchError> {
        let carts = self.open_carts(ALONE).await?;
        let mut laps = Vec::with_capacity(ALONE);
        for number in 0..ALONE {
            laps.push(self.add_and_read(&carts[number % carts.len()], number, Instant::now()).await?);
        }
        Ok(laps)
    }

    /// A command whenever one is due: a slow answer makes the others wait no less.
    async fn at_rate(self: &Arc<Self>, rate: u64, seconds: u64) -> Result<Vec<Lap>, BenchError> {
        let count = usize::try_from(rate * seconds).unwrap_or(usize::MAX);
        let carts = self.open_carts(count).await?;
        let mut due = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX));
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut running = JoinSet::new();
        for number in 0..count {
            let due = due.tick().await.into_std();
            let (shop, cart_id) = (Arc::clone(self), carts[number % carts.len()].clone());
            running.spawn(async move { shop.add_and_read(&cart_id, number, due).await });
        }
        let mut laps = Vec::with_capacity(count);
        while let Some(lap) = running.join_next().await {
            match lap {
                Ok(lap) => laps.push(lap?),
                Err(lost) => std::panic::resume_unwind(lost.into_panic()),
            }
        }
        Ok(laps)
    }

    async fn add_and_read(&self, cart_id: &str, number: usize, due: Instant) -> Result<Lap, BenchError> {
        let sku = &self.products[number % self.products.len()].sku;
        let path = format!("/carts/{cart_id}/lines");
        let add = self.post(&path).json(&json!({ "lines": [{ "sku": sku, "quantity": 1 }] }));
        let (added, position) = answer(&path, add).await?;
        let acknowledged = Instant::now();
        let path = format!("/carts/{cart_id}?min-position={position}");
        let read = self.http.get(shop_client::address_of(&self.base, &path)).header("prefer", PREFER);
        let cart = answer(&path, read).await;
        let readable = acknowledged.elapsed();
        let is_there = match cart {
            Ok((cart, _)) => has_line(&cart, &added["line_ids"][0]),
            // Not in time, and honest about it.
            Err(BenchError::Unexpected { status: 503, .. }) => false,
            Err(error) => return Err(error),
        };
        Ok(Lap { acknowledged: acknowledged - due, readable: is_there.then_some(readable) })
    }

    /// As many as take so many lines.
    async fn open_carts(&self, lines: usize) -> Result<Vec<String>, BenchError> {
        let opening = (0..lines.div_ceil(LINES_OF_A_CART)).map(|_| async {
            let open = self.post("/carts").json(&json!({ "currency": CURRENCY }));
            let (cart, _) = answer("/carts", open).await?;
            Ok(cart["cart_id"].as_str().unwrap_or_default().to_owned())
        });
        stream::iter(opening).buffered(OPENED_AT_ONCE).try_collect().await
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http
            .post(shop_client::address_of(&self.base, path))
            .header("idempotency-key", Uuid::new_v4().to_string())
    }
}

/// The body, and the position at which it is true.
async fn answer(path: &str, request: RequestBuilder) -> Result<(Value, u64), BenchError> {
    let response = request.send().await.map_err(BenchError::Http)?;
    let status = response.status();
    let position =
        response.headers().get("emporium-position").and_then(|value| value.to_str().ok()?.parse().ok());
    let bytes = response.bytes().await.map_err(BenchError::Http)?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match position {
        Some(position) if status.is_success() => Ok((body, position)),
        _ => Err(BenchError::Unexpected {
            path: path.to_owned(),
            status: status.as_u16(),
            body: body.to_string(),
        }),
    }
}

fn has_line(cart: &Value, line_id: &Value) -> bool {
    let lines = cart["lines"].as_array();
    !line_id.is_null() && lines.is_some_and(|lines| lines.iter().any(|line| line["line_id"] == *line_id))
}
