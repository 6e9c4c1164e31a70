//! The gateway's book: what there is, in memory and in the journal. No async, and time comes from outside.

mod outcomes;
mod reading;

use crate::answer::{Answer, Event};
use crate::config::SandboxConfig;
use crate::failure::Failure;
use crate::intent::{Action, Change, Happening, Intent, Status};
use crate::journal::{EventRecord, Journal, JournalError, Record, RequestRecord};
use crate::methods::Behaviour;
use crate::operation::{Endpoint, Operation};
use crate::params::Params;
use crate::refund::{Refund, RefundStatus};
use crate::shelf::Shelf;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a journal is, in bytes, that is looked at when the gateway starts.
const WORTH_WRITING_ANEW: u64 = 64 * 1024;
/// How long it is when it is looked at while the gateway runs: that takes a moment, and requests wait.
const TOO_LONG: u64 = 256 * 1024 * 1024;

pub(crate) struct Book {
    journal: Journal,
    shelf: Shelf,
    /// Keys whose requests are done and not answered yet.
    under_way: HashSet<String>,
    /// Whether anybody is told anything.
    tells: bool,
    processing: Duration,
    /// How long a key counts, in milliseconds.
    keeps_keys: i64,
    /// Where shoppers' browsers find this gateway.
    public_url: String,
    /// How long the journal must be to be looked at, in bytes.
    write_anew_at: u64,
}

/// A request that would change something.
pub(crate) struct Request {
    pub key: Option<String>,
    pub path: String,
    pub endpoint: Endpoint,
    pub params: Params,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// What came of a request.
pub(crate) enum Performed {
    /// It changed nothing and is not remembered.
    Refused(Failure),
    /// It had been done before.
    Replayed(Arc<Answer>),
    /// It is to hang.
    Hangs,
    Done(Done),
}

pub(crate) struct Done {
    pub answer: Arc<Answer>,
    pub events: Vec<Arc<Event>>,
    /// The intent whose outcome comes later, and when, in milliseconds since 1970.
    pub due: Option<(String, i64)>,
    pub answers_late: bool,
    pub tells_twice: bool,
}

/// What a request means: how things are after it, if they change, and what is answered.
struct Decision {
    intent: Intent,
    refund: Option<Refund>,
    change: Change,
    confirms: bool,
}

impl Book {
    /// Reads the journal, and writes it anew if much of it does not count any more. `now` in milliseconds since 1970.
    pub fn open(config: &SandboxConfig, now: i64) -> Result<Self, JournalError> {
        let (folder, tells) = (&config.data_dir, config.webhook.is_some());
        let mut shelf = Shelf::new(config.keeps_payments);
        let journal = Journal::open(folder, |record| {
            shelf.put(record);
        })?;
        if !tells {
            shelf.tell_nobody();
        }
        for kept in shelf.kept.values_mut().filter(|kept| kept.at == 0) {
            kept.at = now;
        }
        let mut book = Self {
            journal,
            shelf,
            under_way: HashSet::new(),
            tells,
            processing: config.delays.processing,
            keeps_keys: i64::try_from(config.keeps_keys.as_millis()).unwrap_or(i64::MAX),
            public_url: String::new(),
            write_anew_at: WORTH_WRITING_ANEW,
        };
        book.write_anew_if_worth_it(now);
        book.write_anew_at = book.write_anew_at.max(TOO_LONG);
        Ok(book)
    }

    /// Writes the journal anew when it is long and a third of it or more does not count any more.
    fn write_anew_if_worth_it(&mut self, now: i64) {
        if self.journal.length() < self.write_anew_at {
            return;
        }
        self.shelf.forget_keys_before(now.saturating_sub(self.keeps_keys).saturating_add(1));
        let (before, needed) = (self.journal.records(), self.shelf.size());
        if before >= needed + needed / 2 {
            match self.journal.write_anew(self.shelf.records()) {
                Ok(()) => tracing::info!(before, after = needed, "the journal is written anew"),
                Err(error) => {
                    tracing::warn!(%error, "the journal cannot be written anew: it stays as long as it is")
                }
            }
        }
        self.write_anew_at = self.journal.length().saturating_mul(2).max(TOO_LONG);
    }

    /// Where shoppers' browsers find this gateway from now on.
    pub fn is_at(&mut self, public_url: String) {
        self.public_url = public_url;
    }

    pub fn perform(&mut self, request: Request) -> Performed {
        let Request { key, path, endpoint, params, now } = request;
        let request = key.map(|key| RequestRecord {
            key,
            fingerprint: params.fingerprint(&path),
            at: now,
            failure: None,
        });
        let kept = request.as_ref().and_then(|request| Some((request, self.shelf.kept.get(&request.key)?)));
        let kept = kept.filter(|(_, kept)| now.saturating_sub(kept.at) < self.keeps_keys);
        if let Some((request, kept)) = kept {
            return if kept.fingerprint != request.fingerprint {
                Performed::Refused(Failure::other_request())
            } else if self.under_way.contains(&request.key) {
                Performed::Refused(Failure::under_way())
            } else {
                Performed::Replayed(kept.answer.clone())
            };
        }
        let operation = match Operation::read(endpoint, params) {
            Ok(operation) => operation,
            Err(failure) => return Performed::Refused(failure),
        };
        match self.decide(operation, now) {
            Ok(None) => Performed::Hangs,
            Ok(Some(decision)) => self.record(decision, request, now),
            Err(Refusal { failure, shown: None }) => Performed::Refused(failure),
            Err(Refusal { failure, shown: Some(shown) }) => self.record_refusal(failure, shown, request),
        }
    }

    /// A request has got its answer.
    pub fn answered(&mut self, key: &str) {
        self.under_way.remove(key);
    }

    /// An event need not be told any more.
    pub fn told(&mut self, id: &str) {
        self.shelf.told(id);
        let record = Record { told: Some(id.to_owned()), ..Record::default() };
        if let Err(error) = self.journal.append(&record) {
            tracing::warn!(%error, "after a restart a webhook will come once more");
        }
    }

    fn find(&self, id: &str, param: &str) -> Result<&Arc<Intent>, Failure> {
        self.intent(id).ok_or_else(|| Failure::no_such("payment_intent", id, param))
    }

    /// Nothing, when the request is to hang.
    fn decide(&self, operation: Operation, now: i64) -> Result<Option<Decision>, Refusal> {
        let due = now.saturating_add(i64::try_from(self.processing.as_millis()).unwrap_or(i64::MAX));
        let seconds = now / 1000;
        let (intent, refund, change, confirms) = match operation {
            Operation::Create { confirm, ref return_url, .. } => {
                let return_url = return_url.clone();
                let mut intent = self.new_intent(operation, seconds);
                let mut change = Change::default();
                if confirm {
                    let action = self.action(&intent, return_url);
                    change = intent.confirm(new_id("ch"), due, action)?;
                }
                change.happenings.insert(0, Happening::Created);
                (intent, None, change, confirm)
            }
            Operation::Confirm { id, payment_method, return_url } => {
                let before = self.find(&id, "intent")?;
                let mut intent = Intent::clone(before);
                intent.payment_method = payment_method.or(intent.payment_method);
                let action = self.action(&intent, return_url);
                let change = intent.confirm(new_id("ch"), due, action);
                let change = change.map_err(|failure| Refusal::of(failure, before))?;
                (intent, None, change, true)
            }
            Operation::Capture { id, amount } => {
                let before = self.find(&id, "intent")?;
                let mut intent = Intent::clone(before);
                let change = intent.capture(amount).map_err(|failure| Refusal::of(failure, before))?;
                (intent, None, change, false)
            }
            Operation::Cancel { id, reason } => {
                let before = self.find(&id, "intent")?;
                let mut intent = Intent::clone(before);
                let change =
                    intent.cancel(reason, seconds).map_err(|failure| Refusal::of(failure, before))?;
                (intent, None, change, false)
            }
            Operation::Refund { intent: id, amount, reason, metadata } => {
                let before = self.find(&id, "payment_intent")?;
                let mut intent = Intent::clone(before);
                let amount = intent.refund(amount).map_err(|failure| Refusal::of(failure, before))?;
                let refund = Refund {
                    id: new_id("re"),
                    number: self.shelf.next_refund(),
                    created: seconds,
                    amount,
                    currency: intent.currency.clone(),
                    intent: id,
                    charge: intent.charge.clone(),
                    reason,
                    metadata,
                    status: intent.refund_status(),
                    due: (intent.refund_status() == RefundStatus::Pending).then_some(due),
                };
                let happenings = vec![Happening::RefundCreated, Happening::ChargeRefunded];
                (intent, Some(refund), Change { happenings, failure: None }, false)
            }
        };
        if confirms && intent.behaviour() == Some(Behaviour::NeverAnswer) {
            return Ok(None);
        }
        Ok(Some(Decision { intent, refund, change, confirms }))
    }

    /// What a shopper is to do, should they be asked.
    fn action(&self, intent: &Intent, return_url: Option<String>) -> Action {
        Action { url: format!("{}/authenticate/{}", self.public_url, intent.id), return_url }
    }

    fn new_intent(&self, operation: Operation, created: i64) -> Intent {
        let Operation::Create {
            amount, currency, capture_method, payment_method, metadata, description, ..
        } = operation
        else {
            unreachable!("only a creation makes an intent");
        };
        Intent {
            id: new_id("pi"),
            number: self.shelf.next_intent(),
            created,
            amount,
            currency,
            status: match payment_method {
                Some(_) => Status::RequiresConfirmation,
                None => Status::RequiresPaymentMethod,
            },
            capture_method,
            payment_method,
            metadata,
            description,
            amount_received: 0,
            amount_refunded: 0,
            charge: None,
            failure: None,
            canceled_at: None,
            cancellation_reason: None,
            due: None,
            action: None,
        }
    }

    fn record(&mut self, decision: Decision, request: Option<RequestRecord>, now: i64) -> Performed {
        let Decision { intent, refund, change, confirms } = decision;
        let Change { happenings, failure } = change;
        let intent = Arc::new(intent);
        let refund = refund.map(Arc::new);
        let event = |happening| EventRecord { id: new_id("evt"), happening, created: now / 1000, key: None };
        let events: Vec<_> = happenings.into_iter().filter(|_| self.tells).map(event).collect();
        let key = request.as_ref().map(|request| request.key.clone());
        let record = Record {
            intent: Some(intent.clone()),
            refund: refund.clone(),
            request: request.map(|request| RequestRecord { failure: failure.clone(), ..request }),
            events,
            ..Record::default()
        };
        if let Err(error) = self.journal.append(&record) {
            tracing::error!(%error, "the journal cannot be written: the request is not done");
            return Performed::Refused(Failure::internal());
        }
        let due = intent.due.filter(|_| confirms).map(|due| (intent.id.clone(), due));
        let behaviour = intent.behaviour();
        let events = self.shelf.put(record);
        self.write_anew_if_worth_it(now);
        let tells_twice = behaviour == Some(Behaviour::TellTwice);
        if let Some(key) = key.filter(|_| tells_twice) {
            self.under_way.insert(key);
        }
        Performed::Done(Done {
            answer: Arc::new(Answer { failure, intent: Some(intent), refund }),
            events,
            due,
            answers_late: confirms && behaviour == Some(Behaviour::AnswerLate),
            tells_twice,
        })
    }

    /// What the intent's state refuses is remembered, as an answer like any other.
    fn record_refusal(
        &mut self,
        failure: Failure,
        shown: Arc<Intent>,
        request: Option<RequestRecord>,
    ) -> Performed {
        let answer = Answer { failure: Some(failure.clone()), intent: Some(shown.clone()), refund: None };
        if let Some(request) = request {
            let request = Some(RequestRecord { failure: Some(failure), ..request });
            let record = Record { intent: Some(shown), request, ..Record::default() };
            if let Err(error) = self.journal.append(&record) {
                tracing::error!(%error, "the journal cannot be written: the request is not done");
                return Performed::Refused(Failure::internal());
            }
            self.shelf.put(record);
        }
        Performed::Done(Done {
            answer: Arc::new(answer),
            events: Vec::new(),
            due: None,
            answers_late: false,
            tells_twice: false,
        })
    }
}

/// A request that changes nothing, and the intent whose state is in its way, if that is the reason.
struct Refusal {
    failure: Failure,
    shown: Option<Arc<Intent>>,
}

impl Refusal {
    fn of(failure: Failure, intent: &Arc<Intent>) -> Self {
        Self { failure, shown: Some(intent.clone()) }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, shown: None }
    }
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests;
