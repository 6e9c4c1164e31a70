//! `Prefer: wait=N` (RFC 7240): how long the caller would rather wait than be told "not yet".

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long a request may wait for what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    seconds: u64,
}

impl Wait {
    /// Who asks for more waits this long.
    pub const LONGEST: Self = Self { seconds: 30 };

    /// What the request says. A preference that is unknown or cannot be read is ignored, as the standard wants it.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
        let mut preferences = values.flat_map(|value| value.split([',', ';']));
        let seconds = preferences.find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().parse::<u64>().ok())?
        })?;
        Some(Self { seconds }.min(Self::LONGEST))
    }

    /// As a time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The header that says how long the request was ready to wait.
    #[must_use]
    pub fn applied(self) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::try_from(format!("wait={}", self.seconds));
        (PREFERENCE_APPLIED, value.unwrap_or(HeaderValue::from_static("wait")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Option<u64> {
        let headers = values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect();
        Wait::read(&headers).map(|wait| wait.seconds)
    }

    #[test]
    fn reads_the_first_wait_that_can_be_read_wherever_it_stands() {
        assert_eq!(read(&["wait=5"]), Some(5));
        assert_eq!(read(&["respond-async, Wait = 0; foo=bar"]), Some(0));
        assert_eq!(read(&["return=minimal", "handling=strict, wait=7"]), Some(7));
        assert_eq!(read(&["wait=soon, wait=3"]), Some(3));
        assert_eq!(read(&["wait=86400"]), Some(30));
        for nothing in [&[][..], &["wait"], &["wait=-1"], &["waits=5"], &["wait=\"5\""]] {
            assert_eq!(read(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn says_what_was_applied_and_not_what_was_asked_for() {
        let headers = [(PREFER, HeaderValue::from_static("wait=600"))].into_iter().collect();
        let (name, value) = Wait::read(&headers).unwrap().applied();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("preference-applied", "wait=30"));
    }
}
