//! The public keys that an auditor believes.

use super::EvidenceError;
use audit_seal::key::{InvalidKey, PublicKey, PublicKeys};
use clap::Args;
use serde::Deserialize;
use std::path::PathBuf;

/// Which keys.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// A public key in hexadecimal digits, or a file of them, one a line, such as DATA_DIR/audit-public-key or what GET
    /// /audit/key has answered; may be given several times. Take it from where a forger could not have put it
    #[arg(long = "key", required = true, value_name = "HEX_OR_FILE")]
    pub keys: Vec<String>,
}

/// What GET /audit/key answers.
#[derive(Deserialize)]
struct Answered {
    public_key: String,
}

impl KeyArgs {
    /// Reads them.
    pub fn read(&self) -> Result<PublicKeys, EvidenceError> {
        let mut keys = Vec::new();
        for given in &self.keys {
            match given.parse() {
                Ok(key) => {
                    keys.push(key);
                    continue;
                }
                Err(source @ InvalidKey::Point) => {
                    return Err(EvidenceError::Key { given: given.clone(), source });
                }
                // Not the form of a key: a file's name.
                Err(InvalidKey::Form) => {}
            }
            let path = PathBuf::from(given);
            let text =
                std::fs::read_to_string(&path).map_err(|source| EvidenceError::File { path, source })?;
            let read = of_text(&text);
            keys.extend(read.map_err(|source| EvidenceError::Key { given: given.clone(), source })?);
        }
        Ok(keys.into_iter().collect())
    }
}

fn of_text(text: &str) -> Result<Vec<PublicKey>, InvalidKey> {
    if let Ok(answered) = serde_json::from_str::<Answered>(text) {
        return Ok(vec![answered.public_key.parse()?]);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let keys = lines.map(str::parse).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(InvalidKey::Form) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_seal::key::SealingKey;

    #[test]
    fn keys_stand_in_lines_or_in_the_answer_of_a_shop() {
        let [first, second] = [1, 2].map(|byte| SealingKey::from_bytes(&[byte; 32]).public());
        let (a, b) = (first.to_hex(), second.to_hex());
        assert_eq!(of_text(&format!("{a}\n\n{b}\n")), Ok(vec![first, second]));
        assert_eq!(of_text(&format!(r#"{{"algorithm":"Ed25519","public_key":"{b}"}}"#)), Ok(vec![second]));
        assert_eq!(of_text("\n"), Err(InvalidKey::Form));
        assert_eq!(of_text(&format!("{a}\nsomething else")), Err(InvalidKey::Form));
    }
}
