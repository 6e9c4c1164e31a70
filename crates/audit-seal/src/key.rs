//! The keys of seals, and their names.

use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::str::FromStr;
use thiserror::Error;

/// The text is no key. It is left out: it may be half a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// Not the form of one.
    #[error("a key is 32 bytes in 64 hexadecimal digits")]
    Form,
    /// No point of the curve.
    #[error("these 32 bytes are not a public key of Ed25519")]
    Point,
}

/// The key that signs seals. Whoever has it can write a history anew.
// Not Debug: it is a secret.
#[derive(Clone)]
pub struct SealingKey(SigningKey);

impl SealingKey {
    /// The key of these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// What it is checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0
    }
}

impl FromStr for SealingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        bytes_of(text).map(|bytes| Self::from_bytes(&bytes))
    }
}

/// A key that checks seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Its short name: the first bytes of its digest.
    #[must_use]
    pub fn name(&self) -> String {
        hex::encode(&Sha256::digest(self.0.as_bytes())[..8])
    }

    /// As it stands in files: 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    pub(crate) fn verifying(&self) -> &VerifyingKey {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        VerifyingKey::from_bytes(&bytes_of(text)?).map(Self).map_err(|_| InvalidKey::Point)
    }
}

/// The keys whose seals are believed: more than one when the key was changed.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(HashMap<String, PublicKey>);

impl PublicKeys {
    /// The one of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&PublicKey> {
        self.0.get(name)
    }
}

impl FromIterator<PublicKey> for PublicKeys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.name(), key)).collect())
    }
}

impl From<PublicKey> for PublicKeys {
    fn from(key: PublicKey) -> Self {
        Self::from_iter([key])
    }
}

fn bytes_of(text: &str) -> Result<[u8; 32], InvalidKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| InvalidKey::Form)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_what_it_is_written_as() {
        let secret: SealingKey = "07".repeat(32).parse().unwrap();
        let public = secret.public();
        assert_eq!(format!("{}\n", public.to_hex()).parse(), Ok(public));
        assert_eq!(PublicKeys::from(public).named(&public.name()), Some(&public));
        assert_eq!("07".parse::<PublicKey>(), Err(InvalidKey::Form));
        // Half of all numbers are no point of the curve.
        assert_eq!(format!("02{}", "00".repeat(31)).parse::<PublicKey>(), Err(InvalidKey::Point));
    }
}
