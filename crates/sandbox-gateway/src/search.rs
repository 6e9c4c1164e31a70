//! The language of searches, as much of it as the shop speaks: one value in the metadata.

use crate::failure::Failure;

/// Reads `metadata['name']:'value'`, with either sort of quotation marks.
pub(crate) fn in_metadata(query: &str) -> Result<(&str, &str), Failure> {
    read(query.trim()).ok_or_else(|| {
        let message = "The sandbox searches for one value in the metadata only: metadata['name']:'value'.";
        Failure::invalid(message).param("query")
    })
}

fn read(query: &str) -> Option<(&str, &str)> {
    let (name, value) = query.strip_prefix("metadata[")?.split_once("]:")?;
    Some((quoted(name)?, quoted(value)?))
}

fn quoted(text: &str) -> Option<&str> {
    let mark = text.chars().next().filter(|mark| matches!(mark, '\'' | '"'))?;
    let text = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!text.contains(['\'', '"', '\\'])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("metadata['payment_id']:'7'", Some(("payment_id", "7")))]
    #[case("metadata[\"payment_id\"]:\"a b\" ", Some(("payment_id", "a b")))]
    #[case("metadata['a']:'1' AND metadata['b']:'2'", None)]
    #[case("metadata['a']:'", None)]
    #[case("status:'succeeded'", None)]
    #[case("", None)]
    fn queries(#[case] query: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(in_metadata(query).ok(), expected);
    }
}
