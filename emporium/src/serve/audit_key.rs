//! The key that seals the history, and its public keys beside it.

use super::{ServeArgs, ServeError};
use crate::secrets;
use audit_seal::key::{PublicKey, SealingKey};
use std::path::Path;
use std::{fs, io};

const SIGNING_KEY: &str = "audit-signing-key";
const PUBLIC_KEYS: &str = "audit-public-key";

/// The key that was given, or the one in the file, which the first start makes. Its public key goes into the data folder.
pub fn read_or_make(args: &ServeArgs, data_dir: &Path) -> Result<SealingKey, ServeError> {
    let key = match (&args.audit_signing_key, &args.audit_signing_key_file) {
        (Some(key), _) => key.clone(),
        (None, path) => {
            let path = path.clone().unwrap_or_else(|| data_dir.join(SIGNING_KEY));
            let text = secrets::read_or_make(&path)?;
            text.parse().map_err(|source| ServeError::AuditKey { path, source })?
        }
    };
    let path = data_dir.join(PUBLIC_KEYS);
    note(&key.public(), &path).map_err(|source| ServeError::AuditPublicKey { path, source })?;
    Ok(key)
}

/// Puts the key at the top of the file, a line for each. Older ones stay: the history that they sealed stays too.
fn note(key: &PublicKey, path: &Path) -> io::Result<()> {
    let present = key.to_hex();
    let known = match fs::read_to_string(path) {
        Ok(known) => known,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    if known.lines().next() == Some(&present) {
        return Ok(());
    }
    let older = known.lines().filter(|line| !line.is_empty() && *line != present);
    let lines: Vec<&str> = std::iter::once(present.as_str()).chain(older).collect();
    // Under another name first: a crash in between must not lose the older ones.
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, lines.join("\n") + "\n")?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_key_stands_first_and_older_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let [first, second] = [1, 2].map(|byte| SealingKey::from_bytes(&[byte; 32]).public());
        for key in [&first, &first, &second, &first, &second] {
            note(key, &path).unwrap();
        }
        let expected = format!("{}\n{}\n", second.to_hex(), first.to_hex());
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}
