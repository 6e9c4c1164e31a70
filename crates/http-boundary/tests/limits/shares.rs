//! One address sends no more than its share, whatever it asks for, and takes nothing from another one.

use crate::service::{Client, Service, patient};
use axum::Router;
use http_boundary::ClientLimitArgs;
use rstest::rstest;
use std::num::NonZeroU32;

const FLOODING: [u8; 4] = [127, 0, 7, 1];
const ANOTHER: [u8; 4] = [127, 0, 7, 2];

/// Twenty requests at once from an address, and eight of them over busy connections.
async fn service() -> Service {
    let clients = ClientLimitArgs {
        reads_per_second_by_address: 2,
        writes_per_second_by_address: 2,
        burst_seconds_by_address: NonZeroU32::new(10).unwrap(),
        ..ClientLimitArgs::without_limits()
    };
    Service::for_clients(clients, patient(), Router::new()).await
}

impl Client {
    /// The status of a request without a body.
    async fn ask(&mut self, request: &str) -> u16 {
        let (head, headers) = request.split_once('\n').unwrap_or((request, ""));
        let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        self.send(&format!("{head} HTTP/1.1\r\nhost: shop\r\n{headers}content-length: 0\r\n\r\n")).await;
        let answer = self.until("\r\n\r\n").await;
        let body_bytes = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body_bytes: usize = body_bytes.map_or(0, |bytes| bytes.parse().unwrap());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        self.skip(body_bytes - body.len()).await;
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Sends it again and again until it is answered otherwise.
    async fn until_refused(&mut self, request: &str, usual: u16) {
        for _ in 0..10_000 {
            match self.ask(request).await {
                429 => return,
                status => assert_eq!(status, usual, "{request}"),
            }
        }
        panic!("it is never refused: {request}");
    }
}

#[rstest]
#[case::an_unknown_address("GET /nothing", 404)]
#[case::a_method_that_it_does_not_take("DELETE /", 405)]
#[case::figures_for_the_operator("GET /metrics", 403)]
#[case::a_wrong_token("GET /metrics\nauthorization: Bearer guessed", 401)]
#[case::two_tokens("GET /\nauthorization: Bearer a\nauthorization: Bearer b", 400)]
#[case::probes("GET /readyz", 200)]
#[case::probes_with_a_wrong_token("GET /readyz\nauthorization: Bearer guessed", 401)]
#[case::signs_of_life("GET /livez", 200)]
#[tokio::test]
async fn whatever_is_asked_for_counts(#[case] request: &str, #[case] usual: u16) {
    let service = service().await;
    service.connect_from(FLOODING).await.until_refused(request, usual).await;
    let mut another = service.connect_from(ANOTHER).await;
    assert_eq!(another.ask(request).await, usual);
}

#[tokio::test]
async fn a_flood_of_anything_else_keeps_no_probe_of_the_same_address_out() {
    let service = service().await;
    let mut flood = service.connect_from(FLOODING).await;
    flood.until_refused("GET /nothing", 404).await;
    flood.until_refused("POST /nothing", 404).await;
    for probe in ["GET /livez", "GET /readyz"] {
        assert_eq!(flood.ask(probe).await, 200, "{probe}");
    }
}

#[tokio::test]
async fn the_operator_may_ask_for_any_number() {
    let service = service().await;
    let mut operator = service.connect_from(FLOODING).await;
    for _ in 0..100 {
        assert_eq!(operator.ask("GET /metrics\nauthorization: Bearer secret").await, 200);
        assert_eq!(operator.ask("GET /nothing\nauthorization: Bearer secret").await, 404);
    }
}
