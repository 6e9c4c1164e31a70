//! What caused what: each command with its events, under the event that it follows from.

use crate::history::summary;
use api::audit::{CausedEvent, CausedStep};
use chrono::{DateTime, Utc};
use event_store::{Metadata, Position, RecordedEvent};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The tree of these events, which come in the order of the log. Those whose metadata is not ours have no place in it.
pub fn tree(events: &[RecordedEvent]) -> Vec<CausedStep> {
    let known: Vec<(&RecordedEvent, Metadata)> =
        events.iter().filter_map(|event| Some((event, event.metadata().ok()?))).collect();
    let positions: HashMap<Uuid, Position> =
        known.iter().map(|(event, _)| (event.id, event.position)).collect();
    // By the place of a command's first event, which is the order in which they were decided.
    let mut steps: BTreeMap<Position, CausedStep> = BTreeMap::new();
    let mut first_of: HashMap<Uuid, Position> = HashMap::new();
    for (event, metadata) in known {
        let first = *first_of.entry(metadata.command_id).or_insert(event.position);
        let step = steps.entry(first).or_insert_with(|| CausedStep {
            depth: 0,
            command_id: metadata.command_id,
            // Nothing follows from what comes later, whatever it says.
            caused_by: Some(metadata.causation_id)
                .filter(|cause| positions.get(cause).is_some_and(|cause| *cause < event.position)),
            actor: metadata.actor,
            occurred_at: metadata.occurred_at,
            events: Vec::new(),
        });
        step.events.push(effect(event, metadata.occurred_at));
    }
    told_from_the_roots(steps.into_values().collect())
}

fn effect(event: &RecordedEvent, occurred_at: DateTime<Utc>) -> CausedEvent {
    CausedEvent {
        position: event.position.value(),
        stream: event.stream.clone(),
        revision: event.revision,
        event_id: event.id,
        event_type: event.event_type.clone(),
        summary: summary(event),
        occurred_at,
    }
}

fn told_from_the_roots(steps: Vec<CausedStep>) -> Vec<CausedStep> {
    let mut of_event: HashMap<Uuid, usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        of_event.extend(step.events.iter().map(|event| (event.event_id, index)));
    }
    let mut follow: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut waiting = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match step.caused_by.and_then(|cause| of_event.get(&cause)).filter(|cause| **cause != index) {
            Some(&cause) => follow[cause].push(index),
            None => waiting.push((index, 0)),
        }
    }
    waiting.reverse();
    let mut steps: Vec<Option<CausedStep>> = steps.into_iter().map(Some).collect();
    let mut told = Vec::with_capacity(steps.len());
    while let Some((index, depth)) = waiting.pop() {
        let Some(step) = steps[index].take() else { continue };
        told.push(CausedStep { depth, ..step });
        waiting.extend(follow[index].iter().rev().map(|next| (*next, depth + 1)));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: u64, command: u128, cause: u128) -> RecordedEvent {
        let metadata = Metadata {
            correlation_id: Uuid::from_u128(1),
            causation_id: Uuid::from_u128(cause),
            command_id: Uuid::from_u128(command),
            actor: "shopper".to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            fingerprint: String::new(),
            more: false,
        };
        RecordedEvent {
            stream: "order-1".to_owned(),
            revision: position,
            position: Position::new(position),
            id: Uuid::from_u128(u128::from(position)),
            event_type: "order.paid.v1".to_owned(),
            data: b"{}".as_slice().into(),
            metadata: metadata.to_json().into(),
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Depth and positions of each step.
    fn told(events: &[RecordedEvent]) -> Vec<(usize, Vec<u64>)> {
        let positions = |step: &CausedStep| step.events.iter().map(|event| event.position).collect();
        tree(events).iter().map(|step| (step.depth, positions(step))).collect()
    }

    #[test]
    fn what_follows_comes_one_level_deeper_and_before_the_next_root() {
        // 100 wrote 1 and 2; from 2 followed 200, from its event 3 followed 300; 400 came from outside before that.
        let events =
            [event(1, 100, 100), event(2, 100, 100), event(3, 200, 2), event(4, 400, 400), event(5, 300, 3)];
        assert_eq!(told(&events), [(0, vec![1, 2]), (1, vec![3]), (2, vec![5]), (0, vec![4])]);
    }

    #[test]
    fn a_cause_that_is_not_there_or_comes_later_makes_a_root() {
        assert_eq!(told(&[event(1, 100, 9)]), [(0, vec![1])]);
        assert_eq!(told(&[event(1, 100, 2), event(2, 200, 1)]), [(0, vec![1]), (1, vec![2])]);
        assert_eq!(told(&[event(1, 100, 1)]), [(0, vec![1])]);
    }

    #[test]
    fn what_goes_deep_is_told_all_the_same() {
        let events: Vec<_> =
            (1..=5_000).map(|at| event(at, 10_000 + u128::from(at), u128::from(at) - 1)).collect();
        let told = tree(&events);
        assert_eq!((told.len(), told[4_999].depth), (5_000, 4_999));
    }
}
