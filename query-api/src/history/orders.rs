use super::{Fold, Moment};
use crate::answer::MoneyView;
use crate::routes::order_view::{
    HistoryView, LineView, OrderPage, PaymentView, RefundView, ShipmentView, StockView,
};
use crate::routes::orders::OrderView;
use chrono::{DateTime, Utc};
use domain::order::{
    CancelReason, Event, Order, Payment, PlacedOrder, Refund, RefundPhase, Shipment, StockPhase, Tracking,
};
use domain::{Aggregate, IntentId, Money, PaymentId, RefundId, ShipmentId, Summary};
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
    history: Vec<HistoryView>,
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
    type Page = OrderPage;
    const WHAT: &'static str = "order";
    const IS_OPENED_BY_ITS_ID: bool = true;

    fn take(&mut self, event: &Event, moment: &Moment) {
        self.order = std::mem::take(&mut self.order).evolve(event);
        (self.changed_at, self.revision) = (moment.occurred_at, moment.revision);
        self.note(event, moment.occurred_at);
        self.note_refund(event, moment.occurred_at);
        self.history.push(HistoryView {
            revision: moment.revision,
            position: moment.position,
            event_type: moment.event_type.clone(),
            summary: event.summary(),
            actor: moment.actor.clone(),
            occurred_at: moment.occurred_at,
        });
    }

    fn page(mut self, id: &str) -> Option<OrderPage> {
        let Order::Placed(order) = std::mem::take(&mut self.order) else { return None };
        Some(OrderPage {
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
            _ => {}
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
            _ => {}
        }
    }

    /// What is known of a refund, which begins with the first event that names it.
    fn begun_refund(&mut self, of: (RefundId, Option<PaymentId>), at: DateTime<Utc>) -> &mut RefundDetails {
        self.refunds.entry(of).or_insert(RefundDetails { occurred_at: at, ..RefundDetails::default() })
    }

    fn head(&self, id: &str, order: &PlacedOrder) -> Option<OrderView> {
        let currency = order.total.currency();
        let amount = |amount| MoneyView::new(amount, currency.code());
        let to_refund = to_refund(order, self.cancel_reason.is_some());
        Some(OrderView {
            order_id: id.parse().ok()?,
            cart_id: order.cart_id.0,
            customer_id: order.customer_id.as_ref().map(ToString::to_string),
            country: order.country.code().to_string(),
            status: order.status.name().to_owned(),
            shipping: order.shipping.map(money),
            total: money(order.total),
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

    fn payment(&self, payment: &Payment) -> PaymentView {
        let details = self.payments.get(&payment.payment_id);
        PaymentView {
            payment_id: payment.payment_id.0,
            amount: money(payment.amount),
            status: payment.phase.name().to_owned(),
            method: details.and_then(|details| details.method.clone()),
            reference: details.and_then(|details| details.reference.clone()),
            intent: details.and_then(|details| Some(details.intent.as_ref()?.to_string())),
            redirect_url: payment.redirect_url().map(ToString::to_string),
            failure: payment.decline.as_ref().map(|decline| decline.message.to_string()),
            occurred_at: details.map(|details| details.occurred_at).unwrap_or_default(),
        }
    }

    fn refund(&self, refund: &Refund) -> RefundView {
        let details = self.refunds.get(&(refund.refund_id, refund.payment_id));
        RefundView {
            refund_id: refund.refund_id.0,
            payment_id: refund.payment_id.map(|payment_id| payment_id.0),
            amount: money(refund.amount),
            status: refund.phase.name().to_owned(),
            reference: details.and_then(|details| details.reference.clone()),
            failure: details.and_then(|details| details.failure.clone()),
            occurred_at: details.map(|details| details.occurred_at).unwrap_or_default(),
        }
    }

    fn shipment(&self, parcel: &Shipment) -> ShipmentView {
        let details = self.shipments.get(&parcel.shipment_id);
        ShipmentView {
            shipment_id: parcel.shipment_id.0,
            merchant_id: parcel.merchant_id.to_string(),
            lines: as_json(&parcel.lines),
            tracking: details.and_then(|details| Some(as_json(details.tracking.as_ref()?))),
            sent_at: details.map(|details| details.sent_at).unwrap_or_default(),
            delivered_at: details.and_then(|details| details.delivered_at),
        }
    }
}

/// What people must give back: the gateway does not, or would not.
fn to_refund(order: &PlacedOrder, is_called_off: bool) -> i64 {
    let sum = |is_wanted: fn(&Refund) -> bool| -> i64 {
        order.refunds.iter().filter(|refund| is_wanted(refund)).map(|refund| refund.amount.amount()).sum()
    };
    let requested = sum(|refund| refund.phase == RefundPhase::Requested);
    let by_hand = sum(|refund| refund.payment_id.is_none() && refund.phase == RefundPhase::Done);
    let owed: i64 = order.rests.iter().filter_map(|rest| Some(rest.by_hand?.amount())).sum();
    let left = order.paid_amount() - order.refunded_amount() - requested;
    if is_called_off { left.max(0) } else { (owed - by_hand).min(left).max(0) }
}

fn lines(order: &PlacedOrder) -> Vec<LineView> {
    let view = |line: &domain::order::OrderLine| {
        let quantity = i64::from(line.quantity.units());
        let price = line.unit_price;
        LineView {
            line_id: line.line_id.0,
            sku: line.sku.to_string(),
            merchant_id: line.merchant_id.to_string(),
            name: line.name.to_string(),
            quantity,
            given_up: i64::from(order.given_up(line.line_id)),
            unit_price: money(price),
            amount: MoneyView::new(quantity.saturating_mul(price.amount()), price.currency().code()),
        }
    };
    order.lines.iter().map(view).collect()
}

fn stock(order: &PlacedOrder) -> Vec<StockView> {
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
        StockView {
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

fn money(money: Money) -> MoneyView {
    MoneyView::new(money.amount(), money.currency().code())
}

fn as_json(value: &impl serde::Serialize) -> Value {
    // Our own types, with texts as keys.
    serde_json::to_value(value).unwrap_or_default()
}
