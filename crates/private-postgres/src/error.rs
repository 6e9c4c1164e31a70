//! What can go wrong, in sentences that say what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why the server could not be started, went away, or could not be stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "there is no Postgres server on this machine (looked in {}). Install it (Debian and Ubuntu: `apt-get install \
         postgresql`; macOS: `brew install postgresql@17`), or give the address of a running one in DATABASE_URL",
        Listed(searched)
    )]
    BinariesMissing { searched: Vec<PathBuf> },

    #[error(
        "the data folder {} was made by Postgres {wanted}, but this machine has only {found}. Install the server of \
         that version (Debian and Ubuntu: `apt-get install postgresql-{wanted}`; macOS: `brew install \
         postgresql@{wanted}`), or move the folder away to start with an empty one: the read models are then rebuilt \
         from the events",
        data_dir.display()
    )]
    OtherVersion { data_dir: PathBuf, wanted: String, found: String },

    #[error(
        "the data folder {} is in use by process {owner}. Stop that process, or choose another data folder",
        data_dir.display()
    )]
    InUse { data_dir: PathBuf, owner: String },

    #[error(
        "the folder {} is not empty and holds no data of ours. Choose an empty folder, or one that does not exist yet",
        .0.display()
    )]
    NotOurs(PathBuf),

    #[error(
        "the data folder {} belongs to the user with number {owner}. Run as that user, or choose another data folder",
        data_dir.display()
    )]
    OtherOwner { data_dir: PathBuf, owner: u32 },

    #[error(
        "{} is not a whole Postgres cluster (its {missing} is missing). Put a backup in its place, or move it away to \
         start with an empty one: the read models are then rebuilt from the events",
        cluster.display()
    )]
    Damaged { cluster: PathBuf, missing: &'static str },

    #[error(
        "Postgres refuses to run as root, so it has to run as the user `{user}`, who may not enter {}. Choose a data \
         folder elsewhere (for instance under /var/lib), run as an ordinary user, or let that user pass: `chmod o+x {}`",
        folder.display(), folder.display()
    )]
    NoEntry { folder: PathBuf, user: String },

    #[error(
        "the folder for the socket, {}, is not a private folder of the user who runs the server. Remove it, or choose \
         a data folder with a path shorter than {longest} bytes",
        folder.display()
    )]
    SocketFolder { folder: PathBuf, longest: usize },

    #[error("initdb could not make {}: {output}", cluster.display())]
    Initdb { cluster: PathBuf, output: String },

    #[error("could not run {}. Check that it is there and that the user `{user}` may run it", program.display())]
    Spawn { program: PathBuf, user: String, source: io::Error },

    #[error("the Postgres server did not start ({how}). {log}")]
    Refused { how: String, log: LogTail },

    #[error(
        "the Postgres server did not accept connections within {seconds} seconds. If it still recovers from a crash, \
         start again with a longer deadline. {log}"
    )]
    NotReady { seconds: u64, log: LogTail, source: Option<sqlx::Error> },

    #[error("the Postgres server ended unexpectedly ({how}). Start again: it repairs itself. {log}")]
    Died { how: String, log: LogTail },

    #[error(
        "a Postgres server that an earlier run left behind on {} (process {pid}) does not stop. End it by hand \
         (`kill -QUIT {pid}`) and start again",
        cluster.display()
    )]
    SurvivorStays { cluster: PathBuf, pid: i32 },

    #[error(
        "the Postgres server did not stop in order in time and was stopped the hard way. Nothing committed is lost: \
         it repairs itself at the next start. {log}"
    )]
    StoppedHard { log: LogTail },

    #[error("could not prepare the database `{database}`. {log}")]
    Database { database: &'static str, log: LogTail, source: sqlx::Error },

    #[error("could not {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}

/// The end of the server's log since the last start, for messages.
#[derive(Debug)]
pub struct LogTail {
    pub path: PathBuf,
    pub text: String,
}

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            write!(f, "Its log {} says nothing.", self.path.display())
        } else {
            write!(f, "Its log {} ends with:\n{}", self.path.display(), self.text)
        }
    }
}

struct Listed<'a>(&'a [PathBuf]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no folder at all");
        }
        for (index, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, path.display())?;
        }
        Ok(())
    }
}
