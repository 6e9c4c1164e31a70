use api::{Permission, Role};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use http_boundary::{Caller, OperatorToken, Problem};
use std::marker::PhantomData;

/// That whoever asks has this permission. A handler takes it before anything else, so that everybody else is refused before
/// any of the body is read.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<P>(PhantomData<P>);

impl<P: Permission, S> FromRequestParts<S> for Allowed<P>
where
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    /// 401 for an unknown token, 403 for whoever lacks the permission.
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if P::IS_ASKED {
            let caller = Caller::from_request_parts(parts, state).await?;
            if !P::ROLES.contains(&role_of(caller)) {
                caller.require_operator()?;
            }
        }
        Ok(Self(PhantomData))
    }
}

fn role_of(caller: Caller) -> Role {
    match caller {
        Caller::Operator => Role::Operator,
        Caller::Shopper => Role::Shopper,
    }
}
