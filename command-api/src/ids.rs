//! Ids that are made at the edge.

use crate::keys::{KeyError, MIN_ANONYMOUS_KEY};
use crate::request::Context;
use domain::CartId;
use hmac::{Hmac, KeyInit, Mac};
use http_boundary::Caller;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The secret from which the ids of carts that are opened with an idempotency key follow. All processes of one
/// shop share it; when it changes, a repeated request opens another cart.
#[derive(Clone)]
pub struct CartIdSecret([u8; 64]);

impl CartIdSecret {
    /// Any text; the longer, the better.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&Sha256::digest(secret.as_bytes()));
        Self(key)
    }

    /// The id of the cart that this request opens: new, or the one that it opened before under the same key.
    /// It cannot be guessed, also not by those who can guess the operator's keys.
    ///
    /// # Errors
    /// When an anonymous caller's key is so short that others may use it too.
    pub fn cart_id(&self, context: &Context) -> Result<CartId, KeyError> {
        let Some(key) = &context.idempotency_key else { return Ok(CartId(Uuid::new_v4())) };
        if context.caller == Caller::Shopper && key.len() < MIN_ANONYMOUS_KEY {
            return Err(KeyError::TooShort { min: MIN_ANONYMOUS_KEY });
        }
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(context.caller.name().as_bytes());
        mac.update(&[0]);
        mac.update(key.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Ok(CartId(uuid::Builder::from_custom_bytes(bytes).into_uuid()))
    }
}
