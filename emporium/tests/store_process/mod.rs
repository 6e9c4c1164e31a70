//! The event store as a process of its own, and the commands about it.

use event_store::EventStore;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

const DEADLINE: Duration = Duration::from_secs(60);

/// The binary under test, without the settings of whoever runs the tests.
pub fn emporium() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emporium"));
    command.env_remove("EMPORIUM_EVENT_STORE_LISTEN").env("RUST_LOG", "warn,kurrentdb=off");
    command
}

pub fn export(source: &[&str], file: &Path) -> Output {
    emporium().args(["event-store", "export"]).args(source).arg(file).output().unwrap()
}

pub fn import(file: &Path, url: &str) -> Output {
    emporium().args(["event-store", "import", "--url", url]).arg(file).output().unwrap()
}

/// What a command printed that must have gone well.
pub fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for something that must happen.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it happens in time")
}

pub struct StoreProcess {
    child: Child,
    printed: Lines<BufReader<ChildStdout>>,
    pub url: String,
}

impl StoreProcess {
    /// On any free port, open to everybody.
    pub async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--open"]).await
    }

    pub async fn start_with(data_dir: &Path, args: &[&str]) -> Self {
        let mut command = tokio::process::Command::from(emporium());
        command.args(["event-store", "serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.args(args);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = within(printed.next_line()).await.unwrap().expect("it says where it is");
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self { child, printed, url }
    }

    /// The next line that it prints after its address.
    pub async fn line(&mut self) -> String {
        within(self.printed.next_line()).await.unwrap().expect("it says more")
    }

    pub fn client(&self) -> EventStore {
        EventStore::connect(&self.url).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(mut self) {
        self.signal(Signal::TERM);
        assert!(within(self.child.wait()).await.unwrap().success());
    }
}
