//! One readable line for each event, for people who look at a history.
//!
//! Every match is exhaustive, so that no new event can be forgotten. A line has nothing that its reader may not know:
//! no token of a payment method.

use crate::Sku;

/// SKUs that a line names before it only counts the rest.
const NAMED_SKUS: usize = 3;

/// What can be said in one line.
pub trait Summary {
    /// What happened, in a few words.
    #[must_use]
    fn summary(&self) -> String;
}

pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

pub(crate) fn skus<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> String {
    let skus: Vec<&str> = skus.into_iter().map(Sku::as_str).collect();
    match skus.len().checked_sub(NAMED_SKUS) {
        Some(more) if more > 0 => format!("{} and {more} more", skus[..NAMED_SKUS].join(", ")),
        _ => skus.join(", "),
    }
}
