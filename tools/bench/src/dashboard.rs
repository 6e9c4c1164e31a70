//! `emporium-bench dashboard`: what a dashboard and a shop's order page ask of a running shop.

use super::error::BenchError;
use super::report::{load, short};
use super::timing::{Laps, Measured, all_at_once};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use shop_client::operator::OperatorArgs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Orders whose pages are asked for in turn.
const ORDERS: usize = 500;

/// `emporium-bench dashboard …`
#[derive(Debug, Args)]
pub struct DashboardArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// How long each question is asked
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many ask at once
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// The time zone of the dashboard
    #[arg(long, default_value = "Europe/London")]
    time_zone: String,
    /// The last day of the year that is asked for; without it, that of the newest order
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
}

/// A running shop.
struct Shop {
    http: reqwest::Client,
    base: String,
}

/// Measures, and prints the figures.
pub async fn run(args: DashboardArgs) -> Result<(), BenchError> {
    let shop = Arc::new(Shop::new(&args.operator).await?);
    let newest = shop.get(&format!("/orders?limit={ORDERS}")).await?;
    let orders: Vec<String> = texts(&newest["items"], "order_id");
    let last = match args.to {
        Some(day) => day,
        None => newest_day(&newest).unwrap_or_else(|| Utc::now().date_naive()),
    };
    let questions = questions(last, &args.time_zone, &orders);
    println!(
        "{} orders' pages, the year to {last} in {}; {} at once, {} s for each question; {} cores, load {}\n",
        orders.len(),
        args.time_zone,
        args.clients,
        args.seconds,
        std::thread::available_parallelism().map_or(1, usize::from),
        load(),
    );
    println!("{:<22} {:>9} {:>9} {:>8} {:>8}", "", "count", "a second", "p50", "p99");
    let span = Duration::from_secs(args.seconds);
    for (what, paths) in questions {
        // The first answers fill caches that a dashboard finds filled.
        shop.ask(&paths, args.clients, Duration::from_millis(500)).await?;
        let measured = shop.ask(&paths, args.clients, span).await?;
        let count = measured.rate * span.as_secs_f64();
        let (p50, p99) = (short(measured.p50), short(measured.p99));
        println!("{what:<22} {count:>9.0} {:>9.0} {p50:>8} {p99:>8}", measured.rate);
    }
    Ok(())
}

/// What is measured, and the addresses that are asked in turn for it.
fn questions(last: NaiveDate, time_zone: &str, orders: &[String]) -> Vec<(&'static str, Arc<[String]>)> {
    let first = last.with_year(last.year() - 1).unwrap_or(last);
    let first = first.checked_add_days(Days::new(1)).unwrap_or(first);
    let year = format!("from={first}&to={last}&time_zone={time_zone}");
    let one = |path: String| Arc::from([path]);
    let mut questions = vec![
        ("a year by day", one(format!("/analytics/revenue?{year}&bucket=day"))),
        ("top 50 SKUs", one(format!("/analytics/top-sellers?{year}&limit=50"))),
        ("funnel", one(format!("/analytics/funnel?{year}"))),
        ("orders by month", one(format!("/analytics/orders?{year}&bucket=month"))),
        ("time in state", one(format!("/analytics/time-in-state?{year}"))),
        ("cohorts", one(format!("/analytics/cohorts?{year}"))),
        ("countries", one(format!("/analytics/revenue/countries?{year}"))),
    ];
    if !orders.is_empty() {
        questions.push(("an order's page", orders.iter().map(|id| format!("/orders/{id}")).collect()));
    }
    questions
}

impl Shop {
    async fn new(operator: &OperatorArgs) -> Result<Self, BenchError> {
        let token = operator.token().await?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| BenchError::Token)?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().tcp_nodelay(true);
        let http = http.default_headers(headers).build().map_err(BenchError::Http)?;
        Ok(Self { http, base: operator.url.trim_end_matches('/').to_owned() })
    }

    /// The whole answer, as it stands.
    async fn bytes(&self, path: &str) -> Result<Vec<u8>, BenchError> {
        let answer = self
            .http
            .get(shop_client::address_of(&self.base, path))
            .send()
            .await
            .map_err(BenchError::Http)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(BenchError::Http)?;
        if status.is_success() {
            return Ok(body.into());
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Err(BenchError::Refused { path: path.to_owned(), status: status.as_u16(), body })
    }

    async fn get(&self, path: &str) -> Result<Value, BenchError> {
        Ok(serde_json::from_slice(&self.bytes(path).await?).unwrap_or_default())
    }

    /// Asks again and again for so long.
    async fn ask(
        self: &Arc<Self>,
        paths: &Arc<[String]>,
        clients: usize,
        span: Duration,
    ) -> Result<Measured, BenchError> {
        let next = Arc::new(AtomicUsize::new(0));
        all_at_once((0..clients).map(|_| {
            let (shop, paths, next) = (Arc::clone(self), Arc::clone(paths), Arc::clone(&next));
            async move {
                let mut laps = Laps::start(span);
                while let Some(begun) = laps.next() {
                    let path = &paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
                    shop.bytes(path).await?;
                    laps.done(begun);
                }
                Ok(laps.finish())
            }
        }))
        .await
    }
}

/// The day of the first order of a list, the newest first.
fn newest_day(orders: &Value) -> Option<NaiveDate> {
    let placed_at: DateTime<Utc> = orders["items"][0]["placed_at"].as_str()?.parse().ok()?;
    Some(placed_at.date_naive())
}

fn texts(items: &Value, field: &str) -> Vec<String> {
    let items = items.as_array().into_iter().flatten();
    items.filter_map(|item| item[field].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_ends_on_the_day_of_the_newest_order() {
        let newest = serde_json::json!({ "items": [{ "placed_at": "2011-12-09T12:50:00Z" }] });
        assert_eq!(newest_day(&newest), NaiveDate::from_ymd_opt(2011, 12, 9));
        assert_eq!(newest_day(&serde_json::json!({ "items": [] })), None);
        let questions = questions(NaiveDate::from_ymd_opt(2011, 12, 9).unwrap(), "UTC", &[]);
        assert_eq!(
            questions[0].1[0],
            "/analytics/revenue?from=2010-12-10&to=2011-12-09&time_zone=UTC&bucket=day"
        );
    }
}
