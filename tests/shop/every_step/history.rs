//! Where a history can be cut, and what the gateway's books can have been then.

use domain::fulfilment::{Owed, PaymentRequest, owed};
use domain::order::{Event, Order};
use domain::stored::{COMMAND_NOTED, StoredEvent};
use domain::{Aggregate, PaymentId};
use event_store::RecordedEvent;
use serde_json::Value;
use std::ops::RangeInclusive;

/// What is asked of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Authorize,
    Capture,
    Void,
    Refund,
}

/// A line of the gateway's journal: how much of the history must be there before it can be written, and the event that
/// tells of it.
#[derive(Debug)]
struct Line {
    possible_from: usize,
    told_by: usize,
}

/// Events that follow from another one in the same decision, and so are written with it.
const FOLLOWERS: [&str; 7] = [
    "order.paid.v1",
    "order.processing_started.v1",
    "order.cancelled.v1",
    "order.refund_requested.v1",
    "order.refunded.v1",
    "order.shipped.v1",
    "order.delivered.v1",
];

/// How many events a crash can leave: what one append wrote is there or not.
pub fn cuts(history: &[RecordedEvent], from: usize) -> Vec<usize> {
    let is_torn = |cut: usize| {
        let (Some(before), Some(after)) = (history.get(cut - 1), history.get(cut)) else { return false };
        let is_one = before.stream == after.stream && command_id(before) == command_id(after);
        is_one && FOLLOWERS.contains(&after.event_type.as_str())
    };
    (from..=history.len()).filter(|cut| !is_torn(*cut)).collect()
}

fn command_id(event: &RecordedEvent) -> uuid::Uuid {
    event.metadata().unwrap().command_id
}

/// How many lines the gateway's journal can have had when the log had so many events.
pub fn books_at(history: &[RecordedEvent], journal: &[String], cut: usize) -> RangeInclusive<usize> {
    let lines = lines(history, journal);
    let fewest = lines.iter().rposition(|line| line.told_by < cut).map_or(0, |last| last + 1);
    let most = lines.iter().take_while(|line| line.possible_from <= cut).count();
    fewest..=most.max(fewest)
}

fn lines(history: &[RecordedEvent], journal: &[String]) -> Vec<Line> {
    let owed = owed_at(history);
    let mut lines: Vec<(PaymentId, Line)> = Vec::new();
    for text in journal {
        let line: Value = serde_json::from_str(text).unwrap();
        let payment_id: PaymentId =
            line["intent"]["metadata"]["payment_id"].as_str().expect("a payment of ours").parse().unwrap();
        let before = lines.iter().rev().find(|(payment, _)| *payment == payment_id);
        // What one line says is told before the next line of the same payment is written.
        let after = before.map_or(0, |(_, line)| line.told_by.saturating_add(1));
        let kind = line["request"]["key"].as_str().map(|key| match key {
            key if key.starts_with("payment-") => Kind::Authorize,
            key if key.starts_with("capture-") => Kind::Capture,
            key if key.starts_with("cancel-") => Kind::Void,
            key => {
                assert!(key.starts_with("refund-"), "{key}");
                Kind::Refund
            }
        });
        let is_owed = |cut: &usize| kind.is_none_or(|kind| owed[*cut].contains(&(payment_id, kind)));
        let possible_from = (after..=history.len()).find(is_owed).expect("nothing is done that is not owed");
        let told_by = (possible_from..history.len()).find(|index| tells_of(&history[*index], payment_id));
        lines.push((payment_id, Line { possible_from, told_by: told_by.unwrap_or(usize::MAX) }));
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What is owed to the gateway, for each length of the history.
fn owed_at(history: &[RecordedEvent]) -> Vec<Vec<(PaymentId, Kind)>> {
    let mut order = Order::default();
    let mut all = vec![vec![]];
    for event in history {
        if let Some(fact) = of_order(event) {
            order = order.evolve(&fact);
        }
        let of_payments = owed(&order).into_iter().filter_map(|owed| match owed {
            Owed::Stock { .. } => None,
            Owed::Payment { payment_id, request } => Some((payment_id, kind_of(&request))),
        });
        all.push(of_payments.collect());
    }
    all
}

fn kind_of(request: &PaymentRequest) -> Kind {
    match request {
        PaymentRequest::Authorize { .. } => Kind::Authorize,
        PaymentRequest::Capture { .. } => Kind::Capture,
        PaymentRequest::Void { .. } => Kind::Void,
        PaymentRequest::Refund { .. } => Kind::Refund,
    }
}

pub fn of_order(event: &RecordedEvent) -> Option<Event> {
    let is_fact = event.category() == "order" && event.event_type != COMMAND_NOTED;
    is_fact.then(|| Event::read(&event.event_type, &event.data).unwrap())
}

fn tells_of(event: &RecordedEvent, payment: PaymentId) -> bool {
    match of_order(event) {
        Some(Event::PaymentStarted(told)) => told.payment_id == payment,
        Some(Event::PaymentAuthorized(told)) => told.payment_id == payment,
        Some(Event::PaymentDeclined(told)) => told.payment_id == payment,
        Some(Event::PaymentCaptured(told)) => told.payment_id == payment,
        Some(Event::PaymentVoided(told)) => told.payment_id == payment,
        Some(Event::RefundRecorded(told)) => told.payment_id == Some(payment),
        _ => false,
    }
}
