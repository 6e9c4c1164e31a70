//! Where the unix socket lives, and the address that clients use.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::Error;
use crate::account::Account;

const NAME: &str = ".s.PGSQL.5432";
/// The limit is 107 bytes on Linux and 103 on macOS: one limit for both.
const LONGEST_FOLDER: usize = 103 - 1 - NAME.len();

#[derive(Debug)]
pub(crate) struct SocketFolder {
    path: String,
    /// A folder under `/tmp` that exists for the socket alone.
    separate: bool,
}

impl SocketFolder {
    /// The data folder itself if its path is short enough and text, else a private folder under `/tmp`.
    pub fn prepare(data_dir: &Path, account: &Account) -> Result<Self, Error> {
        let chosen = match data_dir.to_str() {
            Some(path) if path.len() <= LONGEST_FOLDER => Self { path: path.to_owned(), separate: false },
            _ => Self { path: beside(data_dir, account.uid), separate: true },
        };
        if chosen.separate {
            make_private(Path::new(&chosen.path), account)?;
        }
        Ok(chosen)
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Removes what a killed server left. Only when it is known that no server runs on the data folder: the folder is
    /// private, so the socket can be nobody else's.
    pub fn clear(&self) -> Result<(), Error> {
        for name in [NAME.to_owned(), format!("{NAME}.lock")] {
            let path = Path::new(&self.path).join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(Error::io("remove", &path))?,
            }
        }
        Ok(())
    }

    pub fn remove_if_separate(&self) {
        if self.separate
            && let Err(error) = fs::remove_dir(&self.path)
        {
            tracing::debug!(folder = self.path, %error, "the socket's folder stays");
        }
    }

    /// The address of a database, as libpq and sqlx read it.
    pub fn url(&self, role: &str, database: &str) -> String {
        let mut host = String::new();
        for byte in self.path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                host.push(char::from(byte));
            } else {
                host.push_str(&format!("%{byte:02X}"));
            }
        }
        format!("postgres://{role}@{host}:5432/{database}?sslmode=disable")
    }
}

/// The same data folder always gets the same socket folder.
fn beside(data_dir: &Path, uid: u32) -> String {
    // FNV-1a: the standard hasher may change with the compiler.
    let hash = data_dir.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("/tmp/emporium-postgres-{uid}-{hash:016x}")
}

/// Anybody may make folders in `/tmp`, so an existing one is used only if it is certainly ours.
fn make_private(path: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
            // Root's own: made by us a moment before we were killed, not yet given away.
            let ours = found.uid() == account.uid || found.uid() == rustix::process::geteuid().as_raw();
            if !found.is_dir() || !ours {
                return Err(Error::SocketFolder { folder: path.to_path_buf(), longest: LONGEST_FOLDER });
            }
        }
        made => made.map_err(Error::io("make the folder", path))?,
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::io("make private", path))?;
    account.give(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_survives_odd_paths() {
        let socket = SocketFolder { path: "/srv/a b,c/ü".into(), separate: false };
        assert_eq!(
            socket.url("me", "shop"),
            "postgres://me@%2Fsrv%2Fa%20b%2Cc%2F%C3%BC:5432/shop?sslmode=disable"
        );
    }

    #[test]
    fn a_link_in_the_way_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("socket");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let refused = make_private(&link, &Account::choose(None));
        assert!(matches!(refused, Err(Error::SocketFolder { .. })), "{refused:?}");
    }
}
