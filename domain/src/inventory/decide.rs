use super::{
    Adjusted, Command, Committed, Event, Inventory, Parted, Phase, Received, Rejection, Released,
    Reservation, ReservationClosed, Reserved, Share, Shipped, UnitsReleased, UnitsShipped,
};
use crate::{Aggregate, OrderId, Quantity};

/// More units than any warehouse holds; keeps every sum far from overflow.
const MAX_UNITS: u64 = 1_000_000_000_000;

impl Aggregate for Inventory {
    const CATEGORY: &'static str = "inventory";

    type Id = crate::Sku;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Receive { receipt_id, quantity } => {
                if let Some(known) = self.receipt(*receipt_id) {
                    return already(known == quantity.units(), Rejection::ReceiptDiffers { recorded: known });
                }
                if self.received() + u64::from(quantity.units()) > MAX_UNITS {
                    return Err(Rejection::TooMuchStock { max: MAX_UNITS });
                }
                Ok(vec![Event::Received(Received { receipt_id: *receipt_id, quantity: *quantity })])
            }
            Command::Adjust { adjustment_id, delta, reason } => {
                if let Some(known) = self.adjustment(*adjustment_id) {
                    return already(known == *delta, Rejection::AdjustmentDiffers { recorded: known });
                }
                self.check_adjustment(*delta)?;
                Ok(vec![Event::Adjusted(Adjusted {
                    adjustment_id: *adjustment_id,
                    delta: *delta,
                    reason: reason.clone(),
                })])
            }
            Command::Reserve { order_id, quantity } => self.reserve(*order_id, *quantity, None),
            Command::ReserveUnpaid { order_id, quantity, share } => {
                self.reserve(*order_id, *quantity, Some(*share))
            }
            Command::Release { order_id } => self.release(*order_id),
            Command::Commit { order_id } => self.commit(*order_id),
            Command::Ship { order_id } => self.ship(*order_id),
            Command::Part { order_id, shipped, released } => {
                self.part(*order_id, Parted { shipped: *shipped, released: *released })
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        self.apply(event)
    }
}

impl Inventory {
    fn check_adjustment(&self, delta: i64) -> Result<(), Rejection> {
        if delta == 0 {
            return Err(Rejection::NothingToAdjust);
        }
        match self.available().checked_add_signed(delta) {
            None => Err(Rejection::AdjustmentBelowReserved {
                delta,
                available: self.available(),
                reserved: self.reserved(),
            }),
            Some(available) if available > MAX_UNITS => Err(Rejection::TooMuchStock { max: MAX_UNITS }),
            Some(_) => Ok(()),
        }
    }

    fn reserve(
        &self,
        order_id: OrderId,
        quantity: Quantity,
        unpaid: Option<Share>,
    ) -> Result<Vec<Event>, Rejection> {
        match self.reservation(order_id) {
            Some(Reservation { phase: Phase::Released, .. }) => Err(Rejection::OrderSettled),
            Some(Reservation { units, .. }) if units == quantity.units() => Ok(vec![]),
            Some(Reservation { units, .. }) => {
                Err(Rejection::ReservationDiffers { held: units, asked: quantity.units() })
            }
            None if u64::from(quantity.units()) > self.available() => {
                Err(Rejection::OutOfStock { available: self.available(), asked: quantity.units() })
            }
            None => {
                if let Some(share) = unpaid {
                    self.check_share(quantity, share)?;
                }
                Ok(vec![Event::Reserved(Reserved { order_id, quantity, unpaid: unpaid.is_some() })])
            }
        }
    }

    /// The share is one of what is not sold: committed units are somebody's already.
    fn check_share(&self, quantity: Quantity, share: Share) -> Result<(), Rejection> {
        let (held, asked) = (self.held_unpaid(), quantity.units());
        let limit = share.of_units(self.unsold());
        if held.saturating_add(u64::from(asked)) > limit {
            return Err(Rejection::BeyondShare { limit, held, asked });
        }
        Ok(())
    }

    fn release(&self, order_id: OrderId) -> Result<Vec<Event>, Rejection> {
        let (units, was_committed) = match self.reservation(order_id) {
            None => return Ok(vec![Event::ReservationClosed(ReservationClosed { order_id })]),
            Some(Reservation { phase: Phase::Released, .. }) => return Ok(vec![]),
            Some(Reservation { phase: Phase::Shipped, .. }) => return Err(Rejection::AlreadyShipped),
            Some(Reservation { phase: Phase::Reserved, units }) => (units, false),
            Some(Reservation { phase: Phase::Committed, units }) => {
                let parted = self.parted(order_id);
                if parted.shipped > 0 {
                    return Err(Rejection::AlreadyShipped);
                }
                (units.saturating_sub(parted.released), true)
            }
        };
        let quantity = held(units)?;
        Ok(vec![Event::Released(Released { order_id, quantity, was_committed })])
    }

    fn commit(&self, order_id: OrderId) -> Result<Vec<Event>, Rejection> {
        match self.reservation(order_id) {
            Some(Reservation { phase: Phase::Reserved, units }) => {
                Ok(vec![Event::Committed(Committed { order_id, quantity: held(units)? })])
            }
            Some(Reservation { phase: Phase::Committed | Phase::Shipped, .. }) => Ok(vec![]),
            Some(Reservation { phase: Phase::Released, .. }) | None => Err(Rejection::NotReserved),
        }
    }

    fn ship(&self, order_id: OrderId) -> Result<Vec<Event>, Rejection> {
        match self.reservation(order_id) {
            Some(Reservation { phase: Phase::Committed, units }) => {
                let Parted { released, .. } = self.parted(order_id);
                self.part(order_id, Parted { shipped: units.saturating_sub(released), released })
            }
            Some(Reservation { phase: Phase::Shipped, .. }) => Ok(vec![]),
            Some(Reservation { phase: Phase::Reserved, .. }) => Err(Rejection::NotCommitted),
            Some(Reservation { phase: Phase::Released, .. }) | None => Err(Rejection::NotReserved),
        }
    }

    fn part(&self, order_id: OrderId, asked: Parted) -> Result<Vec<Event>, Rejection> {
        let before = self.parted(order_id);
        let units = match self.reservation(order_id) {
            Some(Reservation { phase: Phase::Committed, units }) => units,
            // What comes late finds all units gone one way or the other.
            Some(Reservation { phase: Phase::Shipped, .. }) if asked.released <= before.released => {
                return Ok(vec![]);
            }
            Some(Reservation { phase: Phase::Shipped, .. }) => return Err(Rejection::AlreadyShipped),
            Some(Reservation { phase: Phase::Released, .. }) if asked.shipped == 0 => return Ok(vec![]),
            Some(Reservation { phase: Phase::Released, .. }) | None => return Err(Rejection::NotReserved),
            Some(Reservation { phase: Phase::Reserved, .. }) => return Err(Rejection::NotCommitted),
        };
        let after = Parted {
            shipped: asked.shipped.max(before.shipped),
            released: asked.released.max(before.released),
        };
        if after.units() > units {
            return Err(Rejection::ReservationDiffers { held: units, asked: after.units() });
        }
        if before == Parted::default() && after.shipped == units {
            return Ok(vec![Event::Shipped(Shipped { order_id, quantity: held(units)? })]);
        }
        let (shipped, released) = (after.shipped - before.shipped, after.released - before.released);
        let mut events = Vec::with_capacity(2);
        if shipped > 0 {
            events.push(Event::UnitsShipped(UnitsShipped { order_id, quantity: held(shipped)? }));
        }
        if released > 0 {
            events.push(Event::UnitsReleased(UnitsReleased { order_id, quantity: held(released)? }));
        }
        Ok(events)
    }
}

/// Already so, if it is the same.
fn already(is_same: bool, rejection: Rejection) -> Result<Vec<Event>, Rejection> {
    if is_same { Ok(vec![]) } else { Err(rejection) }
}

/// Only a settled reservation has no units, and the callers have looked at those before.
fn held(units: u32) -> Result<Quantity, Rejection> {
    Quantity::new(i64::from(units)).map_err(|_| Rejection::NotReserved)
}
