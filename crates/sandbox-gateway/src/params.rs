//! The parameters of a request, form-encoded as Stripe's clients send them.

use crate::failure::Failure;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const MAX_METADATA_KEYS: usize = 50;
const MAX_METADATA_KEY: usize = 40;
const MAX_METADATA_VALUE: usize = 500;

/// Parameters that are taken out one by one; what is left at the end is unknown.
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Of a body or a query string. The last one of a name counts.
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Is the same for the same request, in whatever order its parameters come.
    pub fn fingerprint(&self, path: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text);
        };
        add(path);
        for (name, value) in &self.0 {
            add(name);
            add(value);
        }
        hex::encode(&hash.finalize()[..16])
    }

    /// An empty value is as good as none.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    pub fn required(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name).ok_or_else(|| Failure::missing_parameter(name))
    }

    pub fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(Failure::invalid(format!("{name} is true or false, not {other}.")).param(name))
            }
        }
    }

    /// A whole number of minor units, above zero. How many there may be depends on the currency.
    pub fn amount(&mut self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let amount: i64 = text.parse().map_err(|_| {
            let message = format!("{name} is a whole number of minor units, not {text}.");
            Failure::invalid(message).code("parameter_invalid_integer").param(name)
        })?;
        if amount > 0 {
            return Ok(Some(amount));
        }
        let message = format!("{name} must be above zero, and is {amount}.");
        Err(Failure::invalid(message).code("parameter_invalid_integer").param(name))
    }

    pub fn limit(&mut self) -> Result<usize, Failure> {
        let Some(text) = self.text("limit") else { return Ok(10) };
        let limit = text.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.ok_or_else(|| {
            let message = format!("limit is a number from 1 to 100, not {text}.");
            Failure::invalid(message).code("parameter_invalid_integer").param("limit")
        })
    }

    pub fn metadata(&mut self) -> Result<BTreeMap<String, String>, Failure> {
        let mut metadata = BTreeMap::new();
        for (name, value) in
            self.0.extract_if("metadata[".to_owned()..="metadata[\u{10ffff}".to_owned(), |_, _| true)
        {
            let key =
                name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
            if key.is_empty() || key.len() > MAX_METADATA_KEY || value.len() > MAX_METADATA_VALUE {
                let message = format!(
                    "A key of the metadata has 1 to {MAX_METADATA_KEY} bytes and a value at most {MAX_METADATA_VALUE}."
                );
                return Err(Failure::invalid(message).param(&name));
            }
            metadata.insert(key.to_owned(), value);
        }
        if metadata.len() > MAX_METADATA_KEYS {
            let message = format!("The metadata have more than {MAX_METADATA_KEYS} keys.");
            return Err(Failure::invalid(message).param("metadata"));
        }
        Ok(metadata)
    }

    /// Parameters that change nothing here.
    pub fn ignore(&mut self, prefix: &str) {
        self.0.retain(|name, _| {
            !name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        });
    }

    /// There must be no others.
    pub fn finish(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Failure::unknown_parameter(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("amount=1", Ok(Some(1)))]
    #[case("amount=999999999999", Ok(Some(999_999_999_999)))]
    #[case("amount=", Ok(None))]
    #[case("", Ok(None))]
    #[case("amount=0", Err("parameter_invalid_integer"))]
    #[case("amount=-5", Err("parameter_invalid_integer"))]
    #[case("amount=1.5", Err("parameter_invalid_integer"))]
    #[case("amount=99999999999999999999", Err("parameter_invalid_integer"))]
    fn amounts(#[case] body: &str, #[case] expected: Result<Option<i64>, &str>) {
        let amount = Params::parse(body.as_bytes()).amount("amount");
        assert_eq!(amount.map_err(|failure| failure.code.unwrap()), expected.map_err(str::to_owned));
    }

    #[test]
    fn metadata_are_taken_and_the_rest_is_unknown() {
        let mut params = Params::parse(b"metadata[a]=1&metadata%5Bb%20c%5D=%C3%A4&metadatum=x&zebra=2");
        let expected = [("a", "1"), ("b c", "ä")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(params.metadata().unwrap(), BTreeMap::from(expected));
        assert_eq!(params.finish().unwrap_err().param.as_deref(), Some("metadatum"));
    }

    #[test]
    fn a_fingerprint_is_of_what_is_asked_and_not_of_its_order() {
        let of = |path: &str, body: &str| Params::parse(body.as_bytes()).fingerprint(path);
        assert_eq!(of("/a", "x=1&y=2"), of("/a", "y=2&x=1"));
        let others = [of("/a", "x=1&y=2"), of("/b", "x=1&y=2"), of("/a", "x=12&y="), of("/a", "x=1&y=3")];
        for (place, one) in others.iter().enumerate() {
            assert!(!others[place + 1..].contains(one));
        }
    }
}
