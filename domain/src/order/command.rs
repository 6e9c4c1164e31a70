use super::{OrderLine, Placed, RefundFound, ShippedLine, Tracking};
use crate::{
    DeclineCode, IntentId, MerchantId, Money, PaymentId, PaymentMethod, PaymentToken, Reason, Reference,
    RefundId, ShipmentId, Sku, WebAddress,
};

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
    /// Units went separate ways in stock's books (from the fulfilment process).
    RecordStockParted {
        /// The units of each SKU that left the house so far, and those that stock has back so far.
        parts: Vec<(Sku, u32, u32)>,
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
    /// The shopper pays through the gateway.
    RequestPayment {
        /// This payment.
        payment_id: PaymentId,
        /// How much.
        amount: Money,
        /// The means of payment, as the gateway knows it.
        token: PaymentToken,
        /// Where the shopper comes back to, should the gateway send them elsewhere.
        return_url: Option<WebAddress>,
        /// As long as this payment is under way, the order waits for it so many seconds from now.
        hold_seconds: Option<u32>,
        /// Whether it may be less than what is due.
        in_part: bool,
    },
    /// What the gateway said to a payment (from the fulfilment process).
    RecordGatewayAnswer {
        /// Which payment.
        payment_id: PaymentId,
        /// What it said.
        answer: GatewayAnswer,
    },
    /// The time is over in which the money had to come (from the fulfilment process).
    Expire {
        /// Also if a payment is under way.
        even_while_paying: bool,
    },
    /// A merchant sent units.
    SendShipment {
        /// This parcel.
        shipment_id: ShipmentId,
        /// Who sent it.
        merchant_id: MerchantId,
        /// What is in it; everything that the merchant has not sent yet if it does not say.
        lines: Option<Vec<ShippedLine>>,
        /// How it can be followed.
        tracking: Option<Tracking>,
    },
    /// A parcel arrived.
    DeliverShipment {
        /// Which.
        shipment_id: ShipmentId,
    },
    /// Everything that is left left the house.
    Ship,
    /// Everything arrived.
    Deliver,
    /// Call it off.
    Cancel {
        /// Why.
        reason: Reason,
    },
    /// Give up what has not been sent, and give its price back.
    CancelRest {
        /// The refund that this makes.
        refund_id: RefundId,
        /// Whose; everybody's if it does not say.
        merchant_id: Option<MerchantId>,
        /// How much goes back: the price of the units if it does not say, and never more.
        refund: Option<Money>,
        /// Why.
        reason: Reason,
    },
    /// Give money back through the gateway.
    RequestRefund {
        /// This refund.
        refund_id: RefundId,
        /// How much.
        amount: Money,
    },
    /// The gateway would not give money back (from the fulfilment process).
    RecordRefundRefused {
        /// Which refund.
        refund_id: RefundId,
        /// Of which payment.
        payment_id: PaymentId,
        /// Why.
        message: Reason,
    },
    /// The gateway gave money back that nobody here had asked it to (from the fulfilment process).
    RecordRefundFound(RefundFound),
    /// Money that the gateway had given back did not arrive and came again (from the fulfilment process).
    RecordRefundFailed {
        /// Which refund.
        refund_id: RefundId,
        /// Of which payment.
        payment_id: PaymentId,
        /// Why.
        message: Reason,
    },
    /// Money was given back.
    RecordRefund {
        /// This refund.
        refund_id: RefundId,
        /// The payment that the gateway took it from; none if people gave it back.
        payment_id: Option<PaymentId>,
        /// How much.
        amount: Money,
        /// What the bank's books call it.
        reference: Reference,
    },
}

/// What the gateway said to a payment. Each may come twice, late, and in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayAnswer {
    /// It has not decided.
    Started {
        /// How it names the payment.
        intent: IntentId,
        /// Where the shopper must go before it does.
        redirect_url: Option<WebAddress>,
    },
    /// It holds the money for us.
    Authorized {
        /// How it names the payment.
        intent: IntentId,
    },
    /// No.
    Declined {
        /// Why, for programs.
        code: DeclineCode,
        /// Why, for people.
        message: Reason,
    },
    /// The money is ours.
    Captured {
        /// How it names the payment.
        intent: IntentId,
        /// How much of it: people may take less at the gateway than was asked for.
        amount: Money,
    },
    /// It let go of the money.
    Voided,
}

impl GatewayAnswer {
    /// How the gateway names the payment, if it says.
    #[must_use]
    pub fn intent(&self) -> Option<&IntentId> {
        match self {
            Self::Started { intent, .. } | Self::Authorized { intent } | Self::Captured { intent, .. } => {
                Some(intent)
            }
            Self::Declined { .. } | Self::Voided => None,
        }
    }
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
    /// Enough is there, and it is held only when the money is secured: unpaid orders hold their share already.
    AtPayment,
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
