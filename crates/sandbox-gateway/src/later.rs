//! What goes on after the answer: webhooks, and the outcomes of slow payments.

use crate::answer::Event;
use crate::book::Book;
use crate::server::{Sandbox, now};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Tells events, each on its own.
pub(crate) fn tell(sandbox: &Arc<Sandbox>, events: Vec<Arc<Event>>) {
    for event in events {
        let shared = sandbox.clone();
        sandbox.tasks.spawn(async move {
            if shared.deliver(&event).await {
                shared.book().told(&event.id);
            }
        });
    }
}

/// Tells events twice and the last one first. The receiver hears when the first one has been received.
pub(crate) fn tell_twice(sandbox: &Arc<Sandbox>, events: Vec<Arc<Event>>) -> oneshot::Receiver<()> {
    let (first_is_told, first_told) = oneshot::channel();
    let shared = sandbox.clone();
    sandbox.tasks.spawn(async move {
        let mut first_is_told = Some(first_is_told);
        for event in events.iter().rev() {
            if !shared.deliver(event).await {
                return;
            }
            // Nobody may be waiting any more.
            first_is_told.take().map(|told| told.send(()));
        }
        for event in events.iter().rev() {
            if !shared.deliver(event).await {
                return;
            }
            shared.book().told(&event.id);
        }
    });
    first_told
}

/// Gives a slow payment its outcome when it is due, in milliseconds since 1970.
pub(crate) fn settle(sandbox: &Arc<Sandbox>, id: String, due: i64) {
    when_due(sandbox, due, move |book| book.settle(&id, now()));
}

/// Gives a slow refund its outcome when it is due, in milliseconds since 1970.
pub(crate) fn settle_refund(sandbox: &Arc<Sandbox>, id: String, due: i64) {
    when_due(sandbox, due, move |book| book.settle_refund(&id, now()));
}

fn when_due(
    sandbox: &Arc<Sandbox>,
    due: i64,
    settle: impl FnOnce(&mut Book) -> Vec<Arc<Event>> + Send + 'static,
) {
    let shared = sandbox.clone();
    sandbox.tasks.spawn(async move {
        let left = Duration::from_millis(u64::try_from(due - now()).unwrap_or(0));
        if shared.stop.run_until_cancelled(tokio::time::sleep(left)).await.is_some() {
            let events = settle(&mut shared.book());
            tell(&shared, events);
        }
    });
}
