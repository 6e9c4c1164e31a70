//! The service and the payment gateway as processes of their own, so that one can be killed and the other survives.

use super::command_line::EMPORIUM;
use super::error::BenchError;
use emporium::store_password;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The service's data folder, in the run's own.
pub const SHOP: &str = "shop";

const STOP_DEADLINE: Duration = Duration::from_secs(30);
const START_DEADLINE: Duration = Duration::from_secs(120);

/// Settings of a service whose shoppers all come from this machine, as those of a benchmark do: what one address may
/// send, and what it may hold without paying, has no limits.
pub fn for_a_crowd() -> impl Iterator<Item = String> {
    let settings = [
        "--reads-per-second-by-address=0",
        "--writes-per-second-by-address=0",
        "--max-units-of-a-sku=0",
        "--unpaid-share=100",
        "--unpaid-orders-of-address=0",
        "--unpaid-orders-of-customer=0",
        "--scarce-below=0",
        "--waiting-requests=100000",
    ];
    settings.into_iter().map(str::to_owned)
}

/// A child process; it ends with us.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    name: &'static str,
    log: PathBuf,
}

impl Program {
    /// Starts this binary again, as `emporium`, without the settings in the environment of the benchmark.
    /// It may have so many descriptors, or as many as we have.
    fn start(
        name: &'static str,
        folder: &Path,
        args: &[String],
        descriptors: Option<u64>,
    ) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Run { program: name, source };
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = match descriptors {
            None => Command::new(program),
            // Only a process can lower its own limit before it begins: a shell does, and becomes the program.
            Some(descriptors) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(program);
                shell
            }
        };
        for (variable, _) in std::env::vars_os() {
            let is_setting = variable.to_str().is_some_and(|name| name.starts_with("EMPORIUM_"));
            if is_setting || variable == "DATABASE_URL" {
                command.env_remove(variable);
            }
        }
        command
            .arg(EMPORIUM)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(std::io::Error::other("no output")))?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), name, log })
    }

    /// The last word of the first line that begins so.
    async fn says(&mut self, beginning: &str) -> Result<String, BenchError> {
        let reading = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if line.trim_start().starts_with(beginning) {
                    let words = line.trim_start().trim_start_matches(beginning);
                    return words.split_whitespace().next().map(str::to_owned);
                }
            }
            None
        };
        let said = tokio::time::timeout(START_DEADLINE, reading).await.ok().flatten();
        said.ok_or_else(|| BenchError::NotStarted { program: self.name, log: self.log.clone() })
    }

    /// Asks it to end, and makes it end when it does not.
    async fn terminate(&mut self) -> Result<(), BenchError> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let is_asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if is_asked && tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        self.kill().await
    }

    async fn kill(&mut self) -> Result<(), BenchError> {
        let killed = self.child.kill().await;
        killed.map_err(|source| BenchError::Run { program: self.name, source })
    }
}

/// The sandbox payment gateway.
pub struct SandboxProcess {
    program: Program,
    /// Where it answers.
    pub url: String,
}

impl SandboxProcess {
    /// Starts it; it tells what happened to the service at this address.
    pub async fn start(folder: &Path, service: SocketAddr, secret: &str) -> Result<Self, BenchError> {
        let args = [
            "sandbox-gateway".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            format!("--data-dir={}", folder.join("gateway").display()),
            format!("--webhook-url=http://{service}/v1/webhooks/payments"),
            format!("--webhook-secret={secret}"),
        ];
        let mut program = Program::start("sandbox-gateway", folder, &args, None)?;
        let url = program.says("sandbox gateway").await?;
        Ok(Self { program, url })
    }

    /// In order.
    pub async fn stop(self) -> Result<(), BenchError> {
        let mut program = self.program;
        program.terminate().await
    }
}

/// The whole service.
pub struct ServiceProcess {
    program: Program,
    folder: PathBuf,
    args: Vec<String>,
    descriptors: Option<u64>,
    /// The event store that it was given, if it has none of its own.
    given_store: Option<String>,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where its event store answers; another one after each start.
    pub event_store: String,
}

impl ServiceProcess {
    /// Starts it with its data in the folder.
    pub async fn start(folder: &Path, address: SocketAddr, more: Vec<String>) -> Result<Self, BenchError> {
        Self::start_as(folder, address, more, None, None).await
    }

    /// The same on an event store elsewhere, unless there is none.
    pub async fn start_on(
        folder: &Path,
        address: SocketAddr,
        more: Vec<String>,
        event_store: Option<String>,
    ) -> Result<Self, BenchError> {
        Self::start_as(folder, address, more, None, event_store).await
    }

    /// The same with so many descriptors.
    pub async fn start_with_descriptors(
        folder: &Path,
        address: SocketAddr,
        more: Vec<String>,
        descriptors: u64,
    ) -> Result<Self, BenchError> {
        Self::start_as(folder, address, more, Some(descriptors), None).await
    }

    async fn start_as(
        folder: &Path,
        address: SocketAddr,
        more: Vec<String>,
        descriptors: Option<u64>,
        given_store: Option<String>,
    ) -> Result<Self, BenchError> {
        let event_store = match &given_store {
            Some(url) => format!("--event-store={url}"),
            None => "--event-store-listen=127.0.0.1:0".to_owned(),
        };
        let mut args = vec![
            "serve".to_owned(),
            format!("--listen={address}"),
            event_store,
            "--sandbox-listen=127.0.0.1:0".to_owned(),
            format!("--data-dir={}", folder.join(SHOP).display()),
        ];
        args.extend(more);
        let (program, event_store) = Self::run(folder, &args, descriptors, given_store.as_deref()).await?;
        Ok(Self { program, folder: folder.to_owned(), args, descriptors, given_store, address, event_store })
    }

    async fn run(
        folder: &Path,
        args: &[String],
        descriptors: Option<u64>,
        given_store: Option<&str>,
    ) -> Result<(Program, String), BenchError> {
        let mut program = Program::start("service", folder, args, descriptors)?;
        let event_store = program.says("event store").await?;
        if let Some(url) = given_store {
            return Ok((program, url.to_owned()));
        }
        let user = store_password::user(&store_password::file(&folder.join("shop").join("event-store")))?;
        Ok((program, store_password::with_user(&event_store, &user)))
    }

    /// kill -9: it hears nothing of it.
    pub async fn kill(&mut self) -> Result<(), BenchError> {
        self.program.kill().await
    }

    /// Starts it again on the same data and address, this time with more settings.
    pub async fn restart(&mut self, more: &[String]) -> Result<(), BenchError> {
        let args = [&self.args[..], more].concat();
        let given_store = self.given_store.as_deref();
        (self.program, self.event_store) =
            Self::run(&self.folder, &args, self.descriptors, given_store).await?;
        Ok(())
    }

    /// Its process id; 0 when it has ended.
    pub fn id(&self) -> u32 {
        self.program.child.id().unwrap_or_default()
    }

    /// In order, to be started again.
    pub async fn terminate(&mut self) -> Result<(), BenchError> {
        self.program.terminate().await
    }

    /// In order.
    pub async fn stop(self) -> Result<(), BenchError> {
        let mut program = self.program;
        program.terminate().await
    }

    /// The operator's token, which the first start made.
    pub fn operator_token(&self) -> Result<String, BenchError> {
        let path = self.folder.join(SHOP).join("operator-token");
        let read = std::fs::read_to_string(&path);
        read.map(|token| token.trim().to_owned()).map_err(|source| BenchError::Folder { path, source })
    }
}

/// An address that is free now. The gateway must know it before the service has it.
pub fn free_address() -> Result<SocketAddr, BenchError> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(BenchError::Loopback)
}
