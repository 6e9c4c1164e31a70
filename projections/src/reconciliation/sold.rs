//! The events by which something was sold in a time.

use crate::fact::{Fact, Subject};
use api::reconciliation::EventPlace;
use chrono::{DateTime, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::order::Event;
use domain::{OrderId, Sku};
use event_store::{EventStore, EventStoreError};
use futures::{TryStreamExt, pin_mut};
use std::collections::{HashMap, HashSet};

/// Events that are named for one time: the first of them.
const MAX_EVENTS: usize = 50;

/// What was sold, of all SKUs or of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SoldIn {
    pub from: DateTime<Utc>,
    /// Not in it any more.
    pub to: DateTime<Utc>,
    pub sku: Option<Sku>,
    /// Money that went back counts too.
    pub with_refunds: bool,
}

impl SoldIn {
    /// A day (UTC).
    pub fn day(day: NaiveDate) -> Self {
        let from = day.and_time(NaiveTime::MIN).and_utc();
        let to = from.checked_add_days(Days::new(1)).unwrap_or(from);
        Self { from, to, sku: None, with_refunds: false }
    }

    /// A row of one of the tables for analytics.
    pub fn row_of(table: &str, from: DateTime<Utc>, sku: Option<Sku>) -> Self {
        let to = match table.rsplit('_').next() {
            Some("minutes") => from.checked_add_signed(TimeDelta::minutes(1)),
            Some("quarters") => from.checked_add_signed(TimeDelta::minutes(15)),
            Some("months") => from.checked_add_months(Months::new(1)),
            _ => from.checked_add_days(Days::new(1)),
        };
        Self { from, to: to.unwrap_or(from), sku, with_refunds: true }
    }

    fn has(&self, event: &Event, at: DateTime<Utc>, skus: Option<&HashSet<Sku>>) -> bool {
        let is_sale = match event {
            Event::Paid(_) => true,
            Event::RefundRecorded(_) | Event::RefundFound(_) | Event::RefundFailed(_) => self.with_refunds,
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::Refunded(_) => false,
        };
        let is_of_sku = self.sku.as_ref().is_none_or(|sku| skus.is_some_and(|skus| skus.contains(sku)));
        is_sale && (self.from..self.to).contains(&at) && is_of_sku
    }
}

/// The events of each, from one walk through the log.
pub(super) async fn read(
    store: &EventStore,
    wanted: &[&SoldIn],
) -> Result<Vec<Vec<EventPlace>>, EventStoreError> {
    let wanted_skus: HashSet<&Sku> = wanted.iter().filter_map(|sold| sold.sku.as_ref()).collect();
    // What the later events of an order do not say.
    let mut skus_of: HashMap<OrderId, HashSet<Sku>> = HashMap::new();
    let mut found = vec![Vec::new(); wanted.len()];
    let events = store.read_all(None, usize::MAX);
    pin_mut!(events);
    while let Some(recorded) = events.try_next().await? {
        if recorded.category() != "order" {
            continue;
        }
        let Ok(fact) = Fact::read(&recorded) else { continue };
        let Subject::Order(id, event) = &fact.subject else { continue };
        if let Event::Placed(placed) = event {
            let skus = placed.lines.iter().map(|line| &line.sku).filter(|sku| wanted_skus.contains(sku));
            let skus: HashSet<Sku> = skus.cloned().collect();
            if !skus.is_empty() {
                skus_of.insert(*id, skus);
            }
        }
        for (sold, found) in wanted.iter().zip(&mut found) {
            if found.len() < MAX_EVENTS && sold.has(event, fact.occurred_at, skus_of.get(id)) {
                found.push(super::evidence::place_of(&recorded));
            }
        }
    }
    Ok(found)
}
