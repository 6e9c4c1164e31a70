//! Where the auditor's evidence comes from: the event store's log and the gateway's own books.

use super::audit::{Charge, History};
use crate::error::BenchError;
use event_store::{EventStore, Position};
use futures::StreamExt;
use payment_gateway::{Gateway, GatewayConfig, Intent, IntentStatus, RefundStatus};
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

const GATEWAY_TIMEOUT: Duration = Duration::from_secs(10);

/// The log, read on and on.
pub struct Log {
    store: EventStore,
    read_to: Option<Position>,
    pub history: History,
    pub events: u64,
}

impl Log {
    /// The log of the event store at this address.
    pub fn of(event_store: &str) -> Result<Self, BenchError> {
        let store = EventStore::connect(event_store)?;
        Ok(Self { store, read_to: None, history: History::default(), events: 0 })
    }

    /// Reads what has come since.
    pub async fn read_on(&mut self) -> Result<(), BenchError> {
        let mut records = pin!(self.store.read_log(self.read_to));
        while let Some(record) = records.next().await {
            let record = record?;
            // A read begins with the event at its position.
            if self.read_to.is_some_and(|read_to| record.position <= read_to) {
                continue;
            }
            self.read_to = Some(record.position);
            self.events += 1;
            let event = &record.event;
            let seen = self.history.see(&record.stream, &event.event_type, &event.data, record.created_ticks);
            seen.map_err(|source| BenchError::Unreadable {
                stream: record.stream.clone(),
                revision: record.revision,
                source,
            })?;
        }
        Ok(())
    }
}

/// All payments of the gateway at this address, with what was given back of each.
pub async fn books(url: &str, secret_key: &str) -> Result<Vec<Charge>, BenchError> {
    let config = GatewayConfig {
        base_url: url.to_owned(),
        secret_key: secret_key.to_owned(),
        timeout: GATEWAY_TIMEOUT,
        keeps_keys: GatewayConfig::STRIPE_KEEPS_KEYS,
    };
    let gateway = Gateway::new(&config)?;
    let mut refunded: HashMap<String, i64> = HashMap::new();
    let mut before: Option<String> = None;
    loop {
        let page = gateway.refunds(None, before.as_deref()).await?;
        before = page.items.last().map(|refund| refund.id.clone());
        for refund in page.items {
            if !matches!(refund.status, RefundStatus::Failed | RefundStatus::Canceled) {
                *refunded.entry(refund.intent_id.unwrap_or_default()).or_default() +=
                    refund.amount.unwrap_or_default();
            }
        }
        if !page.has_more {
            break;
        }
    }
    let mut charges = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let page = gateway.intents(before.as_deref()).await?;
        before = page.items.last().map(|intent| intent.id.clone());
        charges.extend(page.items.into_iter().map(|intent| charge(&intent, &refunded)));
        if !page.has_more {
            return Ok(charges);
        }
    }
}

fn charge(intent: &Intent, refunded: &HashMap<String, i64>) -> Charge {
    let is_over = matches!(
        intent.status,
        IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::RequiresPaymentMethod
    );
    Charge {
        order_id: intent.order_id,
        received: intent.amount_received.unwrap_or_default(),
        refunded: refunded.get(&intent.id).copied().unwrap_or(0),
        is_open: !is_over,
    }
}
