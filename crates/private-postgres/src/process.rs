//! The server as a child process.
//!
//! A thread of its own starts the server and waits for its end. It has to be such a thread because the kernel sends
//! the "parent has died" signal when the *thread* that started the child ends, and the threads of an async runtime
//! come and go.

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::account::Account;

/// How the server ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub in_order: bool,
    pub how: String,
}

#[derive(Debug)]
pub(crate) struct ServerProcess {
    pid: Pid,
    /// True once the process is reaped: from then on its number may belong to somebody else.
    reaped: Arc<Mutex<bool>>,
    exit: watch::Receiver<Option<Exit>>,
}

impl ServerProcess {
    pub async fn spawn(command: Command) -> io::Result<Self> {
        let (told, answer) = oneshot::channel();
        thread::Builder::new().name("postgres-keeper".into()).spawn(move || keep(command, told))?;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the thread that starts the server died")))
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Resolves when the process has ended, at once if it already has.
    pub async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|exit| exit.clone()) {
            Ok(Some(exit)) => exit,
            _ => Exit { in_order: false, how: "nobody saw how".into() },
        }
    }

    pub async fn exited_within(&self, limit: Duration) -> Option<Exit> {
        timeout(limit, self.exited()).await.ok()
    }

    /// Does nothing if the process has ended.
    pub fn signal(&self, signal: Signal) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped && let Err(error) = kill_process(self.pid, signal) {
            tracing::warn!(pid = self.pid(), %error, "could not signal the Postgres server");
        }
    }
}

/// Last resort, when nobody stopped the server in order. At SIGQUIT the server ends its sessions and itself at once,
/// and needs a recovery at the next start; it leaves no orphans, as SIGKILL could.
impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
    }
}

fn keep(mut command: Command, told: oneshot::Sender<io::Result<ServerProcess>>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody listens when the start was given up: then the failure is of no interest.
            let _ = told.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    let reaped = Arc::new(Mutex::new(false));
    let (ended, exit) = watch::channel(None);
    // When the start was given up, the returned process is dropped here, which stops it.
    let _ = told.send(Ok(ServerProcess { pid, reaped: Arc::clone(&reaped), exit }));

    // Without reaping, so that the number stays taken until the lock says that it no longer counts.
    while let Err(rustix::io::Errno::INTR) =
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {}
    let mut is_reaped = reaped.lock().unwrap_or_else(PoisonError::into_inner);
    let how = reap(&mut child);
    *is_reaped = true;
    drop(is_reaped);
    ended.send_replace(Some(how));
}

fn reap(child: &mut Child) -> Exit {
    match child.wait() {
        Ok(status) => Exit { in_order: status.success(), how: status.to_string() },
        Err(error) => Exit { in_order: false, how: error.to_string() },
    }
}

/// Whether the system has the tool that ties a child's life to ours. Asked with the very program: not every `setpriv`
/// knows the option.
pub(crate) fn can_bind(account: &Account, program: &Path) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let asked =
        account.command("setpriv").args(["--pdeathsig", "INT", "--"]).arg(program).arg("--version").output();
    let works = asked.is_ok_and(|answer| answer.status.success());
    if !works {
        tracing::debug!(
            "no setpriv: should this process be killed, its Postgres server is stopped at the next start"
        );
    }
    works
}

/// A command that the kernel signals when the thread that starts it ends, if `bind` says that this is possible.
pub(crate) fn bound(account: &Account, program: &Path, signal: &str, bind: bool) -> Command {
    if !bind {
        return account.command(program);
    }
    let mut command = account.command("setpriv");
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}
