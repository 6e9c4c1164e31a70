//! The page where a shopper approves or refuses a payment, as a bank would show it.

use crate::failure::Failure;
use crate::intent::{Action, Intent, Status};
use crate::later;
use crate::params::Params;
use crate::server::{Sandbox, now};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use reqwest::Url;
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new().route("/authenticate/{id}", get(show).post(decide))
}

async fn show(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<String>) -> Result<Html<String>, Failure> {
    find(&sandbox, &id).map(|(intent, _)| page(&intent))
}

async fn decide(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let (_, action) = find(&sandbox, &id)?;
    let mut params = Params::parse(&body);
    let approves = match params.required("decision")?.as_str() {
        "approve" => true,
        "refuse" => false,
        other => {
            let message = format!("decision is approve or refuse, not {other}.");
            return Err(Failure::invalid(message).param("decision"));
        }
    };
    params.finish()?;
    let events = sandbox.book().decided(&id, approves, now())?;
    later::tell(&sandbox, events);
    let (intent, _) = find(&sandbox, &id)?;
    Ok(match action.return_url.as_deref().and_then(|url| back_to(url, &intent)) {
        Some(url) => Redirect::to(&url).into_response(),
        None => page(&intent).into_response(),
    })
}

/// A payment on which a shopper was asked.
fn find(sandbox: &Sandbox, id: &str) -> Result<(Arc<Intent>, Action), Failure> {
    let intent = sandbox.book().intent(id).cloned();
    let found = intent.and_then(|intent| Some((intent.clone(), intent.action.clone()?)));
    found.ok_or_else(|| Failure::no_such("page", id, "intent"))
}

/// Where the browser goes, with what Stripe says there.
fn back_to(url: &str, intent: &Intent) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let is_well = matches!(intent.status, Status::RequiresCapture | Status::Succeeded);
    url.query_pairs_mut()
        .append_pair("payment_intent", &intent.id)
        .append_pair("redirect_status", if is_well { "succeeded" } else { "failed" });
    Some(url.into())
}

/// Nothing in it comes from outside but the amount and the currency's three letters.
fn page(intent: &Intent) -> Html<String> {
    let amount = format!("{} {} (minor units)", intent.amount, intent.currency.to_uppercase());
    let body = match intent.status {
        Status::RequiresAction => format!(
            "<p>Somebody wants to pay <strong>{amount}</strong> with your card. Is it you?</p>\n\
             <form method=\"post\">\n\
             <button name=\"decision\" value=\"approve\">Yes, pay</button>\n\
             <button name=\"decision\" value=\"refuse\">No, refuse</button>\n\
             </form>"
        ),
        Status::RequiresCapture | Status::Succeeded => {
            format!("<p>The payment of {amount} is approved. You may close this page.</p>")
        }
        _ => format!("<p>The payment of {amount} is not made. You may close this page.</p>"),
    };
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>The sandbox bank</title>\n<h1>The sandbox bank</h1>\n{body}\n</html>\n"
    ))
}
