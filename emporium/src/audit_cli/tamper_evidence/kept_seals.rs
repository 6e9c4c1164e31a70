//! Seals that an auditor has kept elsewhere.

use super::EvidenceError;
use audit_seal::seal::Seal;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Page { items: Vec<Seal> },
    One(Box<Seal>),
}

/// Reads one or more answers of GET /audit/seals, or seals, one after the other.
pub fn read(path: &Path) -> Result<Vec<Seal>, EvidenceError> {
    let failed = |source| EvidenceError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    of_text(&text).map_err(|source| EvidenceError::Seals { path: path.to_owned(), source })
}

fn of_text(text: &str) -> Result<Vec<Seal>, serde_json::Error> {
    let mut seals = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter() {
        match document? {
            Document::Page { items } => seals.extend(items),
            Document::One(seal) => seals.push(*seal),
        }
    }
    if seals.is_empty() {
        return Err(serde::de::Error::custom("there is none in it"));
    }
    Ok(seals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_seal::key::SealingKey;
    use audit_seal::merkle::{Frontier, leaf};
    use serde_json::json;

    #[test]
    fn answers_and_single_seals_may_stand_in_one_file() {
        let key = SealingKey::from_bytes(&[1; 32]);
        let mut frontier = Frontier::default();
        frontier.push(leaf(b"1"));
        let seal = Seal::sign(&key, &frontier, None, &[leaf(b"1")], (7, chrono::DateTime::UNIX_EPOCH));
        let text = format!("{}\n{}", json!({ "items": [seal, seal] }), json!(seal));
        assert_eq!(of_text(&text).unwrap(), [seal.clone(), seal.clone(), seal]);
        assert!(of_text(r#"{"items":[]}"#).is_err() && of_text("{}").is_err());
    }
}
