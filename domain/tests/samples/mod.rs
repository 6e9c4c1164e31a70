//! Short ways to write values in tests.

#![allow(dead_code, reason = "each test file uses a part of them")]

use domain::{
    AdjustmentId, Carrier, CartId, Country, Currency, CustomerId, DeclineCode, IntentId, LineId, MerchantId,
    Money, OrderId, PaymentId, PaymentMethod, PaymentToken, ProductName, Quantity, Reason, ReceiptId,
    Reference, RefundId, ShipmentId, Sku, TrackingNumber, WebAddress,
};
use uuid::Uuid;

pub mod orders;

macro_rules! ids {
    ($($function:ident => $id:ident),+ $(,)?) => {
        $(pub fn $function(number: u128) -> $id {
            $id(Uuid::from_u128(number))
        })+
    };
}

ids! {
    cart_id => CartId,
    line_id => LineId,
    order_id => OrderId,
    receipt_id => ReceiptId,
    adjustment_id => AdjustmentId,
    payment_id => PaymentId,
    refund_id => RefundId,
    shipment_id => ShipmentId,
}

macro_rules! texts {
    ($($function:ident => $text:ident),+ $(,)?) => {
        $(pub fn $function(text: &str) -> $text {
            $text::new(text).expect("a sample text is valid")
        })+
    };
}

texts! {
    sku => Sku,
    merchant => MerchantId,
    customer => CustomerId,
    name => ProductName,
    country => Country,
    reason => Reason,
    reference => Reference,
    method => PaymentMethod,
    token => PaymentToken,
    intent => IntentId,
    address => WebAddress,
    code => DeclineCode,
    carrier => Carrier,
    tracking_number => TrackingNumber,
}

pub fn currency(code: &str) -> Currency {
    code.parse().expect("a sample currency is valid")
}

pub fn money(amount: i64, code: &str) -> Money {
    Money::new(amount, currency(code)).expect("a sample amount is valid")
}

pub fn gbp(amount: i64) -> Money {
    money(amount, "GBP")
}

pub fn eur(amount: i64) -> Money {
    money(amount, "EUR")
}

pub fn units(units: u32) -> Quantity {
    Quantity::new(i64::from(units)).expect("a sample quantity is valid")
}

pub fn skus(skus: &[&str]) -> Vec<Sku> {
    skus.iter().copied().map(sku).collect()
}
