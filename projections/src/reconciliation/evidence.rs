//! The events of what was found.

use super::report::{Check, EventRef, Evidence, Finding, Suspicion};
use crate::compare::{Comparison, Difference};
use crate::fact::Fact;
use crate::projection::Projection;
use crate::read_models::Sales;
use chrono::NaiveDate;
use event_store::{EventStore, EventStoreError, RecordedEvent};
use futures::{TryStreamExt, pin_mut};
use serde_json::Value;
use std::collections::HashMap;

/// Events that are named for one finding: the last of them.
const MAX_EVENTS: usize = 50;

/// A row that differs, as something to look into.
pub fn suspicion_of(comparison: &Comparison, difference: &Difference) -> Suspicion {
    let show = |row: &Option<Value>| row.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
    let what = format!(
        "{} {}: the table `{}` has {}, and its events make {}",
        comparison.name,
        difference.key,
        difference.table,
        show(&difference.stored),
        show(&difference.refolded)
    );
    Suspicion { check: Check::Row, what, evidence: evidence_of(difference) }
}

/// The streams or the day that a row is about, by the columns that it has.
fn evidence_of(difference: &Difference) -> Evidence {
    let Some(row) = difference.refolded.as_ref().or(difference.stored.as_ref()) else {
        return Evidence::None;
    };
    let column = |name: &str| row.get(name).and_then(Value::as_str);
    let day = || column("day").and_then(|day| day.get(..10)?.parse().ok());
    if let Some(order_id) = column("order_id") {
        Evidence::Streams(vec![format!("order-{order_id}")])
    } else if let Some(cart_id) = column("cart_id") {
        Evidence::Streams(vec![format!("cart-{cart_id}")])
    } else if let Some(day) = day() {
        Evidence::Day(day)
    } else if let Some(sku) = column("sku") {
        let category = if difference.table == "products" { "product" } else { "inventory" };
        Evidence::Streams(vec![format!("{category}-{sku}")])
    } else {
        Evidence::None
    }
}

/// Reads the events. The log is read once more if any of it is about a day.
pub async fn read(store: &EventStore, suspicions: Vec<Suspicion>) -> Result<Vec<Finding>, EventStoreError> {
    let mut days: HashMap<NaiveDate, Vec<EventRef>> = HashMap::new();
    for suspicion in &suspicions {
        if let Evidence::Day(day) = suspicion.evidence {
            days.insert(day, Vec::new());
        }
    }
    if !days.is_empty() {
        read_days(store, &mut days).await?;
    }
    let mut findings = Vec::new();
    for Suspicion { check, what, evidence } in suspicions {
        let events = match evidence {
            Evidence::None => Vec::new(),
            Evidence::Day(day) => days.get(&day).cloned().unwrap_or_default(),
            Evidence::Streams(streams) => {
                let mut events = Vec::new();
                for stream in streams {
                    let read = store.read_stream_backwards(&stream, None, MAX_EVENTS);
                    pin_mut!(read);
                    while let Some(event) = read.try_next().await? {
                        events.push(EventRef::of(&event));
                    }
                }
                events.sort_by_key(|event| event.position);
                events
            }
        };
        findings.push(Finding { check, what, events });
    }
    Ok(findings)
}

/// The sales of these days: the events that say that an order is paid.
async fn read_days(
    store: &EventStore,
    days: &mut HashMap<NaiveDate, Vec<EventRef>>,
) -> Result<(), EventStoreError> {
    let events = store.read_all(None, usize::MAX);
    pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        if !Sales::wants(&event) || !event.event_type.starts_with("order.paid.") {
            continue;
        }
        let Ok(fact) = Fact::read(&event) else { continue };
        if let Some(of_day) =
            days.get_mut(&fact.occurred_at.date_naive()).filter(|all| all.len() < MAX_EVENTS)
        {
            of_day.push(EventRef::of(&event));
        }
    }
    Ok(())
}

impl EventRef {
    fn of(event: &RecordedEvent) -> Self {
        Self {
            stream: event.stream.clone(),
            revision: event.revision,
            position: event.position.value(),
            event_type: event.event_type.clone(),
        }
    }
}
