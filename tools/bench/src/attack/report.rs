//! What came of an attack: figures, and whether they are as they must be.

use super::crowd::Shopped;
use super::memory::{self, MIB};
use super::tally::Counted;
use crate::report::short;
use crate::timing::Measured;
use std::time::Duration;

/// Others' requests may take so many times as long as without the attack.
const TIMES_AS_LONG: f64 = 2.0;

/// How ordinary shoppers were served in a while.
#[derive(Debug)]
pub struct Served {
    pub bought: u64,
    pub without: u64,
    pub reasons: Vec<String>,
    pub sent_again: u64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Served {
    pub fn of(shopped: Shopped, elapsed: Duration) -> Self {
        let Shopped { bought, without, reasons, took, sent_again } = shopped;
        let Measured { p50, p99, .. } = Measured::new(took, elapsed);
        Self { bought, without, reasons, sent_again, p50, p99 }
    }
}

/// The memory of the service, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub before: u64,
    pub peak: u64,
    pub after: u64,
}

/// One attack, and what it did to the service.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    pub counted: Counted,
    pub served: Served,
    pub memory: Memory,
    /// Orders and payments that were acknowledged meanwhile and are not in the log.
    pub lost: u64,
    /// What else must be, and is not.
    pub more: Vec<String>,
}

/// What is judged: with times, or without them where the machine may be busy with something else.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    pub quiet_p99: Duration,
    pub with_times: bool,
    /// Whether the memory must be near what it was before: not after a long time, in which caches have filled.
    pub memory_comes_back: bool,
}

impl Judge {
    pub fn times_as_long(&self, p99: Duration) -> f64 {
        p99.as_secs_f64() / self.quiet_p99.as_secs_f64().max(f64::EPSILON)
    }

    /// All that is not as it must be.
    pub fn of(&self, outcome: &Outcome) -> Vec<String> {
        let Outcome { served, memory, lost, more, .. } = outcome;
        let mut wrong = Vec::new();
        if *lost > 0 {
            wrong.push(format!("{lost} acknowledged orders or payments are lost"));
        }
        if served.without > 0 {
            wrong.push(format!("{} shoppers without an order", served.without));
        }
        if self.with_times && served.bought == 0 {
            wrong.push("nobody could buy anything".to_owned());
        }
        if memory.peak > memory::MOST {
            wrong.push(format!("{} MiB of memory", memory.peak / MIB));
        }
        if memory.after == 0 {
            wrong.push("the service has ended".to_owned());
        }
        if self.memory_comes_back && !memory::is_near(memory.after, memory.before) {
            wrong.push(format!("{} MiB of memory stay, from {}", memory.after / MIB, memory.before / MIB));
        }
        if self.with_times && self.times_as_long(served.p99) > TIMES_AS_LONG {
            wrong.push(format!("others wait {:.1} times as long", self.times_as_long(served.p99)));
        }
        wrong.extend(more.iter().cloned());
        wrong
    }
}

pub fn print_head() {
    println!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>6} {:>7} {:>5} {:>8} {:>6} {:>17} {:>5}  verdict",
        "attack",
        "tried",
        "taken",
        "refused",
        "closed",
        "open",
        "bought",
        "again",
        "p99",
        "times",
        "MiB, peak, after",
        "lost"
    );
}

pub fn print(outcome: &Outcome, judge: &Judge, wrong: &[String]) {
    let Outcome { name, counted, served, memory, lost, .. } = outcome;
    let mebibytes = format!("{} {} {}", memory.before / MIB, memory.peak / MIB, memory.after / MIB);
    let verdict = if wrong.is_empty() { "holds".to_owned() } else { wrong.join("; ") };
    println!(
        "{name:<12} {:>8} {:>8} {:>8} {:>8} {:>6} {:>7} {:>5} {:>8} {:>6.1} {mebibytes:>17} {lost:>5}  {verdict}",
        counted.tried,
        counted.taken,
        counted.refused,
        counted.closed,
        counted.most_open,
        served.bought,
        served.sent_again,
        short(served.p99),
        judge.times_as_long(served.p99),
    );
    for reason in &served.reasons {
        println!("{:<12} without an order: {reason}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let milliseconds = Duration::from_millis;
        Outcome {
            name: "silent".to_owned(),
            counted: Counted::default(),
            served: Served {
                bought: 5,
                without: 0,
                reasons: vec![],
                sent_again: 0,
                p50: milliseconds(5),
                p99: milliseconds(20),
            },
            memory: Memory { before: 100 * MIB, peak: 300 * MIB, after: 150 * MIB },
            lost: 0,
            more: vec![],
        }
    }

    fn judged(outcome: &Outcome, with_times: bool) -> Vec<String> {
        Judge { quiet_p99: Duration::from_millis(10), with_times, memory_comes_back: true }.of(outcome)
    }

    #[test]
    fn an_attack_that_did_nothing_holds() {
        assert_eq!(judged(&outcome(), true), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let mut wrong = outcome();
        wrong.served = Served { bought: 0, without: 2, p99: Duration::from_millis(21), ..wrong.served };
        wrong.memory = Memory { before: 100 * MIB, peak: 2_000 * MIB, after: 400 * MIB };
        wrong.lost = 3;
        wrong.more = vec!["it cannot be bought".to_owned()];
        let named = judged(&wrong, true);
        assert_eq!(named.len(), 7, "{named:?}");
        assert!(named.contains(&"3 acknowledged orders or payments are lost".to_owned()), "{named:?}");
        assert_eq!(judged(&wrong, false).len(), 5);
        wrong.memory.after = 0;
        assert!(judged(&wrong, false).contains(&"the service has ended".to_owned()));
    }
}
