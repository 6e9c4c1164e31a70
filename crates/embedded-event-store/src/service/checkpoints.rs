//! When a filtered subscription is told how far the log has been searched, as the protocol's own server tells it.
//!
//! In history the log is searched by pages: one ends when so many events have been considered, or 32 have passed. A
//! checkpoint comes at the end of a page, once enough events have been considered since the one before; it names the last
//! event that passed, or the page's beginning if none of its events did. Reaching the end of the log, there is always one.
//! From then on one comes with every so manieth event that is written.

use super::Message;

/// A page ends when so many events have passed.
const PASSED_IN_A_PAGE: u64 = 32;

/// How far apart checkpoints are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    /// How many events are considered in a page; at least 1.
    pub window: u64,
    /// How many events are considered between two checkpoints; at least 1.
    pub every: u64,
}

/// The checkpoints of one subscription.
#[derive(Debug)]
pub(super) struct Checkpoints {
    spacing: Spacing,
    /// The last event that passed, or where the client was.
    passed: u64,
    page: Page,
    considered_before_page: u64,
    /// The newest position when the subscription began: what comes later is counted from here.
    began_at: u64,
    told: Option<Message>,
}

#[derive(Debug, Clone, Copy)]
struct Page {
    start: u64,
    considered: u64,
    passed: u64,
}

impl Page {
    fn at(start: u64) -> Self {
        Page { start, considered: 0, passed: 0 }
    }
}

impl Checkpoints {
    /// For a subscription from behind the position `after`, in a log whose newest position is `head`.
    pub(super) fn new(spacing: Spacing, after: u64, head: u64) -> Self {
        Checkpoints {
            spacing,
            passed: after,
            page: Page::at(after),
            considered_before_page: 0,
            began_at: head,
            told: None,
        }
    }

    /// Catching up goes on behind the position `after`.
    pub(super) fn start_page(&mut self, after: u64) {
        self.page = Page::at(after);
        self.considered_before_page = 0;
    }

    /// Counts an event of history; `head` is the end of what there is. The checkpoint that is due after it.
    pub(super) fn consider(&mut self, position: u64, passes: bool, head: u64) -> Option<Message> {
        self.page.considered += 1;
        if passes {
            self.page.passed += 1;
            self.passed = self.passed.max(position);
        }
        let is_whole = self.page.considered >= self.spacing.window || self.page.passed >= PASSED_IN_A_PAGE;
        if position == head || !is_whole {
            return None;
        }
        let considered = self.considered_before_page + self.page.considered;
        self.considered_before_page = considered % self.spacing.every;
        let due = (considered >= self.spacing.every).then(|| self.at_page()).flatten();
        self.page = Page::at(position + 1);
        due
    }

    /// The checkpoint at the end of history.
    pub(super) fn at_end(&mut self) -> Option<Message> {
        self.at_page()
    }

    /// The last event that passed, told before the reader is sent back into history.
    pub(super) fn at_last_passed(&mut self) -> Option<Message> {
        self.tell(Message::Checkpoint(self.passed))
    }

    /// Counts an event that was just written. The checkpoint that is due after it.
    pub(super) fn consider_live(&mut self, position: u64, passes: bool) -> Option<Message> {
        if passes {
            self.passed = position;
        }
        if position <= self.began_at || !(position - self.began_at).is_multiple_of(self.spacing.every) {
            return None;
        }
        self.passed = position;
        self.tell(Message::Checkpoint(position))
    }

    fn at_page(&mut self) -> Option<Message> {
        if self.passed >= self.page.start {
            return self.tell(Message::Checkpoint(self.passed));
        }
        self.passed = self.page.start;
        self.tell(Message::Searched(self.page.start))
    }

    /// Nobody is told the same twice, nor that nothing has been searched.
    fn tell(&mut self, message: Message) -> Option<Message> {
        let is_new = self.passed > 0 && self.told.as_ref() != Some(&message);
        self.told = Some(message.clone());
        is_new.then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a subscriber from the beginning is told of a history in which only these positions pass.
    fn told(spacing: Spacing, head: u64, passing: &[u64]) -> Vec<Message> {
        let mut checkpoints = Checkpoints::new(spacing, 0, head);
        let history = (1..=head).filter_map(|at| checkpoints.consider(at, passing.contains(&at), head));
        let mut told: Vec<_> = history.collect();
        told.extend(checkpoints.at_end());
        let live = (head + 1..=head + 6).filter_map(|at| checkpoints.consider_live(at, false));
        told.extend(live);
        told
    }

    #[test]
    fn a_checkpoint_comes_with_a_page_and_at_the_end_and_then_by_count() {
        let spacing = Spacing { window: 2, every: 4 };
        let [at, before] = [Message::Checkpoint, Message::Searched];
        assert_eq!(told(spacing, 9, &[]), [before(3), before(7), before(9), at(13)]);
        assert_eq!(told(spacing, 9, &[4, 5]), [at(4), before(7), before(9), at(13)]);
        assert_eq!(told(spacing, 8, &[8]), [before(3), at(8), at(12)]);
        assert_eq!(told(spacing, 1, &[]), [at(5)]);
        assert_eq!(
            told(Spacing { window: 1, every: 1 }, 2, &[1]),
            [1, 2, 3, 4, 5, 6, 7, 8].map(|p| { if p == 2 { before(p) } else { at(p) } })
        );
    }

    #[test]
    fn a_page_also_ends_when_32_events_have_passed() {
        let passing: Vec<u64> = (1..=40).collect();
        let told = told(Spacing { window: 100, every: 32 }, 40, &passing);
        assert_eq!(told, [Message::Checkpoint(32), Message::Checkpoint(40)]);
    }
}
