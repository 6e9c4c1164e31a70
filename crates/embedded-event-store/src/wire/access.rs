//! Who calls, and whether they may. The one place where the `authorization` header is looked at.
//!
//! Without users everybody may do everything. With users, streams and persistent subscriptions want one; gossip and
//! server features, which clients ask before anything else and which tell nothing of what is stored, do not.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::errors;
use crate::config::{Role, User};

const AUTHORIZATION: &str = "authorization";
const SCHEME: &str = "basic";

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user's name.
    pub name: String,
    role: Role,
}

struct Known {
    caller: Caller,
    /// Digests have one length, so comparing them does not tell the length of what they are made from.
    name: [u8; 32],
    password: [u8; 32],
}

/// Lets callers in who say who they are.
#[derive(Clone)]
pub struct Access {
    users: Arc<[Known]>,
}

impl Access {
    /// Lets these users in; everybody, if there are none.
    pub fn new(users: &[User]) -> Self {
        let known = users.iter().map(|user| Known {
            caller: Caller { name: user.name.clone(), role: user.role },
            name: digest(user.name.as_bytes()),
            password: digest(user.password.as_bytes()),
        });
        Access { users: known.collect() }
    }

    /// Whether there is no need to say who one is.
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether whoever sends these headers may do what needs a user. An error means a wrong name or password.
    pub fn is_logged_in(&self, headers: &HeaderMap) -> Result<bool, Status> {
        let header = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        match header.and_then(credentials) {
            _ if self.is_open() => Ok(true),
            None => Ok(false),
            Some((name, password)) if self.user(&name, &password).is_some() => Ok(true),
            Some(_) => Err(Status::unauthenticated("Unauthenticated")),
        }
    }

    /// The user with this name and password. It takes as long for a wrong name as for a wrong password.
    fn user(&self, name: &[u8], password: &[u8]) -> Option<&Caller> {
        let (name, password) = (digest(name), digest(password));
        let mut found = None;
        for known in self.users.iter() {
            let same: Choice = known.name.ct_eq(&name) & known.password.ct_eq(&password);
            if bool::from(same) {
                found = Some(&known.caller);
            }
        }
        found
    }
}

impl Interceptor for Access {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if self.users.is_empty() {
            return Ok(request);
        }
        let header = request.metadata().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let caller = match header.and_then(credentials) {
            Some((name, password)) => self.user(&name, &password).cloned(),
            None => None,
        };
        let caller = caller.ok_or_else(|| {
            Status::unauthenticated("this event store wants a user and a password; give valid ones")
        })?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// Refuses callers who may only read.
pub fn may_write<T>(request: &Request<T>) -> Result<(), Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller { name, role: Role::ReadOnly }) => Err(errors::access_denied(name)),
        Some(Caller { role: Role::Admin, .. }) | None => Ok(()),
    }
}

/// The name and the password of a header, if it is one with both.
fn credentials(header: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let both = STANDARD.decode(encoded.trim()).ok()?;
    let colon = both.iter().position(|byte| *byte == b':')?;
    Some((both[..colon].to_vec(), both[colon + 1..].to_vec()))
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let user = |name: &str, role| User { name: name.into(), password: format!("{name}:pass"), role };
        Access::new(&[user("root", Role::Admin), user("auditor", Role::ReadOnly)])
    }

    fn asked(header: Option<String>) -> Result<Request<()>, Status> {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert(AUTHORIZATION, header.parse().unwrap());
        }
        access().call(request)
    }

    fn basic(text: &str) -> Option<String> {
        Some(format!("Basic {}", STANDARD.encode(text)))
    }

    #[test]
    fn a_user_is_let_in_with_the_role_it_has() {
        let root = asked(basic("root:root:pass")).unwrap();
        assert!(may_write(&root).is_ok());
        assert_eq!(root.extensions().get::<Caller>().unwrap().name, "root");
        let refused = may_write(&asked(basic("auditor:auditor:pass")).unwrap()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert_eq!(refused.metadata().get("exception").unwrap(), "access-denied");
    }

    #[test]
    fn whoever_does_not_say_who_they_are_stays_outside() {
        let wrong = [
            None,
            basic("root"),
            basic("root:"),
            basic("root:pass"),
            basic("root:auditor:pass"),
            basic("nobody:root:pass"),
            Some("Bearer root:root:pass".to_owned()),
            Some("Basic %%%".to_owned()),
            Some("Basic".to_owned()),
        ];
        for header in wrong {
            let refused = asked(header.clone()).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{header:?}");
        }
    }

    #[test]
    fn without_users_everybody_may_everything() {
        let request = Access::new(&[]).call(Request::new(())).unwrap();
        assert!(may_write(&request).is_ok());
    }
}
