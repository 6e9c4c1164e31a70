//! `emporium-bench attack`: what strangers can do to the service. Scripts of our own, with bounds, against a service that
//! is started for them on the loopback, while ordinary shoppers shop on.

mod crowd;
mod full_disk;
mod kept;
mod memory;
mod mixed;
mod report;
mod scarce;
mod scripts;
mod shopper;
mod tally;
mod target;

use super::error::BenchError;
use super::folder::Folder;
use super::programs::{SandboxProcess, ServiceProcess, free_address};
use clap::Args;
use crowd::Crowd;
use memory::Memory;
use report::{Judge, Outcome, Served};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scripts::{Script, Strength};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tally::Tally;
use target::Target;
use tokio_util::sync::CancellationToken;

const GATEWAY_KEY: &str = "sk_test_emporium";
const WEBHOOK_SECRET: &str = "whsec_bench";
/// After an attack, for the memory to come back.
const TO_COME_BACK: Duration = Duration::from_secs(30);
/// Descriptors that this process needs beside the attackers' connections.
const OWN_DESCRIPTORS: u64 = 512;

/// `emporium-bench attack …`
#[derive(Debug, Args)]
pub struct AttackArgs {
    /// How long each attack lasts
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How long the shoppers are watched before, without an attack
    #[arg(long, default_value_t = 10)]
    pub quiet_seconds: u64,
    /// Only these attacks, one after the other
    #[arg(long, value_enum)]
    pub only: Vec<Script>,
    /// All attacks at once, for --minutes
    #[arg(long)]
    pub mixed: bool,
    /// How long the mixed attack lasts
    #[arg(long, default_value_t = 60, requires = "mixed")]
    pub minutes: u64,
    /// Ordinary shoppers at once
    #[arg(long, default_value_t = 4)]
    pub shoppers: usize,
    /// Silent connections; there are a fifth as many slow ones
    #[arg(long, default_value_t = 1_500)]
    pub connections: usize,
    /// Requests at once of the attacks that ask for something
    #[arg(long, default_value_t = 16)]
    pub at_once: usize,
    /// Descriptors that the service may have (`ulimit -n`)
    #[arg(long, default_value_t = 1_024)]
    pub descriptors: u64,
    /// Do not judge how long shoppers wait, nor what memory stays, because the machine is busy with something else
    #[arg(long)]
    pub no_times: bool,
    /// Where everything is kept meanwhile; removed in the end, unless a verdict is bad
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
}

/// A service that is attacked, and all who have to do with it.
struct Siege {
    service: ServiceProcess,
    gateway: SandboxProcess,
    target: Arc<Target>,
    memory: Memory,
    judge: Judge,
    wrong: Vec<String>,
}

/// Attacks, and prints what came of it.
pub async fn run(args: AttackArgs) -> Result<(), BenchError> {
    let connections = allow_connections(args.connections);
    let folder = Folder::make(&args.folder)?;
    let strength = Strength { connections, at_once: args.at_once };
    let wrong = attack(&args, strength, &folder).await?;
    if !wrong.is_empty() {
        return Err(BenchError::Broken { what: wrong.join(", "), folder: folder.path().to_owned() });
    }
    folder.remove();
    Ok(())
}

async fn attack(args: &AttackArgs, strength: Strength, folder: &Folder) -> Result<Vec<String>, BenchError> {
    let address = free_address()?;
    let gateway = SandboxProcess::start(folder.path(), address, WEBHOOK_SECRET).await?;
    let settings = vec![
        format!("--payment-gateway={}", gateway.url),
        format!("--payment-gateway-key={GATEWAY_KEY}"),
        format!("--payment-webhook-secret={WEBHOOK_SECRET}"),
    ];
    let service =
        ServiceProcess::start_with_descriptors(folder.path(), address, settings, args.descriptors).await?;
    let target = Arc::new(Target::prepare(&service).await?);
    let memory = Memory::watch(service.id());
    let crowd = Crowd::gather(&target, args.shoppers)?;
    println!(
        "{} shoppers, {} silent connections, {} requests at once; the service has {} descriptors; {} cores, load {}\n",
        args.shoppers,
        strength.connections,
        strength.at_once,
        args.descriptors,
        std::thread::available_parallelism().map_or(1, usize::from),
        super::report::load(),
    );
    let quiet = quiet(&crowd, Duration::from_secs(args.quiet_seconds)).await;
    let judge = Judge { quiet_p99: quiet.p99, with_times: !args.no_times, memory_comes_back: !args.no_times };
    let mut siege = Siege { service, gateway, target, memory, judge, wrong: quiet_failures(&quiet) };
    if args.mixed {
        mixed::attack(&mut siege, &crowd, strength, args.minutes).await?;
    } else {
        let scripts = if args.only.is_empty() { Script::all() } else { &args.only };
        siege.one_after_the_other(scripts, &crowd, strength, Duration::from_secs(args.seconds)).await?;
    }
    siege.end(crowd, !args.mixed && args.only.is_empty()).await
}

/// How the shoppers are served without an attack. The first of them warm everything up.
async fn quiet(crowd: &Crowd, span: Duration) -> Served {
    tokio::time::sleep(span / 4).await;
    crowd.take();
    let begun = Instant::now();
    tokio::time::sleep(span).await;
    let (shopped, _) = crowd.take();
    let served = Served::of(shopped, begun.elapsed());
    println!(
        "without an attack: {} bought, p50 {}, p99 {}\n",
        served.bought,
        super::report::short(served.p50),
        super::report::short(served.p99)
    );
    served
}

fn quiet_failures(quiet: &Served) -> Vec<String> {
    let failed = quiet.without > 0 || quiet.bought == 0;
    let reason = quiet.reasons.first().map(String::as_str).unwrap_or("nobody bought anything");
    failed.then(|| format!("without an attack: {reason}")).into_iter().collect()
}

impl Siege {
    async fn one_after_the_other(
        &mut self,
        scripts: &[Script],
        crowd: &Crowd,
        strength: Strength,
        span: Duration,
    ) -> Result<(), BenchError> {
        report::print_head();
        for script in scripts {
            let before = self.memory.now();
            self.memory.take_peak();
            crowd.take();
            let (tally, stop, begun) = (Arc::new(Tally::default()), CancellationToken::new(), Instant::now());
            let attacking = script.run(Arc::clone(&self.target), Arc::clone(&tally), strength, stop.clone());
            let watching = async {
                tokio::time::sleep(span).await;
                let more = match script {
                    Script::Stock => scarce::can_be_bought(&self.target).await,
                    _ => vec![],
                };
                // Those who shop now were all attacked; those who come later are not counted.
                let (shopped, acknowledged) = crowd.take();
                let served = Served::of(shopped, begun.elapsed());
                stop.cancel();
                (more, served, acknowledged)
            };
            let (attacked, (more, served, acknowledged)) = tokio::join!(attacking, watching);
            attacked?;
            let after = self.memory.comes_back(before, TO_COME_BACK).await;
            let memory = report::Memory { before, peak: self.memory.take_peak(), after };
            let lost = match after {
                // The service has ended, and that is the verdict.
                0 => 0,
                _ => kept::lost_of_few(&self.service.event_store, &acknowledged).await?,
            };
            let counted = tally.counted();
            self.judge(&Outcome { name: script.name(), counted, served, memory, lost, more });
        }
        Ok(())
    }

    fn judge(&mut self, outcome: &Outcome) {
        let wrong = self.judge.of(outcome);
        report::print(outcome, &self.judge, &wrong);
        self.wrong.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", outcome.name)));
    }

    /// Lets the shoppers go, and looks whether all that was acknowledged is still there after a kill -9.
    async fn end(mut self, crowd: Crowd, with_full_disk: bool) -> Result<Vec<String>, BenchError> {
        let (shopped, acknowledged) = crowd.leave().await;
        if shopped.without > 0 {
            let reason = shopped.reasons.first().cloned().unwrap_or_default();
            self.wrong
                .push(format!("after the attacks: {} shoppers without an order: {reason}", shopped.without));
        }
        let (placed, paid) = (acknowledged.placed.len(), acknowledged.paid.len());
        self.service.kill().await?;
        self.service.restart(&[]).await?;
        let lost = kept::lost(&self.service.event_store, acknowledged).await?;
        println!("\nacknowledged: {placed} orders, {paid} payments; lost after a kill -9: {lost}");
        if lost > 0 {
            self.wrong.push(format!("{lost} acknowledged orders or payments are lost"));
        }
        if with_full_disk {
            let wrong = full_disk::look(&mut self.service, &self.target).await?;
            let verdict = if wrong.is_empty() { "holds".to_owned() } else { wrong.join("; ") };
            println!("a disk that is nearly full: {verdict}");
            self.wrong.extend(wrong);
        }
        self.service.stop().await?;
        self.gateway.stop().await?;
        Ok(self.wrong)
    }
}

/// Lets this process have so many connections, or as many as the system allows.
fn allow_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 * 2 + OWN_DESCRIPTORS;
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = limit.current.map_or(raised, |current| current.max(raised));
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of descriptors stays as it is");
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(needed);
    wanted.min(usize::try_from(now.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(wanted))
}
