//! Appends, many per call: each has an id of its own and is answered by it.
//!
//! A batch may come in several parts. Appends of one call are decided in the order in which they were completed, and
//! many of them may be on their way to the disk at once. An append whose deadline has passed when its last part arrives is
//! not written; one whose deadline passes on the way to the disk is answered then, and may be written all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::stream::{self, BoxStream, Stream, StreamExt};
use prost::Message;
use prost_types::Any;
use tokio::time::Instant;
use tonic::{Code, Status};
use uuid::Uuid;

use super::append::expected_revision;
use super::errors::{nothing_chosen, read_status, too_long, write_status};
use super::messages::streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use super::messages::streams::batch_append_req::{Options, ProposedMessage};
use super::messages::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use super::messages::streams::batch_append_resp::{Result as BatchResult, Success};
use super::messages::streams::{BatchAppendReq, BatchAppendResp};
use super::messages::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};
use super::messages::{
    AccessDenied, AllStreamPosition, BadRequest, MaximumAppendSizeExceeded, StreamDeleted, StreamIdentifier,
    Timeout, Uuid as WireUuid, WrongExpectedVersion,
};
use super::names::{identifier, must_be_writable, proposed, stream_name, uuid};
use super::protocol::google::rpc;
use crate::log::StorageError;
use crate::log::record::ProposedEvent;
use crate::log::writer::{Expected, Reply, WriteError, Written};
use crate::service::{Act, Rights, Store};

/// Appends of one call that may be on their way to the disk at once.
const IN_FLIGHT: usize = 512;
/// Appends of one call that may be incomplete at once. Nothing is kept for callers who have not logged in.
const INCOMPLETE: usize = 32;

/// Answers the appends of one call, until the client ends it or the store stops.
pub fn answers(
    store: Arc<Store>,
    rights: Rights,
    requests: impl Stream<Item = Result<BatchAppendReq, Status>> + Send + 'static,
) -> BoxStream<'static, Result<BatchAppendResp, Status>> {
    let stopping = store.stopping().clone();
    let most_incomplete = if rights.is_logged_in() { INCOMPLETE } else { 0 };
    let mut session =
        Session { incomplete: HashMap::new(), most_incomplete, max_bytes: store.max_append_bytes() };
    let answers = requests
        .take_until(stopping.clone().cancelled_owned())
        .filter_map(move |request| {
            std::future::ready(
                request.map_err(too_long).and_then(|request| session.accept(request)).transpose(),
            )
        })
        .then(move |complete| {
            let (store, rights) = (Arc::clone(&store), rights.clone());
            async move {
                match complete {
                    Ok(Ready::Whole(complete)) => Ok(complete.hand_over(&store, &rights).await),
                    Ok(Ready::Refused(refused)) => Ok(refused),
                    Err(status) => Err(status),
                }
            }
        })
        .map(|handed_over| async move {
            match handed_over {
                Ok(handed_over) => Ok(handed_over.answer().await),
                Err(status) => Err(status),
            }
        })
        .buffered(IN_FLIGHT);
    let farewell =
        stream::once(async move { stopping.is_cancelled().then(|| Err(write_status(WriteError::Stopping))) });
    answers.chain(farewell.filter_map(std::future::ready)).boxed()
}

/// What the client asked for, to be repeated in the answer.
struct Asked {
    correlation: Option<WireUuid>,
    stream: Option<StreamIdentifier>,
}

struct Incomplete {
    asked: Asked,
    stream: String,
    expected: Expected,
    events: Vec<ProposedEvent>,
    size: usize,
    refusal: Option<rpc::Status>,
    deadline: Option<Instant>,
}

struct Session {
    incomplete: HashMap<Uuid, Incomplete>,
    most_incomplete: usize,
    max_bytes: usize,
}

impl Session {
    /// Takes one part; gives the whole append when this was its last. One bad part does not end the others.
    fn accept(&mut self, request: BatchAppendReq) -> Result<Option<Ready>, Status> {
        let id = match uuid(request.correlation_id.clone()) {
            Ok(id) => id,
            Err(status) => {
                let stream = request.options.and_then(|options| options.stream_identifier);
                let asked = Asked { correlation: request.correlation_id, stream };
                return Ok(Some(Ready::Refused(HandedOver::refused(asked, bad_request(status.message())))));
            }
        };
        let mut append = match (self.incomplete.remove(&id), request.options) {
            (Some(append), _) => append,
            (None, Some(options)) => begin(request.correlation_id, options),
            // Parts of an append that never began belong to nothing.
            (None, None) => return Ok(None),
        };
        append.add(request.proposed_messages, self.max_bytes);
        if request.is_final {
            return Ok(Some(Ready::Whole(append)));
        }
        if self.most_incomplete == 0 {
            return Err(Status::resource_exhausted("log in to send an append in several parts"));
        }
        if self.incomplete.len() >= self.most_incomplete {
            return Err(Status::resource_exhausted(format!(
                "this call has {INCOMPLETE} incomplete appends; complete them first"
            )));
        }
        self.incomplete.insert(id, append);
        Ok(None)
    }
}

fn begin(correlation: Option<WireUuid>, options: Options) -> Incomplete {
    let expected = match options.expected_stream_position {
        Some(ExpectedStreamPosition::StreamPosition(revision)) => Ok(expected_revision(revision)),
        Some(ExpectedStreamPosition::NoStream(())) => Ok(Expected::NoStream),
        Some(ExpectedStreamPosition::StreamExists(())) => Ok(Expected::StreamExists),
        Some(ExpectedStreamPosition::Any(())) => Ok(Expected::Any),
        None => Err(nothing_chosen("BatchAppendReq+Types+Options+ExpectedStreamPositionOneofCase")),
    };
    let asked = Asked { correlation, stream: options.stream_identifier.clone() };
    let deadline =
        time_left(options.deadline_option).and_then(|time_left| Instant::now().checked_add(time_left));
    let stream = stream_name(options.stream_identifier);
    let refusal = match (&stream, &expected) {
        (Ok(stream), Ok(_)) => must_be_writable(stream).err(),
        (Err(status), _) | (_, Err(status)) => Some(status.clone()),
    };
    let refusal = refusal.map(|status| bad_request(status.message()));
    let (stream, expected) = (stream.unwrap_or_default(), expected.unwrap_or(Expected::Any));
    Incomplete { asked, stream, expected, events: Vec::new(), size: 0, refusal, deadline }
}

/// How long an append may take from now on; `None` for as long as it takes.
fn time_left(deadline: Option<DeadlineOption>) -> Option<Duration> {
    match deadline? {
        // What is negative has passed already.
        DeadlineOption::Deadline(time_left) => Some(Duration::try_from(time_left).unwrap_or_default()),
        DeadlineOption::Deadline21100(at) => {
            let at = SystemTime::try_from(at).ok()?;
            Some(at.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

impl Incomplete {
    fn add(&mut self, messages: Vec<ProposedMessage>, max: usize) {
        for message in messages {
            if self.refusal.is_some() {
                return;
            }
            match proposed(message.id, message.metadata, message.custom_metadata, message.data) {
                Ok(event) => {
                    self.size += event.size();
                    self.events.push(event);
                }
                Err(status) => self.refusal = Some(bad_request(status.message())),
            }
            if self.size > max {
                self.events = Vec::new();
                self.refusal = Some(error_item(WriteError::TooLarge { size: self.size, max }));
            }
        }
    }

    async fn hand_over(self, store: &Store, rights: &Rights) -> HandedOver {
        let too_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let reply = match (rights.may(Act::Append, &self.stream).await, self.refusal) {
            (Ok(false), _) => Err(access_denied()),
            _ if too_late => Err(timed_out()),
            (_, Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(undecided(error)),
            (Ok(true), None) => {
                store.append(self.stream, self.expected, self.events).await.map_err(error_item)
            }
        };
        HandedOver { asked: self.asked, reply, deadline: self.deadline }
    }
}

/// An append as far as it can be taken.
enum Ready {
    Whole(Incomplete),
    Refused(HandedOver),
}

struct HandedOver {
    asked: Asked,
    reply: Result<Reply, rpc::Status>,
    deadline: Option<Instant>,
}

impl HandedOver {
    fn refused(asked: Asked, refusal: rpc::Status) -> Self {
        HandedOver { asked, reply: Err(refusal), deadline: None }
    }

    async fn answer(self) -> BatchAppendResp {
        let result = match self.reply {
            Ok(reply) => written_in_time(reply, self.deadline).await,
            Err(refusal) => Err(refusal),
        };
        BatchAppendResp {
            correlation_id: self.asked.correlation,
            result: Some(match result {
                Ok(written) => BatchResult::Success(success(written)),
                Err(error) => BatchResult::Error(error),
            }),
            stream_identifier: self.asked.stream,
            // The protocol's own server never says it.
            expected_stream_position: None,
        }
    }
}

async fn written_in_time(reply: Reply, deadline: Option<Instant>) -> Result<Written, rpc::Status> {
    let written = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, reply.wait()).await.map_err(|_| timed_out())?,
        None => reply.wait().await,
    };
    written.map_err(error_item)
}

fn success(written: Written) -> Success {
    let revision = match written.revision {
        Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
        None => CurrentRevisionOption::NoStream(()),
    };
    let position = match written.position {
        Some(at) => PositionOption::Position(AllStreamPosition { commit_position: at, prepare_position: at }),
        None => PositionOption::NoPosition(()),
    };
    Success { current_revision_option: Some(revision), position_option: Some(position) }
}

/// What is refused as one item. The codes and names are the protocol's own, and not those of the same refusal of a whole
/// call; clients compare them.
fn error_item(error: WriteError) -> rpc::Status {
    match error {
        WriteError::WrongExpected { expected, current, .. } => {
            named(Code::AlreadyExists, "WrongExpectedVersion", &wrong_expected(expected, current))
        }
        WriteError::StreamDeleted { stream } => {
            let details = StreamDeleted { stream_identifier: Some(identifier(stream)) };
            named(Code::NotFound, "StreamDeleted", &details)
        }
        WriteError::TooLarge { max, .. } => {
            let details =
                MaximumAppendSizeExceeded { max_append_size: u32::try_from(max).unwrap_or(u32::MAX) };
            named(Code::InvalidArgument, "MaximumAppendSizeExceeded", &details)
        }
        error => {
            let status = write_status(error);
            item(status.code(), status.message().to_owned(), packed("google.protobuf.Empty", &()))
        }
    }
}

fn bad_request(message: &str) -> rpc::Status {
    named(Code::InvalidArgument, "BadRequest", &BadRequest { message: message.to_owned() })
}

fn access_denied() -> rpc::Status {
    named(Code::PermissionDenied, "AccessDenied", &AccessDenied {})
}

/// Whether the caller may append could not be found out.
fn undecided(error: StorageError) -> rpc::Status {
    let status = read_status(error.into());
    item(status.code(), status.message().to_owned(), packed("google.protobuf.Empty", &()))
}

/// The deadline has passed. The events may be written yet if they were on their way.
fn timed_out() -> rpc::Status {
    named(Code::DeadlineExceeded, "Timeout", &Timeout {})
}

fn named(code: Code, name: &str, details: &impl Message) -> rpc::Status {
    item(code, name.to_owned(), packed(&format!("event_store.client.{name}"), details))
}

fn item(code: Code, message: String, details: Any) -> rpc::Status {
    rpc::Status { code: code.into(), message, details: Some(details) }
}

fn packed(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

fn wrong_expected(expected: Expected, current: Option<u64>) -> WrongExpectedVersion {
    let current = match current {
        Some(revision) => CurrentStreamRevisionOption::CurrentStreamRevision(revision),
        None => CurrentStreamRevisionOption::CurrentNoStream(()),
    };
    let expected = match expected {
        Expected::Revision(revision) => ExpectedStreamPositionOption::ExpectedStreamPosition(revision),
        Expected::Any => ExpectedStreamPositionOption::ExpectedAny(()),
        Expected::StreamExists => ExpectedStreamPositionOption::ExpectedStreamExists(()),
        Expected::NoStream => ExpectedStreamPositionOption::ExpectedNoStream(()),
    };
    WrongExpectedVersion {
        current_stream_revision_option: Some(current),
        expected_stream_position_option: Some(expected),
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
