//! What a stream may be called. The server refuses all else, and then it is too late to say whose mistake it was.

use thiserror::Error;

/// Bytes of a stream's name.
pub const MAX_STREAM_NAME_BYTES: usize = 4096;

/// No stream can be called so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the name of a stream has from 1 to {MAX_STREAM_NAME_BYTES} bytes, not {bytes}")]
pub struct InvalidStreamName {
    /// The bytes that it has.
    pub bytes: usize,
}

/// Checks a name that somebody else gives, before the server is asked about it.
///
/// # Errors
/// When no stream can be called so.
pub fn check_stream_name(name: &str) -> Result<(), InvalidStreamName> {
    match name.len() {
        1..=MAX_STREAM_NAME_BYTES => Ok(()),
        bytes => Err(InvalidStreamName { bytes }),
    }
}
