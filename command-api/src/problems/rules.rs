//! What the rules of each aggregate refuse.

use super::{conflict, failure, not_found, sentence, unknown_currency};
use axum::http::StatusCode;
use domain::{cart, inventory, order, product};
use executor::ExecuteError;
use http_boundary::Problem;
use serde_json::json;

pub fn of_product(error: ExecuteError<product::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        product::Rejection::Undefined => not_found(rejection),
        product::Rejection::AlreadyDefined => conflict("product-exists", "The SKU is taken", rejection),
        product::Rejection::Retired => {
            conflict("product-retired", "The product is no longer sold", rejection)
        }
        product::Rejection::UnknownCurrency { currency } => unknown_currency(*currency, rejection),
        product::Rejection::CurrencyMismatch { product, price } => {
            conflict("currency-mismatch", "The currencies differ", rejection)
                .with("expected", product.code())
                .with("given", price.code())
        }
    })
}

pub fn of_stock(error: ExecuteError<inventory::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        inventory::Rejection::OutOfStock { available, asked } => {
            conflict("out-of-stock", "Not enough is left", rejection)
                .with("available", *available)
                .with("asked", *asked)
        }
        inventory::Rejection::BeyondShare { limit, held, asked } => {
            conflict("held-at-payment", "Unpaid orders hold their share", rejection)
                .with("limit", *limit)
                .with("held", *held)
                .with("asked", *asked)
        }
        inventory::Rejection::OrderSettled => conflict("order-settled", "The order is settled", rejection),
        inventory::Rejection::ReservationDiffers { .. } => {
            conflict("reservation-differs", "The order holds another quantity", rejection)
        }
        inventory::Rejection::NotReserved => conflict("not-reserved", "Nothing is reserved", rejection),
        inventory::Rejection::NotCommitted => conflict("not-committed", "Nothing is committed", rejection),
        inventory::Rejection::AlreadyShipped => conflict("already-shipped", "The units are gone", rejection),
        inventory::Rejection::AdjustmentBelowReserved { delta, available, reserved } => {
            conflict("adjustment-below-reserved", "The stock is promised to orders", rejection)
                .with("delta", *delta)
                .with("available", *available)
                .with("reserved", *reserved)
        }
        inventory::Rejection::ReceiptDiffers { recorded } => {
            conflict("receipt-differs", "The receipt is recorded with another quantity", rejection)
                .with("recorded", *recorded)
        }
        inventory::Rejection::AdjustmentDiffers { recorded } => {
            conflict("adjustment-differs", "The correction is recorded with another number", rejection)
                .with("recorded", *recorded)
        }
        inventory::Rejection::NothingToAdjust => Problem::invalid(sentence(rejection)),
        inventory::Rejection::TooMuchStock { .. } => Problem::invalid(sentence(rejection)),
    })
}

pub fn of_cart(error: ExecuteError<cart::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        cart::Rejection::NotFound => {
            Problem::new(StatusCode::NOT_FOUND, "unknown-cart", "There is no such cart", sentence(rejection))
        }
        cart::Rejection::AlreadyOpen => conflict("cart-exists", "The cart is already open", rejection),
        cart::Rejection::CheckedOut { order_id, total } => {
            conflict("cart-checked-out", "The cart is checked out", rejection)
                .with("order_id", order_id.to_string())
                .with("total", json!(total))
        }
        cart::Rejection::Abandoned => conflict("cart-abandoned", "The cart is abandoned", rejection),
        cart::Rejection::Empty => conflict("cart-empty", "The cart is empty", rejection),
        cart::Rejection::UnknownCurrency { currency } => unknown_currency(*currency, rejection),
        cart::Rejection::CurrencyMismatch { cart, line } => {
            conflict("currency-mismatch", "The currencies differ", rejection)
                .with("expected", cart.code())
                .with("given", line.code())
        }
        cart::Rejection::LineTaken { line_id, sku } => {
            conflict("line-taken", "The line's id is taken", rejection)
                .with("line_id", line_id.to_string())
                .with("sku", sku.as_str())
        }
        cart::Rejection::LineTwice { .. }
        | cart::Rejection::QuantityTooLarge { .. }
        | cart::Rejection::TooManyUnits { .. }
        | cart::Rejection::Total(_) => Problem::invalid(sentence(rejection)),
        cart::Rejection::TooManyLines { max } => {
            conflict("too-many-lines", "The cart is full", rejection).with("max", *max)
        }
        cart::Rejection::TooManyChanges { max } => {
            conflict("too-many-changes", "The cart takes no more changes", rejection).with("max", *max)
        }
        cart::Rejection::Changed => conflict("cart-changed", "The cart has changed", rejection),
        cart::Rejection::PriceChanged { expected, total, shipping, lines } => {
            conflict("price-changed", "The total is not what the shopper saw", rejection)
                .with("expected", json!(expected))
                .with("total", json!(total))
                .with("shipping", json!(shipping))
                .with("lines", json!(lines))
        }
    })
}

pub fn of_order(error: ExecuteError<order::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        order::Rejection::NotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-order",
            "There is no such order",
            sentence(rejection),
        ),
        order::Rejection::AlreadyPlaced => conflict("order-exists", "The order is another one", rejection),
        order::Rejection::WrongStatus { status, wanted, needed } => {
            conflict("wrong-order-status", "The order does not stand where it must", rejection)
                .with("order_status", *status)
                .with("wanted", *wanted)
                .with("needed", *needed)
        }
        order::Rejection::CurrencyMismatch { order, given } => {
            conflict("currency-mismatch", "The currencies differ", rejection)
                .with("expected", order.code())
                .with("given", given.code())
        }
        order::Rejection::PaymentNotDue { due, .. } => {
            conflict("payment-not-due", "The payment is not what is due", rejection).with("due", *due)
        }
        order::Rejection::PaymentInPart { due, .. } => {
            conflict("payment-in-part", "The payment is only a part of what is due", rejection)
                .with("due", *due)
        }
        order::Rejection::PaymentUnderWay { under_way, due } => {
            conflict("payment-under-way", "Another payment is under way", rejection)
                .with("under_way", *under_way)
                .with("due", *due)
        }
        order::Rejection::PaymentDiffers { recorded } => conflict(
            "payment-differs",
            "The payment is recorded with another amount or another means of payment",
            rejection,
        )
        .with("recorded", json!(recorded)),
        order::Rejection::TooManyPayments { max } => {
            conflict("too-many-payments", "The order takes no more payments", rejection).with("max", *max)
        }
        order::Rejection::PaymentNotFound => not_found(rejection),
        order::Rejection::ShipmentNotFound => not_found(rejection),
        order::Rejection::RefundNotRequested => {
            conflict("refund-not-requested", "Nobody asked for this refund", rejection)
        }
        order::Rejection::PartlyShipped => {
            conflict("partly-shipped", "A part of the order is on its way", rejection)
        }
        order::Rejection::NothingToShip { merchant_id } => {
            conflict("nothing-to-ship", "The merchant has nothing left to ship", rejection)
                .with("merchant_id", merchant_id.as_str())
        }
        order::Rejection::LineTwice { .. } | order::Rejection::NotTheirLine { .. } => {
            Problem::invalid(sentence(rejection))
        }
        order::Rejection::TooManyUnits { line_id, left, .. } => {
            conflict("too-many-units", "More than is left to ship", rejection)
                .with("line_id", line_id.to_string())
                .with("left", *left)
        }
        order::Rejection::ShipmentDiffers => {
            conflict("shipment-differs", "The shipment is recorded with other contents", rejection)
        }
        order::Rejection::RefundTooLarge { left, .. } => {
            conflict("refund-too-large", "More than can be given back", rejection).with("left", *left)
        }
        order::Rejection::RefundDiffers { recorded } => {
            conflict("refund-differs", "The refund is recorded with another amount", rejection)
                .with("recorded", json!(recorded))
        }
    })
}
