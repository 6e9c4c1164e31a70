//! The figures of a sale, for a person.

use super::audit::{Findings, History, Told};
use super::shopper::Outcome;
use crate::error::BenchError;
use crate::report::short;
use crate::timing::per_second;
use crate::web::Web;
use std::time::Duration;

/// How it ended for the shoppers.
#[derive(Debug, Default)]
pub struct Sold {
    pub told: Told,
    could_not_pay: u64,
}

impl Sold {
    pub fn count(&mut self, outcome: Result<Outcome, BenchError>) {
        match outcome {
            Ok(Outcome::Bought { order_id }) => self.told.bought.push(order_id),
            Ok(Outcome::SentHome { wanted_second: true }) => self.told.sent_home_with_second += 1,
            Ok(Outcome::SentHome { wanted_second: false }) => self.told.sent_home += 1,
            Ok(Outcome::CouldNotPay) => self.could_not_pay += 1,
            Err(error) => {
                if self.told.lost == 0 {
                    tracing::error!(error = &error as &dyn std::error::Error, "a shopper is lost");
                }
                self.told.lost += 1;
            }
        }
    }

    pub fn refused(&self) -> u64 {
        self.told.sent_home + self.told.sent_home_with_second
    }

    pub fn shoppers(&self) -> u64 {
        self.told.bought.len() as u64 + self.refused() + self.could_not_pay + self.told.lost
    }
}

/// What must be zero, and how fast it was.
pub fn print_sale(sold: &Sold, findings: &Findings, elapsed: Duration, settled: Duration) {
    println!("from the event history and the gateway's books");
    row("sold", findings.sold);
    row("oversold", findings.oversold);
    row("undersold", findings.undersold);
    row("charged but unfulfilled", findings.charged_but_unfulfilled);
    row("fulfilled but uncharged", findings.fulfilled_but_uncharged);
    row("stuck", findings.stuck);
    row("promised, not in the history", findings.broken_promises);
    row("units left over", findings.free);
    println!("\nfrom the shoppers");
    row("bought", sold.told.bought.len());
    row("refused (sold out)", sold.refused());
    row("declined, and no other card", sold.could_not_pay);
    println!();
    seconds("all shoppers were served in", elapsed);
    println!("{:<32} {:>9.0}", "buyers a second", per_second(sold.shoppers(), elapsed));
    seconds("everything was settled after", settled);
}

/// What each kind of answer took.
pub fn print_answers(web: &Web, elapsed: Duration) {
    match web.recovery() {
        Some(recovery) => seconds("recovery after the kill", recovery),
        None => println!("{:<32} {:>9}", "recovery after the kill", "no kill"),
    }
    row("requests sent again", web.sent_again());
    println!("\n{:<22} {:>9} {:>9} {:>8} {:>8}", "answers", "count", "a second", "p50", "p99");
    let answers = web.take(elapsed);
    let all: usize = answers.values().map(|(count, _)| count).sum();
    for (kind, (count, measured)) in answers {
        let (p50, p99) = (short(measured.p50), short(measured.p99));
        println!("{kind:<22} {count:>9} {:>9.0} {p50:>8} {p99:>8}", measured.rate);
    }
    println!("{:<22} {all:>9} {:>9.0}", "all", per_second(all as u64, elapsed));
}

/// How far the history goes.
pub fn print_history(events: u64, history: &History, hot: &str) {
    let reservations = history.reservations(hot);
    println!(
        "\n{events} events; {} reservations of the hot SKU in {:.1} s",
        reservations.count,
        reservations.seconds()
    );
}

fn row(name: &str, count: impl std::fmt::Display) {
    println!("{name:<32} {count:>9}");
}

fn seconds(name: &str, duration: Duration) {
    println!("{name:<32} {:>7.2} s", duration.as_secs_f64());
}
