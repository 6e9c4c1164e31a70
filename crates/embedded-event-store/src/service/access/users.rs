//! Who calls. The one place where the `authorization` header is looked at.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::watch;

use crate::config::User;

const SCHEME: &str = "basic";
const ADMINS: &str = "$admins";
const OPS: &str = "$ops";
/// This name is an admin's even without the group.
const ADMIN: &str = "admin";

/// Somebody whom the store knows.
#[derive(PartialEq, Eq)]
pub struct Known {
    name: String,
    groups: Vec<String>,
    read_only: bool,
    /// Digests have one length, so comparing them does not tell the length of what they are made from.
    name_digest: [u8; 32],
    password_digest: [u8; 32],
}

impl Known {
    fn new(user: &User) -> Self {
        Known {
            name: user.name.clone(),
            groups: user.groups.clone(),
            read_only: user.read_only,
            name_digest: digest(user.name.as_bytes()),
            password_digest: digest(user.password.as_bytes()),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the role is the user's name or one of the user's groups.
    pub fn has(&self, role: &str) -> bool {
        self.name == role || self.groups.iter().any(|group| group == role)
    }

    /// Whether the user may do everything.
    pub fn is_admin(&self) -> bool {
        !self.read_only && (self.name == ADMIN || self.has(ADMINS))
    }

    /// Whether the user may look after persistent subscriptions.
    pub fn is_ops(&self) -> bool {
        !self.read_only && (self.is_admin() || self.has(OPS))
    }

    /// Whether the user may read everything and change nothing, whatever the groups.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// Who calls.
#[derive(Clone)]
pub enum Caller {
    /// Somebody of a store without users, or the store itself: they may do everything.
    Unrestricted,
    /// Somebody who has not logged in.
    Anonymous,
    /// A user.
    User(Arc<Known>),
}

/// The name or the password is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongCredentials;

/// The users of a store.
pub struct Users {
    /// There were none at the start. It stays so, or the last one's going would let everybody in.
    everybody: bool,
    known: watch::Sender<Arc<[Arc<Known>]>>,
}

impl Users {
    /// These users; if there are none, everybody may do everything.
    pub fn new(users: &[User]) -> Self {
        Users { everybody: users.is_empty(), known: watch::Sender::new(known(users)) }
    }

    /// Whether there were none at the start.
    pub fn is_open(&self) -> bool {
        self.everybody
    }

    /// From now on these users.
    pub fn replace(&self, users: &[User]) {
        self.known.send_replace(known(users));
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<Arc<[Arc<Known>]>> {
        self.known.subscribe()
    }

    /// Whether the user is there as before: with the same password and the same groups.
    pub fn still_has(&self, user: &Known) -> bool {
        self.known.borrow().iter().any(|known| **known == *user)
    }

    /// Whoever sends these headers. Without a user and a password in them, it is nobody in particular.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, WrongCredentials> {
        if self.everybody {
            return Ok(Caller::Unrestricted);
        }
        let header = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let Some(encoded) = header.and_then(basic) else { return Ok(Caller::Anonymous) };
        let both = STANDARD.decode(encoded.trim()).map_err(|_| WrongCredentials)?;
        let Some(colon) = both.iter().position(|byte| *byte == b':') else { return Ok(Caller::Anonymous) };
        let users = Arc::clone(&self.known.borrow());
        find(&users, &both[..colon], &both[colon + 1..]).map(Caller::User).ok_or(WrongCredentials)
    }
}

/// What follows the scheme, if it is the one that is understood.
fn basic(header: &str) -> Option<&str> {
    let (scheme, encoded) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(encoded)
}

/// The user with this name and password. It takes as long for a wrong name as for a wrong password.
fn find(users: &[Arc<Known>], name: &[u8], password: &[u8]) -> Option<Arc<Known>> {
    let (name, password) = (digest(name), digest(password));
    let mut found = None;
    for user in users {
        let same: Choice = user.name_digest.ct_eq(&name) & user.password_digest.ct_eq(&password);
        if bool::from(same) {
            found = Some(Arc::clone(user));
        }
    }
    found
}

fn known(users: &[User]) -> Arc<[Arc<Known>]> {
    users.iter().map(|user| Arc::new(Known::new(user))).collect()
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn user(name: &str, groups: &[&str]) -> User {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        User { name: name.into(), password: format!("{name}:pass"), groups, read_only: false }
    }

    fn users() -> Users {
        Users::new(&[user("ann", &[]), user("boss", &[ADMINS])])
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn asked(users: &Users, header: Option<String>) -> Result<String, WrongCredentials> {
        let headers = header.map(|header| (AUTHORIZATION, header.parse().unwrap()));
        Ok(match users.caller(&headers.into_iter().collect())? {
            Caller::Unrestricted => "unrestricted".to_owned(),
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::User(user) => user.name().to_owned(),
        })
    }

    #[rstest]
    #[case::a_user(Some(basic("ann:ann:pass")), Ok("ann"))]
    #[case::the_scheme_in_capitals(Some(basic("ann:ann:pass").replace("Basic", "BASIC")), Ok("ann"))]
    #[case::no_header(None, Ok("anonymous"))]
    #[case::another_scheme(Some("Bearer ann:ann:pass".to_owned()), Ok("anonymous"))]
    #[case::a_scheme_alone(Some("Basic".to_owned()), Ok("anonymous"))]
    #[case::no_password(Some(basic("ann")), Ok("anonymous"))]
    #[case::an_empty_password(Some(basic("ann:")), Err(WrongCredentials))]
    #[case::a_part_of_the_password(Some(basic("ann:pass")), Err(WrongCredentials))]
    #[case::the_password_of_another(Some(basic("ann:boss:pass")), Err(WrongCredentials))]
    #[case::an_unknown_name(Some(basic("nobody:ann:pass")), Err(WrongCredentials))]
    #[case::not_base64(Some("Basic %%%".to_owned()), Err(WrongCredentials))]
    fn the_header_says_who_calls(
        #[case] header: Option<String>,
        #[case] expected: Result<&str, WrongCredentials>,
    ) {
        assert_eq!(asked(&users(), header), expected.map(str::to_owned));
    }

    #[test]
    fn without_users_nobody_is_restricted() {
        assert_eq!(asked(&Users::new(&[]), Some(basic("ann:wrong"))), Ok("unrestricted".to_owned()));
    }

    #[test]
    fn a_changed_password_and_a_removed_user_count_at_once() {
        let users = users();
        let Ok(Caller::User(ann)) = users.caller(&headers("ann:ann:pass")) else { panic!("she is known") };
        assert!(users.still_has(&ann));
        let changed = User { password: "new".into(), ..user("ann", &[]) };
        users.replace(&[changed, user("boss", &[ADMINS])]);
        assert_eq!(asked(&users, Some(basic("ann:ann:pass"))), Err(WrongCredentials));
        assert_eq!(asked(&users, Some(basic("ann:new"))), Ok("ann".to_owned()));
        assert!(!users.still_has(&ann));
        users.replace(&[]);
        assert_eq!(asked(&users, Some(basic("ann:new"))), Err(WrongCredentials));
        assert_eq!(asked(&users, None), Ok("anonymous".to_owned()));
    }

    fn headers(text: &str) -> HeaderMap {
        [(AUTHORIZATION, basic(text).parse().unwrap())].into_iter().collect()
    }

    #[rstest]
    #[case::nobody_special("ann", &[], false, (false, false))]
    #[case::ops("ann", &[OPS], false, (false, true))]
    #[case::admins("ann", &["team", ADMINS], false, (true, true))]
    #[case::named_so("admin", &[], false, (true, true))]
    #[case::read_only("admin", &[ADMINS], true, (false, false))]
    fn groups_make_admins_and_ops(
        #[case] name: &str,
        #[case] groups: &[&str],
        #[case] read_only: bool,
        #[case] expected: (bool, bool),
    ) {
        let known = Known::new(&User { read_only, ..user(name, groups) });
        assert_eq!((known.is_admin(), known.is_ops()), expected);
    }
}
