//! The cluster: what initdb makes.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::folder::DataFolder;
use crate::{Durability, Error, process};

const UNFINISHED: &str = "initialising.";

/// The role that owns everything.
pub(crate) const ROLE: &str = "emporium";

/// The major version that made the cluster, or `None` if there is no cluster yet.
pub(crate) fn version(folder: &DataFolder) -> Result<Option<String>, Error> {
    let cluster = folder.cluster();
    if !cluster.exists() {
        return Ok(None);
    }
    for missing in ["PG_VERSION", "global/pg_control"] {
        if !cluster.join(missing).exists() {
            return Err(Error::Damaged { cluster, missing });
        }
    }
    let name = cluster.join("PG_VERSION");
    let version = fs::read_to_string(&name).map_err(Error::io("read", &name))?;
    Ok(Some(version.trim().to_owned()))
}

/// Makes the cluster beside its place and moves it there when it is whole.
pub(crate) fn create(
    folder: &DataFolder,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), Error> {
    remove_unfinished(&folder.path)?;
    let unfinished = folder.path.join(format!("{UNFINISHED}{}", std::process::id()));
    let cluster = folder.cluster();
    // Some systems have no C.UTF-8; in plain C only upper and lower case of foreign letters differ.
    let mut made = initdb(&unfinished, account, binaries, durability, "C.UTF-8");
    if let Err(Error::Initdb { output, .. }) = &made
        && output.contains("invalid locale")
    {
        remove_unfinished(&folder.path)?;
        made = initdb(&unfinished, account, binaries, durability, "C");
    }
    made?;
    fs::rename(&unfinished, &cluster).map_err(Error::io("give its name to", &cluster))?;
    File::open(&folder.path).and_then(|folder| folder.sync_all()).map_err(Error::io("write", &folder.path))
}

fn initdb(
    target: &Path,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
    locale: &str,
) -> Result<(), Error> {
    let mut command = process::bound(account, &binaries.initdb, "TERM", binaries.bind);
    command
        .arg("--pgdata")
        .arg(target)
        .args(["--encoding=UTF8", "--lc-messages=C", "--data-checksums"])
        .arg(format!("--locale={locale}"))
        .arg(format!("--username={ROLE}"))
        // The socket's folder is what keeps others out: only its owner can enter it.
        .args(["--auth-local=trust", "--auth-host=reject"]);
    if durability == Durability::Throwaway {
        command.arg("--no-sync");
    }
    let answer = command.output().map_err(|source| account.cannot_run(&binaries.initdb, source))?;
    if answer.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    Err(Error::Initdb { cluster: target.to_path_buf(), output: format!("{} ({})", output, answer.status) })
}

/// Each attempt has a name of its own: should an orphaned initdb still write into an old one, it harms nobody.
fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::io("read the folder", folder))? {
        let path = entry.map_err(Error::io("read the folder", folder))?.path();
        let unfinished =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNFINISHED));
        if !unfinished {
            continue;
        }
        tracing::info!(folder = %path.display(), "removing what an interrupted initdb left behind");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => removed.map_err(Error::io("remove", &path))?,
        }
    }
    Ok(())
}
