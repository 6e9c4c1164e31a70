use super::{OrderLine, Placed};
use crate::{Money, PaymentId, PaymentMethod, Reason, Reference, RefundId, Sku};

/// What can be asked of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bring it into being, from a checked-out cart.
    Place(Placed),
    /// Stock answered to reservations (from the fulfilment process).
    RecordReservations {
        /// What stock said, for each SKU that was asked.
        answers: Vec<(Sku, ReservationAnswer)>,
    },
    /// Stock committed what it held (from the fulfilment process).
    RecordCommitted {
        /// Which.
        skus: Vec<Sku>,
    },
    /// Stock let the units go out (from the fulfilment process).
    RecordStockShipped {
        /// Which.
        skus: Vec<Sku>,
    },
    /// Stock took back what it held (from the fulfilment process).
    RecordReleased {
        /// Which.
        skus: Vec<Sku>,
    },
    /// Money came in.
    RecordPayment {
        /// This payment.
        payment_id: PaymentId,
        /// How much.
        amount: Money,
        /// How.
        method: PaymentMethod,
        /// What the payer's or the bank's books call it.
        reference: Reference,
    },
    /// Everything left the house.
    Ship,
    /// Everything arrived.
    Deliver,
    /// Call it off.
    Cancel {
        /// Why.
        reason: Reason,
    },
    /// Money was given back.
    RecordRefund {
        /// This refund.
        refund_id: RefundId,
        /// How much.
        amount: Money,
        /// What the bank's books call it.
        reference: Reference,
    },
}

/// What stock said to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationAnswer {
    /// All units are held.
    Held,
    /// Not enough: so many units were left.
    Refused {
        /// Units that were available.
        available: u64,
    },
}

impl OrderLine {
    /// The price of all units of the line.
    ///
    /// # Errors
    /// When it is more than money can be; a placed order has no such line.
    pub fn amount(&self) -> Result<Money, crate::money::InvalidMoney> {
        self.unit_price.times(self.quantity.units())
    }
}
