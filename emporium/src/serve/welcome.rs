//! What a newcomer reads after the start.

use std::net::SocketAddr;
use std::path::Path;

/// Where to look.
#[must_use]
pub fn addresses(
    listen: SocketAddr,
    operations: Option<SocketAddr>,
    event_store: Option<&str>,
    sandbox: Option<SocketAddr>,
    token_file: Option<&Path>,
) -> String {
    // A given address may hold a password.
    let event_store = event_store.unwrap_or("as configured");
    let gateway = sandbox
        .map_or("as configured".to_owned(), |address| format!("http://{address} (a sandbox: no money)"));
    let token = match token_file {
        Some(path) => format!("operator token   in {}", path.display()),
        None => "operator token   as configured".to_owned(),
    };
    let health = match operations {
        Some(operations) => format!("http://{operations}/readyz and /metrics"),
        None => format!("http://{listen}/readyz; its details and /metrics for the operator's token"),
    };
    format!(
        "Emporium runs; Ctrl-C stops it.\n\n  \
         products         http://{listen}/v1/products\n  \
         all addresses    http://{listen}/v1/docs\n  \
         health           {health}\n  \
         event store      {event_store}\n  \
         payment gateway  {gateway}\n  \
         {token}\n"
    )
}

/// Three lines for a shell that buy something and read it back.
#[must_use]
pub fn purchase(listen: SocketAddr, sku: &str, price: i64) -> String {
    let url = format!("http://{listen}");
    let total = format!(r#"{{"amount":{},"currency":"GBP"}}"#, price * 2);
    let json = "-H 'content-type: application/json'";
    // At a first start the read models give way to everything else, and may not have their tables yet.
    format!(
        "Buy something, with three lines in another terminal:\n\n\
         CART=$(curl -s {json} -d '{{\"currency\":\"GBP\"}}' {url}/v1/carts | cut -d'\"' -f4) && \
         curl -s {json} -d '{{\"lines\":[{{\"sku\":\"{sku}\",\"quantity\":2}}]}}' {url}/v1/carts/$CART/lines && echo\n\n\
         ORDER=$(curl -s {json} -H \"idempotency-key: checkout-$CART\" -H 'prefer: wait=5' -d '{{\"total\":{total},\"country\":\"GB\"}}' \
         {url}/v1/carts/$CART/checkout | cut -d'\"' -f4) && echo \"order $ORDER\"\n\n\
         curl -s {json} -H \"idempotency-key: payment-$ORDER\" -H 'prefer: wait=5' \
         -d '{{\"amount\":{total},\"payment_method\":\"pm_card_visa\"}}' {url}/v1/orders/$ORDER/payments && echo && \
         curl -s -H 'prefer: wait=30' \"{url}/v1/orders/$ORDER?min-position=head\" && echo\n"
    )
}
