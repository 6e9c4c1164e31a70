//! Who may do what: users, and the access control lists of streams.
//!
//! A caller has `Rights`, which go with whatever it asks for. The service's own user is an admin, for whom nothing is
//! looked up; what is decided for others rests on lists that are kept in memory until one of them may have changed.

mod rules;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;
use std::task::{Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::HeaderMap;
use tokio::sync::watch;

use super::{ReadError, on_disk};
use crate::acl::{self, Right};
use crate::config::{Config, User};
use crate::log::{Log, StorageError};
use crate::metadata::subject_of;
use rules::{Lists, Rules};
use users::{Caller, Known, Users};

pub use users::WrongCredentials;

const ALL: &str = "$all";

/// What somebody wants to do with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Read it, or subscribe to it.
    Read,
    /// Append to it.
    Append,
    /// Delete it, in either way.
    Delete,
}

impl Act {
    /// The right that it takes, and the stream that the right is about; `None` if nobody may do so.
    fn takes(self, stream: &str) -> Option<(Right, &str)> {
        if let Some(subject) = subject_of(stream) {
            return match self {
                Act::Read => Some((Right::ReadMetadata, subject)),
                Act::Append => Some((Right::WriteMetadata, subject)),
                Act::Delete => None,
            };
        }
        match self {
            Act::Read => Some((Right::Read, stream)),
            Act::Append | Act::Delete if stream == ALL => None,
            Act::Append => Some((Right::Append, stream)),
            Act::Delete => Some((Right::Delete, stream)),
        }
    }
}

/// The users of a store and its lists.
pub struct Access {
    users: Users,
    rules: Rules,
    anonymous_streams: bool,
}

impl Access {
    /// The access to this log.
    pub fn new(log: Arc<Log>, config: &Config) -> Arc<Self> {
        Arc::new(Access {
            users: Users::new(&config.users),
            rules: Rules::new(log),
            anonymous_streams: config.anonymous_streams,
        })
    }

    /// Whether there are no users: everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.users.is_open()
    }

    /// Whether somebody who has not logged in counts as one of `$all` for streams.
    pub fn anonymous_streams(&self) -> bool {
        self.anonymous_streams
    }

    /// From now on these users. What others have open ends.
    pub fn set_users(&self, users: &[User]) {
        self.users.replace(users);
    }

    /// The rights of whoever sends these headers.
    pub fn rights(self: &Arc<Self>, headers: &HeaderMap) -> Result<Rights, WrongCredentials> {
        Ok(Rights { caller: self.users.caller(headers)?, access: Arc::clone(self) })
    }

    /// The rights of the store itself: all of them.
    pub fn own_rights(self: &Arc<Self>) -> Rights {
        Rights { caller: Caller::Unrestricted, access: Arc::clone(self) }
    }
}

/// What one caller may do.
#[derive(Clone)]
pub struct Rights {
    caller: Caller,
    access: Arc<Access>,
}

impl Rights {
    /// The user's name, if a user calls.
    pub fn user_name(&self) -> Option<&str> {
        match &self.caller {
            Caller::User(user) => Some(user.name()),
            Caller::Unrestricted | Caller::Anonymous => None,
        }
    }

    /// Whether a user calls.
    pub fn is_user(&self) -> bool {
        matches!(self.caller, Caller::User(_))
    }

    /// Whether the caller has logged in, if anybody has to.
    pub fn is_logged_in(&self) -> bool {
        !matches!(self.caller, Caller::Anonymous)
    }

    /// Whether the caller may make, change and delete persistent subscriptions.
    pub fn may_manage_groups(&self) -> bool {
        match &self.caller {
            Caller::Unrestricted => true,
            Caller::Anonymous => false,
            Caller::User(user) => user.is_ops(),
        }
    }

    /// Whether the caller may consume persistent subscriptions to streams that it may read.
    pub fn may_consume(&self) -> bool {
        match &self.caller {
            Caller::Unrestricted => true,
            Caller::Anonymous => false,
            Caller::User(user) => !user.is_read_only(),
        }
    }

    /// Whether the caller may read everything, whatever a list says.
    pub fn reads_everything(&self) -> bool {
        match &self.caller {
            Caller::Unrestricted => true,
            Caller::Anonymous => false,
            Caller::User(user) => user.is_admin() || user.is_read_only(),
        }
    }

    /// Whether the caller may do this. May wait for the disk.
    pub fn may_now(&self, act: Act, stream: &str) -> Result<bool, StorageError> {
        match self.without_lists(act, stream) {
            Ok(allowed) => Ok(allowed),
            Err((right, subject)) => {
                let lists = self.access.rules.of(subject)?;
                Ok(self.by_lists(right, subject, &lists))
            }
        }
    }

    /// Whether the caller may do this.
    pub async fn may(&self, act: Act, stream: &str) -> Result<bool, StorageError> {
        let (right, subject) = match self.without_lists(act, stream) {
            Ok(allowed) => return Ok(allowed),
            Err(open) => open,
        };
        if let Some(lists) = self.access.rules.kept(subject) {
            return Ok(self.by_lists(right, subject, &lists));
        }
        let (rights, stream) = (self.clone(), stream.to_owned());
        on_disk(move || rights.may_now(act, &stream)).await
    }

    /// What needs no list, or the right that the lists decide on.
    fn without_lists<'stream>(&self, act: Act, stream: &'stream str) -> Result<bool, (Right, &'stream str)> {
        if matches!(self.caller, Caller::Unrestricted) {
            return Ok(true);
        }
        let Some((right, subject)) = act.takes(stream) else { return Ok(false) };
        match &self.caller {
            Caller::User(user) if user.is_admin() => Ok(true),
            Caller::User(user) if user.is_read_only() => Ok(right.is_to_read()),
            Caller::Anonymous if !self.access.anonymous_streams => Ok(false),
            _ => Err((right, subject)),
        }
    }

    fn by_lists(&self, right: Right, subject: &str, lists: &Lists) -> bool {
        acl::allows(right, subject, &lists.own, &lists.defaults, |role| match &self.caller {
            Caller::User(user) => user.has(role),
            Caller::Unrestricted | Caller::Anonymous => false,
        })
    }

    /// What a caller is told about a stream for as long as it may read it.
    pub fn while_readable<T: Send + 'static>(
        &self,
        stream: &str,
        messages: impl Stream<Item = Result<T, ReadError>> + Send + 'static,
    ) -> BoxStream<'static, Result<T, ReadError>> {
        if matches!(self.caller, Caller::Unrestricted) {
            return messages.boxed();
        }
        let mut messages = messages.boxed();
        let (rights, stream) = (self.clone(), stream.to_owned());
        let mut lost = rights.clone().loses(stream.clone()).boxed();
        let mut changes = rights.changes();
        let mut looking: Option<BoxFuture<'static, Option<ReadError>>> = None;
        let (mut held, mut is_over) = (None, false);
        stream::poll_fn(move |context| {
            if is_over {
                return Poll::Ready(None);
            }
            loop {
                if let Some(look) = &mut looking {
                    if let Some(why) = ready!(look.poll_unpin(context)) {
                        is_over = true;
                        return Poll::Ready(Some(Err(why)));
                    }
                    looking = None;
                }
                let told = match held.take().map_or_else(|| messages.poll_next_unpin(context), Poll::Ready) {
                    Poll::Ready(told) => told,
                    Poll::Pending => {
                        return lost.poll_unpin(context).map(|why| {
                            is_over = true;
                            Some(Err(why))
                        });
                    }
                };
                // What came after a change is told only to those who may still read it.
                if !changes.are_new() {
                    return Poll::Ready(told);
                }
                held = Some(told);
                let (rights, stream) = (rights.clone(), stream.clone());
                looking = Some(async move { rights.why_not(&stream).await }.boxed());
            }
        })
        .boxed()
    }

    /// What may take a right to read.
    fn changes(&self) -> Changes {
        let lists = (!self.reads_everything()).then(|| self.access.rules.log().watch_lists());
        Changes { users: self.access.users.watch(), lists }
    }

    /// Why the caller may not read the stream, unless it may.
    async fn why_not(&self, stream: &str) -> Option<ReadError> {
        if let Caller::User(user) = &self.caller
            && !self.access.users.still_has(user)
        {
            return Some(ReadError::Denied);
        }
        match self.may(Act::Read, stream).await {
            Ok(true) => None,
            Ok(false) => Some(ReadError::Denied),
            Err(error) => Some(error.into()),
        }
    }

    /// Waits until the caller may not read the stream any more, and says why.
    async fn loses(self, stream: String) -> ReadError {
        let mut changes = self.changes();
        loop {
            if let Some(why) = self.why_not(&stream).await {
                return why;
            }
            if changes.next().await.is_err() {
                return ReadError::Stopping;
            }
        }
    }
}

/// Changes of the users, and of the lists for those whom they concern.
struct Changes {
    users: watch::Receiver<Arc<[Arc<Known>]>>,
    lists: Option<watch::Receiver<u64>>,
}

impl Changes {
    /// Whether there were any since it was asked before.
    fn are_new(&mut self) -> bool {
        let users = self.users.has_changed().unwrap_or(false);
        let lists = self.lists.as_ref().is_some_and(|lists| lists.has_changed().unwrap_or(false));
        if users {
            self.users.mark_unchanged();
        }
        if let Some(lists) = self.lists.as_mut().filter(|_| lists) {
            lists.mark_unchanged();
        }
        users || lists
    }

    /// Waits for the next one.
    async fn next(&mut self) -> Result<(), watch::error::RecvError> {
        match &mut self.lists {
            None => self.users.changed().await,
            Some(lists) => tokio::select! {
                changed = self.users.changed() => changed,
                changed = lists.changed() => changed,
            },
        }
    }
}
