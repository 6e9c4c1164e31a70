//! The descriptors of this process: open files and connections.

use crate::clock;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// More than this is never asked for, even if the system would give it.
const CEILING: u64 = 1024 * 1024;
/// What a system without a hard limit gives at least; macOS refuses more.
const MODEST: u64 = 10_240;
/// A limit this small keeps a third for what is not a connection.
const RESERVE_PARTS: u64 = 3;
/// A large limit keeps this many: tables of the log (its own limit is below), pools of database connections, calls to
/// gateways and shops' webhooks.
const RESERVE_MOST: u64 = 2048;
/// Tables of the log that are kept open, of a large limit.
const TABLES_MOST: u64 = 900;
/// The same of a small one: a quarter of the reserve, and never fewer than the database takes.
const TABLES_LEAST: u64 = 16;
/// How long ago a shortage may be and still be one.
const STILL_SHORT: Duration = Duration::from_secs(10);

static OF_THIS_PROCESS: OnceLock<Descriptors> = OnceLock::new();
/// When something last failed for want of a descriptor.
static LAST_SHORTAGE: AtomicU64 = AtomicU64::new(0);

/// How many descriptors this process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit that the process started with.
    pub before: u64,
    /// The limit that it has now.
    pub limit: u64,
}

impl Descriptors {
    /// Those of this process. The first call raises the limit as far as the system lets it, and logs what it was and is.
    pub fn of_this_process() -> Self {
        *OF_THIS_PROCESS.get_or_init(raise)
    }

    /// Those that connections never get.
    #[must_use]
    pub fn reserve(self) -> u64 {
        (self.limit / RESERVE_PARTS).min(RESERVE_MOST)
    }

    /// How many connections the process may have, on all ports together.
    #[must_use]
    pub fn for_connections(self) -> u64 {
        self.limit - self.reserve()
    }

    /// How many tables the log may keep open.
    #[must_use]
    pub fn for_tables(self) -> usize {
        let tables = (self.reserve() / 2).clamp(TABLES_LEAST, TABLES_MOST);
        usize::try_from(tables).unwrap_or(usize::MAX)
    }
}

fn raise() -> Descriptors {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let before = current.unwrap_or(CEILING);
    let mut limit = before;
    for wanted in [maximum.unwrap_or(CEILING).min(CEILING), maximum.unwrap_or(MODEST).min(MODEST)] {
        if wanted <= limit {
            continue;
        }
        match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
            Ok(()) => limit = wanted,
            Err(error) => {
                tracing::debug!(%error, wanted, "the limit for open files and connections cannot be raised");
            }
        }
    }
    let descriptors = Descriptors { before, limit };
    tracing::info!(
        before,
        limit,
        for_connections = descriptors.for_connections(),
        "limit for open files and connections"
    );
    descriptors
}

/// How many descriptors this process has open. Waits for the system.
///
/// # Errors
/// When the system does not say, for example because there is no descriptor left to ask with.
pub fn used() -> io::Result<usize> {
    // The look itself takes one.
    Ok(std::fs::read_dir("/dev/fd")?.count().saturating_sub(1))
}

/// Whether something failed only because the process, or the whole system, has no descriptor left. It passes, and
/// nothing was done.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let no_more = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| no_more.contains(&code))
}

/// Whether that is behind an error, however deep.
#[must_use]
pub fn is_behind(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && (is_shortage(error) || error.get_ref().is_some_and(|inside| is_behind(inside)))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Notes that something failed for want of a descriptor, so that `/readyz` can say so.
pub fn note_shortage() {
    LAST_SHORTAGE.store(clock::now(), Ordering::Relaxed);
}

/// Whether something failed for want of a descriptor in the last ten seconds.
#[must_use]
pub fn are_short() -> bool {
    let last = LAST_SHORTAGE.load(Ordering::Relaxed);
    last != 0 && !clock::has_lasted(last, STILL_SHORT, clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_keeps_a_third_and_a_large_one_a_fixed_reserve() {
        let of = |limit| Descriptors { before: limit, limit };
        assert_eq!((of(1024).for_connections(), of(1024).for_tables()), (683, 170));
        assert_eq!((of(1_048_576).for_connections(), of(1_048_576).for_tables()), (1_046_528, 900));
        assert_eq!(of(256).for_connections(), 171);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let descriptors = Descriptors::of_this_process();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, Some(descriptors.limit));
        assert_eq!(descriptors.limit, maximum.unwrap_or(CEILING).min(CEILING).max(descriptors.before));
        assert!(used().unwrap() > 2);
    }

    #[test]
    fn a_shortage_is_found_behind_other_errors() {
        let shortage = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(is_shortage(&shortage()) && is_behind(&io::Error::other(shortage())));
        assert!(!is_behind(&io::Error::other(io::Error::from(io::ErrorKind::StorageFull))));
    }
}
