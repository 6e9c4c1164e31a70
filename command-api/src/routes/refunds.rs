//! How a refund stands, in the answer to whoever asked for it: the gateway may have refused it by then.

use super::Shared;
use super::payments::check_payable;
use crate::answer::Answer;
use crate::problems;
use api::orders::OrderChanged;
use api::payments::{RefundChanged, RefundPart};
use domain::order::{Command, Event, Order, PlacedOrder, Refund, RefundPhase};
use domain::{Aggregate, Money, OrderId, RefundId};
use http_boundary::Problem;

/// That the payment gateway can give back what the command would ask of it, as the order stands now. What people give
/// back may be any amount; and what the command itself is refused for, the order says.
pub async fn check_refund(shared: &Shared, order_id: OrderId, command: &Command) -> Result<(), Problem> {
    let command = command.clone();
    let asked = shared.executor.orders.view_at_least(order_id, 0, move |order: &Order| {
        let events = order.decide(&command).unwrap_or_default();
        let asked = events.into_iter().filter_map(|event| match event {
            Event::RefundRequested(refund) => Some(refund.amount),
            _ => None,
        });
        asked.collect::<Vec<Money>>()
    });
    let asked = asked.await.map_err(problems::of_view)?;
    asked.into_iter().try_for_each(|amount| check_payable(shared, amount))
}

/// The answer with how this refund stands now, if there is one.
pub async fn with_refund(
    shared: &Shared,
    order_id: OrderId,
    refund_id: RefundId,
    answer: Answer<OrderChanged>,
) -> Result<Answer<RefundChanged>, Problem> {
    let refund = standing_of(&shared.order(order_id).await?, refund_id);
    let Answer { accepted, body: OrderChanged { order_id, status, cancel_reason }, waited } = answer;
    let (refund_status, refunds) = refund.map(|(phase, parts)| (phase.name().to_owned(), parts)).unzip();
    let refund_id = refunds.is_some().then_some(refund_id);
    let body = RefundChanged { order_id, status, cancel_reason, refund_id, refund_status, refunds };
    Ok(Answer { accepted, body, waited })
}

/// Each payment that the refund takes from is a part of it. The part that needs somebody decides how all of it stands.
/// None where nothing goes back, or where the whole order was called off and each payment has a refund of its own.
fn standing_of(order: &PlacedOrder, refund_id: RefundId) -> Option<(RefundPhase, Vec<RefundPart>)> {
    let parts: Vec<&Refund> = order.refunds.iter().filter(|part| part.refund_id == refund_id).collect();
    let worst_first = [RefundPhase::Failed, RefundPhase::Refused, RefundPhase::Requested, RefundPhase::Done];
    let status = worst_first.into_iter().find(|phase| parts.iter().any(|part| part.phase == *phase))?;
    let part_of = |part: &&Refund| {
        let status = part.phase.name().to_owned();
        RefundPart { payment_id: part.payment_id, amount: part.amount, status }
    };
    Some((status, parts.iter().map(part_of).collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use RefundPhase::{Done, Failed, Refused, Requested};
    use domain::order::{Event, Order, Placed};
    use domain::{Aggregate, CartId, Money, PaymentId};
    use uuid::Uuid;

    fn pence(amount: i64) -> Money {
        Money::new(amount, "GBP".parse().unwrap()).unwrap()
    }

    /// An order with a refund of these parts, and another one that was refused.
    fn order_with(parts: &[RefundPhase]) -> PlacedOrder {
        let placed = Placed {
            cart_id: CartId(Uuid::nil()),
            customer_id: None,
            country: "GB".parse().unwrap(),
            lines: vec![],
            shipping: None,
            total: pence(0),
            hold_seconds: None,
            anonymous: false,
        };
        let Order::Placed(order) = Order::fold(&[Event::Placed(placed)]) else { panic!("it is placed") };
        let part = |(number, phase): (u128, RefundPhase)| {
            let payment_id = Some(PaymentId(Uuid::from_u128(number)));
            Refund { refund_id: RefundId(Uuid::nil()), payment_id, amount: pence(5), phase }
        };
        let other = Refund { refund_id: RefundId(Uuid::max()), ..part((9, Refused)) };
        let refunds = (0..).zip(parts.iter().copied()).map(part).chain([other]).collect();
        PlacedOrder { refunds, ..*order }
    }

    #[test]
    fn the_worst_part_decides() {
        for (parts, expected) in [
            (&[][..], None),
            (&[Done, Done], Some("done")),
            (&[Done, Requested], Some("requested")),
            (&[Done, Refused, Requested], Some("refused")),
            (&[Done, Failed, Refused], Some("failed")),
        ] {
            let refund = standing_of(&order_with(parts), RefundId(Uuid::nil()));
            assert_eq!(refund.as_ref().map(|(status, _)| status.name()), expected);
            let listed: Option<Vec<String>> =
                refund.map(|(_, parts)| parts.into_iter().map(|part| part.status).collect());
            assert_eq!(listed, expected.map(|_| parts.iter().map(|phase| phase.name().to_owned()).collect()));
        }
    }
}
