//! A durable event store in our own process that speaks EventStoreDB's gRPC protocol.
//!
//! `log` keeps the events, `index` finds a stream's events in it, `service` is what the store can do in our own terms,
//! `groups` are the persistent subscriptions, `wire` is how all of it is said in the protocol, `pages` is what plain HTTP
//! can ask, and `server` starts and stops the whole.
//!
//! # Persistent subscriptions
//! A group follows a stream or the whole log (with a filter, if it likes) and hands each event to one of its consumers:
//! in turns, to the first that has room, or pinned by stream or by correlation id. A consumer holds as many messages as
//! its buffer. What it does not answer in time, refuses, or leaves behind when it goes is given again, with its retry
//! count; what was given too often, or is refused for good, is parked. Delivery is at least once and, with several
//! consumers or retries, not in order.
//!
//! A group leaves everything in the log: settings in `$persistentSubscriptionConfig`, its checkpoint in
//! `$persistentsubscription-{stream}::{group}-checkpoint`, parked messages as links in the same with `-parked`. So it
//! goes on after a restart, and a crash repeats at most what was done since the last checkpoint. Some of it is easily
//! taken for something else:
//!
//! - A replayed message stays parked until it is done. `stop_at` is a number in the parked stream: what is parked below it
//!   is given again.
//! - The refusal `stop` settles the message, as `skip` does; the consumer stays.
//! - A consumer that goes costs each of its messages one retry, but that alone never parks one.
//! - A message timeout of 0 is not "never", and one under half a second counts as half a second: clients send their
//!   answers in batches.
//! - `checkpoint_after` 0 means that only the number of messages makes a checkpoint due.
//! - A group that is changed or restarted begins again after its checkpoint.
//! - A consumer that ends its half of the call leaves the group; it may listen on in silence until it ends the other.
//! - Groups of the whole log do not get what groups write (checkpoints, parked links): they would feed themselves.
//! - A group holds at most 64 MiB of unfinished messages, and reads no more until some are done.
//!
//! # Pages
//! `pages` answers plain HTTP, 1.1 and 2, on the same port: `/health/live`, `/ping`, `/info`, `/gossip`, `/stats` and
//! `/metrics`, as the protocol's own server does. Where this store differs from that one on purpose, and what it does not
//! have, is in a table in the crate's README.
//!
//! # Users and encryption
//! With users in the configuration, a call is made by one of them (Basic authentication) or by nobody in particular; a
//! wrong password is refused with Unauthenticated everywhere. Who may do what with a stream follows from `$acl` in its
//! metadata, from `$settings`, and from the defaults of the protocol's own server; whatever is refused, is refused with
//! PermissionDenied, and a subscription ends when its reader loses the right. The group `$admins` may do everything,
//! `$ops` looks after persistent subscriptions, and gossip and server features are open. Callers without a user have limits,
//! which are in `strangers`. The README says what differs. With a certificate and a key, connections are encrypted;
//! passwords should not travel without. Both files are read when the store starts.

mod acl;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod index;
mod log;
mod metadata;
mod node;
mod pages;
mod server;
mod service;
mod stats;
mod strangers;
mod verify;
mod wire;

pub use config::{Config, DEFAULT_PORT, StrangerLimits, Tls, User};
pub use log::writer::EXIT_DISK_FAILED;
pub use log::{Flaw, JournalError, OpenError, StorageError, record::RecordError};
pub use server::{Death, EmbeddedEventStore, GroupError, StartError, TlsError};
pub use verify::{IndexDamage, Verified, VerifyError, verify};
