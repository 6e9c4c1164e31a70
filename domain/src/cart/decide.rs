use super::{
    Abandoned, Cart, CheckedOut, Command, Event, ItemAdded, ItemQuantityChanged, ItemRemoved, Line,
    LinePrice, MAX_CHANGES, MAX_LINES, MAX_UNITS_OF_A_LINE, NewLine, OpenCart, Opened, PricedLine, Rejection,
    ShippingSet,
};
use crate::{Aggregate, LineId, Money, Quantity};
use std::collections::{HashMap, HashSet};

impl Aggregate for Cart {
    const CATEGORY: &'static str = "cart";

    type Id = crate::CartId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn parts(&self) -> usize {
        match self {
            Self::Unopened | Self::Abandoned => 1,
            Self::Open(cart) => cart.lines.len(),
            Self::CheckedOut(cart) => cart.lines.len(),
        }
    }

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (self, command) {
            (Self::Unopened, Command::Open { currency, .. }) if !currency.is_known() => {
                Err(Rejection::UnknownCurrency { currency: *currency })
            }
            (Self::Unopened, Command::Open { currency, customer_id }) => {
                Ok(vec![Event::Opened(Opened { currency: *currency, customer_id: customer_id.clone() })])
            }
            (Self::Unopened, _) => Err(Rejection::NotFound),
            (Self::Open(cart), Command::Open { currency, customer_id }) => {
                if (cart.currency, &cart.customer_id) == (*currency, customer_id) {
                    Ok(vec![])
                } else {
                    Err(Rejection::AlreadyOpen)
                }
            }
            (Self::Open(cart), Command::PutLines { lines }) => put_lines(cart, lines),
            (Self::Open(cart), Command::RemoveLines { line_ids }) => Ok(remove_lines(cart, line_ids)),
            (Self::Open(cart), Command::SetShipping { charge }) => set_shipping(cart, *charge),
            (
                Self::Open(cart),
                Command::CheckOut { order_id, country, expected_total, prices, hold_seconds, anonymous },
            ) => {
                let (lines, total) = lock_prices(cart, *expected_total, prices)?;
                Ok(vec![Event::CheckedOut(CheckedOut {
                    order_id: *order_id,
                    country: country.clone(),
                    lines,
                    shipping: cart.shipping,
                    total,
                    hold_seconds: *hold_seconds,
                    anonymous: *anonymous,
                })])
            }
            (Self::Open(_), Command::Abandon) => Ok(vec![Event::Abandoned(Abandoned {})]),
            // Whoever confirms something else than what was sold must hear so.
            (Self::CheckedOut(cart), Command::CheckOut { order_id, country, expected_total, .. })
                if (cart.order_id, cart.country.code(), cart.total)
                    == (*order_id, country.code(), *expected_total) =>
            {
                Ok(vec![])
            }
            (Self::CheckedOut(cart), _) => {
                Err(Rejection::CheckedOut { order_id: cart.order_id, total: cart.total })
            }
            (Self::Abandoned, Command::Abandon) => Ok(vec![]),
            (Self::Abandoned, _) => Err(Rejection::Abandoned),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        self.apply(event)
    }
}

fn put_lines(cart: &OpenCart, lines: &[NewLine]) -> Result<Vec<Event>, Rejection> {
    let mut events = Vec::with_capacity(lines.len());
    let mut seen = HashSet::with_capacity(lines.len());
    let mut count = cart.lines.len();
    for line in lines {
        if !seen.insert(line.line_id) {
            return Err(Rejection::LineTwice { line_id: line.line_id });
        }
        if line.unit_price.currency() != cart.currency {
            return Err(Rejection::CurrencyMismatch {
                cart: cart.currency,
                line: line.unit_price.currency(),
            });
        }
        if line.quantity.units() > MAX_UNITS_OF_A_LINE {
            return Err(Rejection::QuantityTooLarge { line_id: line.line_id, max: MAX_UNITS_OF_A_LINE });
        }
        match cart.line(line.line_id) {
            None => {
                count += 1;
                events.push(Event::ItemAdded(added(line)));
            }
            Some(known) if known.sku != line.sku => {
                return Err(Rejection::LineTaken { line_id: line.line_id, sku: known.sku.clone() });
            }
            // A new quoted price does not matter here: checkout prices every line anew.
            Some(known)
                if line.agreed != known.agreed || (line.agreed && line.unit_price != known.unit_price) =>
            {
                return Err(Rejection::LineTaken { line_id: line.line_id, sku: known.sku.clone() });
            }
            Some(known) if known.quantity == line.quantity => {}
            Some(_) => events.push(Event::ItemQuantityChanged(ItemQuantityChanged {
                line_id: line.line_id,
                quantity: line.quantity,
            })),
        }
    }
    if count > MAX_LINES {
        return Err(Rejection::TooManyLines { max: MAX_LINES });
    }
    check_changes(cart, events.len())?;
    Ok(events)
}

/// Whoever fills a cart may be anybody, and all that is done to it is kept and read again.
fn check_changes(cart: &OpenCart, more: usize) -> Result<(), Rejection> {
    let left = MAX_CHANGES.saturating_sub(cart.changes);
    if u32::try_from(more).is_ok_and(|more| more <= left) {
        Ok(())
    } else {
        Err(Rejection::TooManyChanges { max: MAX_CHANGES })
    }
}

fn added(line: &NewLine) -> ItemAdded {
    ItemAdded {
        line_id: line.line_id,
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        agreed: line.agreed,
    }
}

fn remove_lines(cart: &OpenCart, line_ids: &[LineId]) -> Vec<Event> {
    let mut seen = HashSet::with_capacity(line_ids.len());
    line_ids
        .iter()
        .filter(|line_id| cart.line(**line_id).is_some() && seen.insert(**line_id))
        .map(|line_id| Event::ItemRemoved(ItemRemoved { line_id: *line_id }))
        .collect()
}

fn set_shipping(cart: &OpenCart, charge: Money) -> Result<Vec<Event>, Rejection> {
    if charge.currency() != cart.currency {
        return Err(Rejection::CurrencyMismatch { cart: cart.currency, line: charge.currency() });
    }
    if cart.shipping == Some(charge) {
        return Ok(vec![]);
    }
    check_changes(cart, 1)?;
    Ok(vec![Event::ShippingSet(ShippingSet { charge })])
}

fn then_and_now((line, new): (&Line, Money)) -> LinePrice {
    let (line_id, sku, quantity, old) = (line.line_id, line.sku.clone(), line.quantity, line.unit_price);
    LinePrice { line_id, sku, quantity, old, new }
}

/// The lines at their current prices and what they come to with the shipping charge: what the shopper saw.
fn lock_prices(
    cart: &OpenCart,
    expected_total: Money,
    prices: &[PricedLine],
) -> Result<(Vec<PricedLine>, Money), Rejection> {
    if cart.lines.is_empty() {
        return Err(Rejection::Empty);
    }
    let prices: HashMap<LineId, &PricedLine> = prices.iter().map(|price| (price.line_id, price)).collect();
    let mut total = cart.shipping.unwrap_or(Money::zero(cart.currency));
    let mut units_of_sku: HashMap<_, Quantity> = HashMap::new();
    let mut lines = Vec::with_capacity(cart.lines.len());
    let mut unit_prices = Vec::with_capacity(cart.lines.len());
    for line in &cart.lines {
        let price = *prices.get(&line.line_id).ok_or(Rejection::Changed)?;
        let unit_price = if line.agreed { line.unit_price } else { price.unit_price };
        unit_prices.push((line, unit_price));
        total = unit_price
            .times(line.quantity.units())
            .and_then(|amount| total.plus(amount))
            .map_err(Rejection::Total)?;
        let units = units_of_sku.get(&line.sku).map_or(Ok(line.quantity), |units| units.plus(line.quantity));
        units_of_sku.insert(&line.sku, units.map_err(|_| Rejection::TooManyUnits { sku: line.sku.clone() })?);
        lines.push(PricedLine { unit_price, ..price.clone() });
    }
    if total != expected_total {
        return Err(Rejection::PriceChanged {
            expected: expected_total,
            total,
            shipping: cart.shipping,
            lines: unit_prices.into_iter().map(then_and_now).collect(),
        });
    }
    Ok((lines, total))
}
