//! Who asks, as places and work are shared out by it.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use http_boundary::{Caller, Client, OperatorToken};
use std::convert::Infallible;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// By what a share is counted.
    pub client: Client,
    /// The operator has a share of its own.
    pub is_operator: bool,
}

impl<S> FromRequestParts<S> for Asker
where
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Ok(client) = Client::from_request_parts(parts, state).await;
        let caller = Caller::from_request_parts(parts, state).await;
        Ok(Self { client, is_operator: caller.is_ok_and(Caller::is_operator) })
    }
}
