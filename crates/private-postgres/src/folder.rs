//! The data folder: ours alone, one owner at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::Error;
use crate::account::Account;

pub(crate) const LOCK: &str = "owner.lock";

/// For files that root writes in a folder of another user: a link there must not lead root astray.
pub(crate) const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Held for as long as the server is ours. The lock goes with the file, also when our process is killed.
#[derive(Debug)]
pub(crate) struct DataFolder {
    /// Absolute, without links.
    pub path: PathBuf,
    lock: File,
}

/// Not left to the closing of the file: a process that is being started by another thread has a copy of it until it runs
/// its own program, and would keep the lock for that moment.
impl Drop for DataFolder {
    fn drop(&mut self) {
        // If that fails, the lock goes with the file.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

impl DataFolder {
    /// Makes the folder if need be, locks it, and gives it to the user who will run the server.
    pub fn claim(wanted: &Path) -> Result<(Self, Account), Error> {
        let account = Account::choose(owner_of(wanted)?);
        make(wanted)?;
        let path = fs::canonicalize(wanted).map_err(Error::io("find", wanted))?;
        refuse_foreign(&path, &account)?;
        let lock = lock(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))
            .map_err(Error::io("make private", &path))?;
        account.give(&path)?;
        if let Some(folder) = account.first_blocked(&path)? {
            return Err(Error::NoEntry { folder, user: account.name });
        }
        Ok((Self { path, lock }, account))
    }

    pub fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }
}

fn owner_of(path: &Path) -> Result<Option<(u32, u32)>, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.uid(), metadata.gid()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// Only the folder itself is private: the server's user must be able to pass through the ones above it. Those that we
/// make here let everybody pass, whatever the umask says; those that exist are not touched.
fn make(path: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    for above in missing.into_iter().rev() {
        create(above)?;
        fs::set_permissions(above, Permissions::from_mode(0o755))
            .map_err(Error::io("open the way to", above))?;
    }
    create(path)
}

fn create(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::io("make the folder", path)),
    }
}

/// A mistyped path must not change the owner and the rights of somebody's home folder.
fn refuse_foreign(path: &Path, account: &Account) -> Result<(), Error> {
    let owner = fs::metadata(path).map_err(Error::io("look at", path))?.uid();
    if owner != account.uid && owner != 0 {
        return Err(Error::OtherOwner { data_dir: path.to_path_buf(), owner });
    }
    let mut entries = fs::read_dir(path).map_err(Error::io("read the folder", path))?;
    if entries.next().is_some() && !path.join(LOCK).exists() {
        return Err(Error::NotOurs(path.to_path_buf()));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, Error> {
    let name = path.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(NO_LINKS)
        .open(&name)
        .map_err(Error::io("open", &name))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            // Only for the message: the lock is what counts.
            let _ = file.read_to_string(&mut owner);
            let owner = if owner.is_empty() { "another".to_owned() } else { owner };
            return Err(Error::InUse { data_dir: path.to_path_buf(), owner });
        }
        Err(error) => return Err(Error::io("lock", &name)(error.into())),
    }
    let noted =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    noted.map_err(Error::io("write", &name))?;
    Ok(file)
}
