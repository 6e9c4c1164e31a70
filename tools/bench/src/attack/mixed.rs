//! All attacks at once for a long time, with a line a minute.

use super::Siege;
use super::crowd::{Acknowledged, Crowd};
use super::kept;
use super::memory::MIB;
use super::report::{self, Judge, Outcome, Served};
use super::scripts::{Script, Strength};
use super::tally::{Counted, Tally};
use crate::error::BenchError;
use crate::report::short;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);
/// Of what each attack does alone, it does this part beside all others.
const PART: usize = 4;

/// Attacks for so many minutes. The verdict is about shoppers without an order and the most memory. How long shoppers
/// wait is shown for each minute and not judged: nobody waits as without an attack when all come at once.
pub async fn attack(
    siege: &mut Siege,
    crowd: &Crowd,
    strength: Strength,
    minutes: u64,
) -> Result<(), BenchError> {
    let (stop, tally) = (CancellationToken::new(), Arc::new(Tally::default()));
    let part = |whole: usize| (whole / PART).max(1);
    let strength = Strength { connections: part(strength.connections), at_once: part(strength.at_once) };
    let before = siege.memory.now();
    siege.memory.take_peak();
    crowd.take();
    let mut attacking: JoinSet<Result<(), BenchError>> = JoinSet::new();
    for script in Script::all() {
        attacking.spawn(script.run(Arc::clone(&siege.target), Arc::clone(&tally), strength, stop.clone()));
    }
    println!(
        "{:>6} {:>8} {:>8} {:>6} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "minute", "bought", "without", "again", "p99", "MiB", "tried", "refused", "closed"
    );
    let mut all = Whole::default();
    for minute in 1..=minutes {
        let begun = Instant::now();
        tokio::time::sleep(MINUTE).await;
        let (shopped, acknowledged) = crowd.take();
        let served = Served::of(shopped, begun.elapsed());
        let peak = siege.memory.take_peak();
        let now = tally.counted();
        let since = |figure: fn(&Counted) -> u64| figure(&now) - figure(&all.counted);
        println!(
            "{minute:>6} {:>8} {:>8} {:>6} {:>8} {:>9} {:>9} {:>9} {:>9}",
            served.bought,
            served.without,
            served.sent_again,
            short(served.p99),
            peak / MIB,
            since(|counted| counted.tried),
            since(|counted| counted.refused),
            since(|counted| counted.closed),
        );
        all.add(served, acknowledged, peak, now);
    }
    stop.cancel();
    while let Some(done) = attacking.join_next().await {
        match done {
            Ok(done) => done?,
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        }
    }
    let after = siege.memory.comes_back(before, super::TO_COME_BACK).await;
    let memory = report::Memory { before, peak: all.peak, after };
    let lost = kept::lost(&siege.service.event_store, all.acknowledged).await?;
    println!();
    report::print_head();
    let judge = siege.judge;
    siege.judge = Judge { with_times: false, memory_comes_back: false, ..judge };
    siege.judge(&Outcome {
        name: "all at once".to_owned(),
        counted: all.counted,
        served: all.served,
        memory,
        lost,
        more: vec![],
    });
    siege.judge = judge;
    Ok(())
}

/// All minutes together.
struct Whole {
    served: Served,
    acknowledged: Acknowledged,
    peak: u64,
    counted: Counted,
}

impl Default for Whole {
    fn default() -> Self {
        let served = Served {
            bought: 0,
            without: 0,
            reasons: vec![],
            sent_again: 0,
            p50: Duration::ZERO,
            p99: Duration::ZERO,
        };
        Self { served, acknowledged: Acknowledged::default(), peak: 0, counted: Counted::default() }
    }
}

impl Whole {
    /// The longest p99 of a minute stands for all of them.
    fn add(&mut self, minute: Served, acknowledged: Acknowledged, peak: u64, counted: Counted) {
        let Served { bought, without, reasons, sent_again, p50, p99 } = minute;
        self.acknowledged.extend(acknowledged);
        self.served.bought += bought;
        self.served.without += without;
        self.served.reasons.extend(reasons);
        self.served.sent_again += sent_again;
        self.served.p50 = self.served.p50.max(p50);
        self.served.p99 = self.served.p99.max(p99);
        self.peak = self.peak.max(peak);
        self.counted = counted;
    }
}
