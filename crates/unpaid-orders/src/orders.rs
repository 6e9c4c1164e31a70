//! The unpaid orders of shoppers, by who placed them. They are kept in memory only: addresses are nobody's to find in the
//! log. A restart forgets them, and so each holder starts again.

use domain::{CustomerId, OrderId};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Orders that are remembered, about 300 bytes each. With more, those are forgotten whose time is over first.
const MAX_ORDERS: usize = 100_000;
/// How often the orders of one holder are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who has unpaid orders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The address of a client, as the HTTP boundary has it.
    Address(IpAddr),
    /// A customer, as the storefront names them.
    Customer(CustomerId),
}

/// Somebody has as many unpaid orders as they may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMany {
    pub whose: Whose,
    pub limit: u32,
    /// When the time of the next one is over.
    pub retry_after: Duration,
    /// Those that may be paid or called off by now; empty: they were looked at a moment ago.
    pub look_at: Vec<OrderId>,
}

/// How many unpaid orders each holder has.
pub struct UnpaidOrders {
    of_address: u32,
    of_customer: u32,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    orders: HashMap<OrderId, Order>,
    holders: HashMap<Whose, Holder>,
    by_deadline: BTreeSet<(Instant, OrderId)>,
}

struct Order {
    until: Instant,
    whose: Vec<Whose>,
}

#[derive(Default)]
struct Holder {
    orders: Vec<OrderId>,
    looked_at: Option<Instant>,
}

impl UnpaidOrders {
    /// With so many orders for each address and customer; 0: any number.
    pub fn new(of_address: u32, of_customer: u32) -> Self {
        Self { of_address, of_customer, known: Mutex::default() }
    }

    /// Counts an order that waits so long for its money. Gives whether it is new here.
    ///
    /// # Errors
    /// When one of those whose it is has too many.
    pub fn add(
        &self,
        order_id: OrderId,
        whose: Vec<Whose>,
        hold: Duration,
        now: Instant,
    ) -> Result<bool, TooMany> {
        let whose = self.limited(whose);
        if whose.is_empty() {
            return Ok(false);
        }
        let address = whose.iter().find(|whose| matches!(whose, Whose::Address(_)));
        let mut known = self.known();
        known.forget_over(now);
        if known.orders.contains_key(&order_id) {
            return Ok(false);
        }
        for whose in &whose {
            let limit = self.limit(whose);
            // Anybody can give a customer's name: whose address has no order of theirs is not kept out by the others.
            let is_first_here = matches!(whose, Whose::Customer(_))
                && address.is_some_and(|address| !known.has_both(whose, address));
            if known.count(whose) >= limit as usize && !is_first_here {
                return Err(known.too_many(whose, limit, now));
            }
        }
        known.add(order_id, Order { until: now + hold, whose });
        Ok(true)
    }

    /// Counts an order that was placed although another request, which counted it, gave it up meanwhile.
    pub fn keep(&self, order_id: OrderId, whose: Vec<Whose>, hold: Duration, now: Instant) {
        let whose = self.limited(whose);
        if whose.is_empty() {
            return;
        }
        let mut known = self.known();
        if !known.orders.contains_key(&order_id) {
            known.add(order_id, Order { until: now + hold, whose });
        }
    }

    /// The order is paid or called off, or was never placed.
    pub fn forget(&self, order_id: OrderId) {
        if self.of_address > 0 || self.of_customer > 0 {
            self.known().forget(order_id);
        }
    }

    fn limited(&self, mut whose: Vec<Whose>) -> Vec<Whose> {
        whose.retain(|whose| self.limit(whose) > 0);
        whose
    }

    fn limit(&self, whose: &Whose) -> u32 {
        match whose {
            Whose::Address(_) => self.of_address,
            Whose::Customer(_) => self.of_customer,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn count(&self, whose: &Whose) -> usize {
        self.holders.get(whose).map_or(0, |holder| holder.orders.len())
    }

    fn has_both(&self, one: &Whose, other: &Whose) -> bool {
        let orders = self.holders.get(one).into_iter().flat_map(|holder| &holder.orders);
        let mut orders = orders.filter_map(|order_id| self.orders.get(order_id));
        orders.any(|order| order.whose.contains(other))
    }

    fn add(&mut self, order_id: OrderId, order: Order) {
        if self.orders.len() >= MAX_ORDERS
            && let Some((_, first)) = self.by_deadline.first().copied()
        {
            self.forget(first);
        }
        for whose in &order.whose {
            self.holders.entry(whose.clone()).or_default().orders.push(order_id);
        }
        self.by_deadline.insert((order.until, order_id));
        self.orders.insert(order_id, order);
    }

    fn forget(&mut self, order_id: OrderId) {
        let Some(order) = self.orders.remove(&order_id) else { return };
        self.by_deadline.remove(&(order.until, order_id));
        for whose in order.whose {
            if let Some(holder) = self.holders.get_mut(&whose) {
                holder.orders.retain(|known| *known != order_id);
                if holder.orders.is_empty() {
                    self.holders.remove(&whose);
                }
            }
        }
    }

    fn forget_over(&mut self, now: Instant) {
        while let Some((until, order_id)) = self.by_deadline.first().copied()
            && until <= now
        {
            self.forget(order_id);
        }
    }

    fn too_many(&mut self, whose: &Whose, limit: u32, now: Instant) -> TooMany {
        let orders = self.holders.get(whose).map(|holder| holder.orders.clone()).unwrap_or_default();
        let until = orders.iter().filter_map(|order_id| self.orders.get(order_id)).map(|order| order.until);
        let retry_after = until.min().map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let holder = self.holders.get_mut(whose);
        let is_look_due = |at: Instant| now.saturating_duration_since(at) >= LOOK_EVERY;
        let look_at = match holder {
            Some(holder) if holder.looked_at.is_none_or(is_look_due) => {
                holder.looked_at = Some(now);
                orders
            }
            _ => vec![],
        };
        TooMany { whose: whose.clone(), limit, retry_after, look_at }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use uuid::Uuid;

    const HOLD: Duration = Duration::from_secs(900);

    fn order(number: u128) -> OrderId {
        OrderId(Uuid::from_u128(number))
    }

    fn at(address: &str) -> Whose {
        Whose::Address(address.parse().unwrap())
    }

    fn customer(name: &str) -> Whose {
        Whose::Customer(CustomerId::new(name).unwrap())
    }

    #[test]
    fn each_address_and_each_customer_has_so_many_and_no_more() {
        let (orders, now) = (UnpaidOrders::new(2, 1), Instant::now());
        let add = |number, whose: &[Whose]| orders.add(order(number), whose.to_vec(), HOLD, now);
        assert_eq!(add(8, &[at("10.0.0.8"), customer("eve")]), Ok(true));
        assert_eq!(add(9, &[at("10.0.0.8"), customer("eve")]).unwrap_err().whose, customer("eve"));
        assert_eq!(add(1, &[at("10.0.0.1")]), Ok(true));
        assert_eq!(add(2, &[at("10.0.0.1"), customer("ada")]), Ok(true));
        assert_eq!(add(2, &[at("10.0.0.1"), customer("ada")]), Ok(false), "a repetition counts once");
        let refused = add(3, &[at("10.0.0.1")]).unwrap_err();
        assert_eq!((refused.whose, refused.limit, refused.retry_after), (at("10.0.0.1"), 2, HOLD));
        assert_eq!(add(9, &[at("10.0.0.8")]), Ok(true), "what was refused is nobody's");
        orders.forget(order(2));
        assert_eq!(add(4, &[at("10.0.0.1"), customer("ada")]), Ok(true));
    }

    /// A stranger who gives somebody's name must not keep them out.
    #[test]
    fn what_others_order_under_a_customers_name_keeps_the_customer_out_nowhere_else() {
        let (orders, now) = (UnpaidOrders::new(5, 2), Instant::now());
        let add = |number, whose: &[Whose]| orders.add(order(number), whose.to_vec(), HOLD, now);
        for number in [1, 2] {
            assert_eq!(add(number, &[customer("ada"), at("10.0.0.1")]), Ok(true));
        }
        assert_eq!(add(3, &[customer("ada"), at("10.0.0.1")]).unwrap_err().whose, customer("ada"));
        assert_eq!(add(3, &[customer("ada"), at("10.0.0.2")]), Ok(true));
        assert_eq!(add(4, &[customer("ada"), at("10.0.0.2")]).unwrap_err().whose, customer("ada"));
        assert_eq!(add(4, &[customer("ada")]).unwrap_err().whose, customer("ada"), "from no address");
    }

    /// Two checkouts of one cart at once: the one that counted is refused, and the other one is taken.
    #[test]
    fn an_order_that_one_request_gives_up_and_another_places_counts() {
        let (orders, now) = (UnpaidOrders::new(1, 0), Instant::now());
        let whose = || vec![at("10.0.0.1")];
        assert_eq!(orders.add(order(1), whose(), HOLD, now), Ok(true));
        assert_eq!(orders.add(order(1), whose(), HOLD, now), Ok(false));
        orders.forget(order(1));
        orders.keep(order(1), whose(), HOLD, now);
        orders.keep(order(1), whose(), HOLD, now);
        assert!(orders.add(order(2), whose(), HOLD, now).is_err());
        orders.forget(order(1));
        assert_eq!(orders.add(order(2), whose(), HOLD, now), Ok(true));
    }

    #[test]
    fn an_order_counts_until_its_time_is_over() {
        let (orders, now) = (UnpaidOrders::new(1, 0), Instant::now());
        let add = |number, now| orders.add(order(number), vec![at("10.0.0.1")], HOLD, now);
        assert_eq!(add(1, now), Ok(true));
        let later = now + HOLD - Duration::from_secs(1);
        assert_eq!(add(2, later).unwrap_err().retry_after, Duration::from_secs(1));
        assert_eq!(add(2, now + HOLD), Ok(true));
        assert_eq!(orders.known().orders.len(), 1);
    }

    #[test]
    fn a_refusal_names_the_orders_to_look_at_once_a_second() {
        let (orders, now) = (UnpaidOrders::new(1, 0), Instant::now());
        let add = |number, now| orders.add(order(number), vec![at("10.0.0.1")], HOLD, now);
        assert_eq!(add(1, now), Ok(true));
        assert_eq!(add(2, now).unwrap_err().look_at, [order(1)]);
        assert_eq!(add(2, now).unwrap_err().look_at, []);
        assert_eq!(add(2, now + LOOK_EVERY).unwrap_err().look_at, [order(1)]);
    }

    #[test]
    fn nothing_is_kept_without_limits_and_no_more_than_so_much_with_them() {
        let now = Instant::now();
        let orders = UnpaidOrders::new(0, 0);
        assert_eq!(orders.add(order(1), vec![at("10.0.0.1"), customer("ada")], HOLD, now), Ok(false));
        assert!(orders.known().orders.is_empty());
        let orders = UnpaidOrders::new(1, 0);
        for number in 0..=MAX_ORDERS as u128 {
            let address = Whose::Address(std::net::Ipv6Addr::from_bits(number << 72).into());
            let hold = HOLD + Duration::from_millis(u64::try_from(number).unwrap());
            assert_eq!(orders.add(order(number), vec![address], hold, now), Ok(true));
        }
        let known = orders.known();
        assert_eq!((known.orders.len(), known.holders.len()), (MAX_ORDERS, MAX_ORDERS));
        assert!(!known.orders.contains_key(&order(0)), "the one whose time is over first");
    }
}
