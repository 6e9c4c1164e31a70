//! Starting, watching and stopping the server.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout_at};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::folder::DataFolder;
use crate::log::ServerLog;
use crate::process::{self, ServerProcess};
use crate::socket::SocketFolder;
use crate::{Config, Error, cluster, settings, survivor};

const DATABASE: &str = "emporium";
const STOP_IN_ORDER: Duration = Duration::from_secs(30);
const STOP_AT_ONCE: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(20);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);
const LOOK_AT_LOG_EVERY: Duration = Duration::from_secs(60);

/// After the postmaster was killed, its sessions need a moment to notice. Until then a new server refuses to start.
const OLD_SESSIONS_LIVE: &str = "pre-existing shared memory block";

/// A running server. Stop it with [`PrivatePostgres::stop`]; when it is merely dropped, the server is ended at once
/// and has to recover at the next start.
#[derive(Debug)]
pub struct PrivatePostgres {
    // First, so that the server is told to end before the folder's lock is released.
    process: ServerProcess,
    log_watch: JoinHandle<()>,
    log: ServerLog,
    socket: SocketFolder,
    url: String,
    _folder: DataFolder,
}

impl PrivatePostgres {
    /// Starts the server, making its cluster first if there is none, and waits until it accepts connections.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let prepared = tokio::task::spawn_blocking(move || Prepared::make(config)).await;
        let prepared = prepared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let deadline = Instant::now() + prepared.config.start_deadline;
        let (process, log) = prepared.run(deadline).await?;
        if let Err(source) = create_database(&prepared.socket, deadline).await {
            return Err(Error::Database { database: DATABASE, log: log.tail(), source });
        }
        tracing::info!(pid = process.pid(), log = %log.path().display(), "the Postgres server is ready");
        let Prepared { folder, socket, .. } = prepared;
        let url = socket.url(cluster::ROLE, DATABASE);
        let log_watch = tokio::spawn(keep_bounded(log.clone()));
        Ok(Self { process, log_watch, log, socket, url, _folder: folder })
    }

    /// The address of the database `emporium`, for sqlx and for libpq (`psql`).
    pub fn database_url(&self) -> &str {
        &self.url
    }

    /// Where the server writes what it has to say.
    pub fn log_path(&self) -> &Path {
        self.log.path()
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resolves when the server has ended though nobody stopped it, with the reason. Can be asked again.
    pub async fn died(&self) -> Error {
        let exit = self.process.exited().await;
        Error::Died { how: exit.how, log: self.log.tail() }
    }

    /// Stops the server in order: sessions are ended, everything is written, and the next start needs no recovery.
    pub async fn stop(self) -> Result<(), Error> {
        self.process.signal(Signal::INT);
        if let Some(exit) = self.process.exited_within(STOP_IN_ORDER).await {
            self.socket.remove_if_separate();
            let died = || Error::Died { how: exit.how.clone(), log: self.log.tail() };
            return if exit.in_order { Ok(()) } else { Err(died()) };
        }
        for signal in [Signal::QUIT, Signal::KILL] {
            self.process.signal(signal);
            if self.process.exited_within(STOP_AT_ONCE).await.is_some() {
                break;
            }
        }
        Err(Error::StoppedHard { log: self.log.tail() })
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.log_watch.abort();
    }
}

/// Everything that has to be right before the server can be started.
struct Prepared {
    config: Config,
    folder: DataFolder,
    account: Account,
    binaries: Binaries,
    socket: SocketFolder,
}

impl Prepared {
    fn make(config: Config) -> Result<Self, Error> {
        let (folder, account) = DataFolder::claim(&config.data_dir)?;
        let version = cluster::version(&folder)?;
        let binaries = Binaries::find(&config, &account, version.as_deref())?;
        if version.is_some() {
            account.give_tree(&folder.cluster())?;
            survivor::stop(&folder.cluster())?;
        } else {
            cluster::create(&folder, &account, &binaries, config.durability)?;
        }
        let socket = SocketFolder::prepare(&folder.path, &account)?;
        socket.clear()?;
        Ok(Self { config, folder, account, binaries, socket })
    }

    async fn run(&self, deadline: Instant) -> Result<(ServerProcess, ServerLog), Error> {
        loop {
            let (log, file) = ServerLog::open(self.folder.log())?;
            let process = self.spawn(file).await?;
            match self.ready(&process, &log, deadline).await {
                Ok(()) => return Ok((process, log)),
                Err(Error::Refused { log, .. })
                    if log.text.contains(OLD_SESSIONS_LIVE)
                        && Instant::now() + TRY_AGAIN_AFTER < deadline =>
                {
                    sleep(TRY_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn spawn(&self, log: File) -> Result<ServerProcess, Error> {
        let cannot = |source| self.account.cannot_run(&self.binaries.postgres, source);
        let mut command = process::bound(&self.account, &self.binaries.postgres, "INT", self.binaries.bind);
        command
            .arg("-D")
            .arg(self.folder.cluster())
            .args(settings::arguments(&self.config, self.socket.path()))
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log);
        ServerProcess::spawn(command).await.map_err(cannot)
    }

    async fn ready(&self, process: &ServerProcess, log: &ServerLog, deadline: Instant) -> Result<(), Error> {
        let url = self.socket.url(cluster::ROLE, "postgres");
        let mut last = None;
        let waiting = async {
            loop {
                match PgConnection::connect(&url).await {
                    Ok(connection) => return connection.close().await.err(),
                    Err(error) => last = Some(error),
                }
                sleep(ASK_EVERY).await;
            }
        };
        tokio::select! {
            exit = process.exited() => return Err(Error::Refused { how: exit.how, log: log.tail() }),
            answer = timeout_at(deadline, waiting) => if answer.is_ok() { return Ok(()) },
        }
        let seconds = self.config.start_deadline.as_secs();
        Err(Error::NotReady { seconds, log: log.tail(), source: last })
    }
}

async fn create_database(socket: &SocketFolder, deadline: Instant) -> Result<(), sqlx::Error> {
    let create = async {
        let mut connection = PgConnection::connect(&socket.url(cluster::ROLE, "postgres")).await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query("create database emporium").execute(&mut connection).await?;
        }
        connection.close().await
    };
    timeout_at(deadline, create).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn keep_bounded(log: ServerLog) {
    let mut tick = interval(LOOK_AT_LOG_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = log.keep_bounded() {
            tracing::warn!(log = %log.path().display(), %error, "the Postgres server's log cannot be kept small");
        }
    }
}
