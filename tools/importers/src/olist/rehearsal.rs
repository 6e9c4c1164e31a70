//! An order is first tried against the domain's own rules, in memory: so what the shop would refuse half-way is refused
//! before any of it is sent, and no rule is written down twice.

use domain::cart::{self, Cart, NewLine, PricedLine};
use domain::order::{self, Order, ReservationAnswer, Status};
use domain::{
    Aggregate, CartId, Country, Currency, CustomerId, MerchantId, Money, OrderId, PaymentId, PaymentMethod,
    Reason, Reference, ShipmentId, fulfilment,
};
use uuid::Uuid;

/// An order on trial.
pub struct Rehearsal {
    order: Order,
}

/// A line on trial.
pub struct TrialLine {
    pub line: NewLine,
    pub price: PricedLine,
}

impl Rehearsal {
    /// From an empty cart to an order for which all stock is held.
    pub fn check_out(
        customer_id: &CustomerId,
        country: &Country,
        currency: Currency,
        lines: Vec<TrialLine>,
        (shipping, total): (Money, Money),
    ) -> Result<Self, cart::Rejection> {
        let mut cart = Cart::default();
        let (lines, prices): (Vec<_>, Vec<_>) =
            lines.into_iter().map(|trial| (trial.line, trial.price)).unzip();
        let (cart_id, order_id) = (CartId(Uuid::nil()), OrderId(Uuid::nil()));
        tell(&mut cart, &cart::Command::Open { currency, customer_id: Some(customer_id.clone()) })?;
        tell(&mut cart, &cart::Command::PutLines { lines })?;
        tell(&mut cart, &cart::Command::SetShipping { charge: shipping })?;
        let (country, hold_seconds, anonymous) = (country.clone(), None, false);
        tell(
            &mut cart,
            &cart::Command::CheckOut {
                order_id,
                country,
                expected_total: total,
                prices,
                hold_seconds,
                anonymous,
            },
        )?;
        let Cart::CheckedOut(cart) = cart else { return Err(cart::Rejection::Changed) };
        let mut order = Order::default();
        // A new order is always placed, and stock's answers are always taken.
        let _ = tell(&mut order, &order::Command::Place(fulfilment::order_of(cart_id, &cart)));
        let mut rehearsal = Self { order };
        let answers = rehearsal.skus().into_iter().map(|sku| (sku, ReservationAnswer::Held)).collect();
        let _ = rehearsal.tell(&order::Command::RecordReservations { answers });
        Ok(rehearsal)
    }

    /// Money comes in. Stock is committed when that makes the order paid.
    pub fn pay(
        &mut self,
        payment_id: Uuid,
        amount: Money,
        method: &PaymentMethod,
        reference: &Reference,
    ) -> Result<(), order::Rejection> {
        let (method, reference) = (method.clone(), reference.clone());
        let payment_id = PaymentId(payment_id);
        self.tell(&order::Command::RecordPayment { payment_id, amount, method, reference })?;
        self.tell(&order::Command::RecordCommitted { skus: self.skus() })
    }

    /// A seller's parcel goes out.
    pub fn ship(&mut self, shipment_id: Uuid, merchant_id: &MerchantId) -> Result<(), order::Rejection> {
        let (shipment_id, merchant_id) = (ShipmentId(shipment_id), merchant_id.clone());
        self.tell(&order::Command::SendShipment { shipment_id, merchant_id, lines: None, tracking: None })
    }

    /// A parcel arrives.
    pub fn deliver(&mut self, shipment_id: Uuid) -> Result<(), order::Rejection> {
        self.tell(&order::Command::DeliverShipment { shipment_id: ShipmentId(shipment_id) })
    }

    /// It is called off.
    pub fn cancel(&mut self, reason: &Reason) -> Result<(), order::Rejection> {
        self.tell(&order::Command::Cancel { reason: reason.clone() })
    }

    /// Where it stands now.
    pub fn status(&self) -> &'static str {
        match &self.order {
            Order::Placed(order) => order.status.name(),
            Order::Unplaced => "unplaced",
        }
    }

    /// Whether it is paid and being packed, or further.
    pub fn is_paid(&self) -> bool {
        matches!(&self.order, Order::Placed(order) if order.status != Status::Pending)
    }

    fn skus(&self) -> Vec<domain::Sku> {
        match &self.order {
            Order::Placed(order) => order.stock.keys().cloned().collect(),
            Order::Unplaced => vec![],
        }
    }

    fn tell(&mut self, command: &order::Command) -> Result<(), order::Rejection> {
        tell(&mut self.order, command)
    }
}

fn tell<A: Aggregate>(state: &mut A, command: &A::Command) -> Result<(), A::Rejection> {
    for event in state.decide(command)? {
        *state = std::mem::take(state).evolve(&event);
    }
    Ok(())
}
