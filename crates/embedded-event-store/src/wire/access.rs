//! Who calls: each call carries its caller's rights, which were found out before any of it was read.

use tonic::{Request, Status};

use super::errors;
use crate::service::{Act, Rights};

/// The rights of whoever sends a request.
pub fn rights<T>(request: &Request<T>) -> Result<Rights, Status> {
    request.extensions().get::<Rights>().cloned().ok_or_else(errors::access_denied)
}

/// Refuses callers who may not do this with the stream.
pub async fn check(rights: &Rights, act: Act, stream: &str) -> Result<(), Status> {
    match rights.may(act, stream).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(errors::access_denied()),
        Err(error) => Err(errors::read_status(error.into())),
    }
}

/// Refuses callers who have not logged in.
pub fn must_be_logged_in<T>(request: &Request<T>) -> Result<(), Status> {
    allowed(rights(request)?.is_logged_in())
}

/// Refuses callers who may not make, change or delete persistent subscriptions.
pub fn must_manage_groups<T>(request: &Request<T>) -> Result<(), Status> {
    allowed(rights(request)?.may_manage_groups())
}

/// Refuses callers who may consume no persistent subscription at all.
pub fn must_consume(rights: &Rights) -> Result<(), Status> {
    allowed(rights.may_consume())
}

fn allowed(is_allowed: bool) -> Result<(), Status> {
    if is_allowed { Ok(()) } else { Err(errors::access_denied()) }
}
