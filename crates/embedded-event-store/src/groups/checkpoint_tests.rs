use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::groups::consumers::Connecting;
use crate::groups::deliveries::Origin;
use crate::groups::settings::{Start, Strategy};
use crate::log::record::{Place, ProposedEvent, Record};
use crate::service::Resolved;

fn settings(after_ms: u32, min: u32, max: u32) -> Settings {
    Settings {
        resolve_links: false,
        start_from: Start::Beginning,
        extra_statistics: false,
        max_retry_count: 2,
        message_timeout_ms: 1000,
        checkpoint_after_ms: after_ms,
        min_checkpoint_count: min,
        max_checkpoint_count: max,
        max_subscriber_count: 0,
        live_buffer_size: 10,
        read_batch_size: 10,
        history_buffer_size: 10,
        strategy: Strategy::RoundRobin,
        filter: None,
    }
}

fn nothing_noted() -> Checkpoint {
    Checkpoint { stored: None, noted: None, noted_at: None, first_since: None, not_before: Instant::now() }
}

/// So many messages that are done.
fn done(settings: &Settings, count: u64) -> Deliveries {
    let mut deliveries = Deliveries::new(settings, None);
    let (sender, _receiver) = mpsc::channel(100);
    let end = Arc::new(OnceLock::new());
    let (user, connection_name) = (String::new(), String::new());
    deliveries.join(Connecting { user, connection_name, slots: 100, sender, end });
    let ids: Vec<_> = (0..count).map(|place| Uuid::from_u128(u128::from(place) + 1)).collect();
    for (place, id) in (0..).zip(&ids) {
        let proposed = ProposedEvent {
            id: *id,
            event_type: "t".into(),
            is_json: false,
            metadata: Bytes::new(),
            data: Bytes::new(),
        };
        let record =
            Record::new(Place { stream: "s", revision: place, position: place, created_ticks: 0 }, &proposed);
        deliveries.add(Origin::Source(place), Resolved { event: Some(Arc::new(record)), link: None });
    }
    deliveries.push(Instant::now());
    deliveries.ack(&ids);
    deliveries
}

#[test]
fn a_checkpoint_that_no_time_makes_due_waits_for_the_highest_count() {
    let settings = settings(0, 1, 10);
    assert_eq!(nothing_noted().due(&settings, &done(&settings, 9)), None);
    assert!(nothing_noted().due(&settings, &done(&settings, 10)) <= Some(Instant::now()));
}

#[test]
fn a_checkpoint_is_due_at_once_with_the_highest_count_and_later_with_the_lowest() {
    let settings = settings(60_000, 3, 10);
    assert_eq!(nothing_noted().due(&settings, &done(&settings, 2)), None);
    assert!(nothing_noted().due(&settings, &done(&settings, 10)) <= Some(Instant::now()));
    let now = Instant::now();
    let mut later = Checkpoint { noted_at: Some(now), ..nothing_noted() };
    assert_eq!(later.due(&settings, &done(&settings, 3)), Some(now + Duration::from_secs(60)));
}

#[test]
fn the_first_checkpoint_is_not_held_back_for_more_than_a_second() {
    let settings = settings(60_000, 1, 10);
    let mut checkpoint = nothing_noted();
    let deliveries = done(&settings, 1);
    let due = checkpoint.due(&settings, &deliveries);
    assert!(due <= Some(Instant::now() + Duration::from_secs(1)));
    assert_eq!(checkpoint.due(&settings, &deliveries), due, "it does not move away");
}
