//! `emporium-bench flash-sale`.

mod audit;
mod evidence;
mod reference;
mod report;
mod shopper;

use super::error::BenchError;
use super::folder::Folder;
use super::programs::{SandboxProcess, ServiceProcess, for_a_crowd, free_address};
use super::shop::{self, Product};
use super::web::Web;
use audit::{Findings, Told, judge};
use clap::Args;
use evidence::{Log, books};
use report::Sold;
use shopper::{Outcome, Shopper};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

const GATEWAY_KEY: &str = "sk_test_emporium";
const WEBHOOK_SECRET: &str = "whsec_bench";
/// How long after the last order's time is over everything must have come to its end.
const TO_SETTLE: Duration = Duration::from_secs(60);
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// `emporium-bench flash-sale …`
#[derive(Debug, Args)]
pub struct FlashSaleArgs {
    /// How many shoppers come
    #[arg(long, default_value_t = 50_000)]
    pub shoppers: usize,
    /// How many units of the hot SKU there are
    #[arg(long, default_value_t = 1_000)]
    pub units: u64,
    /// How many shoppers are served at once, each over a connection; as many clients does the Postgres have
    #[arg(long, default_value_t = 400)]
    pub connections: usize,
    /// How long an order waits for its money, in seconds
    #[arg(long, default_value_t = 10)]
    pub hold_seconds: u32,
    /// Leave the kill -9 in the middle out
    #[arg(long)]
    pub no_kill: bool,
    /// Leave the hot row out: ours alone, and a Postgres's
    #[arg(long)]
    pub no_reference: bool,
    /// How long each of the hot rows is measured
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Where everything is kept meanwhile; removed in the end, unless a figure is wrong
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
}

/// What all shoppers share.
pub struct Sale {
    web: Web,
    hot: Product,
    second: Product,
    turns: Semaphore,
    bought: AtomicU64,
    /// Half of all that will be sold is sold.
    half_time: Notify,
    half: u64,
}

/// Holds the sale, prints what came of it, and compares.
pub async fn run(args: FlashSaleArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let findings = hold(&args, &folder).await?;
    let broken = findings.broken();
    if !broken.is_empty() {
        return Err(BenchError::Broken { what: broken.join(", "), folder: folder.path().to_owned() });
    }
    folder.remove();
    Ok(())
}

async fn hold(args: &FlashSaleArgs, folder: &Folder) -> Result<Findings, BenchError> {
    let address = free_address()?;
    let gateway = SandboxProcess::start(folder.path(), address, WEBHOOK_SECRET).await?;
    let settings = [
        format!("--payment-gateway={}", gateway.url),
        format!("--payment-gateway-key={GATEWAY_KEY}"),
        format!("--payment-webhook-secret={WEBHOOK_SECRET}"),
        format!("--order-hold-seconds={}", args.hold_seconds),
    ];
    let settings = settings.into_iter().chain(for_a_crowd()).collect();
    let mut service = ServiceProcess::start(folder.path(), address, settings).await?;
    let sale = Arc::new(Sale::prepare(args, &service).await?);
    println!(
        "{} shoppers, {} at once, for {} units; kill -9 {}; {} cores, load {}\n",
        args.shoppers,
        args.connections,
        args.units,
        if args.no_kill { "never" } else { "when half are sold" },
        std::thread::available_parallelism().map_or(1, usize::from),
        super::report::load(),
    );
    let started = Instant::now();
    let sold = open_the_doors(args, &sale, &mut service).await?;
    let elapsed = started.elapsed();

    let mut log = Log::of(&service.event_store)?;
    let findings = settle(args, &sale, &mut log, &gateway, &sold.told).await?;
    let settled = started.elapsed();
    report::print_sale(&sold, &findings, elapsed, settled);
    report::print_answers(&sale.web, elapsed);
    report::print_history(log.events, &log.history, &sale.hot.sku);
    service.stop().await?;
    gateway.stop().await?;
    if !args.no_kill && sale.web.recovery().is_none() {
        return Err(BenchError::NoKill);
    }
    if !args.no_reference {
        reference::compare(args, folder.path(), sold.shoppers(), elapsed).await?;
    }
    Ok(findings)
}

impl Sale {
    async fn prepare(args: &FlashSaleArgs, service: &ServiceProcess) -> Result<Self, BenchError> {
        let hot = Product { sku: "HOT-1".to_owned(), price: 2_000, units: args.units };
        // One in ten wants it: every second of them gets it only if the hot SKU leaves enough over.
        let units = (args.units / 20).max(1);
        let second = Product { sku: "SECOND-1".to_owned(), price: 700, units };
        shop::fill(service, &[hot.clone(), second.clone()]).await?;
        Ok(Self {
            web: Web::new(format!("http://{}", service.address))?,
            hot,
            second,
            turns: Semaphore::new(args.connections),
            bought: AtomicU64::new(0),
            half_time: Notify::new(),
            half: (args.units.min(args.shoppers as u64) / 2).max(1),
        })
    }

    fn has_bought(&self) {
        if self.bought.fetch_add(1, Ordering::Relaxed) + 1 == self.half {
            self.half_time.notify_one();
        }
    }
}

/// Lets all shoppers in, and pulls the plug in the middle.
async fn open_the_doors(
    args: &FlashSaleArgs,
    sale: &Arc<Sale>,
    service: &mut ServiceProcess,
) -> Result<Sold, BenchError> {
    let mut shopping: JoinSet<Result<Outcome, BenchError>> = (0..args.shoppers)
        .map(|number| {
            let sale = Arc::clone(sale);
            async move {
                let outcome = Shopper::number(number).shop(&sale).await;
                if matches!(outcome, Ok(Outcome::Bought { .. })) {
                    sale.has_bought();
                }
                outcome
            }
        })
        .collect();
    let mut sold = Sold::default();
    let mut is_killed = args.no_kill;
    loop {
        tokio::select! {
            ended = shopping.join_next() => match ended {
                None => return Ok(sold),
                Some(Ok(outcome)) => sold.count(outcome),
                Some(Err(lost)) => std::panic::resume_unwind(lost.into_panic()),
            },
            () = sale.half_time.notified(), if !is_killed => {
                is_killed = true;
                service.kill().await?;
                sale.web.killed();
                service.restart(&[]).await?;
            }
        }
    }
}

/// Reads the history until everything has come to its end, or the time for that is over.
async fn settle(
    args: &FlashSaleArgs,
    sale: &Sale,
    log: &mut Log,
    gateway: &SandboxProcess,
    told: &Told,
) -> Result<Findings, BenchError> {
    let deadline = Instant::now() + Duration::from_secs(u64::from(args.hold_seconds)) * 2 + TO_SETTLE;
    let mut pause = FIRST_LOOK;
    loop {
        log.read_on().await?;
        let books = books(&gateway.url, GATEWAY_KEY).await?;
        let findings = judge(&log.history, (&sale.hot.sku, &sale.second.sku), &books, told);
        if findings.is_settled() || Instant::now() > deadline {
            return Ok(findings);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
