//! Ids that are made at the edge.

use crate::request::Context;
use domain::{CartId, OrderId};
use hmac::{Hmac, KeyInit, Mac};
use http_boundary::{Caller, Problem};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problems;

/// Characters that an anonymous caller's key must have to be beyond guessing.
pub const MIN_ANONYMOUS_KEY: usize = 16;
/// The scope of the ids of orders.
const ORDERS: Uuid = Uuid::from_u128(0x7a1e_33f0_52c4_4d08_9b0e_51d7_2c86_0b44);

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
    pub fn cart_id(&self, context: &Context) -> Result<CartId, Problem> {
        let Some(key) = &context.idempotency_key else { return Ok(CartId(Uuid::new_v4())) };
        if context.caller == Caller::Shopper && key.len() < MIN_ANONYMOUS_KEY {
            return Err(problems::key_too_short(MIN_ANONYMOUS_KEY));
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

/// The order that a cart becomes: one cart, one order.
#[must_use]
pub fn order_id_of(cart_id: CartId) -> OrderId {
    OrderId(Uuid::new_v5(&ORDERS, cart_id.0.as_bytes()))
}
