//! Signed notes of how far a log was verified, and what was found: the next verification goes on from there.
//!
//! The signature keeps somebody who can append to the log from saying that there is nothing left to verify.

use crate::Digest;
use crate::key::{PublicKeys, SealingKey};
use crate::seal::{FalseSeal, Seal, digest, microseconds, signature};
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};

const DOMAIN: &[u8] = b"emporium.verified.v1";

/// How far a log was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The digest of the last seal that was reached.
    #[serde(with = "digest")]
    pub seal: Digest,
    /// That seal's revision in its stream.
    pub seal_revision: u64,
    /// How many events it covers.
    pub size: u64,
    /// The position of the last of them.
    pub position: u64,
    /// Everything that was found since the log's first event was verified.
    pub findings: u64,
    /// The first of them, as sentences.
    pub first_findings: Vec<String>,
    /// When the seal was reached, to the microsecond.
    #[serde(with = "microseconds")]
    pub verified_at: DateTime<Utc>,
    /// The name of the key that has signed this.
    pub key: String,
    /// Ed25519, over everything above.
    #[serde(with = "signature")]
    pub signature: [u8; 64],
}

impl Verification {
    /// Signs that everything up to this seal, which stands at that revision, was verified, and what was found in all.
    #[must_use]
    pub fn sign(
        key: &SealingKey,
        (seal, seal_revision): (&Seal, u64),
        (findings, first_findings): (u64, Vec<String>),
        verified_at: DateTime<Utc>,
    ) -> Self {
        let mut verification = Self {
            seal: seal.digest(),
            seal_revision,
            size: seal.size,
            position: seal.position,
            findings,
            first_findings,
            verified_at,
            key: key.public().name(),
            signature: [0; 64],
        };
        verification.signature = key.signing().sign(&verification.signed()).to_bytes();
        verification
    }

    /// Whether one of the keys has signed it.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self, keys: &PublicKeys) -> Result<(), FalseSeal> {
        let key = keys.named(&self.key).ok_or_else(|| FalseSeal::UnknownKey(self.key.clone()))?;
        let signature = Signature::from_bytes(&self.signature);
        key.verifying().verify_strict(&self.signed(), &signature).map_err(|_| FalseSeal::Signature)
    }

    /// Whether it was this seal that was reached.
    #[must_use]
    pub fn is_of(&self, seal: &Seal) -> bool {
        self.seal == seal.digest()
    }

    /// The bytes that are signed: every field, with a length before what can have several.
    fn signed(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(&self.seal);
        let count = self.first_findings.len() as u64;
        for number in [self.seal_revision, self.size, self.position, self.findings, count] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let time = microseconds::text(&self.verified_at);
        for text in self.first_findings.iter().chain([&time, &self.key]) {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Frontier, leaf};

    #[test]
    fn nothing_of_it_can_be_changed() {
        let key = SealingKey::from_bytes(&[7; 32]);
        let mut frontier = Frontier::default();
        frontier.push(leaf(b"1"));
        let seal = Seal::sign(&key, &frontier, None, &[leaf(b"1")], (7, DateTime::UNIX_EPOCH));
        let found = (1, vec!["CHANGED  event 1".to_owned()]);
        let signed = Verification::sign(&key, (&seal, 3), found, DateTime::UNIX_EPOCH);
        let read: Verification = serde_json::from_slice(&serde_json::to_vec(&signed).unwrap()).unwrap();
        assert_eq!(read, signed);
        let keys = key.public().into();
        assert_eq!((signed.check(&keys), signed.is_of(&seal)), (Ok(()), true));

        let later = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1);
        let changes = [
            Verification { seal: [1; 32], ..signed.clone() },
            Verification { seal_revision: 4, ..signed.clone() },
            Verification { size: 2, ..signed.clone() },
            Verification { position: 8, ..signed.clone() },
            Verification { findings: 0, ..signed.clone() },
            Verification { first_findings: vec![], ..signed.clone() },
            Verification { verified_at: later, ..signed.clone() },
        ];
        for changed in changes {
            assert_eq!(changed.check(&keys), Err(FalseSeal::Signature), "{changed:?}");
        }
        let other = SealingKey::from_bytes(&[8; 32]).public().into();
        assert_eq!(signed.check(&other), Err(FalseSeal::UnknownKey(signed.key)));
    }
}
