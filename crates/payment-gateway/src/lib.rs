//! The payment gateway as the shop sees it: Stripe's payment intents, refunds and webhooks, over HTTP.
//!
//! A payment is authorised first (the money is held on the card) and captured later (the money is taken), or
//! cancelled. Every request that changes something has an idempotency key that follows from what it is for, so that it
//! can be sent again after anything: the gateway does it once.
//!
//! What came of a request is one of four things, and [`GatewayError`] keeps them apart: it was done; it was declined;
//! it will never be done as it is; or nobody knows yet. Only the gateway can resolve the last one, when it is asked
//! again under the same key.

mod amount;
mod error;
mod gateway;
mod model;
mod webhooks;
mod wire;

pub use amount::{UnfitAmount, check_amount};
pub use error::{GatewayError, InvalidGateway, UnknownOutcome};
pub use gateway::{Gateway, GatewayConfig};
pub use model::{Charge, Decline, Intent, IntentStatus, Page, Refund, RefundRequest, RefundStatus};
pub use webhooks::{InvalidWebhook, Signature, WEBHOOK_EVENTS, WebhookEvent, Webhooks};
