use serde::{Deserialize, Serialize};

/// Why a request fails, in Stripe's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub status: u16,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "api_error")]
    Api,
    #[serde(rename = "card_error")]
    Card,
    #[serde(rename = "idempotency_error")]
    Idempotency,
    #[serde(rename = "invalid_request_error")]
    InvalidRequest,
}

impl Failure {
    fn new(status: u16, kind: Kind, message: impl Into<String>) -> Self {
        Self { status, kind, code: None, decline_code: None, message: message.into(), param: None }
    }

    /// A request that cannot be done as it is.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, Kind::InvalidRequest, message)
    }

    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    pub fn param(mut self, name: &str) -> Self {
        self.param = Some(name.to_owned());
        self
    }

    pub fn missing_parameter(name: &str) -> Self {
        Self::invalid(format!("The parameter {name} is required.")).code("parameter_missing").param(name)
    }

    pub fn unknown_parameter(name: &str) -> Self {
        Self::invalid(format!("The sandbox does not know the parameter {name}."))
            .code("parameter_unknown")
            .param(name)
    }

    /// Nothing has this id: 404 for the thing in the address.
    pub fn no_such(thing: &str, id: &str, param: &str) -> Self {
        let failure = Self::invalid(format!("No such {thing}: '{id}'"));
        Self { status: 404, ..failure }.code("resource_missing").param(param)
    }

    /// The intent is not in a state that allows it.
    pub fn unexpected_state(message: impl Into<String>) -> Self {
        Self::invalid(message).code("payment_intent_unexpected_state")
    }

    pub fn declined(decline_code: &str, message: &str) -> Self {
        let failure = Self::new(402, Kind::Card, message).code("card_declined");
        Self { decline_code: Some(decline_code.to_owned()), ..failure }
    }

    /// The shopper was asked, and refused.
    pub fn not_proven() -> Self {
        Self::new(402, Kind::Card, "The shopper did not confirm the payment.")
            .code("payment_intent_authentication_failure")
    }

    pub fn unknown_key() -> Self {
        Self::new(401, Kind::InvalidRequest, "Send the sandbox's secret key: `Authorization: Bearer sk_…`.")
    }

    pub fn other_request() -> Self {
        let message = "This idempotency key belongs to a request with another address or other parameters: \
                       take a new key for a new request.";
        Self::new(400, Kind::Idempotency, message)
    }

    pub fn under_way() -> Self {
        let message = "A request with this idempotency key is under way: ask again in a moment.";
        Self::new(409, Kind::Idempotency, message).code("idempotency_key_in_use")
    }

    pub fn unknown_address(method: &str, path: &str) -> Self {
        Self::new(404, Kind::InvalidRequest, format!("There is nothing at {method} {path}."))
    }

    /// It was done all the same.
    pub fn after_the_fact() -> Self {
        Self::new(500, Kind::Api, "An error occurred. Nobody says whether the request was done.")
    }

    pub fn too_many_hang() -> Self {
        Self::new(503, Kind::Api, "So many requests hang already that this one is not let hang too.")
    }

    pub fn internal() -> Self {
        Self::new(500, Kind::Api, "The sandbox could not write its journal; its log says why.")
    }
}
