//! Who calls: each call that the protocol knows carries its caller's rights, or is refused here.

use std::sync::Arc;

use http::HeaderMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::errors;
use crate::service::{Access, Act, Rights};

/// Finds out who calls, before any method is looked at: a wrong password is refused even where nobody needs one.
#[derive(Clone)]
pub struct Authenticate(Arc<Access>);

impl Authenticate {
    /// Knows the users of `access`.
    pub fn new(access: Arc<Access>) -> Self {
        Authenticate(access)
    }

    /// The rights of whoever sends these headers.
    pub fn rights(&self, headers: &HeaderMap) -> Result<Rights, Status> {
        self.0.rights(headers).map_err(|_| errors::unauthenticated())
    }
}

impl Interceptor for Authenticate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let rights = self.rights(request.metadata().as_ref())?;
        request.extensions_mut().insert(rights);
        Ok(request)
    }
}

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
