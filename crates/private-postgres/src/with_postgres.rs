//! The program `with-postgres`: runs a command with a Postgres server of its own.
//!
//! The server is quick and forgets everything: it lives in a temporary folder that is removed afterwards, unless
//! `--data-dir` names a folder to keep. The command finds it by `DATABASE_URL`. Signals are passed on to the command,
//! and the command's exit code becomes ours.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::account::Account;
use crate::folder::{DataFolder, LOCK};
use crate::{Config, Error, PrivatePostgres, survivor};

const PREFIX: &str = "with-postgres-";
const USAGE: &str = "usage: with-postgres [--data-dir DIR] [--] COMMAND [ARGUMENT]...";

/// A folder is only ever locked in its first moments, so one that is older and not locked has been abandoned.
const SETTLED: Duration = Duration::from_secs(60);

/// Why the command was not run, or why its end could not be awaited.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{USAGE}")]
    Usage,
    #[error(transparent)]
    Server(#[from] Error),
    #[error("could not run {}", .0.display())]
    Command(PathBuf, #[source] io::Error),
    #[error("could not prepare a temporary folder in {}. Set TMPDIR to a folder that you may write to", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Invocation {
    data_dir: Option<PathBuf>,
    program: OsString,
    arguments: Vec<OsString>,
}

/// Runs the command that the arguments name (without the program's own name) and returns its exit code; 128 and the
/// signal's number if a signal ended it.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<u8, Failure> {
    let invocation = parse(arguments).ok_or(Failure::Usage)?;
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    let temporary = match &invocation.data_dir {
        Some(_) => None,
        None => Some(temporary_folder()?),
    };
    let data_dir =
        invocation.data_dir.clone().or(temporary.as_ref().map(|folder| folder.path().to_path_buf()));
    let config = Config::throwaway(data_dir.unwrap_or_default());

    let server = PrivatePostgres::start(config).await?;
    // A start takes a second or two and is not broken off: an initdb would go on in a folder that we remove.
    let outcome = match signals.already_here().await {
        Some(signal) => Ok(code_of_signal(signal.as_raw())),
        None => serve(&invocation, &server, &mut signals).await.map(code_of),
    };
    match (outcome, server.stop().await) {
        (Ok(0), Err(error)) => Err(error.into()),
        (outcome, Err(error)) => {
            eprintln!("with-postgres: {error}");
            outcome
        }
        (outcome, Ok(())) => outcome,
    }
}

fn code_of(status: ExitStatus) -> u8 {
    match status.signal() {
        Some(signal) => code_of_signal(signal),
        None => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    }
}

async fn serve(
    invocation: &Invocation,
    server: &PrivatePostgres,
    signals: &mut Signals,
) -> Result<ExitStatus, Failure> {
    let failed = |source| Failure::Command(invocation.program.clone().into(), source);
    let mut command = Command::new(&invocation.program)
        .args(&invocation.arguments)
        .env("DATABASE_URL", server.database_url())
        .spawn()
        .map_err(failed)?;
    let mut told = false;
    loop {
        tokio::select! {
            status = command.wait() => return status.map_err(failed),
            signal = signals.next() => pass_on(signal, &command),
            error = server.died(), if !told => {
                // The command fails by itself now; here is why.
                eprintln!("with-postgres: {error}");
                told = true;
            }
        }
    }
}

/// A terminal sends Ctrl-C to the command too, being in our group: a second one could make it give up its clean end.
fn pass_on(signal: Signal, command: &Child) {
    if signal == Signal::INT && io::stdin().is_terminal() {
        return;
    }
    let pid = command.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, signal)
    {
        eprintln!("with-postgres: could not pass on a signal: {error}");
    }
}

fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Invocation> {
    let mut arguments = arguments.into_iter();
    let mut data_dir = None;
    loop {
        let argument = arguments.next()?;
        let program = match argument.to_str() {
            Some("--data-dir") => {
                data_dir = Some(arguments.next()?.into());
                continue;
            }
            Some("--") => arguments.next()?,
            Some(option) if option.starts_with('-') => return None,
            _ => argument,
        };
        return Some(Invocation { data_dir, program, arguments: arguments.collect() });
    }
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn already_here(&mut self) -> Option<Signal> {
        tokio::select! {
            biased;
            signal = self.next() => Some(signal),
            () = std::future::ready(()) => None,
        }
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}

fn temporary_folder() -> Result<tempfile::TempDir, Failure> {
    let mut root = env::temp_dir();
    // Root's own TMPDIR is often closed to the user who runs the server.
    if Account::choose(None).first_blocked(&root)?.is_some() {
        root = "/tmp".into();
    }
    remove_abandoned(&root);
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(&root).map_err(|source| Failure::Folder(root, source))
}

/// A run that was killed could not remove its folder. The next one does.
fn remove_abandoned(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && is_abandoned(&path)
            && let Ok((folder, _)) = DataFolder::claim(&path)
            && survivor::stop(&folder.cluster()).is_ok()
            && let Err(error) = fs::remove_dir_all(&path)
        {
            eprintln!("with-postgres: could not remove the abandoned folder {}: {error}", path.display());
        }
    }
}

/// Anybody may put anything into the folder for temporary files, so only what certainly is ours counts.
fn is_abandoned(folder: &Path) -> bool {
    let ours = fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == Account::choose(None).uid);
    let made = fs::symlink_metadata(folder.join(LOCK)).and_then(|lock| lock.modified());
    ours && made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > SETTLED))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn parsed(line: &str) -> Option<Invocation> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_begins_after_the_options() {
        let plain =
            Invocation { data_dir: None, program: "ls".into(), arguments: vec!["-l".into(), "--".into()] };
        assert_eq!(parsed("ls -l --").as_ref(), Some(&plain));
        assert_eq!(parsed("-- ls -l --").as_ref(), Some(&plain));
        let kept =
            Invocation { data_dir: Some("/srv/x".into()), program: "ls".into(), arguments: Vec::new() };
        assert_eq!(parsed("--data-dir /srv/x -- ls"), Some(kept));
    }

    #[test]
    fn a_line_without_a_command_is_refused() {
        for line in ["", "--", "--data-dir", "--data-dir /srv/x", "--what ls"] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn an_abandoned_folder_is_removed_and_a_fresh_one_is_not() {
        let root = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let make = |name: &str, age: Duration| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            Account::choose(None).give(&folder).unwrap();
            let lock = fs::File::create(folder.join(LOCK)).unwrap();
            lock.set_modified(SystemTime::now() - age).unwrap();
            folder
        };
        let (old, fresh) =
            (make("with-postgres-old", SETTLED * 2), make("with-postgres-new", Duration::ZERO));
        let other = make("someone-else", SETTLED * 2);
        remove_abandoned(root.path());
        assert!(!old.exists() && fresh.exists() && other.exists());
    }
}
