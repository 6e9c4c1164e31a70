//! The whole command side in a small world: real rules, and around them a modelled store, machines that remember
//! old states, runners that die, a gateway with books of its own, shoppers after the same few things, and messages
//! that get lost, come twice, late and in any order. Then the world heals, and an auditor who trusts nobody's state
//! looks at every event and at the end of every order.
//!
//! A number, the seed, decides everything that happens. `EMPORIUM_SIMULATION_SEEDS=1000000` tries so many;
//! `EMPORIUM_SIMULATION_SEED=7` tells the story of one. Seeds that failed once are kept in `failed_seeds.txt` and
//! are tried first for ever, each with a digest of its story: a change may make another story of the same number.

mod audit;
mod delivery;
mod every_step;
mod gateway;
mod healing;
mod log;
mod machine;
mod random;
mod runner;
#[path = "../samples/mod.rs"]
mod samples;
mod shop;
mod world;

use audit::Stage;
use domain::{cart, inventory, order};
use std::collections::BTreeMap;
use std::str::FromStr;
use world::World;

/// As many as take some ten seconds on one core in a debug build.
const SEEDS: u64 = 10_000;
/// One in each line, with its story's digest; `#` begins a comment.
const FAILED_BEFORE: &str = include_str!("failed_seeds.txt");

/// Says how to see a failure again, if there is one.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!(
                "the simulation failed with seed {seed}. Its story: EMPORIUM_SIMULATION_SEED={seed} cargo test \
                 -p domain --test simulation -- --nocapture. Keep it: add it to \
                 domain/tests/simulation/failed_seeds.txt"
            );
        }
    }
}

/// What happened in many stories.
#[derive(Default)]
struct Chronicle {
    counts: BTreeMap<&'static str, u64>,
    ends: BTreeMap<(Stage, bool), u64>,
}

impl Chronicle {
    /// Lives through one story and gives its digest. Panics where a rule is broken.
    fn live(&mut self, seed: u64, is_told: bool) -> String {
        let _replay = Replay(seed);
        let mut world = World::new(seed, is_told);
        for _ in 0..world.random.between(150, 1_500) {
            world.step();
        }
        world.tell(|| "the world heals".to_owned());
        world.heal();
        let digest = world.log.digest();
        world.tell(|| format!("the story's digest: {digest}"));
        let ends = world.audit.standings().map(|end| (end, 1)).collect::<Vec<_>>();
        self.add(world.counts, ends);
        digest
    }

    fn add(
        &mut self,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
        ends: impl IntoIterator<Item = ((Stage, bool), u64)>,
    ) {
        counts.into_iter().for_each(|(what, times)| *self.counts.entry(what).or_default() += times);
        ends.into_iter().for_each(|(end, times)| *self.ends.entry(end).or_default() += times);
    }

    /// Stories in which nothing goes wrong prove nothing.
    fn assert_eventful(&self) {
        let events =
            [cart::Event::TYPE_NAMES, inventory::Event::TYPE_NAMES, order::Event::TYPE_NAMES].concat();
        for what in events.iter().chain(HAPPENINGS) {
            assert!(self.counts.get(what).is_some_and(|&times| times > 0), "no story has: {what}");
        }
        for stage in [Stage::Processing, Stage::Shipped, Stage::Delivered, Stage::Cancelled] {
            assert!(self.ends.contains_key(&(stage, true)), "no story ends {stage:?}");
        }
    }
}

/// What the stories must have besides every event.
const HAPPENINGS: &[&str] = &[
    "lost",
    "twice",
    "death",
    "takeover",
    "checkpoint",
    "conflict",
    "append without an answer",
    "webhook",
    "answer to the dead",
    "refused by stock",
    "captured after it was called off",
    "captured before another payment failed",
    "voided by the bank",
    "expired while a payment was under way",
    "paid with two payments",
    "sent in two parcels",
    "given up with a parcel on its way",
    "given up before a parcel was sent",
    "given back by hand before it ships",
];

/// A seed that failed once, and the digest of its story.
struct FailedBefore {
    seed: u64,
    digest: &'static str,
}

impl FailedBefore {
    fn all() -> impl Iterator<Item = Self> {
        let lines = FAILED_BEFORE.lines().map(|line| line.split('#').next().unwrap_or(line).trim());
        lines.filter(|line| !line.is_empty()).map(|line| {
            let (seed, digest) = line.split_once(' ').unwrap_or((line, ""));
            Self { seed: seed.parse().expect("each line has a seed"), digest: digest.trim() }
        })
    }

    fn tell_again(&self) {
        let Self { seed, digest } = self;
        let told = Chronicle::default().live(*seed, false);
        assert_eq!(
            told, *digest,
            "\nseed {seed} does not tell the story that is kept in domain/tests/simulation/failed_seeds.txt: the rules or \
             the simulation have changed since. Nothing is broken, but what went wrong then is perhaps tried no more. See \
             that it is a case of a rule table or of every_step.rs; then write the digest of today's story into the line: \
             {seed} {told}\n"
        );
    }
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// On all cores: only who asks for many seeds has the machine for themselves.
fn live_many(seeds: u64, cores: u64) -> Chronicle {
    let live_every = |first: u64| {
        let mut chronicle = Chronicle::default();
        let mut seed = first;
        while seed < seeds {
            chronicle.live(seed, false);
            seed += cores;
        }
        chronicle
    };
    std::thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|first| scope.spawn(move || live_every(first))).collect();
        let mut all = Chronicle::default();
        for core in cores {
            let Ok(some) = core.join() else { panic!("a seed failed: see above") };
            all.add(some.counts, some.ends);
        }
        all
    })
}

#[test]
fn nothing_is_oversold_undersold_charged_in_vain_or_stuck() {
    if let Some(seed) = from_environment("EMPORIUM_SIMULATION_SEED") {
        Chronicle::default().live(seed, true);
        return;
    }
    let started = std::time::Instant::now();
    FailedBefore::all().for_each(|failed| failed.tell_again());
    let asked: Option<u64> = from_environment("EMPORIUM_SIMULATION_SEEDS");
    let cores =
        if asked.is_some() { std::thread::available_parallelism().map_or(1, |n| n.get() as u64) } else { 1 };
    let seeds = asked.unwrap_or(SEEDS);
    let chronicle = live_many(seeds, cores);
    println!(
        "{} seeds that failed before and {seeds} others, in {:.1} s",
        FailedBefore::all().count(),
        started.elapsed().as_secs_f64()
    );
    println!("ends (with money or without): {:?}", chronicle.ends);
    println!("{:#?}", chronicle.counts);
    if seeds >= SEEDS {
        chronicle.assert_eventful();
    }
}
