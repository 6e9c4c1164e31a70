//! One address sends no more than its share, whatever it asks for, and takes nothing from another one.

use crate::h2;
use crate::service::{Client, Service, patient};
use axum::Router;
use axum::routing::get;
use http_boundary::{ClientLimitArgs, HttpLimits};
use rstest::rstest;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

const FLOODING: [u8; 4] = [127, 0, 7, 1];
const ANOTHER: [u8; 4] = [127, 0, 7, 2];

/// As large as a cart of two thousand lines.
async fn large() -> Vec<u8> {
    vec![b' '; 700 * 1024]
}

async fn service() -> Service {
    limited(Router::new().route("/large", get(large))).await
}

/// Twenty requests at once from an address, and eight of them over busy connections.
async fn limited(router: Router) -> Service {
    let clients = ClientLimitArgs {
        reads_per_second_by_address: 2,
        writes_per_second_by_address: 2,
        burst_seconds_by_address: NonZeroU32::new(10).unwrap(),
        ..ClientLimitArgs::without_limits()
    };
    Service::for_clients(clients, patient(), router).await
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
        if !request.starts_with("HEAD") {
            self.skip(body_bytes - body.len()).await;
        }
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
#[case::a_second_host("GET /\nhost: another", 400)]
#[tokio::test]
async fn whatever_is_asked_for_counts(#[case] request: &str, #[case] usual: u16) {
    let service = service().await;
    service.connect_from(FLOODING).await.until_refused(request, usual).await;
    let mut another = service.connect_from(ANOTHER).await;
    assert_eq!(another.ask(request).await, usual);
}

#[rstest]
#[case::an_answer("GET /large")]
#[case::an_answer_that_was_made_and_left_out("HEAD /large")]
#[tokio::test]
async fn a_large_answer_counts_as_many_requests_whatever_connection_it_goes_to(#[case] request: &str) {
    let service = service().await;
    let mut answered = 0;
    while service.connect_from(FLOODING).await.ask(request).await != 429 {
        answered += 1;
    }
    // Each is worth twice of what an address may ask for at once; a slow machine may be given one more meanwhile.
    assert!((1..=3).contains(&answered), "{answered}");
    assert_eq!(service.connect_from(ANOTHER).await.ask(request).await, 200);
}

struct TellsWhenDropped(Arc<Notify>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The work for it is done, and what it would have been answered with is nobody's to know.
#[tokio::test]
async fn a_request_whose_client_goes_away_counts_as_many() {
    let gone = Arc::new(Notify::new());
    let tells = Arc::clone(&gone);
    let hang = move || {
        let tells = TellsWhenDropped(Arc::clone(&tells));
        async move {
            let _tells = tells;
            std::future::pending::<()>().await;
        }
    };
    let router = Router::new().route("/hangs-and-tells", get(hang));
    let service = limited(router).await;
    service.connect_from(FLOODING).await.send("GET /hangs-and-tells HTTP/1.1\r\nhost: shop\r\n\r\n").await;
    gone.notified().await;
    let mut again = service.connect_from(FLOODING).await;
    let mut answered = 0;
    while again.ask("GET /nothing").await != 429 {
        answered += 1;
    }
    assert!(answered < 10, "{answered} of 20, and one that was given up");
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

/// Held back, refusals of a few thousand connections took more than a gigabyte.
#[tokio::test]
async fn an_address_to_which_too_many_refusals_are_held_back_loses_its_connections() {
    let service = service().await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = service.connect_from(FLOODING).await.0;
        let requests: Vec<u8> = (0..60).flat_map(|number| h2::get(2 * number + 1, "/")).collect();
        let settings = h2::frame(h2::SETTINGS, 0, 0, &[]);
        connection.write_all(&[h2::PREFACE.as_bytes(), &settings, &requests].concat()).await.unwrap();
        connections.push(Box::pin(async move { while h2::next(&mut connection).await.is_some() {} }));
    }
    // One of them is closed, whichever was the last.
    futures::future::select_all(connections).await;
    let mut another = service.connect_from(ANOTHER).await;
    assert_eq!(another.ask("GET /").await, 200);
}

async fn vast() -> Vec<u8> {
    vec![b' '; 4 * 1024 * 1024]
}

#[tokio::test]
async fn an_address_that_reads_nothing_leaves_room_for_the_large_answers_of_others() {
    let clients = ClientLimitArgs { reads_per_second_by_address: 1_000, ..ClientLimitArgs::without_limits() };
    let http = HttpLimits { unread_answers_mib: 16, ..patient() };
    let service = Service::for_clients(clients, http, Router::new().route("/vast", get(vast))).await;
    let mut unread = service.connect_from(FLOODING).await;
    unread.send(h2::PREFACE).await;
    let no_room = h2::setting(h2::INITIAL_WINDOW_SIZE, 0);
    unread.0.write_all(&h2::frame(h2::SETTINGS, 0, 0, &no_room)).await.unwrap();
    // As much as all of the room; the first one has room.
    for stream in [1, 3, 5, 7] {
        unread.0.write_all(&h2::get(stream, "/vast")).await.unwrap();
    }
    let mut answered = 0;
    while answered < 4 {
        let frame = h2::next(&mut unread.0).await.expect("it is answered");
        answered += usize::from(frame.kind == h2::HEADERS);
    }
    assert_eq!(service.connect_from(ANOTHER).await.ask("GET /vast").await, 200);
    assert_eq!(service.connect_from(ANOTHER).await.ask("GET /vast\nauthorization: Bearer secret").await, 200);
}
