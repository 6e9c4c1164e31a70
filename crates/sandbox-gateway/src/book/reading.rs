//! What is in the book, for those who only look.

use super::Book;
use crate::answer::Event;
use crate::failure::Failure;
use crate::intent::Intent;
use crate::refund::Refund;
use std::sync::Arc;

impl Book {
    /// What is to be told still, oldest first.
    pub fn untold(&self) -> Vec<Arc<Event>> {
        let mut events: Vec<_> = self.shelf.untold.values().cloned().collect();
        events.sort_by_key(|event| (event.created, event.intent.number));
        events
    }

    /// The slow payments that are under way, and when their outcome is there.
    pub fn due(&self) -> Vec<(String, i64)> {
        let due = |intent: &Arc<Intent>| intent.due.map(|due| (intent.id.clone(), due));
        self.shelf.intents.values().filter_map(due).collect()
    }

    /// The slow refunds that are under way, and when their outcome is there.
    pub fn refunds_due(&self) -> Vec<(String, i64)> {
        let due = |refund: &Arc<Refund>| refund.due.map(|due| (refund.id.clone(), due));
        self.shelf.refunds.values().filter_map(due).collect()
    }

    pub fn intent(&self, id: &str) -> Option<&Arc<Intent>> {
        self.shelf.intents.get(self.shelf.intent_numbers.get(id)?)
    }

    pub fn refund(&self, id: &str) -> Option<&Arc<Refund>> {
        self.shelf.refunds.get(self.shelf.refund_numbers.get(id)?)
    }

    /// Intents before one of them, or from the newest on: newest first, and whether there are more.
    pub fn intents(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Arc<Intent>>, bool), Failure> {
        let end = match after {
            None => self.shelf.next_intent(),
            Some(id) => self.find(id, "starting_after")?.number,
        };
        let before = self.shelf.intents.range(..end).rev().take(limit + 1);
        let mut page: Vec<_> = before.map(|(_, intent)| intent.clone()).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        Ok((page, has_more))
    }

    /// The newest intents with this in their metadata, and whether there are more.
    pub fn search(&self, (name, value): (&str, &str), limit: usize) -> (Vec<Arc<Intent>>, bool) {
        let mut found: Vec<_> = self.shelf.with_metadata(name, value).take(limit + 1).cloned().collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        (found, has_more)
    }

    /// Refunds, all or those of one intent, before one of them or from the newest on: newest first, and whether there
    /// are more.
    pub fn refunds(
        &self,
        intent: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Arc<Refund>>, bool), Failure> {
        let end = match after {
            None => self.shelf.next_refund(),
            Some(id) => {
                self.refund(id).ok_or_else(|| Failure::no_such("refund", id, "starting_after"))?.number
            }
        };
        let page = |numbers: &mut dyn Iterator<Item = usize>| {
            let mut page: Vec<_> = numbers
                .take(limit + 1)
                .filter_map(|number| self.shelf.refunds.get(&number).cloned())
                .collect();
            let has_more = page.len() > limit;
            page.truncate(limit);
            (page, has_more)
        };
        let Some(intent) = intent else {
            return Ok(page(&mut self.shelf.refunds.range(..end).rev().map(|(number, _)| *number)));
        };
        self.find(intent, "payment_intent")?;
        let numbers = self.shelf.refunds_of.get(intent).map(Vec::as_slice).unwrap_or_default();
        Ok(page(&mut numbers.iter().rev().copied().filter(|number| *number < end)))
    }
}
