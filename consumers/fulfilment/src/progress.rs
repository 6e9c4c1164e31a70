//! Which orders are under work, and how far the log is settled.

use super::open_orders::Alarm;
use super::settle::Trigger;
use domain::{CartId, OrderId};
use event_store::Position;
use std::collections::{BTreeMap, HashMap};

/// What is to be done for an order.
#[derive(Debug, Clone)]
pub struct Job {
    /// The cart and the revision of its last event, when its order must be placed first.
    pub cart: Option<(CartId, u64)>,
    /// The revision that the order has at least.
    pub revision: u64,
    /// Its alarm rang: the gateway is asked about payments on which it has not decided.
    pub is_alarm: bool,
    /// Its time is over; whether also if a payment is under way.
    pub expire: Option<bool>,
    /// The order could not be read for a while: the gateway may have told of it in the meantime, and nobody could note
    /// it. It is asked about all of the order's payments.
    pub after_gap: bool,
    pub trigger: Trigger,
}

impl Job {
    /// A look at the order that follows from no event.
    pub fn of_order(order_id: OrderId) -> Self {
        let trigger = Trigger::of_order(order_id);
        Self { cart: None, revision: 0, is_alarm: false, expire: None, after_gap: false, trigger }
    }

    /// What an alarm asks for.
    pub fn of_alarm(order_id: OrderId, alarm: Alarm) -> Self {
        let expire = match alarm {
            Alarm::Look => None,
            Alarm::Expire { even_while_paying } => Some(even_while_paying),
        };
        Self { is_alarm: true, expire, ..Self::of_order(order_id) }
    }
}

/// Orders under work, and the events that they hold back.
pub struct Progress {
    orders: HashMap<OrderId, Work>,
    /// Events that are not settled yet, each with the one before it: a checkpoint must be an event's position.
    open: BTreeMap<Position, Option<Position>>,
    /// The last event of a cart or an order that was seen.
    last: Option<Position>,
}

/// Nobody works on an order that has nothing here.
struct Work {
    /// Events that are settled when the work is done.
    events: Vec<Position>,
    /// What came in meanwhile: another round.
    next: Option<(Job, Vec<Position>)>,
}

impl Progress {
    /// Everything up to here is settled.
    pub fn after(checkpoint: Option<Position>) -> Self {
        Self { orders: HashMap::new(), open: BTreeMap::new(), last: checkpoint }
    }

    /// Notes an event. Gives the work back when it is to be started now; keeps it when the order is under work.
    pub fn start(&mut self, order_id: OrderId, job: Job, position: Position) -> Option<Job> {
        self.open.insert(position, self.last);
        self.last = Some(position);
        self.add(order_id, job, Some(position))
    }

    /// The same for work that follows from no event.
    pub fn look(&mut self, order_id: OrderId, job: Job) -> Option<Job> {
        self.add(order_id, job, None)
    }

    fn add(&mut self, order_id: OrderId, job: Job, position: Option<Position>) -> Option<Job> {
        match self.orders.get_mut(&order_id) {
            None => {
                let events = position.into_iter().collect();
                self.orders.insert(order_id, Work { events, next: None });
                Some(job)
            }
            Some(work) => {
                let (mut next, mut events) = work.next.take().unwrap_or_else(|| (job.clone(), vec![]));
                next = Job {
                    cart: job.cart.or(next.cart),
                    revision: job.revision.max(next.revision),
                    is_alarm: job.is_alarm || next.is_alarm,
                    expire: job.expire.max(next.expire),
                    after_gap: job.after_gap || next.after_gap,
                    ..job
                };
                events.extend(position);
                work.next = Some((next, events));
                None
            }
        }
    }

    /// Notes that the work on an order is done, or that the order is parked; gives its next round. What is parked is among
    /// the open orders, so that the checkpoint can pass its events.
    pub fn done(&mut self, order_id: OrderId) -> Option<Job> {
        let work = self.orders.get_mut(&order_id)?;
        for position in work.events.drain(..) {
            self.open.remove(&position);
        }
        if let Some((job, events)) = work.next.take() {
            work.events = events;
            return Some(job);
        }
        self.orders.remove(&order_id);
        None
    }

    /// The last event up to which everything is settled.
    pub fn settled(&self) -> Option<Position> {
        self.open.first_key_value().map_or(self.last, |(_, before)| *before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use uuid::Uuid;

    fn order(number: u128) -> OrderId {
        OrderId(Uuid::from_u128(number))
    }

    fn job(revision: u64) -> Job {
        let trigger = Trigger { event_id: Uuid::nil(), occurred_at: Utc::now(), actor: "test".to_owned() };
        Job { cart: None, revision, is_alarm: false, expire: None, after_gap: false, trigger }
    }

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn the_checkpoint_is_an_event_and_never_passes_an_open_one() {
        let mut progress = Progress::after(Some(at(10)));
        assert_eq!(progress.settled(), Some(at(10)));
        assert!(progress.start(order(1), job(0), at(20)).is_some());
        assert!(progress.start(order(2), job(0), at(30)).is_some());
        assert_eq!(progress.settled(), Some(at(10)));
        assert!(progress.done(order(2)).is_none());
        assert_eq!(progress.settled(), Some(at(10)));
        assert!(progress.done(order(1)).is_none());
        assert_eq!(progress.settled(), Some(at(30)));
    }

    #[test]
    fn what_comes_in_meanwhile_is_another_round() {
        let mut progress = Progress::after(None);
        assert!(progress.start(order(1), job(0), at(1)).is_some());
        assert!(progress.start(order(1), job(3), at(2)).is_none());
        assert!(progress.start(order(1), job(2), at(3)).is_none());
        let next = progress.done(order(1)).expect("another round");
        assert_eq!(next.revision, 3);
        assert_eq!(progress.settled(), Some(at(1)));
        assert!(progress.done(order(1)).is_none());
        assert_eq!(progress.settled(), Some(at(3)));
    }
}
