//! How the domain's own types look in JSON. They stand in for those types in the OpenAPI description only
//! (`#[schema(value_type = …)]`): the domain itself knows nothing of HTTP.

use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $build:expr, $about:literal;)*) => {
        $(
            #[doc = $about]
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let build: ObjectBuilder = $build;
                    build.description(Some($about)).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )*
    };
}

/// A text of 1 to so many characters.
fn text(max: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(max))
}

/// A code: letters, digits, `.`, `_`, `-`, and spaces inside.
fn code(max: usize) -> ObjectBuilder {
    text(max).pattern(Some("^[A-Za-z0-9._-]([A-Za-z0-9._ -]*[A-Za-z0-9._-])?$"))
}

fn uuid() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

fn integer(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

schemas! {
    Sku = code(64), "What a product and its stock are known by. Case matters.";
    MerchantId = code(64), "Who sells a product.";
    CustomerId = text(64), "Who buys, as the storefront knows them.";
    ProductName = text(200), "What a product is called.";
    CountryCode = text(56), "An ISO 3166-1 country: its code of two letters, or its name.";
    Reason = text(500), "Why something was done, in a person's words.";
    Reference = text(200), "How somebody else's books name a payment or a refund.";
    PaymentMethod = code(64), "How a payment was made: `card`, `invoice`, `voucher`.";
    PaymentToken = text(255), "A means of payment: a token that the payment gateway gave to the shopper's browser.";
    WebAddress = text(2048), "An address of the web: it begins with https:// or http://.";
    Carrier = text(64), "Who carries a parcel.";
    TrackingNumber = text(100), "How the carrier names a parcel.";
    Currency = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{3}$")), "An ISO 4217 currency.";
    Quantity = integer(1, i64::from(domain::Quantity::MAX)), "Whole units.";
    MinorUnits = integer(0, domain::Money::MAX_AMOUNT), "Minor units of a currency (pence, cents).";
    Uuid = uuid(), "An id of 128 bits.";
    CartId = uuid(), "A cart. Unguessable: whoever knows it may read and change the cart.";
    LineId = uuid(), "A line of a cart and of the order that it becomes.";
    OrderId = uuid(), "An order. Unguessable: whoever knows it may read and cancel the order.";
    PaymentId = uuid(), "A payment of an order.";
    RefundId = uuid(), "A refund of an order.";
    ShipmentId = uuid(), "A parcel of an order.";
    ReceiptId = uuid(), "One delivery of goods into stock: recording it twice is the same as once.";
    AdjustmentId = uuid(), "One correction of stock: recording it twice is the same as once.";
}

/// An amount of money: whole minor units of a currency, never below zero.
pub struct Money;

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("amount", MinorUnits::schema())
            .property("currency", Currency::schema())
            .required("amount")
            .required("currency")
            .description(Some("An amount of money: whole minor units of a currency, never below zero."))
            .into()
    }
}

impl ToSchema for Money {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Money")
    }
}
