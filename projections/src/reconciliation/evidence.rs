//! The events of what was found.

use super::report::{Evidence, Suspicion};
use super::sold::{self, SoldIn};
use crate::catalogue::Entry;
use api::projections::{Comparison, RowDifference};
use api::reconciliation::{Check, EventPlace, Finding};
use event_store::{EventStore, EventStoreError, Position, RecordedEvent};
use futures::{TryStreamExt, pin_mut};
use serde_json::Value;

/// Events that are named for one finding: the last of them.
const MAX_EVENTS: usize = 50;

/// A row that differs, as something to look into.
pub fn suspicion_of(entry: &Entry, comparison: &Comparison, difference: &RowDifference) -> Suspicion {
    let show = |row: &Option<Value>| row.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
    let what = format!(
        "{} {}: the table `{}` has {}, and its events make {}",
        comparison.name,
        difference.key,
        difference.table,
        show(&difference.stored),
        show(&difference.refolded)
    );
    Suspicion { check: Check::Row, what, evidence: evidence_of(entry, difference) }
}

/// What a row is about: the stream that its projection says, unless its rows add up over streams.
fn evidence_of(entry: &Entry, difference: &RowDifference) -> Evidence {
    let Some(row) = difference.refolded.as_ref().or(difference.stored.as_ref()) else {
        return Evidence::None;
    };
    let table = difference.table.as_str();
    let column = |name: &str| row.get(name).and_then(Value::as_str);
    let stream =
        |category: &str, id: &str| Some(Evidence::Streams(vec![format!("{category}-{}", column(id)?)]));
    if let (Some(category), Some(column)) = (entry.category(), entry.stream_column) {
        return stream(category, column).unwrap_or(Evidence::None);
    }
    let evidence = match table {
        "sales" => column("day").and_then(|day| day.get(..10)?.parse().ok()).map(|day| {
            let sku = column("key").filter(|_| column("dimension") == Some("sku"));
            let sku = sku.and_then(|sku| sku.parse().ok());
            Evidence::Sold(SoldIn { sku, ..SoldIn::day(day) })
        }),
        "trail" => row.get("position").and_then(Value::as_u64).map(Evidence::Event),
        _ if table.starts_with("analytics_sales_") || table.starts_with("analytics_sku_") => {
            let starts = column("starts").and_then(|starts| starts.parse().ok());
            // A row without a SKU is about all of them.
            let sku = column("sku").and_then(|sku| sku.parse().ok());
            starts.map(|starts| Evidence::Sold(SoldIn::row_of(table, starts, sku)))
        }
        // What an order will be counted as, once it is paid.
        _ => stream("order", "order_id"),
    };
    evidence.unwrap_or(Evidence::None)
}

/// Reads the events. The log is read once more if any of it is about what was sold.
pub async fn read(store: &EventStore, suspicions: Vec<Suspicion>) -> Result<Vec<Finding>, EventStoreError> {
    let of_time = suspicions.iter().filter_map(|suspicion| match &suspicion.evidence {
        Evidence::Sold(sold) => Some(sold),
        _ => None,
    });
    let of_time: Vec<&SoldIn> = of_time.collect();
    let sold = if of_time.is_empty() { Vec::new() } else { sold::read(store, &of_time).await? };
    let mut sold = sold.into_iter();
    let mut findings = Vec::new();
    for Suspicion { check, what, evidence } in suspicions {
        let events = match evidence {
            Evidence::None => Vec::new(),
            Evidence::Sold(_) => sold.next().unwrap_or_default(),
            Evidence::Event(position) => at(store, Position::new(position)).await,
            Evidence::Streams(streams) => of_streams(store, streams).await?,
        };
        findings.push(Finding { check, what, events });
    }
    Ok(findings)
}

/// The event there. A row may name a place that no event has, and the store may refuse to look at it.
async fn at(store: &EventStore, position: Position) -> Vec<EventPlace> {
    let events = store.read_all(Some(position), 1);
    pin_mut!(events);
    let event = events.try_next().await.ok().flatten();
    event.filter(|event| event.position == position).iter().map(place_of).collect()
}

async fn of_streams(store: &EventStore, streams: Vec<String>) -> Result<Vec<EventPlace>, EventStoreError> {
    let mut events = Vec::new();
    for stream in streams {
        let read = store.read_stream_backwards(&stream, None, MAX_EVENTS);
        pin_mut!(read);
        while let Some(event) = read.try_next().await? {
            events.push(place_of(&event));
        }
    }
    events.sort_by_key(|event| event.position);
    Ok(events)
}

pub(super) fn place_of(event: &RecordedEvent) -> EventPlace {
    EventPlace {
        stream: event.stream.clone(),
        revision: event.revision,
        position: event.position.value(),
        event_type: event.event_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use serde_json::json;

    fn evidence(table: &'static str, sku: &str) -> Evidence {
        let entry = catalogue::ALL.into_iter().find(|entry| entry.tables.contains(&table)).unwrap();
        // Every column that any table has: which one counts depends on the table.
        let row = json!({ "order_id": "O", "cart_id": "C", "sku": sku, "position": 7, "revision": 1, "day": "2026-11-21",
                          "dimension": "sku", "key": "MUG", "starts": "2026-11-01T00:00:00+00:00" });
        let refolded = Some(row);
        evidence_of(
            &entry,
            &RowDifference { table: table.to_owned(), key: json!(null), stored: None, refolded },
        )
    }

    fn sold(from: &str, to: &str, sku: Option<&str>, with_refunds: bool) -> Evidence {
        let time = |text: &str| format!("{text}:00Z").parse().unwrap();
        let sku = sku.map(|sku| sku.parse().unwrap());
        Evidence::Sold(SoldIn { from: time(from), to: time(to), sku, with_refunds })
    }

    #[test]
    fn a_row_of_every_table_has_the_events_that_it_is_about() {
        let stream = |stream: &str| Evidence::Streams(vec![stream.to_owned()]);
        let month = "2026-11-01T00:00";
        for table in catalogue::ALL.iter().flat_map(|entry| entry.tables) {
            let expected = match *table {
                "carts" | "cart_lines" | "analytics_carts" => stream("cart-C"),
                "products" => stream("product-MUG"),
                "stock" | "analytics_stock_levels" | "analytics_stock_outs" => stream("inventory-MUG"),
                "trail" => Evidence::Event(7),
                // Only which kinds there are.
                "trail_kinds" => continue,
                "sales" => sold("2026-11-21T00:00", "2026-11-22T00:00", Some("MUG"), false),
                "analytics_sales_minutes" => sold(month, "2026-11-01T00:01", Some("MUG"), true),
                "analytics_sales_quarters" => sold(month, "2026-11-01T00:15", Some("MUG"), true),
                "analytics_sales_days" | "analytics_sku_days" => {
                    sold(month, "2026-11-02T00:00", Some("MUG"), true)
                }
                "analytics_sales_months" | "analytics_sku_months" => {
                    sold(month, "2026-12-01T00:00", Some("MUG"), true)
                }
                _ => stream("order-O"),
            };
            assert_eq!(evidence(table, "MUG"), expected, "{table}");
        }
        assert_eq!(evidence("analytics_sales_days", ""), sold(month, "2026-11-02T00:00", None, true));
    }

    #[test]
    fn what_kinds_of_events_there_are_is_nobodys() {
        let row = Some(
            json!({ "kind": 1, "category": "cart", "event_type": "cart.opened.v1", "actor": "shopper" }),
        );
        let difference =
            RowDifference { table: "trail_kinds".to_owned(), key: json!([1]), stored: row, refolded: None };
        let trail = catalogue::find("trail").unwrap();
        assert_eq!(evidence_of(&trail, &difference), Evidence::None);
    }
}
