//! Looks at a request's caller before any of the body is read. Users go on at once. Strangers are refused here if their
//! request needs a user; otherwise they have limits.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Version};

use crate::pages::{self, Pages};
use crate::service::{Rights, WrongCredentials};
use crate::strangers::{Answer, Arriving, Asks, Peer, Strangers};
use crate::wire;

const CALL: &str = "application/grpc";
/// What calls say of a method that is not there; their answers have no text of their own.
const NO_METHOD: HeaderValue = HeaderValue::from_static("Method is unimplemented.");
const UNIMPLEMENTED: &str = "12";

/// What is needed to let somebody in.
pub struct Admission {
    /// The pages, and the users.
    pub pages: Pages,
    /// Those who are no users.
    pub strangers: Arc<Strangers>,
    /// The largest append, in bytes.
    pub max_append_bytes: usize,
}

/// Answers requests for pages, and hands calls on to `calls`.
pub fn with_admission(calls: axum::Router, admission: Admission) -> axum::Router {
    calls.layer(middleware::from_fn_with_state(Arc::new(admission), admit))
}

async fn admit(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_call = request.version() == Version::HTTP_2
        && content_type.is_some_and(|content_type| content_type.starts_with(CALL.as_bytes()));
    match admission.pages.access.rights(request.headers()) {
        Ok(rights) if rights.is_user() || (is_call && rights.is_logged_in()) => {
            if let Some(peer) = request.extensions().get::<Peer>() {
                admission.strangers.is_user(peer);
            }
            if is_call {
                return call(request, rights, next).await;
            }
            let (request, _) = request.into_parts();
            admission.pages.answer(&request, &rights).await
        }
        rights => admission.stranger(request, rights, is_call, next).await,
    }
}

async fn call(mut request: Request, rights: Rights, next: Next) -> Response {
    request.extensions_mut().insert(rights);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if headers.get("grpc-status").is_some_and(|status| status == UNIMPLEMENTED)
        && !headers.contains_key("grpc-message")
    {
        headers.insert("grpc-message", NO_METHOD);
    }
    response
}

impl Admission {
    async fn stranger(
        &self,
        request: Request,
        rights: Result<Rights, WrongCredentials>,
        is_call: bool,
        next: Next,
    ) -> Response {
        // Every connection of ours is one.
        let Some(peer) = request.extensions().get::<Peer>().cloned() else { return pages::too_often() };
        let asks = if is_call { Asks::Call } else { Asks::Page };
        let visit = match self.strangers.admit(&peer, asks) {
            Ok(visit) => visit,
            Err(why) if is_call => return wire::refused(why.code(), why.sentence()),
            Err(_) => return pages::too_often(),
        };
        let answer = match rights {
            Ok(rights) if is_call => self.strangers_call(request, rights, &peer, next).await,
            Ok(rights) => {
                let (request, _) = request.into_parts();
                self.pages.answer(&request, &rights).await
            }
            Err(WrongCredentials) => {
                self.strangers.has_wrong_password(&peer);
                if is_call { wire::wrong_password() } else { pages::wrong_password() }
            }
        };
        answer.map(|body| Body::new(Answer::new(body, visit)))
    }

    async fn strangers_call(&self, request: Request, rights: Rights, peer: &Peer, next: Next) -> Response {
        let may_append = self.pages.access.anonymous_streams().then_some(self.max_append_bytes);
        let Some(most) = wire::taken_from_strangers(request.uri().path(), may_append) else {
            peer.was_refused();
            return wire::access_denied();
        };
        let (strangers, peer) = (Arc::clone(&self.strangers), peer.clone());
        let request = request.map(|body| Body::new(Arriving::new(body, most, strangers, peer)));
        call(request, rights, next).await
    }
}
