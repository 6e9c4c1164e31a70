//! A service that runs as a process of its own.

use event_store::EventStore;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

const DEADLINE: Duration = Duration::from_secs(90);

/// The binary under test, without the settings of whoever runs the tests.
pub fn emporium() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emporium"));
    command.env_remove("DATABASE_URL").env("RUST_LOG", "warn");
    command
}

pub struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    /// Where its event store answers, without a user.
    #[allow(dead_code, reason = "not every test talks to it")]
    pub event_store: String,
    /// What it has said at its start.
    #[allow(dead_code, reason = "not every test reads it")]
    pub printed: String,
    data_dir: PathBuf,
    client: reqwest::Client,
}

impl Service {
    /// On any free ports.
    pub async fn start(data_dir: &Path, args: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", data_dir, args).await
    }

    async fn start_on(listen: &str, data_dir: &Path, args: &[&str]) -> Self {
        let mut command = tokio::process::Command::from(emporium());
        command.args(["serve", "--listen", listen, "--event-store-listen", "127.0.0.1:0"]);
        command.args(["--sandbox-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(data_dir).args(args).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut service = Self {
            child,
            lines,
            address: String::new(),
            event_store: String::new(),
            printed: String::new(),
            data_dir: data_dir.to_owned(),
            client: reqwest::Client::new(),
        };
        let printed = service.read_until(|line| line.contains("operator token")).await;
        let products = printed.iter().find(|line| line.contains("products")).expect("where to look");
        let url = products.split_whitespace().last().unwrap();
        service.address = url.trim_start_matches("http://").trim_end_matches("/v1/products").to_owned();
        let event_store = printed.iter().find(|line| line.contains("event store")).expect("where it is");
        // A store that was given is not shown: its address may hold a password.
        let url = event_store.split_whitespace().find(|word| word.starts_with("esdb://"));
        service.event_store = url.unwrap_or_default().to_owned();
        service.printed = printed.join("\n");
        service
    }

    /// What it prints, up to such a line.
    pub async fn read_until(&mut self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut printed = Vec::new();
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let is_last = is_last(&line);
                printed.push(line);
                if is_last {
                    return;
                }
            }
            panic!("the service ended");
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("the service prints it in time");
        printed
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("operator-token")).unwrap().trim().to_owned()
    }

    pub async fn status(&self, path: &str) -> StatusCode {
        self.client.get(self.url(path)).send().await.unwrap().status()
    }

    /// The answer to a query of the operator, who waits until it can be given.
    pub async fn get(&self, path: &str) -> Value {
        let asking = async {
            loop {
                let request = self.client.get(self.url(path));
                let Ok(response) = request.bearer_auth(self.token()).send().await else { continue };
                let status = response.status();
                if status != StatusCode::SERVICE_UNAVAILABLE {
                    let body = response.text().await.unwrap();
                    assert_eq!(status, StatusCode::OK, "{body}");
                    return serde_json::from_str(&body).unwrap();
                }
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the query is answered in time")
    }

    /// What the operator's command is answered with, once it is answered. It waits for the outcome.
    #[allow(dead_code, reason = "not every test sends commands")]
    pub async fn post(
        &self,
        path: &str,
        key: impl Display,
        body: &Value,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.client.post(self.url(path)).bearer_auth(self.token());
        let request =
            request.header("idempotency-key", key.to_string()).header("prefer", "wait=20").json(body);
        let response = request.send().await?;
        let status = response.status();
        Ok((status, response.json().await?))
    }

    /// What the operator reads there at this moment.
    pub async fn page(&self, path: &str) -> (StatusCode, String) {
        let sent = self.client.get(self.url(path)).bearer_auth(self.token()).send();
        let response = tokio::time::timeout(DEADLINE, sent).await.expect("it answers in time").unwrap();
        (response.status(), response.text().await.unwrap())
    }

    pub fn url(&self, path: &str) -> String {
        shop_client::address_of(&format!("http://{}", self.address), path)
    }

    /// Its event store, for somebody who has the password.
    pub fn store(&self) -> EventStore {
        let password = std::fs::read_to_string(self.data_dir.join("event-store-password")).unwrap();
        let user = format!("esdb://admin:{}@", password.trim());
        EventStore::connect(&self.event_store.replace("esdb://", &user)).unwrap()
    }

    pub fn pid(&self) -> Pid {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).unwrap()
    }

    /// All items of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}&limit=500{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// An import into this service.
    pub fn import(&self, source: &str, path: &Path, limit: usize) -> Command {
        // Another package's binary, in the same folder: the tests of the whole workspace build it.
        let program = Path::new(env!("CARGO_BIN_EXE_emporium")).with_file_name("emporium-import");
        assert!(program.exists(), "run `cargo build -p importers` first");
        let mut command = Command::new(program);
        command.env("RUST_LOG", "warn").arg(source).arg(path);
        command.args(["--limit", &limit.to_string(), "--url", &format!("http://{}", self.address)]);
        command.arg("--token-file").arg(self.data_dir.join("operator-token"));
        command
    }

    /// A command that looks after this service.
    #[allow(dead_code, reason = "not every test gives one")]
    pub fn command(&self, of: &[&str], what: &[&str]) -> Command {
        let mut command = emporium();
        command.args(of).args(["--url", &format!("http://{}", self.address), "--token-file"]);
        command.arg(self.data_dir.join("operator-token")).args(what);
        command
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it stops in time");
        assert!(ended.unwrap().success());
    }

    /// kill -9, and a new start on the same data and address.
    pub async fn kill_and_restart(mut self) -> Self {
        self.child.kill().await.unwrap();
        Self::start_on(&self.address, &self.data_dir, &[]).await
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }
}

/// Waits until the log has passed a position.
pub async fn head_passes(service: &Service, position: u64) {
    service.get(&format!("/products?limit=1&min-position={position}")).await;
}
