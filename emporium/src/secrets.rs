//! Secrets that the first start makes: random, and readable by their owner alone.

use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a secret cannot be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read or written.
    #[error("the secret in `{}` cannot be read or made: check who owns it", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file has nothing in it.
    #[error("the secret in `{}` is empty: remove the file, and the next start makes a new one", path.display())]
    Empty { path: PathBuf },
    /// The system gives no randomness.
    #[error("the system gives no random bytes for a new secret")]
    Random(#[source] rand::rand_core::OsError),
}

/// The secret in this file, made if it is missing.
///
/// # Errors
/// When the file can be neither read nor made.
pub fn read_or_make(path: &Path) -> Result<String, SecretError> {
    let file_error = |source| SecretError::File { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(SecretError::Empty { path: path.to_owned() }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = random()?;
            write_whole(path, &secret).map_err(file_error)?;
            Ok(secret)
        }
        Err(error) => Err(file_error(error)),
    }
}

/// A secret that nobody knows, in 64 hexadecimal digits.
///
/// # Errors
/// When the system gives no randomness.
pub fn random() -> Result<String, SecretError> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(SecretError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Under another name first: a crash in between must not leave half a secret.
fn write_whole(path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = read_or_make(&path).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(read_or_make(&path).unwrap(), made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(read_or_make(&path), Err(SecretError::Empty { .. })));
    }
}
