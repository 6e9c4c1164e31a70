//! How figures of revenue look in answers.

use super::sales_rows::SalesRow;
use crate::answer::MoneyView;
use serde::Serialize;

/// What was sold in one currency.
#[derive(Debug, Serialize)]
pub struct RevenueView {
    pub currency: String,
    pub orders: i64,
    pub units: i64,
    pub gross: MoneyView,
    pub refunded: MoneyView,
    pub net: MoneyView,
    /// The charge for sending: it belongs to no SKU and to no merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ShippingView>,
}

/// The charge for sending.
#[derive(Debug, Serialize)]
pub struct ShippingView {
    pub gross: MoneyView,
    pub refunded: MoneyView,
    pub net: MoneyView,
}

impl RevenueView {
    pub fn new(row: &SalesRow, has_shipping: bool) -> Self {
        let money = |amount| MoneyView::new(amount, &row.currency);
        let shipping = has_shipping.then(|| ShippingView {
            gross: money(row.shipping),
            refunded: money(row.shipping_refunded),
            net: money(row.shipping - row.shipping_refunded),
        });
        Self {
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
    pub fn none(currency: &str, has_shipping: bool) -> Self {
        let row = SalesRow { currency: currency.to_owned(), ..SalesRow::default() };
        Self::new(&row, has_shipping)
    }
}
