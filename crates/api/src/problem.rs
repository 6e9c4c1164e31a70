//! Every refusal that there is. A refusal is a problem document (RFC 9457): its `type` is `urn:emporium:problem:` and one of
//! these ids, its `detail` is a sentence about the case at hand.

use serde::Serialize;
use utoipa::ToSchema;

/// A kind of refusal. Its id never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemKind {
    /// In kebab case.
    pub id: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it is, the same for each case.
    pub title: &'static str,
    /// What whoever gets it does.
    pub what_to_do: &'static str,
}

macro_rules! problems {
    ($($name:ident = $status:literal $id:literal, $title:literal, $what_to_do:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $title, ".")]
            pub const $name: &ProblemKind =
                &ProblemKind { id: $id, status: $status, title: $title, what_to_do: $what_to_do };
        )*

        /// All of them.
        pub const ALL: &[&ProblemKind] = &[$($name),*];
    };
}

// Of every address.
problems! {
    MALFORMED_REQUEST = 400 "malformed-request", "The request cannot be read",
        "Correct the syntax of the request: `detail` says where it breaks.";
    BAD_HOST = 400 "bad-request", "The request does not name one host",
        "Send one `Host` header (HTTP/1.1) or one `:authority` (HTTP/2).";
    UNKNOWN_TOKEN = 401 "unknown-token", "The token is not known",
        "Send the operator's token as `Authorization: Bearer …`, or no such header at all.";
    OPERATOR_ONLY = 403 "operator-only", "Only the operator may do this",
        "Send the operator's token: `Authorization: Bearer …`.";
    NOT_FOUND = 404 "not-found", "There is no such thing", "Check the address and the ids in it.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed", "The address does not take this method",
        "Use a method that the `Allow` header names.";
    REQUEST_TIMEOUT = 408 "request-timeout", "The body took too long", "Send the request again.";
    BODY_TOO_LARGE = 413 "body-too-large", "The body is too large", "Send it in several requests.";
    TOO_MUCH_AT_ONCE = 413 "too-much-at-once", "The request changes too much at once", "Send it in several requests.";
    NOT_JSON = 415 "not-json", "The body is not declared as JSON", "Send `Content-Type: application/json`.";
    UNSUPPORTED_ENCODING = 415 "unsupported-encoding", "The body is encoded",
        "Send the body as it is, without `Content-Encoding`.";
    UNSUPPORTED_CHARSET = 415 "unsupported-charset", "The body is in another charset", "Send JSON in UTF-8.";
    INVALID_REQUEST = 422 "invalid-request", "A value in the request is not allowed",
        "Change the value that `detail` names.";
    TOO_MANY_REQUESTS = 429 "too-many-requests", "Too many requests come from this address",
        "Wait as many seconds as `Retry-After` says.";
    INTERNAL_ERROR = 500 "internal-error", "The service failed",
        "Tell the operator: the service's log says what went wrong.";
    EVENT_STORE_ACCESS_DENIED = 500 "event-store-access-denied", "The event store does not let the service do this",
        "Tell the operator: `/readyz` names the missing right. Sending the request again does not help.";
    UNAVAILABLE = 503 "unavailable", "The service cannot answer at the moment",
        "Send the request again after as many seconds as `Retry-After` says.";
    OVERLOADED = 503 "overloaded", "The service has too much to do",
        "Nothing was changed: send the request again after as many seconds as `Retry-After` says.";

    // Of commands.
    KEY_MISSING = 400 "idempotency-key-missing", "The idempotency key is missing",
        "Send an `Idempotency-Key` header, such as a new UUID, and the same one when you repeat the request.";
    KEY_TOO_SHORT = 400 "idempotency-key-too-short", "The idempotency key can be guessed",
        "Use a key of at least 16 random characters, such as a UUID.";
    KEY_IN_FLIGHT = 409 "idempotency-key-in-flight", "A request with this idempotency key is under way",
        "Send the same request again in a moment: it gets the first one's answer.";
    KEY_REUSED = 422 "idempotency-key-reused", "The idempotency key was used for another request",
        "Use a new key for a new request.";
    EVENT_STORE_UNAVAILABLE = 503 "event-store-unavailable", "The event store does not answer",
        "Send the same request again with the same idempotency key: if it was recorded, you get its answer.";
    STORAGE_NEARLY_FULL = 503 "storage-nearly-full", "The shop's disk is nearly full",
        "Nothing was changed: try again later. The operator makes room.";
    CONTENDED = 503 "contended", "Too many commands at once", "Nothing was changed: send the request again.";
    NOTHING_CHANGED_TOO_OFTEN = 409 "nothing-changed-too-often", "Too many requests have changed nothing here",
        "Leave the idempotency key out of requests that change nothing.";
    STREAM_UNREADABLE = 409 "stream-unreadable", "The history cannot be read",
        "Tell the operator, who finds the stream under `GET /v1/parked-streams`.";
    HISTORY_ALTERED = 409 "history-altered", "The history was altered",
        "Tell the operator. Sending the request again does not help.";
    PARKED_ELSEWHERE = 409 "parked-elsewhere", "The stream is parked at another event",
        "List the parked streams again: another event is in the way by now.";
    STREAM_DELETED = 409 "stream-deleted", "The stream is deleted", "Nothing has to be done: nothing is read from it.";

    // Of products and stock.
    UNKNOWN_SKU = 404 "unknown-sku", "There is no product with this SKU", "Look at `GET /v1/products`.";
    PRODUCT_EXISTS = 409 "product-exists", "The SKU is taken", "Choose another SKU, or change the product that has it.";
    PRODUCT_RETIRED = 409 "product-retired", "The product is no longer sold", "Take it out of the cart.";
    UNKNOWN_CURRENCY = 422 "unknown-currency", "The currency is not known", "Use a currency of ISO 4217.";
    CURRENCY_MISMATCH = 409 "currency-mismatch", "The currencies differ", "Use the currency that `expected` names.";
    OUT_OF_STOCK = 409 "out-of-stock", "Not enough is left", "Ask for at most `available` units.";
    HELD_AT_PAYMENT = 409 "held-at-payment", "Unpaid orders hold their share of the stock",
        "Try again later: units come back when orders are paid or run out of time.";
    ORDER_SETTLED = 409 "order-settled", "The order is closed for this stock", "Place a new order.";
    RESERVATION_DIFFERS = 409 "reservation-differs", "The order holds another quantity", "Place a new order.";
    NOT_RESERVED = 409 "not-reserved", "Nothing is reserved", "Reserve the units first.";
    NOT_COMMITTED = 409 "not-committed", "The units are reserved but not yet committed", "Pay the order first.";
    ALREADY_SHIPPED = 409 "already-shipped", "The units have left", "Record a return instead.";
    ADJUSTMENT_BELOW_RESERVED = 409 "adjustment-below-reserved", "The stock is promised to orders",
        "Adjust by at most `available` units, or cancel orders first.";
    RECEIPT_DIFFERS = 409 "receipt-differs", "The receipt is recorded with another quantity",
        "Use a new `receipt_id`, or correct the stock with an adjustment.";
    ADJUSTMENT_DIFFERS = 409 "adjustment-differs", "The adjustment is recorded with another number",
        "Use a new `adjustment_id`.";

    // Of carts.
    UNKNOWN_CART = 404 "unknown-cart", "There is no such cart", "Open a cart with `POST /v1/carts`.";
    CART_EXISTS = 409 "cart-exists", "The cart is already open", "Go on with the cart, or open another one.";
    CART_CHECKED_OUT = 409 "cart-checked-out", "The cart is checked out",
        "Look at its order (`order_id`), or open another cart.";
    CART_ABANDONED = 409 "cart-abandoned", "The cart is abandoned", "Open another cart.";
    CART_EMPTY = 409 "cart-empty", "The cart is empty", "Put something into it first.";
    CART_CHANGED = 409 "cart-changed", "The cart has changed", "Look at the cart and check out again.";
    PRICE_CHANGED = 409 "price-changed", "The total is not what the shopper saw",
        "Show the new `total`, and check out again with it.";
    LINE_TAKEN = 409 "line-taken", "The line's id is taken", "Use another `line_id`.";
    TOO_MANY_LINES = 409 "too-many-lines", "The cart is full", "Remove a line, or open a second cart.";
    TOO_MANY_CHANGES = 409 "too-many-changes", "The cart takes no more changes", "Check out, or open another cart.";
    TOO_MANY_UNITS_OF_SKU = 409 "too-many-units-of-sku", "The order has too many units of a SKU",
        "Buy fewer, or ask the shop to place the order.";
    TOO_MANY_UNPAID_ORDERS = 429 "too-many-unpaid-orders", "Too many orders wait for their payment",
        "Pay or cancel one of them, or wait until one runs out of time.";
    SOLD_OUT = 409 "sold-out", "Not enough is left of some products",
        "Change the cart by what `skus` says, or come back later.";

    // Of orders, payments, parcels and refunds.
    UNKNOWN_ORDER = 404 "unknown-order", "There is no such order", "Check the order's id.";
    ORDER_EXISTS = 409 "order-exists", "Another order already has this id", "Open another cart.";
    WRONG_ORDER_STATUS = 409 "wrong-order-status", "The order's status does not allow this",
        "Look at the order: `needed` says which status it takes.";
    UNKNOWN_PAYMENT = 404 "unknown-payment", "The order has no such payment", "Look at the order's payments.";
    PAYMENT_NOT_DUE = 409 "payment-not-due", "The payment is more than what is due", "Pay at most what `due` says.";
    PAYMENT_IN_PART = 409 "payment-in-part", "The payment is only a part of what is due", "Pay what `due` says.";
    PAYMENT_UNDER_WAY = 409 "payment-under-way", "Another payment is under way",
        "Wait for its outcome, or cancel the order.";
    PAYMENT_DIFFERS = 409 "payment-differs", "The payment is recorded with other details", "Use a new `payment_id`.";
    TOO_MANY_PAYMENTS = 409 "too-many-payments", "The order takes no more payments", "Cancel it and order again.";
    NO_PAYMENT_GATEWAY = 409 "no-payment-gateway", "No payment gateway is configured",
        "An operator records payments with a method and a reference.";
    AMOUNT_NOT_PAYABLE = 422 "amount-not-payable", "The payment gateway cannot take this amount",
        "Choose an amount or a currency that it takes: `detail` says which.";
    PAYMENT_NOT_KNOWN = 503 "payment-not-known", "The payment's status is not known yet", "Ask again in a moment.";
    INVALID_WEBHOOK = 400 "invalid-webhook", "The webhook is not valid",
        "Check the webhook secret that the gateway and the shop share, and their clocks.";
    UNKNOWN_SHIPMENT = 404 "unknown-shipment", "The order has no such parcel", "Look at the order's shipments.";
    PARTLY_SHIPPED = 409 "partly-shipped", "A part of the order is on its way",
        "Cancel what has not been shipped: `POST /v1/orders/{order_id}/unshipped/cancellation`.";
    NOTHING_TO_SHIP = 409 "nothing-to-ship", "The merchant has nothing left to ship", "Look at the order's lines.";
    TOO_MANY_UNITS = 409 "too-many-units", "More than is left to ship", "Ship at most `left` units of the line.";
    SHIPMENT_DIFFERS = 409 "shipment-differs", "The parcel is recorded with other contents", "Use a new `shipment_id`.";
    REFUND_NOT_REQUESTED = 409 "refund-not-requested", "Nobody asked for this refund", "Request the refund first.";
    REFUND_TOO_LARGE = 409 "refund-too-large", "More than can be refunded", "Refund at most what `left` says.";
    REFUND_DIFFERS = 409 "refund-differs", "The refund is recorded with another amount", "Use a new `refund_id`.";

    // Of queries.
    POSITION_NOT_REACHED = 503 "position-not-reached", "The read model has not come that far yet",
        "Ask again in a moment, or without `min-position` for what is known now.";
    POSITION_OF_ANOTHER_LOG = 409 "position-of-another-log", "The position is of another log",
        "Ask with `min-position=head`: the shop has moved, or was restored from a backup.";
    READ_MODEL_OF_ANOTHER_LOG = 503 "read-model-of-another-log", "The read model is of another log",
        "Ask again later, or without `min-position` for what it shows.";
    TOO_MANY_LIVE_PAGES = 429 "too-many-live-pages", "Too many live pages are open",
        "Close live pages, or try again later.";
    EVENT_MISSING = 500 "event-missing", "An event is missing in the log",
        "Tell the operator: `emporium audit verify` says what is wrong.";

    // Of projections.
    VERSION_SERVES = 409 "version-serves", "This version serves already", "Nothing has to be done.";
    NO_OTHER_VERSION = 409 "no-other-version", "There is no version to switch to", "Rebuild the projection first.";
    VERSION_BEHIND = 409 "version-behind", "The version has not caught up", "Wait until it has, and switch then.";
    REBUILDING = 409 "rebuilding", "The projection is being rebuilt already", "Wait for it, or abandon that version.";
    NOT_REBUILDING = 409 "not-rebuilding", "The projection is not being rebuilt", "Nothing has to be abandoned.";
    OTHER_RULES = 409 "other-rules", "The version is filled by other rules", "Rebuild the projection.";
    VERSION_HAS_PARKED = 409 "version-has-parked", "The version has parked streams that the serving version does not",
        "Retry or skip them first, or insist with `even_with_parked`.";
    VERSION_OF_ANOTHER_LOG = 409 "version-of-another-log", "The version was filled from another log",
        "Rebuild the projection.";
}

/// A refusal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:emporium:problem:` and the id of the kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is, the same for each case.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence about this case that says what to do.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_problem_has_an_id_of_its_own_and_says_what_to_do() {
        let ids: BTreeSet<&str> = ALL.iter().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for kind in ALL {
            assert!((400..600).contains(&kind.status), "{kind:?}");
            assert!(kind.id.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'), "{kind:?}");
            assert!(kind.what_to_do.ends_with('.') && !kind.title.ends_with('.'), "{kind:?}");
        }
    }
}
