//! What a shopper hears who would hold too much without paying.

use api::problem;
use domain::Sku;
use http_boundary::Problem;
use unpaid_orders::{TooMany, Whose};

/// More than one shopper may take off sale before paying.
pub fn too_many_units(sku: &Sku, asked: u64, max: u64) -> Problem {
    Problem::new(
        problem::TOO_MANY_UNITS_OF_SKU,
        format!(
            "The cart has {asked} units of `{sku}`, and an order may have {max}: buy fewer, or ask the shop to place \
             the order."
        ),
    )
    .with("sku", sku.as_str())
    .with("asked", asked)
    .with("max", max)
}

/// Somebody has as many unpaid orders as they may have.
pub fn too_many_unpaid_orders(too_many: &TooMany) -> Problem {
    let whose = match too_many.whose {
        Whose::Address(_) => "from your network address",
        Whose::Customer(_) => "of this customer",
    };
    // Not before the time is over, and never a lie of zero seconds.
    let seconds = u32::try_from(too_many.retry_after.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Problem::new(
        problem::TOO_MANY_UNPAID_ORDERS,
        format!(
            "{} orders {whose} wait for their money, and no more may: pay or cancel one, or try again when the time of \
             the next one is over.",
            too_many.limit
        ),
    )
    .with("limit", too_many.limit)
    .retry_after(seconds)
}
