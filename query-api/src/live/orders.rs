use super::told::Told;
use domain::OrderId;
use domain::order::Order;
use serde::Serialize;

/// An order as its listeners see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderMoment {
    order_id: OrderId,
    status: &'static str,
}

impl Told for Order {
    type View = OrderMoment;

    fn view(&self, order_id: OrderId) -> OrderMoment {
        let status = match self {
            Self::Placed(order) => order.status.name(),
            Self::Unplaced => "unplaced",
        };
        OrderMoment { order_id, status }
    }

    fn standing(&self) -> String {
        let Self::Placed(order) = self else { return "unplaced".to_owned() };
        let paid = order.total.currency().written(order.paid_amount());
        format!("{}, {paid} of {} paid", order.status.name(), order.total)
    }
}
