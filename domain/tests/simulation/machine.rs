//! A machine that serves commands. It keeps states in memory; another machine may have written since, and only
//! the append finds that out. A command is refused, or said to be done already, only on a state that was just read.

use crate::log::{Kept, Log, Stream};
use domain::cart::Cart;
use domain::inventory::Inventory;
use domain::order::Order;
use std::collections::BTreeMap;

/// A state as somebody remembers it, and how many events led to it.
#[derive(Debug, Default)]
struct Remembered<A> {
    state: A,
    revision: usize,
}

#[derive(Debug, Default)]
pub struct Cache<A>(BTreeMap<Stream, Remembered<A>>);

/// The memory of a machine.
#[derive(Debug, Default)]
pub struct Machine {
    pub carts: Cache<Cart>,
    pub orders: Cache<Order>,
    pub stock: Cache<Inventory>,
}

/// What became of a command.
#[derive(Debug)]
pub struct Done {
    /// Events that it made.
    pub events: usize,
    /// How often somebody else had written meanwhile.
    pub conflicts: u64,
    /// Whether the events were written before that was known.
    pub was_unanswered: bool,
}

impl<A: Kept> Cache<A> {
    /// The state as it is remembered, if that has seen so many events; otherwise as it is.
    pub fn look(&mut self, log: &Log, stream: &Stream, at_least: usize) -> &A {
        let remembered = self.remembered(stream);
        if remembered.revision < at_least {
            remembered.catch_up(log, stream);
        }
        &remembered.state
    }

    /// Decides, appends, and decides again where somebody else was first. If the answer to the append is lost, the
    /// machine reads what became of it.
    pub fn execute(
        &mut self,
        (log, at): (&mut Log, u64),
        stream: &Stream,
        command: &A::Command,
        is_answer_lost: bool,
    ) -> Result<Done, A::Rejection> {
        let remembered = self.remembered(stream);
        let (mut is_fresh, mut done) = (false, Done { events: 0, conflicts: 0, was_unanswered: false });
        loop {
            let decision = remembered.state.decide(command);
            match decision {
                Ok(events) if !events.is_empty() => {
                    let (revision, count) = (remembered.revision, events.len());
                    let appended = log.append(at, stream, revision, events.iter().cloned().map(A::any));
                    match appended {
                        Ok(()) if is_answer_lost && !done.was_unanswered => {
                            (done.events, done.was_unanswered) = (count, true);
                        }
                        Ok(()) => {
                            remembered.take(&events);
                            done.events += count;
                            return Ok(done);
                        }
                        Err(_) => done.conflicts += 1,
                    }
                }
                Ok(_) if is_fresh => return Ok(done),
                Err(rejection) if is_fresh => return Err(rejection),
                Ok(_) | Err(_) => {}
            }
            remembered.catch_up(log, stream);
            is_fresh = true;
        }
    }

    fn remembered(&mut self, stream: &Stream) -> &mut Remembered<A> {
        if !self.0.contains_key(stream) {
            let remembered = Remembered { state: A::default(), revision: 0 };
            self.0.insert(stream.clone(), remembered);
        }
        self.0.get_mut(stream).expect("it was put there")
    }
}

impl<A: Kept> Remembered<A> {
    fn take(&mut self, events: &[A::Event]) {
        self.state = events.iter().fold(std::mem::take(&mut self.state), A::evolve);
        self.revision += events.len();
    }

    fn catch_up(&mut self, log: &Log, stream: &Stream) {
        for event in log.since(stream, self.revision) {
            let event = A::of(event).expect("a stream has events of one aggregate");
            self.state = std::mem::take(&mut self.state).evolve(event);
            self.revision += 1;
        }
    }
}
