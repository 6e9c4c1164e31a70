//! The first commands of a queue, decided one after the other, each on the state that the ones before it led to.

use super::loaded::{End, Loaded, new_events, noted};
use super::stream::Waiting;
use super::{Accepted, ExecuteError, MAX_NOTED};
use audit_seal::Digest;
use domain::Aggregate;
use event_store::{ExpectedRevision, MAX_APPEND_BYTES, NewEvent, Position};
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// Bytes that an event takes beside its payload: metadata, ids and names, roundly.
const BYTES_BESIDE_PAYLOAD: usize = 450;

/// What one append is to take, and what to say to whom.
pub(super) struct Batch<A: Aggregate> {
    pub expected: ExpectedRevision,
    pub events: Vec<NewEvent>,
    /// The link of the last of them, or of the last event before them.
    pub link: Digest,
    outcomes: Vec<Outcome<A>>,
}

enum Outcome<A: Aggregate> {
    /// Its last event has this revision.
    Takes {
        revision: u64,
    },
    /// The same keyed command stands before it in this batch.
    Repeats {
        revision: u64,
    },
    /// It came without a key, and there is nothing to change.
    AlreadySo,
    Replayed(End),
    Refused(ExecuteError<A::Rejection>),
}

/// Keyed commands that this batch takes: their fingerprints and last revisions.
type Taken = HashMap<Uuid, (String, u64)>;

impl<A: Aggregate> Batch<A> {
    /// Decides as many as fit into one append. The state then has their effects already.
    pub fn decide(stream: &str, state: &mut Loaded<A>, commands: &VecDeque<Waiting<A>>) -> Self {
        let mut batch =
            Self { expected: state.expected(), events: Vec::new(), link: state.link(), outcomes: Vec::new() };
        let new_key = state.is_assumed().then(Uuid::new_v4);
        let mut taken = Taken::new();
        let mut bytes = 0;
        for waiting in commands {
            let outcome = match known(state, &taken, waiting) {
                Some(outcome) => outcome,
                None => match state.aggregate.decide(&waiting.command) {
                    Err(rejection) => Outcome::Refused(ExecuteError::Rejected(rejection)),
                    Ok(facts) if facts.is_empty() && waiting.envelope.fingerprint.is_none() => {
                        Outcome::AlreadySo
                    }
                    Ok(facts)
                        if facts.is_empty()
                            && state.noted >= MAX_NOTED
                            && !waiting.envelope.is_of_operator() =>
                    {
                        Outcome::Refused(ExecuteError::NotedTooOften { max: MAX_NOTED })
                    }
                    Ok(facts) => {
                        let after = (state.next_revision() + batch.events.len() as u64, &batch.link);
                        let (events, link) = if facts.is_empty() {
                            noted(stream, &waiting.envelope, new_key, after)
                        } else {
                            new_events(stream, &waiting.envelope, &facts, new_key, after)
                        };
                        let size: usize =
                            events.iter().map(|event| event.data.len() + BYTES_BESIDE_PAYLOAD).sum();
                        if bytes > 0 && bytes + size > MAX_APPEND_BYTES {
                            break;
                        }
                        bytes += size;
                        state.noted += u32::from(facts.is_empty());
                        facts.iter().for_each(|fact| state.evolve(fact));
                        batch.events.extend(events);
                        batch.link = link;
                        let revision = state.next_revision() + batch.events.len() as u64 - 1;
                        if !waiting.envelope.fingerprint.is_none() {
                            let fingerprint = waiting.envelope.fingerprint.as_str().to_owned();
                            taken.insert(waiting.envelope.command_id, (fingerprint, revision));
                        }
                        Outcome::Takes { revision }
                    }
                },
            };
            batch.outcomes.push(outcome);
        }
        batch
    }

    /// Notes in the state which keyed commands were answered.
    pub fn remember(&self, commands: &VecDeque<Waiting<A>>, state: &mut Loaded<A>) {
        let Some(now) = state.end else { return };
        for (outcome, waiting) in self.outcomes.iter().zip(commands) {
            let revision = match outcome {
                Outcome::Takes { revision } => *revision,
                Outcome::AlreadySo | Outcome::Repeats { .. } | Outcome::Replayed(_) | Outcome::Refused(_) => {
                    continue;
                }
            };
            let end = End { revision, position: now.position };
            state.remember(waiting.envelope.command_id, waiting.envelope.fingerprint.as_str(), end);
        }
    }

    /// Answers the commands of the batch, which leave the queue.
    pub fn reply(self, commands: &mut VecDeque<Waiting<A>>, end: Option<End>) {
        self.answer(commands, end, None);
    }

    /// Answers the commands of the batch whose events could not be taken with the reason, and the others as decided.
    pub fn refuse(
        self,
        commands: &mut VecDeque<Waiting<A>>,
        end: Option<End>,
        error: &ExecuteError<A::Rejection>,
    ) {
        self.answer(commands, end, Some(error));
    }

    fn answer(
        self,
        commands: &mut VecDeque<Waiting<A>>,
        end: Option<End>,
        error: Option<&ExecuteError<A::Rejection>>,
    ) {
        // Only a stream without events has no end, and every command for it makes events or is refused.
        let now = end.unwrap_or(End { revision: 0, position: Position::new(0) });
        let accepted =
            |end: End, replayed| Accepted { revision: end.revision, position: end.position, replayed };
        for outcome in self.outcomes {
            let Some(waiting) = commands.pop_front() else { return };
            let answer = match (outcome, error) {
                (Outcome::Takes { .. } | Outcome::Repeats { .. }, Some(error)) => Err(error.clone()),
                (Outcome::Takes { revision }, None) => Ok(accepted(End { revision, ..now }, false)),
                (Outcome::Repeats { revision }, None) => Ok(accepted(End { revision, ..now }, true)),
                (Outcome::AlreadySo, _) => Ok(accepted(now, false)),
                (Outcome::Replayed(end), _) => Ok(accepted(end, true)),
                (Outcome::Refused(error), _) => Err(error),
            };
            // Whoever asked may have gone.
            let _ = waiting.reply.send(answer);
        }
    }
}

/// What there is to say to a keyed command that came before.
fn known<A: Aggregate>(state: &Loaded<A>, taken: &Taken, waiting: &Waiting<A>) -> Option<Outcome<A>> {
    let envelope = &waiting.envelope;
    if let Some((fingerprint, revision)) = taken.get(&envelope.command_id) {
        let is_same = envelope.fingerprint.is_recorded_as(fingerprint);
        return Some(if is_same {
            Outcome::Repeats { revision: *revision }
        } else {
            Outcome::Refused(ExecuteError::KeyReused)
        });
    }
    match state.replayed(envelope)? {
        Ok(end) => Some(Outcome::Replayed(end)),
        Err(error) => Some(Outcome::Refused(error)),
    }
}
