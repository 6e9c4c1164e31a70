//! The password of the embedded event store: the first start makes it beside the store's folder, and the commands on this
//! machine find it there.

use crate::secrets::{self, SecretError};
use embedded_event_store::User;
use std::borrow::Cow;
use std::fs::DirBuilder;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The store's only user, if nobody lists others.
const USER: &str = "admin";

/// Where the password of the store in this folder is: beside the folder, for in it is the log alone.
pub fn file(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-password");
    PathBuf::from(name)
}

/// The user of a store whose password is in this file; the first start makes it.
pub fn user(file: &Path) -> Result<User, SecretError> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| SecretError::File { path: file.to_owned(), source })?;
    }
    Ok(user_with(secrets::read_or_make(file)?))
}

/// A user whom nobody else can be: for a store that this process alone uses.
pub fn user_of_this_process() -> Result<User, SecretError> {
    Ok(user_with(secrets::random()?))
}

fn user_with(password: String) -> User {
    User::admin(USER, password)
}

/// The store's address with this user in it.
pub fn with_user(url: &str, user: &User) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}:{}@{rest}", user.name, user.password),
        None => url.to_owned(),
    }
}

/// What a shell makes an address with the password of: so the password is in no output.
pub fn for_a_shell(url: &str, file: &Path) -> String {
    let reads = format!("$(cat '{}')", file.display());
    with_user(url, &user_with(reads))
}

/// The address of a store as a person gives it. If it names this machine and no user, and a shop in the folder that
/// EMPORIUM_DATA_DIR names (`.data` without it) has a store with a password, the address gets both.
pub fn found_for(url: &str) -> Cow<'_, str> {
    let folder = std::env::var_os("EMPORIUM_DATA_DIR").map_or_else(|| PathBuf::from(".data"), PathBuf::from);
    found_in(url, &file(&folder.join("event-store")))
}

fn found_in<'url>(url: &'url str, file: &Path) -> Cow<'url, str> {
    if !is_local_without_user(url) {
        return Cow::Borrowed(url);
    }
    match std::fs::read_to_string(file) {
        Ok(password) if !password.trim().is_empty() => {
            Cow::Owned(with_user(url, &user_with(password.trim().to_owned())))
        }
        Ok(_) | Err(_) => Cow::Borrowed(url),
    }
}

fn is_local_without_user(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.contains(['@', ',']) {
        return false;
    }
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::local("esdb://127.0.0.1:2113?tls=false", true)]
    #[case::by_name("esdb://localhost?tls=false", true)]
    #[case::version_six("esdb://[::1]:2113?tls=false", true)]
    #[case::with_a_path("kurrentdb://127.0.0.1:2113/?tls=false", true)]
    #[case::with_a_user("esdb://ann:secret@127.0.0.1:2113?tls=false", false)]
    #[case::elsewhere("esdb://10.0.0.1:2113?tls=false", false)]
    #[case::several("esdb://127.0.0.1:2113,10.0.0.1:2113", false)]
    #[case::nonsense("127.0.0.1", false)]
    fn only_a_store_of_this_machine_gets_the_password(#[case] url: &str, #[case] is_ours: bool) {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder.path().join("event-store"));
        assert_eq!(found_in(url, &file), url, "there is no password yet");
        let user = user(&file).unwrap();
        let found = found_in(url, &file);
        if is_ours {
            assert_eq!(found, with_user(url, &user));
            assert!(found.contains(&format!("://admin:{}@", user.password)));
        } else {
            assert_eq!(found, url);
        }
    }
}
