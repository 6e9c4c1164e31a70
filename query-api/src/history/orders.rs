use super::{Fold, Moment};
use api::Amount;
use api::orders::{self, OrderEvent, OrderLine, OrderStock, OrderSummary};
use api::permission::Public;
use chrono::{DateTime, Utc};
use domain::order::{
    CancelReason, Event, Order, Payment, PlacedOrder, Refund, Shipment, StockPhase, Tracking,
};
use domain::{Aggregate, IntentId, PaymentId, RefundId, ShipmentId, Summary};
use serde_json::Value;
use std::collections::HashMap;

/// An order at a point, and what its events say that the domain has no use for.
#[derive(Default)]
pub struct OrderFold {
    order: Order,
    placed_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
    cancel_reason: Option<CancelReason>,
    payments: HashMap<PaymentId, PaymentDetails>,
    refunds: HashMap<(RefundId, Option<PaymentId>), RefundDetails>,
    shipments: HashMap<ShipmentId, ShipmentDetails>,
    history: Vec<OrderEvent>,
}

#[derive(Default)]
struct PaymentDetails {
    method: Option<String>,
    reference: Option<String>,
    /// Kept when it comes to nothing.
    intent: Option<IntentId>,
    occurred_at: DateTime<Utc>,
}

#[derive(Default)]
struct RefundDetails {
    reference: Option<String>,
    failure: Option<String>,
    occurred_at: DateTime<Utc>,
}

#[derive(Default)]
struct ShipmentDetails {
    tracking: Option<Tracking>,
    sent_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
}

impl Fold for OrderFold {
    type Of = Order;
    type Page = orders::Order;
    const WHAT: &'static str = "order";
    type Permission = Public;

    fn take(&mut self, event: &Event, moment: &Moment) {
        self.order = std::mem::take(&mut self.order).evolve(event);
        (self.changed_at, self.revision) = (moment.occurred_at, moment.revision);
        self.note(event, moment.occurred_at);
        self.note_refund(event, moment.occurred_at);
        self.history.push(OrderEvent {
            revision: moment.revision,
            position: moment.position,
            event_type: moment.event_type.clone(),
            summary: event.summary(),
            actor: moment.actor.clone(),
            occurred_at: moment.occurred_at,
        });
    }

    fn page(mut self, id: &str) -> Option<orders::Order> {
        let Order::Placed(order) = std::mem::take(&mut self.order) else { return None };
        Some(orders::Order {
            lines: lines(&order),
            stock: stock(&order),
            payments: order.payments.iter().map(|payment| self.payment(payment)).collect(),
            refunds: order.refunds.iter().map(|refund| self.refund(refund)).collect(),
            shipments: order.shipments.iter().map(|parcel| self.shipment(parcel)).collect(),
            order: self.head(id, &order)?,
            history: self.history,
        })
    }
}

impl OrderFold {
    /// What the domain does not keep of placing, payments, parcels and cancellation.
    fn note(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::Placed(_) => self.placed_at = at,
            Event::PaymentRecorded(payment) => {
                let (method, reference) = (payment.method.to_string(), payment.reference.to_string());
                let details = PaymentDetails {
                    method: Some(method),
                    reference: Some(reference),
                    intent: None,
                    occurred_at: at,
                };
                self.payments.insert(payment.payment_id, details);
            }
            Event::PaymentRequested(payment) => {
                let details = PaymentDetails { occurred_at: at, ..PaymentDetails::default() };
                self.payments.insert(payment.payment_id, details);
            }
            Event::PaymentStarted(payment) => self.note_intent(payment.payment_id, &payment.intent),
            Event::PaymentAuthorized(payment) => self.note_intent(payment.payment_id, &payment.intent),
            Event::PaymentCaptured(payment) => self.note_intent(payment.payment_id, &payment.intent),
            Event::ShipmentSent(sent) => {
                let details =
                    ShipmentDetails { tracking: sent.tracking.clone(), sent_at: at, delivered_at: None };
                self.shipments.insert(sent.shipment_id, details);
            }
            Event::ShipmentDelivered(delivered) => {
                self.shipments.entry(delivered.shipment_id).or_default().delivered_at = Some(at);
            }
            Event::Cancelled(cancelled) => self.cancel_reason = Some(cancelled.reason.clone()),
            Event::ReservationsAnswered(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentVoided(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::RefundRecorded(_)
            | Event::RefundFound(_)
            | Event::RefundFailed(_)
            | Event::Refunded(_) => {}
        }
    }

    fn note_intent(&mut self, payment_id: PaymentId, intent: &IntentId) {
        self.payments.entry(payment_id).or_default().intent = Some(intent.clone());
    }

    /// The same of refunds.
    fn note_refund(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::RefundRequested(refund) => {
                self.begun_refund((refund.refund_id, Some(refund.payment_id)), at);
            }
            Event::RefundRefused(refund) => {
                self.begun_refund((refund.refund_id, Some(refund.payment_id)), at).failure =
                    Some(refund.message.to_string());
            }
            Event::RefundRecorded(refund) => {
                self.begun_refund((refund.refund_id, refund.payment_id), at).reference =
                    Some(refund.reference.to_string());
            }
            Event::RefundFound(refund) => {
                self.begun_refund((refund.refund_id, Some(refund.payment_id)), at).reference =
                    Some(refund.reference.to_string());
            }
            Event::RefundFailed(refund) => {
                self.begun_refund((refund.refund_id, Some(refund.payment_id)), at).failure =
                    Some(refund.message.to_string());
            }
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::Refunded(_) => {}
        }
    }

    /// What is known of a refund, which begins with the first event that names it.
    fn begun_refund(&mut self, of: (RefundId, Option<PaymentId>), at: DateTime<Utc>) -> &mut RefundDetails {
        self.refunds.entry(of).or_insert(RefundDetails { occurred_at: at, ..RefundDetails::default() })
    }

    fn head(&self, id: &str, order: &PlacedOrder) -> Option<OrderSummary> {
        let currency = order.total.currency();
        let amount = |amount| Amount::new(amount, currency.code());
        let to_refund = order.to_refund();
        Some(OrderSummary {
            order_id: id.parse().ok()?,
            cart_id: order.cart_id.0,
            customer_id: order.customer_id.as_ref().map(ToString::to_string),
            country: order.country.code().to_string(),
            status: order.status.name().to_owned(),
            shipping: order.shipping.map(Amount::from),
            total: Amount::from(order.total),
            paid: amount(order.paid_amount()),
            refunded: amount(order.refunded_amount()),
            to_refund: (to_refund > 0).then(|| amount(to_refund)),
            line_count: i64::try_from(order.lines.len()).unwrap_or(i64::MAX),
            units: order.lines.iter().map(|line| i64::from(line.quantity.units())).sum(),
            cancel_reason: self.cancel_reason.as_ref().map(as_json),
            placed_at: self.placed_at,
            changed_at: self.changed_at,
            revision: self.revision,
        })
    }

    fn payment(&self, payment: &Payment) -> orders::Payment {
        let details = self.payments.get(&payment.payment_id);
        orders::Payment {
            payment_id: payment.payment_id.0,
            amount: Amount::from(payment.amount),
            status: payment.phase.name().to_owned(),
            method: details.and_then(|details| details.method.clone()),
            reference: details.and_then(|details| details.reference.clone()),
            intent: details.and_then(|details| Some(details.intent.as_ref()?.to_string())),
            redirect_url: payment.redirect_url().map(ToString::to_string),
            failure: payment.decline.as_ref().map(|decline| decline.message.to_string()),
            occurred_at: details.map(|details| details.occurred_at).unwrap_or_default(),
        }
    }

    fn refund(&self, refund: &Refund) -> orders::Refund {
        let details = self.refunds.get(&(refund.refund_id, refund.payment_id));
        orders::Refund {
            refund_id: refund.refund_id.0,
            payment_id: refund.payment_id.map(|payment_id| payment_id.0),
            amount: Amount::from(refund.amount),
            status: refund.phase.name().to_owned(),
            reference: details.and_then(|details| details.reference.clone()),
            failure: details.and_then(|details| details.failure.clone()),
            occurred_at: details.map(|details| details.occurred_at).unwrap_or_default(),
        }
    }

    fn shipment(&self, parcel: &Shipment) -> orders::Shipment {
        let details = self.shipments.get(&parcel.shipment_id);
        orders::Shipment {
            shipment_id: parcel.shipment_id.0,
            merchant_id: parcel.merchant_id.to_string(),
            lines: as_json(&parcel.lines),
            tracking: details.and_then(|details| Some(as_json(details.tracking.as_ref()?))),
            sent_at: details.map(|details| details.sent_at).unwrap_or_default(),
            delivered_at: details.and_then(|details| details.delivered_at),
        }
    }
}

fn lines(order: &PlacedOrder) -> Vec<OrderLine> {
    let view = |line: &domain::order::OrderLine| {
        let quantity = i64::from(line.quantity.units());
        let price = line.unit_price;
        OrderLine {
            line_id: line.line_id.0,
            sku: line.sku.to_string(),
            merchant_id: line.merchant_id.to_string(),
            name: line.name.to_string(),
            quantity,
            given_up: i64::from(order.given_up(line.line_id)),
            unit_price: Amount::from(price),
            amount: Amount::new(quantity.saturating_mul(price.amount()), price.currency().code()),
        }
    };
    order.lines.iter().map(view).collect()
}

fn stock(order: &PlacedOrder) -> Vec<OrderStock> {
    let view = |(sku, stock): (&domain::Sku, &domain::order::Stock)| {
        let (phase, available) = match stock.phase {
            StockPhase::Unanswered => ("unanswered", None),
            StockPhase::Held => ("held", None),
            StockPhase::Refused { available } => ("refused", Some(available)),
            StockPhase::AtPayment => ("at_payment", None),
            StockPhase::Committed => ("committed", None),
            StockPhase::Shipped => ("shipped", None),
            StockPhase::Released => ("released", None),
        };
        let went_apart = stock.shipped > 0 || stock.released > 0;
        OrderStock {
            sku: sku.to_string(),
            quantity: i64::from(stock.quantity.units()),
            phase: phase.to_owned(),
            available,
            shipped: went_apart.then(|| u64::from(stock.shipped)),
            released: went_apart.then(|| u64::from(stock.released)),
        }
    };
    order.stock.iter().map(view).collect()
}

fn as_json(value: &impl serde::Serialize) -> Value {
    // Our own types, with texts as keys.
    serde_json::to_value(value).unwrap_or_default()
}
