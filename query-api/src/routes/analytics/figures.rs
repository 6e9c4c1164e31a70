//! How figures of revenue look in answers.

use super::sales_rows::SalesRow;
use api::Amount;
use api::analytics::{Revenue, ShippingRevenue};

/// What a row says was sold.
pub fn revenue(row: &SalesRow, has_shipping: bool) -> Revenue {
    let money = |amount| Amount::new(amount, &row.currency);
    let shipping = has_shipping.then(|| ShippingRevenue {
        gross: money(row.shipping),
        refunded: money(row.shipping_refunded),
        net: money(row.shipping - row.shipping_refunded),
    });
    Revenue {
        currency: row.currency.clone(),
        orders: row.orders,
        units: row.units,
        gross: money(row.gross),
        refunded: money(row.refunded),
        net: money(row.gross - row.refunded),
        shipping,
    }
}

/// Nothing was sold.
pub fn no_revenue(currency: &str, has_shipping: bool) -> Revenue {
    let row = SalesRow { currency: currency.to_owned(), ..SalesRow::default() };
    revenue(&row, has_shipping)
}
