use super::{Fold, Moment};
use api::permission::Audit;
use api::stock::StockLevel;
use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::inventory::{Event, Inventory};

/// A SKU's stock at a point.
#[derive(Default)]
pub struct StockFold {
    stock: Inventory,
    last: Option<(DateTime<Utc>, i64)>,
}

impl Fold for StockFold {
    type Of = Inventory;
    type Page = StockLevel;
    const WHAT: &'static str = "stock";
    /// Its history names orders, and whoever knows an order's id may cancel it.
    type Permission = Audit;

    fn take(&mut self, event: &Event, moment: &Moment) {
        self.stock = std::mem::take(&mut self.stock).evolve(event);
        self.last = Some((moment.occurred_at, moment.revision));
    }

    fn page(self, id: &str) -> Option<StockLevel> {
        let (changed_at, revision) = self.last?;
        let units = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let stock = &self.stock;
        Some(StockLevel {
            sku: id.to_owned(),
            available: units(stock.available()),
            reserved: units(stock.reserved()),
            committed: units(stock.reserved().saturating_sub(stock.held_for_unpaid())),
            shipped: units(stock.shipped()),
            received: units(stock.received()),
            adjusted: stock.adjusted(),
            changed_at,
            revision,
        })
    }
}
