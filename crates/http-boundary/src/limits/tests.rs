use super::{ClientLimitArgs, ClientLimits};
use crate::{OperatorToken, Peer, Refusals};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use clap::Parser;
use futures::FutureExt;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    limits: ClientLimitArgs,
}

/// The figures that operations.md and decision 11 promise.
#[test]
fn without_settings_an_address_has_three_hundred_queries_and_a_hundred_commands_a_second() {
    let limits = CommandLine::parse_from(["service"]).limits;
    assert_eq!((limits.reads_per_second_by_address, limits.writes_per_second_by_address), (300, 100));
    assert_eq!(limits.burst_seconds_by_address.get(), 10);
    assert!(limits.proxies.trusted_proxies.is_empty());
}

/// A new connection is not busy. A flood over new ones would be refused thousands of times in a second.
#[tokio::test]
async fn a_refusal_is_held_back_even_if_its_connection_is_new() {
    let args = ClientLimitArgs { reads_per_second_by_address: 1, ..ClientLimitArgs::without_limits() };
    let limits = ClientLimits::new(&args, OperatorToken::new("a-token"), Refusals::default());
    let over = |connection| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer::new(([192, 0, 2, 1], 1).into(), connection));
        Box::pin(limits.admit(request))
    };
    let mut held_back = None;
    for connection in 0..10_000 {
        let mut admitted = over(connection);
        match (&mut admitted).now_or_never() {
            Some(admitted) => assert!(admitted.is_ok(), "what is admitted is so at once, and no refusal is"),
            None => {
                held_back = Some(admitted);
                break;
            }
        }
    }
    let refused = held_back.expect("one is refused").await.err().unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}
