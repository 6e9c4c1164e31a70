//! Signed roots of the tree over the log.

use crate::Digest;
use crate::key::{PublicKeys, SealingKey};
use crate::merkle::Frontier;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

const DOMAIN: &[u8] = b"emporium.seal.v1";
/// Bytes of each leaf that a seal keeps, so that the first event that is wrong can be named. They prove nothing; the
/// root does.
pub const HINT: usize = 8;

/// A seal: all events up to a place in the log, in one signed digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// How many events are sealed.
    pub size: u64,
    /// The position of the last of them. It tells where to look, and is no part of what is proved: a history that is
    /// taken to another store has other positions.
    pub position: u64,
    /// The root of the tree.
    #[serde(with = "digest")]
    pub root: Digest,
    /// The digest of the seal before this one; of none, zeros.
    #[serde(with = "digest")]
    pub previous: Digest,
    /// The complete subtrees of the tree, so that the next seal can go on from here.
    #[serde(with = "digests")]
    pub peaks: Vec<Digest>,
    /// The first bytes of each leaf since the seal before, in base64.
    pub hints: String,
    /// When it was sealed, to the microsecond.
    #[serde(with = "microseconds")]
    pub sealed_at: DateTime<Utc>,
    /// The name of the key: the first bytes of the public key's digest.
    pub key: String,
    /// Ed25519, over everything above.
    #[serde(with = "signature")]
    pub signature: [u8; 64],
}

/// Why a seal must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FalseSeal {
    /// None of the keys has its name.
    #[error("it names the key {0}, which is not among the keys given")]
    UnknownKey(String),
    /// Nobody who has the key has signed it.
    #[error("its signature is not one of the key that it names")]
    Signature,
    /// Its parts contradict each other.
    #[error("its subtrees do not make its root")]
    Root,
}

impl Seal {
    /// Seals the tree as it stands.
    #[must_use]
    pub fn sign(
        key: &SealingKey,
        frontier: &Frontier,
        previous: Option<&Self>,
        leaves: &[Digest],
        (position, sealed_at): (u64, DateTime<Utc>),
    ) -> Self {
        let hints: Vec<u8> = leaves.iter().flat_map(|leaf| leaf[..HINT].iter().copied()).collect();
        let mut seal = Self {
            size: frontier.size(),
            position,
            root: frontier.root(),
            previous: previous.map_or([0; 32], Self::digest),
            peaks: frontier.peaks().to_vec(),
            hints: STANDARD.encode(hints),
            sealed_at,
            key: key.public().name(),
            signature: [0; 64],
        };
        seal.signature = key.signing().sign(&seal.signed()).to_bytes();
        seal
    }

    /// Whether one of the keys has signed it, and its parts fit together. Gives the tree that it sealed.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self, keys: &PublicKeys) -> Result<Frontier, FalseSeal> {
        let key = keys.named(&self.key).ok_or_else(|| FalseSeal::UnknownKey(self.key.clone()))?;
        let signature = Signature::from_bytes(&self.signature);
        key.verifying().verify_strict(&self.signed(), &signature).map_err(|_| FalseSeal::Signature)?;
        self.tree()
    }

    /// The tree that it says it has sealed, whoever has made it.
    ///
    /// # Errors
    /// When its parts contradict each other.
    pub fn tree(&self) -> Result<Frontier, FalseSeal> {
        let frontier = Frontier::restore(self.size, self.peaks.clone()).ok_or(FalseSeal::Root)?;
        if frontier.root() == self.root { Ok(frontier) } else { Err(FalseSeal::Root) }
    }

    /// What the next seal says of this one.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Sha256::new().chain_update(self.signed()).chain_update(self.signature).finalize().into()
    }

    /// The first bytes of the leaves since the seal before.
    #[must_use]
    pub fn hints(&self) -> Vec<[u8; HINT]> {
        let bytes = STANDARD.decode(&self.hints).unwrap_or_default();
        bytes.chunks_exact(HINT).filter_map(|hint| hint.try_into().ok()).collect()
    }

    /// The number of the first leaf that it has hints of.
    #[must_use]
    pub fn first_hinted(&self) -> u64 {
        self.size.saturating_sub(self.hints().len() as u64)
    }

    /// The bytes that are signed: every field, with a length before what can have several.
    fn signed(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&(self.peaks.len() as u64).to_be_bytes());
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak));
        for text in [&self.hints, &microseconds::text(&self.sealed_at), &self.key] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// RFC 3339 with exactly six decimals and a `Z`: as it is signed.
pub(crate) mod microseconds {
    use super::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn text(time: &DateTime<Utc>) -> String {
        time.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(deserializer)
    }
}

pub(crate) mod digest {
    use crate::Digest;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(digest))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(serde::de::Error::custom)?;
        Ok(digest)
    }
}

pub(crate) mod signature {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(signature: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(signature))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut signature = [0; 64];
        hex::decode_to_slice(text, &mut signature).map_err(serde::de::Error::custom)?;
        Ok(signature)
    }
}

pub(crate) mod digests {
    use crate::Digest;
    use serde::de::Error;
    use serde::ser::SerializeSeq;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digests: &[Digest], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(digests.len()))?;
        digests.iter().try_for_each(|digest| list.serialize_element(&hex::encode(digest)))?;
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
        let digest = |text: String| {
            let mut digest = [0; 32];
            hex::decode_to_slice(text, &mut digest).map(|()| digest).map_err(D::Error::custom)
        };
        Vec::<String>::deserialize(deserializer)?.into_iter().map(digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf;

    fn seals() -> (SealingKey, Seal, Seal) {
        let key = SealingKey::from_bytes(&[7; 32]);
        let mut frontier = Frontier::default();
        let leaves: Vec<_> = (0..5_u64).map(|number| leaf(&number.to_be_bytes())).collect();
        leaves[..3].iter().for_each(|leaf| frontier.push(*leaf));
        let first = Seal::sign(&key, &frontier, None, &leaves[..3], (30, DateTime::UNIX_EPOCH));
        leaves[3..].iter().for_each(|leaf| frontier.push(*leaf));
        let second = Seal::sign(&key, &frontier, Some(&first), &leaves[3..], (50, DateTime::UNIX_EPOCH));
        (key, first, second)
    }

    #[test]
    fn a_seal_survives_the_journey_through_json() {
        let (key, first, second) = seals();
        for seal in [&first, &second] {
            let read: Seal = serde_json::from_slice(&serde_json::to_vec(seal).unwrap()).unwrap();
            assert_eq!(read, *seal);
            assert_eq!(read.check(&key.public().into()).unwrap().size(), seal.size);
        }
        assert_eq!(second.previous, first.digest());
        assert_eq!(
            first.hints(),
            (0..3_u64).map(|n| leaf(&n.to_be_bytes())[..8].try_into().unwrap()).collect::<Vec<[u8; 8]>>()
        );
    }

    #[test]
    fn nothing_of_a_seal_can_be_changed() {
        let (key, first, second) = seals();
        let keys = key.public().into();
        let changes = [
            Seal { size: 4, ..second.clone() },
            Seal { position: 51, ..second.clone() },
            Seal { root: first.root, ..second.clone() },
            Seal { previous: [1; 32], ..second.clone() },
            Seal { peaks: first.peaks.clone(), ..second.clone() },
            Seal { hints: first.hints.clone(), ..second.clone() },
            Seal { sealed_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1), ..second.clone() },
            Seal { signature: first.signature, ..second.clone() },
        ];
        for changed in changes {
            assert_eq!(changed.check(&keys), Err(FalseSeal::Signature), "{changed:?}");
        }
        let other = SealingKey::from_bytes(&[8; 32]).public();
        let unknown = Err(FalseSeal::UnknownKey(second.key.clone()));
        assert_eq!(second.check(&other.into()), unknown);
        let renamed = Seal { key: other.name(), ..second };
        assert_eq!(renamed.check(&[key.public(), other].into_iter().collect()), Err(FalseSeal::Signature));
    }
}
