use crate::amount::UnfitAmount;
use thiserror::Error;

/// The configuration of the gateway is not usable.
#[derive(Debug, Error)]
pub enum InvalidGateway {
    /// The address.
    #[error("{0} is no address of a payment gateway: give one like https://api.stripe.com")]
    Url(String),
    /// The key cannot be sent as a header, or is empty.
    #[error("the payment gateway's secret key is empty or has characters that cannot be sent: check it")]
    SecretKey,
    /// Anybody could sign with it.
    #[error("the secret for the signatures of webhooks is empty: give the one that the gateway signs with")]
    WebhookSecret,
    /// The HTTP client, most likely for want of certificates.
    #[error("the HTTP client for the payment gateway cannot be made: check the machine's certificates")]
    Http(#[source] reqwest::Error),
}

/// The gateway did not do what it was asked for, or nobody knows whether it did.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// Whoever issued the card says no. The same request gets the same answer; another payment method may be tried.
    #[error("the payment was declined ({code}): {message}")]
    Declined {
        /// The intent that the gateway has made for it.
        intent_id: Option<String>,
        /// Why, for machines: the issuer's own reason, as `insufficient_funds`, or `card_declined` where it gives none.
        code: String,
        /// Why, for the shopper.
        message: String,
    },
    /// The request will not be done, and asking again will not change that.
    #[error("the payment gateway refuses the request ({status} {}): {message}", code.as_deref().unwrap_or("without a code"))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why, for machines.
        code: Option<String>,
        /// Why, for people.
        message: String,
    },
    /// It cannot take this amount, and was not asked.
    #[error(transparent)]
    Unfit(#[from] UnfitAmount),
    /// The gateway does not let us in (401, 403). This request was not done. It says nothing about an earlier one under
    /// the same key, so a payment must not be given up for it: it goes on when the key is right again.
    #[error("the payment gateway does not let us in ({status}): check the secret key; it says: {message}")]
    LockedOut {
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The gateway has too much to do, or does this very request already. Ask later.
    #[error("the payment gateway is busy with other requests: ask again later; it says: {message}")]
    Busy {
        /// What it says.
        message: String,
    },
    /// The key belongs to another request, so this one was not done. It says nothing about the means of payment, nor
    /// about an earlier request under the key that may have been this one in other words: look for what that made.
    #[error(
        "the payment gateway knows the request's key from another request: look for what that one made; it says: {message}"
    )]
    OtherRequest {
        /// What it says.
        message: String,
    },
    /// Nobody knows whether it was done. Ask again, under the same key.
    #[error("the payment gateway's answer is not known: ask again under the same key")]
    Unknown {
        /// What went wrong.
        #[source]
        source: UnknownOutcome,
    },
}

impl GatewayError {
    /// Whether the outcome is known and final: the same request would get the same answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Declined { .. } | Self::Refused { .. } | Self::Unfit(_) => true,
            Self::LockedOut { .. } | Self::Busy { .. } | Self::OtherRequest { .. } | Self::Unknown { .. } => {
                false
            }
        }
    }
}

/// Why an outcome is not known.
#[derive(Debug, Error)]
pub enum UnknownOutcome {
    /// No answer came in time, or the connection could not be made or broke.
    #[error("no answer came")]
    NoAnswer(#[source] reqwest::Error),
    /// The gateway failed, or something between it and us did.
    #[error("the gateway failed with status {status}: {message}")]
    Failed {
        /// The HTTP status.
        status: u16,
        /// What it says, cut short.
        message: String,
    },
    /// An answer that is not one of the gateway.
    #[error("the answer with status {status} does not have the form of one")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl From<UnknownOutcome> for GatewayError {
    fn from(source: UnknownOutcome) -> Self {
        Self::Unknown { source }
    }
}
