use super::stream::{HistoryError, Reader};
use crate::answer::MoneyView;
use chrono::{DateTime, Utc};
use domain::product::Product;
use domain::{Aggregate, Money, Sku};
use event_store::{EventStore, Position};
use futures::{TryStreamExt, pin_mut};
use serde::Serialize;
use uuid::Uuid;

/// A price, from when to when it was asked for, and who set it.
#[derive(Debug, Serialize)]
pub struct PricePeriod {
    /// Of the event that set it.
    pub revision: u64,
    pub position: Position,
    pub event_id: Uuid,
    pub actor: String,
    pub command_id: Uuid,
    pub price: MoneyView,
    /// Business time, itself inside.
    pub from: DateTime<Utc>,
    /// Itself outside; none if it still stands.
    pub until: Option<DateTime<Utc>>,
}

/// Every price that a product had, oldest first.
pub async fn price_periods(store: &EventStore, sku: &Sku) -> Result<Vec<PricePeriod>, HistoryError> {
    let events = store.read_stream(&format!("{}-{sku}", Product::CATEGORY), 0, usize::MAX);
    pin_mut!(events);
    let (mut product, mut reader) = (Product::default(), Reader::default());
    let mut periods: Vec<PricePeriod> = Vec::new();
    while let Some(event) = events.try_next().await? {
        let Some((fact, known)) = reader.read::<Product>(store, &event).await? else { continue };
        let before = price_of(&product);
        product = product.evolve(&fact);
        let now = price_of(&product);
        if now == before {
            continue;
        }
        if let Some(last) = periods.last_mut().filter(|last| last.until.is_none()) {
            last.until = Some(known.occurred_at);
        }
        if let Some(price) = now {
            periods.push(PricePeriod {
                revision: event.revision,
                position: event.position,
                event_id: event.id,
                actor: known.actor,
                command_id: known.command_id,
                price: MoneyView::new(price.amount(), price.currency().code()),
                from: known.occurred_at,
                until: None,
            });
        }
    }
    Ok(periods)
}

/// What is asked for it; nothing for one that is not on sale.
fn price_of(product: &Product) -> Option<Money> {
    match product {
        Product::Listed(definition) => Some(definition.price),
        Product::Undefined | Product::Retired(_) => None,
    }
}
