/// What makes a request under an idempotency key the same request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of what the request says: it is recorded.
    request: String,
    /// Of its bytes, if these are another way to say the same: earlier programs recorded that.
    as_sent: Option<String>,
}

impl Fingerprint {
    /// Of a command without an idempotency key: it is not remembered.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Of what a request says, and of its bytes as they were sent.
    #[must_use]
    pub fn new(request: String, as_sent: String) -> Self {
        let as_sent = Some(as_sent).filter(|as_sent| *as_sent != request);
        Self { request, as_sent }
    }

    /// Whether the command has no idempotency key.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.request.is_empty()
    }

    /// As it is recorded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.request
    }

    /// Whether a recorded one is of the same request.
    #[must_use]
    pub fn is_recorded_as(&self, recorded: &str) -> bool {
        self.request == recorded || self.as_sent.as_deref() == Some(recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_programs_recorded_of_the_same_bytes_is_the_same_request() {
        let fingerprint = Fingerprint::new("said".to_owned(), "sent".to_owned());
        assert_eq!(fingerprint.as_str(), "said");
        assert!(fingerprint.is_recorded_as("said") && fingerprint.is_recorded_as("sent"));
        assert!(!fingerprint.is_recorded_as("other") && !fingerprint.is_none());
        assert!(Fingerprint::none().is_none());
    }
}
