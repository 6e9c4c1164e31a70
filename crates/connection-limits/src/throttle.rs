use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of the state that count what was let through in its second; the others name the second.
const COUNT_BITS: u32 = 8;

/// Lets something through so many times in a second at most, however often there is a reason for it: a line in the log
/// above all.
#[derive(Debug)]
pub struct PerSecond {
    most: u8,
    /// The second in which something was let through last, and how often in it.
    state: AtomicU64,
    kept_back: AtomicU64,
}

impl PerSecond {
    /// Once a second. For a static as well.
    #[must_use]
    pub const fn once() -> Self {
        Self::times(1)
    }

    /// So many times a second.
    #[must_use]
    pub const fn times(most: u8) -> Self {
        Self { most, state: AtomicU64::new(0), kept_back: AtomicU64::new(0) }
    }

    /// Whether it may be done now. Costs little while it may not.
    pub fn is_due(&self) -> bool {
        self.is_due_in(clock::second())
    }

    /// Whether there may be a line now, and for how many times it stands: this one and those since the last line.
    pub fn line(&self) -> Option<u64> {
        self.line_in(clock::second())
    }

    fn is_due_in(&self, second: u64) -> bool {
        let next = |state: u64| {
            let (last, count) = (state >> COUNT_BITS, state & ((1 << COUNT_BITS) - 1));
            let count = if last == second { count } else { 0 };
            (count < u64::from(self.most)).then_some((second << COUNT_BITS) | (count + 1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    fn line_in(&self, second: u64) -> Option<u64> {
        if self.is_due_in(second) {
            return Some(self.kept_back.swap(0, Ordering::Relaxed) + 1);
        }
        self.kept_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_second_is_written_and_those_after_it_are_only_counted() {
        let lines = PerSecond::once();
        assert_eq!(
            [7, 7, 7, 8, 8, 9].map(|second| lines.line_in(second)),
            [Some(1), None, None, Some(3), None, Some(2)]
        );
    }

    #[test]
    fn so_many_times_a_second_is_not_once_more() {
        let lines = PerSecond::times(u8::MAX);
        let due = |second| (0..1_000).filter(|_| lines.is_due_in(second)).count();
        assert_eq!([due(0), due(1), due(2)], [255, 255, 255]);
    }

    #[test]
    fn what_may_be_done_once_is_done_by_one_of_many_threads() {
        let looks = PerSecond::once();
        let done = AtomicU64::new(0);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let due = (0..1_000).filter(|_| looks.is_due_in(5)).count();
                    done.fetch_add(due as u64, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(done.into_inner(), 1);
    }
}
