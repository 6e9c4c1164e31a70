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
                let at_payment = format!("holds {} when it is paid", skus(&answered.at_payment));
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
            Event::PaymentRequested(payment) => format!("Payment of {} asked for", payment.amount),
            Event::PaymentStarted(payment) if payment.redirect_url.is_some() => {
                format!("The shopper must act on payment {}", payment.intent)
            }
            Event::PaymentStarted(payment) => format!("The gateway works on payment {}", payment.intent),
            Event::PaymentAuthorized(payment) => format!("The gateway holds payment {}", payment.intent),
            Event::PaymentDeclined(payment) => {
                format!("Payment declined ({}): {}", payment.code, payment.message)
            }
            Event::PaymentCaptured(payment) => {
                format!("Payment of {} taken, {}", payment.amount, payment.intent)
            }
            Event::PaymentVoided(_) => "Payment let go untaken".to_owned(),
            Event::Paid(paid) => format!("Paid in full: {}", paid.amount),
            Event::StockCommitted(committed) => format!("Stock committed {}", skus(&committed.skus)),
            Event::ProcessingStarted(_) => "Processing started".to_owned(),
            Event::ShipmentSent(sent) => {
                let units: u64 = sent.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
                let how = sent
                    .tracking
                    .as_ref()
                    .map(|tracking| format!(", {} {}", tracking.carrier, tracking.number));
                format!("{} sent {}{}", sent.merchant_id, counted(units, "unit"), how.unwrap_or_default())
            }
            Event::ShipmentDelivered(_) => "A parcel arrived".to_owned(),
            Event::Shipped(_) => "Shipped".to_owned(),
            Event::StockShipped(shipped) => format!("Stock let go of {}", skus(&shipped.skus)),
            Event::StockParted(parted) => {
                let part = |part: &PartedStock| {
                    format!("{} shipped and {} back of {}", part.shipped, part.released, part.sku)
                };
                format!("Stock: {}", parted.parts.iter().map(part).collect::<Vec<_>>().join(", "))
            }
            Event::RestCancelled(rest) => {
                let units: u64 = rest.lines.iter().map(|line| u64::from(line.quantity.units())).sum();
                let by_hand = rest.by_hand.map(|amount| format!(", of which {amount} by hand"));
                let (units, refund) = (counted(units, "unit"), rest.refund);
                let by_hand = by_hand.unwrap_or_default();
                format!("{units} given up unsent ({}), {refund} to be given back{by_hand}", rest.reason)
            }
            Event::Delivered(_) => "Delivered".to_owned(),
            Event::Cancelled(cancelled) => match &cancelled.reason {
                CancelReason::OutOfStock { refused } => {
                    format!(
                        "Cancelled: too little stock of {}",
                        skus(refused.iter().map(|refused| &refused.sku))
                    )
                }
                CancelReason::Expired => "Cancelled: its money did not come in time".to_owned(),
                CancelReason::Requested { reason } => format!("Cancelled: {reason}"),
            },
            Event::StockReleased(released) => format!("Stock took back {}", skus(&released.skus)),
            Event::RefundRequested(refund) => format!("Refund of {} asked for", refund.amount),
            Event::RefundRefused(refund) => format!("The gateway would not refund: {}", refund.message),
            Event::RefundRecorded(refund) => {
                format!("Refund of {}, reference {}", refund.amount, refund.reference)
            }
            Event::RefundFound(refund) => {
                format!("Refund of {} made at the gateway, {}", refund.amount, refund.reference)
            }
            Event::RefundFailed(refund) => {
                format!("Refund of {} did not arrive: {}", refund.amount, refund.message)
            }
            Event::Refunded(refunded) => format!("Refunded in full: {}", refunded.amount),
        }
    }
}
