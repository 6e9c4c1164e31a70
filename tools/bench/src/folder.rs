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
        // The read models of a service that root ran in it are elsewhere.
        if let Err(error) =
            emporium::serve::remove_read_models_elsewhere(&self.path.join(super::programs::SHOP))
        {
            tracing::warn!(%error, "the benchmark's read models could not be removed");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, folder = %self.path.display(), "the benchmark's folder could not be removed");
        }
    }
}
