//! A folder of a run's own, removed in the end.

use super::error::BenchError;
use std::path::{Path, PathBuf};

/// The folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it below this one.
    pub fn make(parent: &Path) -> Result<Self, BenchError> {
        let path = parent.join(format!("emporium-bench-{}", std::process::id()));
        let failed = |source| BenchError::Folder { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        // Where a program of our own runs in it, the path must not depend on where that one is.
        let path = path.canonicalize().map_err(failed)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    pub fn remove(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, folder = %self.path.display(), "the benchmark's folder could not be removed");
        }
    }
}
