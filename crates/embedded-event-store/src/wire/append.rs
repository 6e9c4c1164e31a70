//! Appends, one per call: the options first, then one message for each event. Deletes and tombstones too.

use tonic::{Status, Streaming};

use super::access::check;
use super::errors::{nothing_chosen, too_long, write_status};
use super::messages::Empty;
use super::messages::streams::append_req::Content;
use super::messages::streams::append_req::options::ExpectedStreamRevision as ExpectedForAppend;
use super::messages::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use super::messages::streams::append_resp::wrong_expected_version as wrong;
use super::messages::streams::append_resp::{
    Position, Result as AppendResult, Success, WrongExpectedVersion,
};
use super::messages::streams::delete_req::options::ExpectedStreamRevision as ExpectedForDelete;
use super::messages::streams::tombstone_req::options::ExpectedStreamRevision as ExpectedForTombstone;
use super::messages::streams::{
    AppendReq, AppendResp, DeleteReq, DeleteResp, TombstoneReq, TombstoneResp, delete_resp, tombstone_resp,
};
use super::names::{must_be_writable, proposed, stream_name};
use crate::log::writer::{Expected, WriteError, Written};
use crate::service::{Act, Rights, Store};

/// Takes a whole append and answers it.
pub async fn append(
    store: &Store,
    rights: &Rights,
    mut requests: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let Some(Content::Options(options)) =
        requests.message().await.map_err(too_long)?.and_then(|request| request.content)
    else {
        return Err(Status::invalid_argument("an append begins with its options; send them first"));
    };
    let asked = options
        .expected_stream_revision
        .ok_or_else(|| nothing_chosen("AppendReq+Types+Options+ExpectedStreamRevisionOneofCase"))?;
    let stream = stream_name(options.stream_identifier)?;
    check(rights, Act::Append, &stream).await?;
    must_be_writable(&stream)?;
    let expected = match asked {
        ExpectedForAppend::Revision(revision) => expected_revision(revision),
        ExpectedForAppend::NoStream(_) => Expected::NoStream,
        ExpectedForAppend::StreamExists(_) => Expected::StreamExists,
        ExpectedForAppend::Any(_) => Expected::Any,
    };
    let max = store.max_append_bytes();
    let mut events = Vec::new();
    let mut size = 0;
    while let Some(request) = requests.message().await.map_err(too_long)? {
        let Some(Content::ProposedMessage(message)) = request.content else {
            return Err(Status::invalid_argument("an append has its options once; start a new call"));
        };
        let event = proposed(message.id, message.metadata, message.custom_metadata, message.data)?;
        size += event.size();
        if size > max {
            return Err(write_status(WriteError::TooLarge { size, max }));
        }
        events.push(event);
    }
    let written = match store.append(stream, expected, events).await {
        Ok(reply) => reply.wait().await,
        Err(error) => Err(error),
    };
    let result = match written {
        Ok(written) => AppendResult::Success(success(written)),
        Err(WriteError::WrongExpected { current, .. }) => {
            AppendResult::WrongExpectedVersion(wrong_expected(asked, current))
        }
        Err(error) => return Err(write_status(error)),
    };
    Ok(AppendResp { result: Some(result) })
}

/// Hides a stream.
pub async fn delete(store: &Store, rights: &Rights, request: DeleteReq) -> Result<DeleteResp, Status> {
    let options = request.options.ok_or_else(no_options)?;
    let stream = stream_name(options.stream_identifier)?;
    check(rights, Act::Delete, &stream).await?;
    must_be_writable(&stream)?;
    let expected = match options.expected_stream_revision {
        Some(ExpectedForDelete::Revision(revision)) => expected_revision(revision),
        Some(ExpectedForDelete::NoStream(_)) => Expected::NoStream,
        Some(ExpectedForDelete::StreamExists(_)) => Expected::StreamExists,
        Some(ExpectedForDelete::Any(_)) => Expected::Any,
        None => return Err(nothing_chosen("DeleteReq+Types+Options+ExpectedStreamRevisionOneofCase")),
    };
    let written = store.delete(stream, expected).await.map_err(write_status)?;
    let position = match written.position {
        Some(at) => delete_resp::PositionOption::Position(delete_resp::Position {
            commit_position: at,
            prepare_position: at,
        }),
        None => delete_resp::PositionOption::NoPosition(Empty {}),
    };
    Ok(DeleteResp { position_option: Some(position) })
}

/// Closes a stream for ever.
pub async fn tombstone(
    store: &Store,
    rights: &Rights,
    request: TombstoneReq,
) -> Result<TombstoneResp, Status> {
    let options = request.options.ok_or_else(no_options)?;
    let stream = stream_name(options.stream_identifier)?;
    check(rights, Act::Delete, &stream).await?;
    must_be_writable(&stream)?;
    let expected = match options.expected_stream_revision {
        Some(ExpectedForTombstone::Revision(revision)) => expected_revision(revision),
        Some(ExpectedForTombstone::NoStream(_)) => Expected::NoStream,
        Some(ExpectedForTombstone::StreamExists(_)) => Expected::StreamExists,
        Some(ExpectedForTombstone::Any(_)) => Expected::Any,
        None => return Err(nothing_chosen("TombstoneReq+Types+Options+ExpectedStreamRevisionOneofCase")),
    };
    let written = store.tombstone(stream, expected).await.map_err(write_status)?;
    let position = match written.position {
        Some(at) => tombstone_resp::PositionOption::Position(tombstone_resp::Position {
            commit_position: at,
            prepare_position: at,
        }),
        None => tombstone_resp::PositionOption::NoPosition(Empty {}),
    };
    Ok(TombstoneResp { position_option: Some(position) })
}

fn no_options() -> Status {
    Status::invalid_argument("the request has no options; set them")
}

/// The expected revision of a request. To some clients the largest number is no number at all.
pub fn expected_revision(revision: u64) -> Expected {
    if revision == u64::MAX { Expected::NoStream } else { Expected::Revision(revision) }
}

fn success(written: Written) -> Success {
    let revision = match written.revision {
        Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
        None => CurrentRevisionOption::NoStream(Empty {}),
    };
    let position = match written.position {
        Some(at) => PositionOption::Position(Position { commit_position: at, prepare_position: at }),
        None => PositionOption::NoPosition(Empty {}),
    };
    Success { current_revision_option: Some(revision), position_option: Some(position) }
}

/// Says it in both the older and the newer way, for older and newer clients.
fn wrong_expected(asked: ExpectedForAppend, current: Option<u64>) -> WrongExpectedVersion {
    use wrong::{
        CurrentRevisionOption as Current, CurrentRevisionOption2060 as OldCurrent,
        ExpectedRevisionOption as NewExpected, ExpectedRevisionOption2060 as OldExpected,
    };
    let (old_current, current) = match current {
        Some(revision) => (OldCurrent::CurrentRevision2060(revision), Current::CurrentRevision(revision)),
        None => (OldCurrent::NoStream2060(Empty {}), Current::CurrentNoStream(Empty {})),
    };
    let (old_expected, expected) = match asked {
        ExpectedForAppend::Revision(revision) => {
            (OldExpected::ExpectedRevision2060(revision), NewExpected::ExpectedRevision(revision))
        }
        ExpectedForAppend::Any(_) => (OldExpected::Any2060(Empty {}), NewExpected::ExpectedAny(Empty {})),
        ExpectedForAppend::StreamExists(_) => {
            (OldExpected::StreamExists2060(Empty {}), NewExpected::ExpectedStreamExists(Empty {}))
        }
        // The older way has no word for it, but a number that is none.
        ExpectedForAppend::NoStream(_) => {
            (OldExpected::ExpectedRevision2060(u64::MAX), NewExpected::ExpectedNoStream(Empty {}))
        }
    };
    WrongExpectedVersion {
        current_revision_option_20_6_0: Some(old_current),
        expected_revision_option_20_6_0: Some(old_expected),
        current_revision_option: Some(current),
        expected_revision_option: Some(expected),
    }
}
