//! What the rules of each aggregate refuse.

use super::{failure, refused, sentence, unknown_currency};
use api::problem;
use domain::{cart, inventory, order, product};
use executor::ExecuteError;
use http_boundary::Problem;
use serde_json::json;

pub fn of_product(error: ExecuteError<product::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        product::Rejection::Undefined => refused(problem::UNKNOWN_SKU, rejection),
        product::Rejection::AlreadyDefined => refused(problem::PRODUCT_EXISTS, rejection),
        product::Rejection::Retired => refused(problem::PRODUCT_RETIRED, rejection),
        product::Rejection::UnknownCurrency { currency } => unknown_currency(*currency, rejection),
        product::Rejection::CurrencyMismatch { product, price } => {
            refused(problem::CURRENCY_MISMATCH, rejection)
                .with("expected", product.code())
                .with("given", price.code())
        }
    })
}

pub fn of_stock(error: ExecuteError<inventory::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        inventory::Rejection::OutOfStock { available, asked } => {
            refused(problem::OUT_OF_STOCK, rejection).with("available", *available).with("asked", *asked)
        }
        inventory::Rejection::BeyondShare { limit, held, asked } => {
            refused(problem::HELD_AT_PAYMENT, rejection)
                .with("limit", *limit)
                .with("held", *held)
                .with("asked", *asked)
        }
        inventory::Rejection::OrderSettled => refused(problem::ORDER_SETTLED, rejection),
        inventory::Rejection::ReservationDiffers { .. } => refused(problem::RESERVATION_DIFFERS, rejection),
        inventory::Rejection::NotReserved => refused(problem::NOT_RESERVED, rejection),
        inventory::Rejection::NotCommitted => refused(problem::NOT_COMMITTED, rejection),
        inventory::Rejection::AlreadyShipped => refused(problem::ALREADY_SHIPPED, rejection),
        inventory::Rejection::AdjustmentBelowReserved { delta, available, reserved } => {
            refused(problem::ADJUSTMENT_BELOW_RESERVED, rejection)
                .with("delta", *delta)
                .with("available", *available)
                .with("reserved", *reserved)
        }
        inventory::Rejection::ReceiptDiffers { recorded } => {
            refused(problem::RECEIPT_DIFFERS, rejection).with("recorded", *recorded)
        }
        inventory::Rejection::AdjustmentDiffers { recorded } => {
            refused(problem::ADJUSTMENT_DIFFERS, rejection).with("recorded", *recorded)
        }
        inventory::Rejection::NothingToAdjust => Problem::invalid(sentence(rejection)),
        inventory::Rejection::TooMuchStock { .. } => Problem::invalid(sentence(rejection)),
    })
}

pub fn of_cart(error: ExecuteError<cart::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        cart::Rejection::NotFound => refused(problem::UNKNOWN_CART, rejection),
        cart::Rejection::AlreadyOpen => refused(problem::CART_EXISTS, rejection),
        cart::Rejection::CheckedOut { order_id, total } => refused(problem::CART_CHECKED_OUT, rejection)
            .with("order_id", order_id.to_string())
            .with("total", json!(total)),
        cart::Rejection::Abandoned => refused(problem::CART_ABANDONED, rejection),
        cart::Rejection::Empty => refused(problem::CART_EMPTY, rejection),
        cart::Rejection::UnknownCurrency { currency } => unknown_currency(*currency, rejection),
        cart::Rejection::CurrencyMismatch { cart, line } => refused(problem::CURRENCY_MISMATCH, rejection)
            .with("expected", cart.code())
            .with("given", line.code()),
        cart::Rejection::LineTaken { line_id, sku } => refused(problem::LINE_TAKEN, rejection)
            .with("line_id", line_id.to_string())
            .with("sku", sku.as_str()),
        cart::Rejection::LineTwice { .. }
        | cart::Rejection::QuantityTooLarge { .. }
        | cart::Rejection::TooManyUnits { .. }
        | cart::Rejection::Total(_) => Problem::invalid(sentence(rejection)),
        cart::Rejection::TooManyLines { max } => {
            refused(problem::TOO_MANY_LINES, rejection).with("max", *max)
        }
        cart::Rejection::TooManyChanges { max } => {
            refused(problem::TOO_MANY_CHANGES, rejection).with("max", *max)
        }
        cart::Rejection::Changed => refused(problem::CART_CHANGED, rejection),
        cart::Rejection::PriceChanged { expected, total, shipping, lines } => {
            refused(problem::PRICE_CHANGED, rejection)
                .with("expected", json!(expected))
                .with("total", json!(total))
                .with("shipping", json!(shipping))
                .with("lines", json!(lines))
        }
    })
}

pub fn of_order(error: ExecuteError<order::Rejection>) -> Problem {
    failure(error, |rejection| match rejection {
        order::Rejection::NotFound => refused(problem::UNKNOWN_ORDER, rejection),
        order::Rejection::AlreadyPlaced => refused(problem::ORDER_EXISTS, rejection),
        order::Rejection::WrongStatus { status, wanted, needed } => {
            refused(problem::WRONG_ORDER_STATUS, rejection)
                .with("order_status", *status)
                .with("wanted", *wanted)
                .with("needed", *needed)
        }
        order::Rejection::CurrencyMismatch { order, given } => refused(problem::CURRENCY_MISMATCH, rejection)
            .with("expected", order.code())
            .with("given", given.code()),
        order::Rejection::PaymentNotDue { due, .. } => {
            refused(problem::PAYMENT_NOT_DUE, rejection).with("due", *due)
        }
        order::Rejection::PaymentInPart { due, .. } => {
            refused(problem::PAYMENT_IN_PART, rejection).with("due", *due)
        }
        order::Rejection::PaymentUnderWay { under_way, due } => {
            refused(problem::PAYMENT_UNDER_WAY, rejection).with("under_way", *under_way).with("due", *due)
        }
        order::Rejection::PaymentDiffers { recorded } => {
            refused(problem::PAYMENT_DIFFERS, rejection).with("recorded", json!(recorded))
        }
        order::Rejection::TooManyPayments { max } => {
            refused(problem::TOO_MANY_PAYMENTS, rejection).with("max", *max)
        }
        order::Rejection::PaymentNotFound => refused(problem::UNKNOWN_PAYMENT, rejection),
        order::Rejection::ShipmentNotFound => refused(problem::UNKNOWN_SHIPMENT, rejection),
        order::Rejection::RefundNotRequested => refused(problem::REFUND_NOT_REQUESTED, rejection),
        order::Rejection::PartlyShipped => refused(problem::PARTLY_SHIPPED, rejection),
        order::Rejection::NothingToShip { merchant_id } => {
            refused(problem::NOTHING_TO_SHIP, rejection).with("merchant_id", merchant_id.as_str())
        }
        order::Rejection::LineTwice { .. } | order::Rejection::NotTheirLine { .. } => {
            Problem::invalid(sentence(rejection))
        }
        order::Rejection::TooManyUnits { line_id, left, .. } => refused(problem::TOO_MANY_UNITS, rejection)
            .with("line_id", line_id.to_string())
            .with("left", *left),
        order::Rejection::ShipmentDiffers => refused(problem::SHIPMENT_DIFFERS, rejection),
        order::Rejection::RefundTooLarge { left, .. } => {
            refused(problem::REFUND_TOO_LARGE, rejection).with("left", *left)
        }
        order::Rejection::RefundDiffers { recorded } => {
            refused(problem::REFUND_DIFFERS, rejection).with("recorded", json!(recorded))
        }
    })
}
