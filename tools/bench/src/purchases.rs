//! `emporium-bench purchases`: ordinary purchases, and adding to carts.

use super::error::BenchError;
use super::folder::Folder;
use super::programs::{ServiceProcess, for_a_crowd, free_address};
use super::relayed::Relayed;
use super::report::short;
use super::shop::{self, CURRENCY, Product};
use super::timing::{Laps, Measured, all_at_once};
use super::versions::{events_behind, wait_until_idle};
use super::web::{Ask, Web};
use clap::Args;
use private_postgres::{Config, PrivatePostgres};
use rand::Rng;
use serde_json::json;
use shop_client::ShopClient;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const CARD: &str = "pm_card_visa";
const PLENTY: u64 = 100_000_000;
/// Lines of a cart before the next one is opened, while adding is measured.
const LINES_OF_A_CART: usize = 20;

/// `emporium-bench purchases …`
#[derive(Debug, Args)]
pub struct PurchasesArgs {
    /// How many shop side by side
    #[arg(long, default_value_t = 64)]
    pub shoppers: usize,
    /// How long each figure is measured
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How long everything warms up before
    #[arg(long, default_value_t = 2)]
    pub warm_up: u64,
    /// The EventStoreDB or KurrentDB that the service uses, for example esdb://127.0.0.1:2113?tls=false; without it, the
    /// service's embedded one
    #[arg(long, value_name = "URL")]
    pub event_store: Option<String>,
    /// Use an embedded event store in this process, through a TCP relay that acknowledges as late as a real server does
    #[arg(long, conflicts_with = "event_store")]
    pub relay: bool,
    /// Services on the same event store and the same Postgres; the shoppers are divided among them. Two or more need
    /// --event-store or --relay
    #[arg(long, default_value = "1", value_name = "N")]
    pub services: NonZeroUsize,
    /// Different products that are bought
    #[arg(long, default_value = "200", value_name = "N")]
    pub products: NonZeroUsize,
    /// The shoppers of each service buy products that those of no other buy
    #[arg(long)]
    pub apart: bool,
    /// Where everything is kept meanwhile; removed in the end
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
}

/// A service, and what its shoppers buy.
struct Shop {
    web: Web,
    products: Vec<Product>,
}

/// All services on the event store.
struct Shops {
    shops: Vec<Arc<Shop>>,
    services: Vec<ServiceProcess>,
    /// What they share, if the event store is not embedded: so one service is held against several fairly.
    postgres: Option<PrivatePostgres>,
}

/// Measures, and prints the figures.
pub async fn run(args: PurchasesArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let relayed = if args.relay { Some(Relayed::start(folder.path()).await?) } else { None };
    let event_store = args.event_store.clone().or_else(|| relayed.as_ref().map(Relayed::url));
    let where_it_is = match (&relayed, &event_store) {
        (Some(_), _) => "the event store behind a relay, everything durable",
        (None, Some(_)) => "the event store as given",
        (None, None) => "everything embedded and durable",
    };
    let shops = Shops::open(&args, folder.path(), event_store).await?;
    println!(
        "{} shoppers, {} s for each figure, {where_it_is}; {} services, {} cores, load {}\n",
        args.shoppers,
        args.seconds,
        args.services,
        std::thread::available_parallelism().map_or(1, usize::from),
        super::report::load(),
    );
    let span = Duration::from_secs(args.seconds);
    shops.all_buy(args.shoppers, Duration::from_secs(args.warm_up)).await?;
    shops.forget_answers(span);
    println!("{:<22} {:>9} {:>9} {:>8} {:>8}", "", "count", "a second", "p50", "p99");
    let purchases = shops.all_buy(args.shoppers, span).await?;
    print("purchases", &purchases, span);
    shops.print_answers(span).await?;
    let added = shops.all_add(args.shoppers, span).await?;
    print("adding to a cart", &added, span);
    shops.print_answers(span).await?;
    for service in shops.services {
        service.stop().await?;
    }
    if let Some(postgres) = shops.postgres {
        postgres.stop().await?;
    }
    if let Some(relayed) = relayed {
        relayed.stop().await;
    }
    folder.remove();
    Ok(())
}

fn print(what: &str, measured: &Measured, span: Duration) {
    let count = measured.rate * span.as_secs_f64();
    let (p50, p99) = (short(measured.p50), short(measured.p99));
    println!("{what:<22} {count:>9.0} {:>9.0} {p50:>8} {p99:>8}", measured.rate);
}

/// The read models give way to purchases: how far behind they were when the last one was done, and for how long.
async fn print_catching_up(service: &ServiceProcess) -> Result<(), BenchError> {
    let client = ShopClient::new(&format!("http://{}", service.address), &service.operator_token()?)?;
    let begun = Instant::now();
    let behind = events_behind(&client).await?;
    wait_until_idle(&client).await?;
    println!(
        "  read models behind   {behind:>9} events, caught up after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Shops {
    /// The first service defines what all of them sell.
    async fn open(
        args: &PurchasesArgs,
        folder: &Path,
        event_store: Option<String>,
    ) -> Result<Self, BenchError> {
        let (count, of_each) = (args.services.get(), args.products.get());
        let different = if args.apart { count * of_each } else { of_each };
        let products: Vec<_> = (1..=different)
            .map(|number| Product { sku: format!("ITEM-{number:03}"), price: 1_250, units: PLENTY })
            .collect();
        if count > 1 && event_store.is_none() {
            return Err(BenchError::NothingToShare);
        }
        let postgres = match event_store {
            None => None,
            Some(_) => Some(PrivatePostgres::start(Config::durable(folder.join("postgres"))).await?),
        };
        let database =
            postgres.as_ref().map(|postgres| format!("--database-url={}", postgres.database_url()));
        let (mut shops, mut services) = (Vec::new(), Vec::new());
        for number in 0..count {
            let folder = folder.join(format!("service-{number}"));
            std::fs::create_dir(&folder)
                .map_err(|source| BenchError::Folder { path: folder.clone(), source })?;
            let (address, crowd) = (free_address()?, for_a_crowd().chain(database.clone()).collect());
            let service = ServiceProcess::start_on(&folder, address, crowd, event_store.clone()).await?;
            if number == 0 {
                shop::fill(&service, &products).await?;
            }
            let first = if args.apart { number * of_each } else { 0 };
            let web = Web::new(format!("http://{address}"))?;
            shops.push(Arc::new(Shop { web, products: products[first..first + of_each].to_vec() }));
            services.push(service);
        }
        Ok(Self { shops, services, postgres })
    }

    fn forget_answers(&self, span: Duration) {
        for shop in &self.shops {
            shop.web.take(span);
        }
    }

    async fn print_answers(&self, span: Duration) -> Result<(), BenchError> {
        for (number, shop) in (1..).zip(&self.shops) {
            if self.shops.len() > 1 {
                println!("  at service {number}");
            }
            for (kind, (count, measured)) in shop.web.take(span) {
                let (p50, p99) = (short(measured.p50), short(measured.p99));
                println!("  {kind:<20} {count:>9} {:>9.0} {p50:>8} {p99:>8}", measured.rate);
            }
        }
        // The read models are those of the first one.
        print_catching_up(&self.services[0]).await
    }

    /// One shopper after the other goes to the next service.
    fn of_shoppers(&self, shoppers: usize) -> impl Iterator<Item = Arc<Shop>> {
        self.shops.iter().cycle().take(shoppers).map(Arc::clone)
    }

    async fn all_buy(&self, shoppers: usize, span: Duration) -> Result<Measured, BenchError> {
        all_at_once(self.of_shoppers(shoppers).map(|shop| async move {
            let mut laps = Laps::start(span);
            while let Some(begun) = laps.next() {
                shop.buy().await?;
                laps.done(begun);
            }
            Ok(laps.finish())
        }))
        .await
    }

    async fn all_add(&self, shoppers: usize, span: Duration) -> Result<Measured, BenchError> {
        all_at_once(self.of_shoppers(shoppers).map(|shop| async move {
            let mut laps = Laps::start(span);
            loop {
                let id = Uuid::new_v4();
                let cart_id = shop.open_cart(id).await?;
                for line in 0..LINES_OF_A_CART {
                    let Some(begun) = laps.next() else { return Ok(laps.finish()) };
                    shop.add(&cart_id, format!("{id}-line-{line}")).await?;
                    laps.done(begun);
                }
            }
        }))
        .await
    }
}

impl Shop {
    /// A cart, two lines one after the other, checkout, payment, paid and being packed.
    async fn buy(&self) -> Result<(), BenchError> {
        let id = Uuid::new_v4();
        let cart_id = self.open_cart(id).await?;
        let mut total = 0;
        for line in 0..2 {
            total += self.add(&cart_id, format!("{id}-line-{line}")).await?;
        }
        let total = json!({ "amount": total, "currency": CURRENCY });
        let placed = self.web.post(Ask {
            kind: "check out",
            path: format!("/carts/{cart_id}/checkout"),
            key: Some(format!("{id}-checkout")),
            wait: false,
            body: json!({ "total": total, "country": "GB" }),
        });
        let order_id = placed.await?.text("order_id")?.to_owned();
        let body = json!({ "amount": total, "payment_method": CARD });
        loop {
            let paid = self.web.post(Ask {
                kind: "pay, until packed",
                path: format!("/orders/{order_id}/payments"),
                key: Some(format!("{id}-payment")),
                wait: true,
                body: body.clone(),
            });
            let paid = paid.await?;
            match paid.text("status")? {
                "processing" => return Ok(()),
                // Not decided in the time that the service waits.
                "pending" | "paid" if paid.status == 202 => {}
                _ => return Err(paid.unexpected()),
            }
        }
    }

    async fn open_cart(&self, id: Uuid) -> Result<String, BenchError> {
        let opened = self.web.post(Ask {
            kind: "open a cart",
            path: "/carts".to_owned(),
            key: Some(format!("{id}-cart")),
            wait: false,
            body: json!({ "currency": CURRENCY }),
        });
        Ok(opened.await?.text("cart_id")?.to_owned())
    }

    /// Adds any product; gives its price.
    async fn add(&self, cart_id: &str, key: String) -> Result<i64, BenchError> {
        let product = &self.products[rand::rng().random_range(0..self.products.len())];
        let added = self.web.post(Ask {
            kind: "add a line",
            path: format!("/carts/{cart_id}/lines"),
            key: Some(key),
            wait: false,
            body: json!({ "lines": [{ "sku": product.sku, "quantity": 1 }] }),
        });
        let added = added.await?;
        if added.is_success() { Ok(product.price) } else { Err(added.unexpected()) }
    }
}
