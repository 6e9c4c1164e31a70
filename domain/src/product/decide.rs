use super::{Command, Defined, Event, Product, Rejection, Repriced, Retired};
use crate::Aggregate;

impl Aggregate for Product {
    const CATEGORY: &'static str = "product";

    type Id = crate::Sku;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (self, command) {
            (Self::Undefined, Command::Define { price, .. }) if !price.currency().is_known() => {
                Err(Rejection::UnknownCurrency { currency: price.currency() })
            }
            (Self::Undefined, Command::Define { sku, merchant_id, name, price }) => {
                Ok(vec![Event::Defined(Defined {
                    sku: sku.clone(),
                    merchant_id: merchant_id.clone(),
                    name: name.clone(),
                    price: *price,
                })])
            }
            // Defined in the same words: already so, also when the price has moved on since.
            (Self::Listed(known), Command::Define { merchant_id, name, price, .. })
                if (&known.merchant_id, &known.name, &known.first_price) == (merchant_id, name, price) =>
            {
                Ok(vec![])
            }
            (Self::Listed(_), Command::Define { .. }) => Err(Rejection::AlreadyDefined),
            (Self::Listed(known), Command::Reprice { price }) => {
                if known.price.currency() != price.currency() {
                    return Err(Rejection::CurrencyMismatch {
                        product: known.price.currency(),
                        price: price.currency(),
                    });
                }
                Ok(if known.price == *price {
                    vec![]
                } else {
                    vec![Event::Repriced(Repriced { price: *price })]
                })
            }
            (Self::Listed(_), Command::Retire) => Ok(vec![Event::Retired(Retired {})]),
            (Self::Retired(_), Command::Retire) => Ok(vec![]),
            (Self::Retired(_), Command::Define { .. } | Command::Reprice { .. }) => Err(Rejection::Retired),
            (Self::Undefined, Command::Reprice { .. } | Command::Retire) => Err(Rejection::Undefined),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        self.apply(event)
    }
}
