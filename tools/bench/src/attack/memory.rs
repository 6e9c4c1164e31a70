//! The memory that the service has, as the kernel counts it (Linux).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub const MIB: u64 = 1024 * 1024;
/// The service never has more than this, whatever comes.
pub const MOST: u64 = 1024 * MIB;
/// What may be left of an attack in memory: as much again by half, or so much, whichever is more.
const LEFT_OVER: u64 = 64 * MIB;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks at the memory of one process.
pub struct Memory {
    pid: u32,
    peak: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Memory {
    /// Of the process with this id.
    pub fn watch(pid: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&peak);
        let looking = tokio::spawn(async move {
            loop {
                seen.fetch_max(resident(pid), Ordering::Relaxed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { pid, peak, looking }
    }

    /// Bytes that are resident now; 0 when the process is gone.
    pub fn now(&self) -> u64 {
        let now = resident(self.pid);
        self.peak.fetch_max(now, Ordering::Relaxed);
        now
    }

    /// The most since it was last asked for.
    pub fn take_peak(&self) -> u64 {
        self.now();
        self.peak.swap(0, Ordering::Relaxed)
    }

    /// Waits until the memory is near what it was before, and says what it is then or when the time is over.
    pub async fn comes_back(&self, before: u64, within: Duration) -> u64 {
        let deadline = Instant::now() + within;
        loop {
            let now = self.now();
            if is_near(now, before) || Instant::now() > deadline {
                return now;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Whether so much is near what it was before.
pub fn is_near(now: u64, before: u64) -> bool {
    now <= (before + before / 2).max(before + LEFT_OVER)
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    in_status(&status).unwrap_or_default()
}

fn in_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_is_read() {
        assert_eq!(in_status("Name:\temporium\nVmRSS:\t   2048 kB\nThreads:\t3\n"), Some(2 * MIB));
        assert_eq!(in_status("Name:\temporium\n"), None);
        assert!(resident(std::process::id()) > 0);
    }

    #[test]
    fn a_small_process_may_keep_more_of_its_size_than_a_large_one() {
        assert!(is_near(114 * MIB, 50 * MIB) && !is_near(115 * MIB, 50 * MIB));
        assert!(is_near(300 * MIB, 200 * MIB) && !is_near(301 * MIB, 200 * MIB));
    }
}
