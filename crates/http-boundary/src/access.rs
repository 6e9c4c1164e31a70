//! Who is asking. The one place where the bearer token is looked at; finer roles come here.

use crate::Problem;
use api::problem;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The operator's token. Only its digest is kept in memory.
#[derive(Clone)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// The token as the operator sends it.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in constant time, so that the answer's delay says nothing about the token.
    fn is(&self, given: &str) -> bool {
        Sha256::digest(given.as_bytes()).as_slice().ct_eq(&self.0).into()
    }
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Whoever runs the shop: sent the operator's token.
    Operator,
    /// Anybody: sent no token.
    Shopper,
}

impl Caller {
    /// Its name in the events' metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Shopper => "shopper",
        }
    }

    /// Whether it is the operator.
    #[must_use]
    pub fn is_operator(self) -> bool {
        self == Self::Operator
    }

    /// Lets only the operator pass.
    ///
    /// # Errors
    /// 403 `operator-only` for everybody else.
    pub fn require_operator(self) -> Result<(), Problem> {
        match self {
            Self::Operator => Ok(()),
            Self::Shopper => Err(Problem::new(
                problem::OPERATOR_ONLY,
                "Send the operator's token: `Authorization: Bearer …`.",
            )),
        }
    }
}

impl Caller {
    /// Whose request has these headers.
    ///
    /// # Errors
    /// 401 `unknown-token` for a token that is not the operator's, 400 if there are two.
    pub(crate) fn of(headers: &HeaderMap, operator: &OperatorToken) -> Result<Self, Problem> {
        let mut given = headers.get_all(header::AUTHORIZATION).into_iter();
        let Some(authorization) = given.next() else { return Ok(Self::Shopper) };
        // Something before us may have looked at the other one.
        if given.next().is_some() {
            return Err(Problem::malformed("A request has one Authorization header: send it once."));
        }
        let token = authorization.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        match token {
            Some(token) if operator.is(token) => Ok(Self::Operator),
            _ => Err(Problem::new(
                problem::UNKNOWN_TOKEN,
                "Send the operator's token as `Authorization: Bearer …`, or no such header at all.",
            )
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The limits have looked already.
        match parts.extensions.get::<Self>() {
            Some(caller) => Ok(*caller),
            None => Self::of(&parts.headers, &OperatorToken::from_ref(state)),
        }
    }
}

/// The operator. A handler that takes this before the body refuses everybody else with 403 before any of the body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator;

impl<S> FromRequestParts<S> for Operator
where
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await?.require_operator().map(|()| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nobody(&[], Ok(Caller::Shopper))]
    #[case::the_operator(&["Bearer secret"], Ok(Caller::Operator))]
    #[case::in_any_case(&["bEARER secret"], Ok(Caller::Operator))]
    #[case::another_token(&["Bearer public"], Err("unknown-token"))]
    #[case::another_scheme(&["Basic secret"], Err("unknown-token"))]
    #[case::two_headers(&["Bearer secret", "Bearer public"], Err("malformed-request"))]
    #[case::twice_the_same(&["Bearer secret", "Bearer secret"], Err("malformed-request"))]
    fn the_caller_is_known_by_one_token(
        #[case] given: &[&str],
        #[case] expected: Result<Caller, &'static str>,
    ) {
        let headers = given.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap())).collect();
        let caller = Caller::of(&headers, &OperatorToken::new("secret"));
        assert_eq!(caller.map_err(|problem| problem.id()), expected);
    }
}
