//! The user that the server runs as.
//!
//! An ordinary user runs it as themselves. Root cannot: see the crate's page.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::Error;

/// Set by whoever starts us, these would change what the server or initdb does.
const FOREIGN_SETTINGS: [&str; 8] =
    ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGCLIENTENCODING", "PGDATESTYLE"];

/// Prints the first of its arguments that the user may not enter.
const FIRST_BLOCKED: &str = r#"for folder; do [ -x "$folder" ] || { printf %s "$folder"; exit; }; done"#;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    pub uid: u32,
    gid: u32,
    /// Whether we are root and this is somebody else.
    lowered: bool,
}

impl Account {
    /// `folder_owner`: user and group of the data folder if it exists.
    pub fn choose(folder_owner: Option<(u32, u32)>) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let name = named(uid).unwrap_or_else(|| uid.to_string());
            return Self { name, uid, gid: rustix::process::getegid().as_raw(), lowered: false };
        }
        match folder_owner {
            Some((uid, gid)) if uid != 0 => {
                Self { name: named(uid).unwrap_or_else(|| uid.to_string()), uid, gid, lowered: true }
            }
            _ => {
                let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
                let (name, uid, gid) = ["postgres", "nobody"]
                    .into_iter()
                    .find_map(|name| find(&users, |entry| entry.0 == name))
                    .unwrap_or_else(|| ("nobody".into(), 65534, 65534));
                Self { name, uid, gid, lowered: true }
            }
        }
    }

    /// A command that runs as this user, apart from our terminal: Ctrl-C must reach us, not the server under us.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C");
        for name in FOREIGN_SETTINGS {
            command.env_remove(name);
        }
        if self.lowered {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives one file or folder to the user, if we have to and can.
    pub fn give(&self, path: &Path) -> Result<(), Error> {
        if self.lowered {
            chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("change the owner of", path))?;
        }
        Ok(())
    }

    /// Gives a whole tree to the user if root owns its top, as after a backup was copied back.
    pub fn give_tree(&self, top: &Path) -> Result<(), Error> {
        let owner = fs::symlink_metadata(top).map_err(Error::io("look at", top))?.uid();
        if self.lowered && owner == 0 {
            self.give_below(top).map_err(Error::io("change the owner of the files in", top))?;
        }
        Ok(())
    }

    fn give_below(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give_below(&entry?.path())?;
            }
        }
        lchown(path, Some(self.uid), Some(self.gid))
    }

    /// The first folder on the way to `path` (`path` included) that the user may not enter.
    pub fn first_blocked(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        if !self.lowered {
            return Ok(None);
        }
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        let answer = self
            .command("/bin/sh")
            .args(["-c", FIRST_BLOCKED, "sh"])
            .args(way)
            .output()
            .map_err(|source| self.cannot_run(Path::new("/bin/sh"), source))?;
        Ok((!answer.stdout.is_empty()).then(|| OsString::from_vec(answer.stdout).into()))
    }

    pub fn cannot_run(&self, program: &Path, source: io::Error) -> Error {
        Error::Spawn { program: program.to_path_buf(), user: self.name.clone(), source }
    }
}

type Entry = (String, u32, u32);

fn named(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    find(&users, |entry| entry.1 == uid).map(|entry| entry.0)
}

fn find(users: &str, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((name, uid, gid)).filter(&wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    const USERS: &str = "# a comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\nminus:*:-2:-2::/:/x\n\
                         postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let postgres = Some(("postgres".to_owned(), 101, 104));
        assert_eq!(find(USERS, |entry| entry.0 == "postgres"), postgres);
        assert_eq!(find(USERS, |entry| entry.1 == 101), postgres);
        assert_eq!(find(USERS, |entry| entry.0 == "minus"), None);
    }
}
