//! One exhaustive match from every failure to its problem document.

mod rules;
mod unpaid;

pub use rules::{of_cart, of_order, of_product, of_stock};
pub use unpaid::{too_many_units, too_many_unpaid_orders};

use crate::keys::KeyError;
use crate::request::EventStoreAway;
use api::problem::{self, ProblemKind};
use domain::{Currency, Money, OrderId, Sku};
use event_store::EventStoreError;
use executor::{ExecuteError, Fault, SkipError, ViewError};
use http_boundary::{Caller, PerSecond, Problem};
use payment_gateway::{InvalidWebhook, UnfitAmount};
use serde::Serialize;
use serde_json::json;

/// What a rule refuses, by the rule's own sentence.
pub fn refused(kind: &'static ProblemKind, rejection: &impl std::error::Error) -> Problem {
    Problem::new(kind, sentence(rejection))
}

/// The domain's messages as sentences.
pub fn sentence(error: &impl std::error::Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}

/// No product of this SKU is on sale.
pub fn unknown_sku(sku: &Sku) -> Problem {
    Problem::new(
        problem::UNKNOWN_SKU,
        format!("No product is defined under the SKU `{sku}`: look at GET /products."),
    )
    .with("sku", sku.as_str())
}

/// The product was taken off sale.
pub fn retired_product(sku: &Sku) -> Problem {
    Problem::new(
        problem::PRODUCT_RETIRED,
        format!("The product with SKU `{sku}` is retired: take it out of the cart."),
    )
    .with("sku", sku.as_str())
}

/// A SKU of which a cart wants more than can be had.
#[derive(Serialize)]
pub struct Short {
    pub sku: Sku,
    pub asked: u64,
    pub available: u64,
    /// Units that other orders hold and have not paid for: some may come back.
    pub on_hold: u64,
}

/// The cart wants more than can be had.
pub fn sold_out(short: &[Short]) -> Problem {
    let names = names_of(short);
    sold_out_for(format!("Too few units are left of {names}: change the cart, or come back later."), short)
}

/// Stock refused what the order of a checkout wanted: others were quicker. The order is called off, and says so.
pub fn sold_out_meanwhile(short: &[Short], order_id: OrderId) -> Problem {
    let names = names_of(short);
    let detail = format!(
        "Others were quicker: too few units were left of {names}. The order is cancelled and nothing was taken: open a \
         new cart."
    );
    sold_out_for(detail, short).with("order_id", order_id.to_string()).with("order_status", "cancelled")
}

fn names_of(short: &[Short]) -> String {
    let names = short
        .iter()
        .map(|short| format!("`{}` ({} asked for, {} left)", short.sku, short.asked, short.available));
    names.collect::<Vec<_>>().join(", ")
}

fn sold_out_for(detail: String, short: &[Short]) -> Problem {
    Problem::new(problem::SOLD_OUT, detail).with("skus", json!(short))
}

/// Money can only be recorded here, not taken.
pub fn no_payment_gateway() -> Problem {
    Problem::new(
        problem::NO_PAYMENT_GATEWAY,
        "This shop has no payment gateway: an operator can record payments with a method and a reference.",
    )
}

/// The payment gateway could not take this amount, or give it back.
pub fn amount_not_payable(amount: Money, why: &UnfitAmount) -> Problem {
    let currency = amount.currency();
    let detail = match why {
        UnfitAmount::Currency { .. } => {
            format!(
                "The payment gateway takes no {currency}: pay {amount} another way, or in another currency."
            )
        }
        UnfitAmount::Step { step, .. } => format!(
            "The payment gateway takes multiples of {} only, and {amount} is none: choose such an amount.",
            currency.written(*step)
        ),
        UnfitAmount::TooLarge { max, .. } => format!(
            "The payment gateway takes at most {} at once, and {amount} is more: choose a smaller amount.",
            currency.written(*max)
        ),
    };
    let problem = Problem::new(problem::AMOUNT_NOT_PAYABLE, detail).with("amount", json!(amount));
    match why {
        UnfitAmount::Currency { .. } => problem,
        UnfitAmount::Step { step, .. } => problem.with("multiple_of", *step),
        UnfitAmount::TooLarge { max, .. } => problem.with("max", *max),
    }
}

/// Nobody can pay in it.
fn unknown_currency(currency: Currency, rejection: &impl std::error::Error) -> Problem {
    Problem::new(problem::UNKNOWN_CURRENCY, sentence(rejection)).with("currency", currency.code())
}

/// It does not come from the payment gateway, or not just now.
pub fn bad_webhook(error: &InvalidWebhook) -> Problem {
    Problem::new(problem::INVALID_WEBHOOK, sentence(error))
}

/// An order is to wait for no time, or longer than the caller may let it.
pub fn hold_too_long(longest: u32, caller: Caller) -> Problem {
    let who = match caller {
        Caller::Operator => "",
        Caller::Shopper => "; only the operator lets an order wait longer",
    };
    Problem::invalid(format!("hold_seconds is a number of seconds from 1 to {longest}{who}."))
}

/// Money of which there is none.
pub fn no_money() -> Problem {
    Problem::invalid("The `amount` must be above 0.")
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Missing => Self::new(
                problem::KEY_MISSING,
                "Send an Idempotency-Key header, such as a new UUID, and the same one when you repeat the request.",
            ),
            KeyError::InFlight => Self::new(
                problem::KEY_IN_FLIGHT,
                "The same request is still being answered: send it again in a moment, and you get its answer.",
            )
            .retry_after(1),
            KeyError::Reused => Self::new(
                problem::KEY_REUSED,
                "This Idempotency-Key came before with another method, address or body: use a new key.",
            ),
            KeyError::TooShort { min } => Self::new(
                problem::KEY_TOO_SHORT,
                format!(
                    "Without a token, the Idempotency-Key is all that tells you from others: use at least {min} random \
                     characters, such as a UUID."
                ),
            ),
        }
    }
}

impl From<EventStoreAway> for Problem {
    fn from(_: EventStoreAway) -> Self {
        event_store_unavailable("Nothing was changed: send it again in a moment.")
    }
}

/// A command's failure; `of_rule` says what a rule's no is.
pub fn failure<R: std::error::Error>(error: ExecuteError<R>, of_rule: impl Fn(&R) -> Problem) -> Problem {
    match error {
        ExecuteError::Rejected(rejection) => of_rule(&rejection),
        ExecuteError::KeyReused => KeyError::Reused.into(),
        ExecuteError::TooLarge => Problem::new(
        problem::TOO_MUCH_AT_ONCE,
            "The request makes more events than can be stored at once: send it in parts.",
        ),
        ExecuteError::NotedTooOften { max } => Problem::new(
        problem::NOTHING_CHANGED_TOO_OFTEN,
            format!(
                "{max} requests with an Idempotency-Key have changed nothing here, and no more of them are remembered: \
                 leave the key out of what changes nothing."
            ),
        )
        .with("max", max),
        ExecuteError::Contended { stream } => Problem::new(
        problem::CONTENDED,
            format!("Too many commands wait for `{stream}`: nothing was changed, try again."),
        )
        .retry_after(1),
        ExecuteError::Store(EventStoreError::AccessDenied) => access_denied(),
        ExecuteError::Store(error) => {
            static SAID: PerSecond = PerSecond::once();
            if SAID.is_due() {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "commands cannot be stored");
            }
            event_store_unavailable(
                "Whether the command was taken is not known: send it again with the same Idempotency-Key.",
            )
        }
        ExecuteError::Unreadable(at) => match at.fault {
            Fault::Altered(_) => history_altered(&at.stream),
            Fault::Event(_) | Fault::Metadata(_) | Fault::Deleted => stream_unreadable(&at.stream),
        },
    }
}

fn event_store_unavailable(detail: &'static str) -> Problem {
    Problem::new(problem::EVENT_STORE_UNAVAILABLE, detail).retry_after(1)
}

/// The client can do nothing, and no repetition will help. Where the stream stops is for the operator, who finds it under
/// /parked-streams: a revision would tell anybody how much happened there.
fn stream_unreadable(stream: &str) -> Problem {
    let what = match stream.split_once('-').map(|(category, _)| category) {
        Some("product") => "this product",
        Some("inventory") => "the stock of this product",
        Some("cart") => "this cart",
        _ => "this order",
    };
    Problem::new(
        problem::STREAM_UNREADABLE,
        format!(
            "The shop cannot read the history of {what}: its operator has to look at it (GET /parked-streams). Until then \
             it cannot be changed."
        ),
    )
    .with("stream", stream)
}

/// The client can do nothing, and the operator is told by the log and `/readyz`.
fn history_altered(stream: &str) -> Problem {
    Problem::new(
        problem::HISTORY_ALTERED,
        "What happened here is not what the shop has recorded, so nothing more is taken for it: tell the shop. Asking \
         again does not help.",
    )
    .with("stream", stream)
}

/// An event was not passed over.
pub fn of_skip(error: SkipError) -> Problem {
    match error {
        SkipError::NotParked { .. } => Problem::not_found(sentence(&error)),
        SkipError::Elsewhere { .. } => refused(problem::PARKED_ELSEWHERE, &error),
        SkipError::Deleted { .. } => refused(problem::STREAM_DELETED, &error),
        SkipError::Failed(error) => of_view(error),
    }
}

/// Of looking at a state.
pub fn of_view(error: ViewError) -> Problem {
    failure(error, |never| match *never {})
}

/// The event store did not answer a question that changes nothing.
pub fn of_read(error: &EventStoreError) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "the event store cannot be read");
    match error {
        EventStoreError::Unavailable(_) => {
            Problem::unavailable("The event store cannot be read at the moment: ask again in a moment.")
        }
        EventStoreError::AccessDenied => access_denied(),
        EventStoreError::Refused(_) | EventStoreError::Deleted => Problem::internal(),
    }
}

fn access_denied() -> Problem {
    static SAID: PerSecond = PerSecond::once();
    if SAID.is_due() {
        tracing::error!("the event store does not let its user store commands: see the rights in /readyz");
    }
    Problem::event_store_access_denied()
}
