//! The descriptors of this process: open files and connections.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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
static SHORTAGES_OF_THIS_PROCESS: Shortages = Shortages::new();

/// How many descriptors this process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit that the process started with.
    pub before: u64,
    /// The limit that it has now.
    pub limit: u64,
}

impl Descriptors {
    /// Those of this process. The first call raises the limit as far as the system lets it.
    pub fn of_this_process() -> Self {
        *OF_THIS_PROCESS.get_or_init(raise)
    }

    /// Logs what the limit was and is.
    pub fn log(self) {
        let (before, limit, for_connections) = (self.before, self.limit, self.for_connections());
        tracing::info!(before, limit, for_connections, "limit for open files and connections");
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
    Descriptors { before, limit }
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

/// When something last failed for want of a descriptor.
#[derive(Debug, Default)]
pub struct Shortages {
    last: Mutex<Option<Instant>>,
}

impl Shortages {
    /// Nothing has failed.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: Mutex::new(None) }
    }

    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> &'static Self {
        &SHORTAGES_OF_THIS_PROCESS
    }

    /// Notes that something failed for want of a descriptor at this moment.
    pub fn note(&self, at: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Whether something failed for want of a descriptor in the ten seconds before this moment.
    #[must_use]
    pub fn are_felt(&self, at: Instant) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| at.saturating_duration_since(last) < STILL_SHORT)
    }
}

/// Notes that something failed for want of a descriptor just now, so that `/readyz` can say so.
pub fn note_shortage() {
    Shortages::of_this_process().note(Instant::now());
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
    fn a_shortage_is_felt_for_ten_seconds_after_the_last_failure() {
        let (shortages, begun) = (Shortages::new(), Instant::now());
        let later = |milliseconds| begun + Duration::from_millis(milliseconds);
        assert!(!shortages.are_felt(begun));
        shortages.note(begun);
        assert!(shortages.are_felt(begun) && shortages.are_felt(later(9_999)));
        assert!(!shortages.are_felt(later(10_000)));
        shortages.note(later(9_000));
        assert!(shortages.are_felt(later(18_999)) && !shortages.are_felt(later(19_000)));
    }

    #[test]
    fn a_shortage_is_found_behind_other_errors() {
        let shortage = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(is_shortage(&shortage()) && is_behind(&io::Error::other(shortage())));
        assert!(!is_behind(&io::Error::other(io::Error::from(io::ErrorKind::StorageFull))));
    }
}
