use super::stream::{HistoryError, Reader, happened_at};
use super::timeline::{Period, Timeline};
use api::Amount;
use api::sales::PriceSet;
use chrono::{DateTime, Utc};
use domain::product::Product;
use domain::{Aggregate, Money, Sku};
use event_store::EventStore;
use futures::{TryStreamExt, pin_mut};
use std::sync::Arc;

/// A price, from when to when it was asked for, and who set it.
#[derive(Debug)]
pub struct Priced {
    pub set: PriceSet,
    /// Business time, itself inside.
    pub from: DateTime<Utc>,
    /// Itself outside; none if it still stands.
    pub until: Option<DateTime<Utc>>,
}

/// Every price that a product had at some moment, oldest first, as `as_of` shows it at that moment. One that was set with
/// a business time at or after that of a later change was never asked for: its event is in the product's history.
/// None if there is no such product.
pub async fn price_periods(store: &EventStore, sku: &Sku) -> Result<Option<Vec<Priced>>, HistoryError> {
    let events = store.read_stream(&Product::stream(sku), 0, usize::MAX);
    pin_mut!(events);
    let (mut product, mut reader) = (Product::default(), Reader::default());
    let mut set: Option<Arc<PriceSet>> = None;
    let mut timeline = Timeline::default();
    let mut is_known = false;
    while let Some(event) = events.try_next().await? {
        is_known = true;
        // A command that changed nothing was decided upon the prices before it, too.
        if let Some((fact, known)) = reader.read::<Product>(store, &event).await? {
            let before = price_of(&product);
            product = product.evolve(&fact);
            let now = price_of(&product);
            if now != before {
                set = now.map(|price| {
                    Arc::new(PriceSet {
                        revision: event.revision,
                        position: event.position.value(),
                        event_id: event.id,
                        actor: known.actor,
                        command_id: known.command_id,
                        price: Amount::from(price),
                    })
                });
            }
        }
        timeline.take(happened_at(&event), set.clone());
    }
    let priced = |period: Period<Option<Arc<PriceSet>>>| {
        let set = period.state?.as_ref().clone();
        Some(Priced { set, from: period.from, until: period.until })
    };
    Ok(is_known.then(|| timeline.periods().into_iter().filter_map(priced).collect()))
}

/// What is asked for it; nothing for one that is not on sale.
fn price_of(product: &Product) -> Option<Money> {
    match product {
        Product::Listed(definition) => Some(definition.price),
        Product::Undefined | Product::Retired(_) => None,
    }
}
