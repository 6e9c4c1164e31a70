//! What a request asks for, read from its address and its parameters.

use crate::currency;
use crate::failure::Failure;
use crate::intent::CaptureMethod;
use crate::methods::Behaviour;
use crate::params::Params;
use reqwest::Url;
use std::collections::BTreeMap;

/// The addresses that change something.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Create,
    Confirm(String),
    Capture(String),
    Cancel(String),
    Refund,
}

#[derive(Debug)]
pub(crate) enum Operation {
    Create {
        amount: i64,
        currency: String,
        capture_method: CaptureMethod,
        payment_method: Option<String>,
        return_url: Option<String>,
        confirm: bool,
        metadata: BTreeMap<String, String>,
        description: Option<String>,
    },
    Confirm {
        id: String,
        payment_method: Option<String>,
        return_url: Option<String>,
    },
    Capture {
        id: String,
        amount: Option<i64>,
    },
    Cancel {
        id: String,
        reason: Option<String>,
    },
    Refund {
        intent: String,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: BTreeMap<String, String>,
    },
}

impl Operation {
    pub fn read(endpoint: Endpoint, mut params: Params) -> Result<Self, Failure> {
        let operation = match endpoint {
            Endpoint::Create => Self::read_create(&mut params)?,
            Endpoint::Confirm(id) => {
                params.ignore("off_session");
                let return_url = return_url(&mut params)?;
                Self::Confirm { id, payment_method: payment_method(&mut params)?, return_url }
            }
            Endpoint::Capture(id) => Self::Capture { id, amount: params.amount("amount_to_capture")? },
            Endpoint::Cancel(id) => {
                let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
                Self::Cancel { id, reason: one_of(&mut params, "cancellation_reason", &reasons)? }
            }
            Endpoint::Refund => {
                let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
                Self::Refund {
                    intent: params.required("payment_intent")?,
                    amount: params.amount("amount")?,
                    reason: one_of(&mut params, "reason", &reasons)?,
                    metadata: params.metadata()?,
                }
            }
        };
        params.finish()?;
        Ok(operation)
    }

    fn read_create(params: &mut Params) -> Result<Self, Failure> {
        let amount = params.amount("amount")?.ok_or_else(|| Failure::missing_parameter("amount"))?;
        let currency = params.required("currency")?.to_ascii_lowercase();
        currency::check(&currency)?;
        currency::check_amount(amount, &currency, "amount")?;
        let methods = ["automatic", "automatic_async", "manual"];
        let capture_method = match one_of(params, "capture_method", &methods)?.as_deref() {
            Some("manual") => CaptureMethod::Manual,
            Some("automatic") => CaptureMethod::Automatic,
            _ => CaptureMethod::AutomaticAsync,
        };
        let payment_method = payment_method(params)?;
        let confirm = params.flag("confirm")?;
        if confirm && payment_method.is_none() {
            return Err(Failure::missing_parameter("payment_method"));
        }
        one_of(params, "payment_method_types[]", &["card"])?;
        one_of(params, "payment_method_types[0]", &["card"])?;
        for name in ["automatic_payment_methods", "off_session"] {
            params.ignore(name);
        }
        Ok(Self::Create {
            amount,
            currency,
            capture_method,
            payment_method,
            return_url: return_url(params)?,
            confirm,
            metadata: params.metadata()?,
            description: params.text("description"),
        })
    }
}

/// A payment method that the sandbox knows.
fn payment_method(params: &mut Params) -> Result<Option<String>, Failure> {
    let Some(token) = params.text("payment_method") else { return Ok(None) };
    if Behaviour::of(&token).is_none() {
        let failure = Failure::no_such("PaymentMethod", &token, "payment_method");
        return Err(Failure { status: 400, ..failure });
    }
    Ok(Some(token))
}

/// Where the shopper's browser goes when they have decided.
fn return_url(params: &mut Params) -> Result<Option<String>, Failure> {
    let Some(text) = params.text("return_url") else { return Ok(None) };
    match Url::parse(&text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => Ok(Some(url.into())),
        _ => {
            let message = format!("return_url is an address of the web, not {text}.");
            Err(Failure::invalid(message).code("url_invalid").param("return_url"))
        }
    }
}

fn one_of(params: &mut Params, name: &str, allowed: &[&str]) -> Result<Option<String>, Failure> {
    let value = params.text(name);
    if let Some(value) = value.as_deref().filter(|value| !allowed.contains(value)) {
        let allowed = allowed.join(", ");
        return Err(Failure::invalid(format!("{name} is one of {allowed}, not {value}.")).param(name));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Endpoint::Create, "amount=5&currency=GBP", Ok(()))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&confirm=true&payment_method=pm_card_visa&off_session=true", Ok(()))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&automatic_payment_methods[enabled]=true", Ok(()))]
    #[case(Endpoint::Create, "currency=gbp", Err("amount"))]
    #[case(Endpoint::Create, "amount=5", Err("currency"))]
    #[case(Endpoint::Create, "amount=5&currency=pounds", Err("currency"))]
    #[case(Endpoint::Create, "amount=5&currency=iqd", Err("currency"))]
    #[case(Endpoint::Create, "amount=5&currency=isk", Err("amount"))]
    #[case(Endpoint::Create, "amount=500&currency=ISK", Ok(()))]
    #[case(Endpoint::Create, "amount=100000000&currency=GBP", Err("amount"))]
    #[case(Endpoint::Create, "amount=100000000&currency=IDR", Ok(()))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&confirm=yes", Err("confirm"))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&confirm=true", Err("payment_method"))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&payment_method=pm_other", Err("payment_method"))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&capture_method=late", Err("capture_method"))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&return_url=http://shop/paid?a=b", Ok(()))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&return_url=javascript:alert(1)", Err("return_url"))]
    #[case(Endpoint::Create, "amount=5&currency=gbp&amonut=6", Err("amonut"))]
    #[case(
        Endpoint::Create,
        "amount=5&currency=gbp&payment_method_types[]=ideal",
        Err("payment_method_types[]")
    )]
    #[case(Endpoint::Capture("pi_1".to_owned()), "amount_to_capture=1", Ok(()))]
    #[case(Endpoint::Capture("pi_1".to_owned()), "amount=1", Err("amount"))]
    #[case(Endpoint::Cancel("pi_1".to_owned()), "cancellation_reason=bored", Err("cancellation_reason"))]
    #[case(Endpoint::Refund, "payment_intent=pi_1&amount=3&metadata[a]=b", Ok(()))]
    #[case(Endpoint::Refund, "amount=3", Err("payment_intent"))]
    #[case(Endpoint::Refund, "payment_intent=pi_1&amount=x", Err("amount"))]
    fn parameters(#[case] endpoint: Endpoint, #[case] body: &str, #[case] expected: Result<(), &str>) {
        let read = Operation::read(endpoint, Params::parse(body.as_bytes())).map(drop);
        assert_eq!(read.map_err(|failure| failure.param.unwrap()), expected.map_err(str::to_owned));
    }
}
