//! HTTP/2 clients that are gone without a word, and those that have their requests thrown away.

use crate::h2::{ACK, GOAWAY, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get, next};
use crate::service::{Service, patient};
use http_boundary::HttpLimits;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Reasons of HTTP/2.
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Requests that are sent together, fewer than may be under way.
const AT_ONCE: u32 = 50;
/// A client of this process answers much sooner.
const PING_SECONDS: Duration = Duration::from_millis(500);

async fn connect(service: &Service) -> TcpStream {
    let mut client = service.connect().await.0;
    client.write_all(PREFACE.as_bytes()).await.unwrap();
    client.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    client
}

/// The reason that the service gave when it closed the connection.
async fn reason_of_end(client: &mut TcpStream) -> Option<u32> {
    let mut reason = None;
    while let Some(frame) = next(client).await {
        if frame.kind == GOAWAY {
            reason = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes);
        }
    }
    reason
}

/// What the service asks with next; none if it has closed the connection.
async fn next_ping(client: &mut TcpStream) -> Option<Vec<u8>> {
    while let Some(frame) = next(client).await {
        if frame.kind == PING && frame.flags & ACK == 0 {
            return Some(frame.payload);
        }
    }
    None
}

#[tokio::test]
async fn a_client_that_no_longer_answers_pings_is_closed_and_one_that_does_is_not() {
    let service = Service::start(HttpLimits { http2_ping_seconds: PING_SECONDS, ..patient() }).await;
    let mut client = connect(&service).await;
    for _ in 0..2 {
        let ping = next_ping(&mut client).await.expect("the connection is open");
        client.write_all(&frame(PING, ACK, 0, &ping)).await.unwrap();
    }
    assert!(next_ping(&mut client).await.is_some(), "it has answered in time");
    assert!(next_ping(&mut client).await.is_none(), "it has not answered");
}

/// "Rapid reset": each request is work, and a client that takes it back at once has none.
#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let service = Service::start(patient()).await;
    let mut client = connect(&service).await;
    let taken_back =
        |stream| [get(stream, "/hangs"), frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat();
    let requests: Vec<u8> = (0..40).flat_map(|number| taken_back(2 * number + 1)).collect();
    client.write_all(&requests).await.unwrap();
    assert_eq!(reason_of_end(&mut client).await, Some(ENHANCE_YOUR_CALM));
}

/// "Made you reset": the same with requests that the service has to reset, here for a window that is too large.
#[tokio::test]
async fn requests_that_the_service_has_to_take_back_end_the_connection() {
    let service = Service::start(patient()).await;
    let mut client = connect(&service).await;
    // Those before the limit are answered one by one.
    for first in [0, AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, 4 * AT_ONCE] {
        client.write_all(&to_take_back(first)).await.unwrap();
        let mut left = AT_ONCE;
        while left > 0 {
            let frame = next(&mut client).await.expect("the connection is open");
            left -= u32::from(frame.kind == RST_STREAM);
        }
    }
    client.write_all(&to_take_back(5 * AT_ONCE)).await.unwrap();
    assert_eq!(reason_of_end(&mut client).await, Some(ENHANCE_YOUR_CALM));
}

/// Requests that the service has to take back, from the one of this number on.
fn to_take_back(first: u32) -> Vec<u8> {
    let window = 0x7fff_ffff_u32.to_be_bytes();
    let streams = (first..first + AT_ONCE).map(|number| 2 * number + 1);
    let requests =
        streams.map(|stream| [get(stream, "/hangs"), frame(WINDOW_UPDATE, 0, stream, &window)].concat());
    requests.flatten().collect()
}
