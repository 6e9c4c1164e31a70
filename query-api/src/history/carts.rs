use super::{Fold, Moment};
use api::Amount;
use api::carts::{self, CartLine};
use api::permission::Public;
use chrono::{DateTime, Utc};
use domain::cart::{Cart, Event, Line, OpenCart};
use domain::{Aggregate, Money};
use uuid::Uuid;

/// A cart at a point.
#[derive(Default)]
pub struct CartFold {
    cart: Cart,
    /// What it held when it was given up: the domain has no more use for that.
    given_up: Option<OpenCart>,
    currency: String,
    opened_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
}

impl Fold for CartFold {
    type Of = Cart;
    type Page = carts::Cart;
    const WHAT: &'static str = "cart";
    type Permission = Public;

    fn take(&mut self, event: &Event, moment: &Moment) {
        if let (Event::Abandoned(_), Cart::Open(open)) = (event, &self.cart) {
            self.given_up = Some(open.clone());
        }
        self.cart = std::mem::take(&mut self.cart).evolve(event);
        if let Event::Opened(opened) = event {
            self.opened_at = moment.occurred_at;
            self.currency = opened.currency.to_string();
        }
        (self.changed_at, self.revision) = (moment.occurred_at, moment.revision);
    }

    fn page(self, id: &str) -> Option<carts::Cart> {
        let cart_id = id.parse().ok()?;
        let Self { cart, given_up, currency, opened_at, changed_at, revision } = self;
        let page = Page { cart_id, currency, opened_at, changed_at, revision };
        match cart {
            Cart::Unopened => None,
            Cart::Open(open) => Some(page.unlocked("open", &open)),
            Cart::Abandoned => Some(page.unlocked("abandoned", &given_up?)),
            Cart::CheckedOut(cart) => {
                let priced =
                    |(line, locked): &(Line, domain::cart::PricedLine)| view(line, locked.unit_price);
                let lines = cart.lines.iter().map(priced).collect();
                let view = page.of("checked_out", lines, cart.shipping);
                Some(carts::Cart {
                    customer_id: cart.customer_id.map(|customer| customer.to_string()),
                    order_id: Some(cart.order_id.0),
                    country: Some(cart.country.code().to_string()),
                    total: Amount::from(cart.total),
                    ..view
                })
            }
        }
    }
}

/// What every cart's page has.
struct Page {
    cart_id: Uuid,
    currency: String,
    opened_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
}

impl Page {
    fn unlocked(self, status: &str, cart: &OpenCart) -> carts::Cart {
        let lines = cart.lines.iter().map(|line| view(line, line.unit_price)).collect();
        let customer_id = cart.customer_id.as_ref().map(ToString::to_string);
        carts::Cart { customer_id, ..self.of(status, lines, cart.shipping) }
    }

    fn of(self, status: &str, lines: Vec<CartLine>, shipping: Option<Money>) -> carts::Cart {
        let charge = shipping.map_or(0, |charge| charge.amount());
        let total = lines.iter().fold(charge, |sum, line| sum.saturating_add(line.amount.amount));
        carts::Cart {
            cart_id: self.cart_id,
            status: status.to_owned(),
            customer_id: None,
            order_id: None,
            country: None,
            line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
            units: lines.iter().map(|line| line.quantity).sum(),
            shipping: shipping.map(Amount::from),
            total: Amount::new(total, &self.currency),
            currency: self.currency,
            opened_at: self.opened_at,
            changed_at: self.changed_at,
            revision: self.revision,
            lines: Some(lines),
        }
    }
}

fn view(line: &Line, unit_price: Money) -> CartLine {
    let quantity = i64::from(line.quantity.units());
    let currency = unit_price.currency();
    CartLine {
        line_id: line.line_id.0,
        sku: line.sku.to_string(),
        quantity,
        unit_price: Amount::from(unit_price),
        amount: Amount::new(quantity.saturating_mul(unit_price.amount()), currency.code()),
        agreed: line.agreed,
    }
}
