//! Time travel: what a cart, an order, a stock or a product was at a point of its history.
//!
//! Nothing here looks at a read model. A thing's stream is read from the event store up to the point (`stream`), and
//! folded by the domain's own code into the same page that the read model shows now (`carts`, `orders`, `products`,
//! `stock`). What the domain does not keep, such as when a parcel left, is taken from the events beside the state.
//! It costs the reading of the stream up to the point; for a point in time also of what came after it. So only a few read
//! at once (`readers`).

mod carts;
mod changes;
mod entry;
mod orders;
mod point;
mod prices;
mod products;
mod readers;
mod stock;
mod stream;
mod timeline;

pub use carts::CartFold;
pub use changes::changes;
pub use entry::{entries, summary};
pub use orders::OrderFold;
pub use point::Point;
pub use prices::{Priced, price_periods};
pub use products::ProductFold;
pub use readers::Readers;
pub use stock::StockFold;
pub use stream::{HistoryError, Upto, last_at};

use chrono::{DateTime, Utc};
use domain::Aggregate;
use event_store::EventStore;
use futures::{TryStreamExt, pin_mut};
use serde::Serialize;
use stream::Reader;
use utoipa::ToSchema;
use uuid::Uuid;

/// An event's place and circumstances.
pub struct Moment {
    pub revision: i64,
    pub position: i64,
    pub event_type: String,
    pub command_id: Uuid,
    pub actor: String,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
}

/// A page that is made by folding.
pub trait Fold: Default + Send + 'static {
    /// Whose events they are.
    type Of: Aggregate;
    /// The page.
    type Page: Serialize + ToSchema + Send;
    /// What it is called in the answers.
    const WHAT: &'static str;
    /// What whoever looks into its past needs: nothing, where whoever knows its id may see it.
    type Permission: api::Permission;

    /// Takes the stream's next event in.
    fn take(&mut self, event: &<Self::Of as Aggregate>::Event, moment: &Moment);

    /// The page; none before it came into being.
    fn page(self, id: &str) -> Option<Self::Page>;
}

/// The name of the stream.
pub fn stream_of<F: Fold>(id: &str) -> String {
    F::Of::stream(id)
}

/// The page as the first events of the stream make it, up to this one.
pub async fn fold<F: Fold>(store: &EventStore, id: &str, upto: u64) -> Result<Option<F::Page>, HistoryError> {
    let stream = stream_of::<F>(id);
    let count = usize::try_from(upto.saturating_add(1)).unwrap_or(usize::MAX);
    let events = store.read_stream(&stream, 0, count);
    pin_mut!(events);
    let (mut fold, mut reader) = (F::default(), Reader::default());
    while let Some(event) = events.try_next().await? {
        if let Some((fact, moment)) = reader.read::<F::Of>(store, &event).await? {
            fold.take(&fact, &moment);
        }
    }
    Ok(fold.page(id))
}
