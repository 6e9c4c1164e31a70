//! Where the server binaries are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::account::Account;
use crate::{Config, Error, process};

#[derive(Debug)]
pub(crate) struct Binaries {
    pub postgres: PathBuf,
    pub initdb: PathBuf,
    /// See [`process::can_bind`].
    pub bind: bool,
}

impl Binaries {
    /// The first server in the search order, or the first of the version that made the existing cluster.
    pub fn find(config: &Config, account: &Account, cluster_version: Option<&str>) -> Result<Self, Error> {
        let searched = config.server_binaries.clone().unwrap_or_else(usual_folders);
        let mut found = Vec::new();
        let mut unusable = None;
        let mut seen = HashSet::new();
        for mut binaries in searched.iter().filter_map(|folder| Self::in_folder(folder)) {
            if !seen.insert(binaries.postgres.clone()) {
                continue;
            }
            match binaries.version(account) {
                Ok(version) if cluster_version.is_none_or(|wanted| wanted == version) => {
                    binaries.bind = process::can_bind(account, &binaries.postgres);
                    return Ok(binaries);
                }
                Ok(version) => found.push(version),
                Err(error) => unusable = unusable.or(Some(error)),
            }
        }
        match (cluster_version, unusable) {
            (Some(wanted), _) if !found.is_empty() => Err(Error::OtherVersion {
                data_dir: config.data_dir.clone(),
                wanted: wanted.to_owned(),
                found: found.join(", "),
            }),
            (_, Some(error)) => Err(error),
            (_, None) => Err(Error::BinariesMissing { searched }),
        }
    }

    /// Links are followed first: the programs of one version look for each other beside themselves.
    fn in_folder(folder: &Path) -> Option<Self> {
        let postgres = fs::canonicalize(folder.join("postgres")).ok()?;
        let initdb = postgres.parent()?.join("initdb");
        (postgres.is_file() && initdb.is_file()).then_some(Self { postgres, initdb, bind: false })
    }

    fn version(&self, account: &Account) -> Result<String, Error> {
        let answer = account
            .command(&self.postgres)
            .arg("--version")
            .output()
            .map_err(|source| account.cannot_run(&self.postgres, source))?;
        Ok(major(&String::from_utf8_lossy(&answer.stdout)).to_owned())
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15, and so is `15beta1`.
fn major(version: &str) -> &str {
    let number = version.split_whitespace().nth(2).unwrap_or_default();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    &number[..end]
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(from_pg_config());
    folders.extend(versions_below(Path::new("/usr/lib/postgresql"), "", "bin"));
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        folders.extend(versions_below(Path::new(homebrew), "postgresql@", "bin"));
    }
    folders
}

fn from_pg_config() -> Option<PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let folder = String::from_utf8(answer.stdout).ok()?;
    Some(PathBuf::from(folder.trim())).filter(|folder| folder.is_absolute())
}

/// The folders `{root}/{prefix}{version}/{leaf}`, newest version first.
fn versions_below(root: &Path, prefix: &str, leaf: &str) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(prefix)?.parse().ok())
        .collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions.into_iter().map(|version| root.join(format!("{prefix}{version}")).join(leaf)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{major, versions_below};

    #[test]
    fn the_major_version_is_read_from_every_shape() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), "15");
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), "18");
        assert_eq!(major("nonsense"), "");
    }

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "other"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let expected: Vec<_> =
            ["17", "15", "9"].iter().map(|name| root.path().join(name).join("bin")).collect();
        assert_eq!(versions_below(root.path(), "", "bin"), expected);
    }
}
