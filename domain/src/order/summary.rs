use super::{CancelReason, Event, PartedStock};
use crate::Summary;
use crate::summary::{counted, skus};

impl Summary for Event {
    fn summary(&self) -> String {
        match self {
            Event::Placed(placed) => {
                let units: u64 = placed.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
                let what = format!("{}, {}", counted(placed.lines.len(), "line"), counted(units, "unit"));
                format!("Placed: {what}, {} to {}", placed.total, placed.country)
            }
            Event::ReservationsAnswered(answered) => {
                let refused = skus(answered.refused.iter().map(|refused| &refused.sku));
                let at_payment = format!("will hold {} at payment", skus(&answered.at_payment));
                let said = [
                    (!answered.held.is_empty()).then(|| format!("holds {}", skus(&answered.held))),
                    (!answered.at_payment.is_empty()).then_some(at_payment),
                    (!answered.refused.is_empty()).then(|| format!("refused {refused}")),
                ];
                format!("Stock {}", said.into_iter().flatten().collect::<Vec<_>>().join(" and "))
            }
            Event::PaymentRecorded(payment) => {
                let how = format!("by {}, reference {}", payment.method, payment.reference);
                format!("Payment of {} {how}", payment.amount)
            }
            Event::PaymentRequested(payment) => format!("Payment of {} requested", payment.amount),
            Event::PaymentStarted(payment) if payment.redirect_url.is_some() => {
                format!("Payment {} needs the shopper's approval", payment.intent)
            }
            Event::PaymentStarted(payment) => {
                format!("Payment {} in progress at the gateway", payment.intent)
            }
            Event::PaymentAuthorized(payment) => format!("Payment {} authorised", payment.intent),
            Event::PaymentDeclined(payment) => {
                format!("Payment declined ({}): {}", payment.code, payment.message)
            }
            Event::PaymentCaptured(payment) => {
                format!("Payment of {} captured, {}", payment.amount, payment.intent)
            }
            Event::PaymentVoided(_) => "Authorisation released".to_owned(),
            Event::Paid(paid) => format!("Paid in full: {}", paid.amount),
            Event::StockCommitted(committed) => format!("Stock committed {}", skus(&committed.skus)),
            Event::ProcessingStarted(_) => "Processing started".to_owned(),
            Event::ShipmentSent(sent) => {
                let units: u64 = sent.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
                let how = sent
                    .tracking
                    .as_ref()
                    .map(|tracking| format!(", {} {}", tracking.carrier, tracking.number));
                format!("{} shipped {}{}", sent.merchant_id, counted(units, "unit"), how.unwrap_or_default())
            }
            Event::ShipmentDelivered(_) => "Shipment delivered".to_owned(),
            Event::Shipped(_) => "Shipped".to_owned(),
            Event::StockShipped(shipped) => format!("Stock shipped {}", skus(&shipped.skus)),
            Event::StockParted(parted) => {
                let part = |part: &PartedStock| {
                    format!("{} shipped and {} released of {}", part.shipped, part.released, part.sku)
                };
                format!("Stock: {}", parted.parts.iter().map(part).collect::<Vec<_>>().join(", "))
            }
            Event::RestCancelled(rest) => {
                let units: u64 = rest.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
                let by_hand = rest.by_hand.map(|amount| format!(", {amount} of it by hand"));
                let (unshipped, refund) = (counted(units, "unshipped unit"), rest.refund);
                let by_hand = by_hand.unwrap_or_default();
                format!("{unshipped} cancelled ({}), {refund} to refund{by_hand}", rest.reason)
            }
            Event::Delivered(_) => "Delivered".to_owned(),
            Event::Cancelled(cancelled) => match &cancelled.reason {
                CancelReason::OutOfStock { refused } => {
                    format!(
                        "Cancelled: not enough stock of {}",
                        skus(refused.iter().map(|refused| &refused.sku))
                    )
                }
                CancelReason::Expired => "Cancelled: not paid in time".to_owned(),
                CancelReason::Requested { reason } => format!("Cancelled: {reason}"),
            },
            Event::StockReleased(released) => format!("Stock released {}", skus(&released.skus)),
            Event::RefundRequested(refund) => format!("Refund of {} requested", refund.amount),
            Event::RefundRefused(refund) => format!("Refund refused by the gateway: {}", refund.message),
            Event::RefundRecorded(refund) => {
                format!("Refund of {}, reference {}", refund.amount, refund.reference)
            }
            Event::RefundFound(refund) => {
                format!("Refund of {} made at the gateway, {}", refund.amount, refund.reference)
            }
            Event::RefundFailed(refund) => {
                format!("Refund of {} failed: {}", refund.amount, refund.message)
            }
            Event::Refunded(refunded) => format!("Refunded in full: {}", refunded.amount),
        }
    }
}
