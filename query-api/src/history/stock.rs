use super::{Fold, Moment};
use crate::routes::stock::StockView;
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
    type Page = StockView;
    const WHAT: &'static str = "stock";
    /// Its history names orders, and whoever knows an order's id may cancel it.
    const IS_OPENED_BY_ITS_ID: bool = false;

    fn take(&mut self, event: &Event, moment: &Moment) {
        self.stock = std::mem::take(&mut self.stock).evolve(event);
        self.last = Some((moment.occurred_at, moment.revision));
    }

    fn page(self, id: &str) -> Option<StockView> {
        let (changed_at, revision) = self.last?;
        let units = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let stock = &self.stock;
        Some(StockView {
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
