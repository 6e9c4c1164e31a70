use super::told::Told;
use api::Amount;
use domain::cart::{Cart, OpenCart};
use domain::{CartId, OrderId};
use serde::Serialize;

/// A cart as its listeners see it. Its lines are at `GET /carts/{id}?min-position=` the moment's position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CartMoment {
    cart_id: CartId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    line_count: usize,
    units: i64,
    /// Not known of a cart that was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Amount>,
}

impl Told for Cart {
    type View = CartMoment;

    fn view(&self, cart_id: CartId) -> CartMoment {
        let empty =
            CartMoment { cart_id, status: "unopened", order_id: None, line_count: 0, units: 0, total: None };
        match self {
            Self::Unopened => empty,
            Self::Abandoned => CartMoment { status: "abandoned", ..empty },
            Self::Open(cart) => CartMoment {
                status: "open",
                line_count: cart.lines.len(),
                units: cart.lines.iter().map(|line| i64::from(line.quantity.units())).sum(),
                total: Some(Amount::new(sum(cart), cart.currency.code())),
                ..empty
            },
            Self::CheckedOut(cart) => CartMoment {
                status: "checked_out",
                order_id: Some(cart.order_id),
                line_count: cart.lines.len(),
                units: cart.lines.iter().map(|(line, _)| i64::from(line.quantity.units())).sum(),
                total: Some(Amount::from(cart.total)),
                ..empty
            },
        }
    }

    fn standing(&self) -> String {
        match self {
            Self::Unopened => "unopened".to_owned(),
            Self::Abandoned => "abandoned".to_owned(),
            Self::Open(cart) => {
                let (lines, sum) = (cart.lines.len(), cart.currency.written(sum(cart)));
                format!("{lines} {}, {sum}", if lines == 1 { "line" } else { "lines" })
            }
            Self::CheckedOut(cart) => format!("checked out as order {}", cart.order_id),
        }
    }
}

/// What it comes to at the prices that the shopper saw; no more than a number can hold.
fn sum(cart: &OpenCart) -> i64 {
    cart.lines.iter().fold(cart.shipping.map_or(0, |charge| charge.amount()), |sum, line| {
        let amount = i64::from(line.quantity.units()).saturating_mul(line.unit_price.amount());
        sum.saturating_add(amount)
    })
}
