//! Folders for their owner alone: a shop's log and its secrets are nobody else's business.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// The mode of folders that only their owner may enter.
pub const PRIVATE: u32 = 0o700;
/// The mode of a folder whose contents others may use, if these let them, and not list.
pub const PASSED_THROUGH: u32 = 0o711;

/// Makes the folder, and those that it is in, if it is not there.
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// A folder of ours that others may enter was made by an earlier release, or by hand: it gets this mode at most.
pub fn tighten(path: &Path, may: u32) {
    let tightened = std::fs::metadata(path).and_then(|folder| {
        let mode = folder.permissions().mode() & 0o777;
        if folder.uid() != rustix::process::geteuid().as_raw() || mode & !may == 0 {
            return Ok(());
        }
        tracing::info!(folder = %path.display(), "the data folder is for its owner alone from now on");
        std::fs::set_permissions(path, Permissions::from_mode(mode & may))
    });
    if let Err(error) = tightened {
        tracing::warn!(folder = %path.display(), %error, "others may enter the data folder: run chmod 700 on it");
    }
}
