//! Arbitrary bytes as requests to a running store, over a real connection.
//!
//! Most arbitrary bytes are not even messages. So the input either is taken as it is, or says how to change a valid
//! request: then most of it still can be decoded, and the validation behind it is tried.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use embedded_event_store::{Config, EmbeddedEventStore};
use tempfile::TempDir;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const PATHS: [&str; 5] = [
    "/event_store.client.streams.Streams/Append",
    "/event_store.client.streams.Streams/BatchAppend",
    "/event_store.client.streams.Streams/Read",
    "/event_store.client.streams.Streams/Delete",
    "/event_store.client.streams.Streams/Tombstone",
];
/// What an answer's next message may take; a subscription has none when nothing happens.
const PATIENCE: Duration = Duration::from_millis(5);
/// What the answer's beginning may take.
const LIMIT: Duration = Duration::from_secs(15);
const MESSAGES: usize = 100;

/// A running store and a connection to it.
pub struct Target {
    channel: Channel,
    _store: EmbeddedEventStore,
    _folder: TempDir,
}

impl Target {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let store =
            EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.expect("the store starts");
        let endpoint =
            Endpoint::from_shared(format!("http://{}", store.address())).expect("it is an address");
        let channel = endpoint.connect_lazy();
        Target { channel, _store: store, _folder: folder }
    }

    /// Sends what the bytes mean. The store must answer, with a refusal or not, and must not panic.
    pub async fn feed(&self, bytes: &[u8]) {
        let Some((path, frames)) = request(bytes) else { return };
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.expect("the store accepts connections");
        let frames = tokio_stream::iter(frames.into_iter().map(Bytes::from));
        let answer = client.streaming(Request::new(frames), PathAndQuery::from_static(path), Raw);
        let answer = match tokio::time::timeout(LIMIT, answer).await.expect("a request is answered in time") {
            Ok(answer) => answer,
            Err(status) => return check(&status),
        };
        let mut messages = answer.into_inner();
        for _ in 0..MESSAGES {
            match tokio::time::timeout(PATIENCE, messages.message()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(status)) => return check(&status),
            }
        }
    }
}

/// A refusal is an answer; what a panic or a lost connection looks like is not.
fn check(status: &Status) {
    let lost = matches!(status.code(), Code::Unknown | Code::Unavailable | Code::Cancelled | Code::DataLoss);
    let broken = status.code() == Code::Internal && !status.message().contains("decode");
    assert!(!lost && !broken, "{status:?}");
}

/// Which method, and the messages to send.
fn request(bytes: &[u8]) -> Option<(&'static str, Vec<Vec<u8>>)> {
    let (&choice, rest) = bytes.split_first()?;
    let choice = usize::from(choice);
    if choice >= 128 {
        let frames = rest.split(|byte| *byte == 0xff).map(<[u8]>::to_vec).collect();
        return Some((PATHS[choice % PATHS.len()], frames));
    }
    let mut valid = valid_requests();
    let (path, mut frames) = valid.swap_remove(choice % valid.len());
    for change in rest.chunks_exact(4) {
        let [frame, at, how, what] = [change[0], change[1], change[2], change[3]];
        let frame = usize::from(frame) % frames.len();
        let length = frames[frame].len();
        let at = usize::from(at) % length.max(1);
        match how % 6 {
            0 if length > 0 => frames[frame][at] = what,
            1 if length > 0 => frames[frame][at] ^= 1 << (what % 8),
            2 => frames[frame].insert(at, what),
            3 if length > 0 => drop(frames[frame].remove(at)),
            4 => frames[frame].truncate(at),
            _ => frames.push(frames[frame].clone()),
        }
    }
    Some((path, frames))
}

fn valid_requests() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let [append, batch, read, delete, tombstone] = PATHS;
    let stream = field(1, &field(3, b"stream"));
    let any = field(4, b"");
    let id = |text: &str| field(2, text.as_bytes());
    let entry = |key: &[u8], value: &[u8]| field(2, &[field(1, key), field(2, value)].concat());
    let event = |name: &str| {
        let kind = [entry(b"type", b"t"), entry(b"content-type", b"application/json")].concat();
        [field(1, &id(name)), kind, field(3, b"{}"), field(4, br#"{"$maxCount":3}"#)].concat()
    };
    let first = event("6b1d2c5e-9a55-4a3e-8a64-0d3f5d9f0a01");
    let second = event("6b1d2c5e-9a55-4a3e-8a64-0d3f5d9f0a02");
    let metadata_stream = field(1, &field(3, b"$$stream"));
    let end = [number(3, 1), field(9, &field(2, b""))].concat();
    let start = [number(3, 0), field(9, &field(2, b""))].concat();
    let filter = |expression: &[u8]| field(7, &[expression, &number(3, 10), &number(5, 1)].concat());
    let all = field(2, &field(2, b""));
    let options = |parts: &[&[u8]]| vec![field(1, &parts.concat())];
    let correlation = field(1, &id("6b1d2c5e-9a55-4a3e-8a64-0d3f5d9f0a03"));
    vec![
        (
            append,
            vec![field(1, &[stream.clone(), any.clone()].concat()), field(2, &first), field(2, &second)],
        ),
        (append, vec![field(1, &[metadata_stream, number(2, 0)].concat()), field(2, &first)]),
        (
            batch,
            vec![
                [correlation.clone(), field(2, &[&stream[..], &any].concat()), field(3, &first)].concat(),
                [correlation, field(3, &second), number(4, 1)].concat(),
            ],
        ),
        (
            read,
            options(&[
                &field(1, &[&stream[..], &field(3, b"")].concat()),
                &start,
                &number(5, 10),
                &field(8, b""),
            ]),
        ),
        (
            read,
            options(&[
                &field(1, &[&stream[..], &number(2, 1)].concat()),
                &end,
                &number(5, 10),
                &field(8, b""),
            ]),
        ),
        (read, options(&[&all, &start, &number(5, 50), &filter(&field(1, &field(1, b"^[^$].*")))])),
        (read, options(&[&all, &start, &field(6, b""), &filter(&field(2, &field(2, b"t")))])),
        (
            read,
            options(&[
                &field(2, &field(1, &[number(1, 1), number(2, 1)].concat())),
                &end,
                &number(5, 5),
                &field(8, b""),
            ]),
        ),
        (delete, options(&[&stream, &any])),
        (tombstone, options(&[&field(1, &field(3, b"other")), &any])),
    ]
}

/// A field of bytes, as protobuf writes it; all of ours are short.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("our fields are short");
    let mut field = vec![number << 3 | 2];
    if length >= 128 {
        field.extend([length & 127 | 128, 1]);
    } else {
        field.push(length);
    }
    field.extend(bytes);
    field
}

/// A small number, as protobuf writes it.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value & 127]
}

/// Messages as they are, not decoded.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = usize;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let length = buffer.remaining();
        buffer.advance(length);
        Ok(Some(length))
    }
}
