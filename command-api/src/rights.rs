//! Whether the event store's user may do what the command side needs. It is tried at the start, and now and then.

use event_store::{EventStore, MissingRights, Need, Right};
use http_boundary::Health;

/// How it is named in `/readyz`.
const PART: &str = "event-store-rights: commands";

const COMMANDS: &str = "commands";
const FULFILMENT: &str = "order fulfilment";
const SEALING: &str = "the sealing of the history";
const SNAPSHOTS: &str = "snapshots of stock";
const VERIFICATION: &str = "the verification of the history";

/// A stream that no order has, for what holds for all of them.
const ANY_ORDER: &str = "order-any";
const ANY_SNAPSHOT: &str = "snapshot-inventory-any";

const NEEDS: [Need; 12] = [
    Need { part: COMMANDS, right: Right::Read(ANY_ORDER) },
    Need { part: COMMANDS, right: Right::Append(ANY_ORDER) },
    Need { part: FULFILMENT, right: Right::ReadLog },
    Need { part: FULFILMENT, right: Right::Read("process-order_fulfilment") },
    Need { part: FULFILMENT, right: Right::Append("process-order_fulfilment") },
    Need { part: FULFILMENT, right: Right::Lock("lock-order_fulfilment") },
    Need { part: SEALING, right: Right::ReadLog },
    Need { part: SEALING, right: Right::Append("audit-seals") },
    Need { part: SEALING, right: Right::Lock("lock-audit_sealing") },
    Need { part: SNAPSHOTS, right: Right::Append(ANY_SNAPSHOT) },
    Need { part: SNAPSHOTS, right: Right::WriteMetadata(ANY_SNAPSHOT) },
    Need { part: VERIFICATION, right: Right::Append("audit-verifications") },
];

/// Tries it until dropped.
pub async fn watch(store: EventStore, health: Health) {
    store.watch_rights(&NEEDS, |missing| tell(&health, missing)).await;
}

fn tell(health: &Health, missing: Option<MissingRights>) {
    let Some(missing) = missing else { return health.is_well(PART) };
    tracing::error!("{missing}");
    match keeps_from_buying(&missing) {
        true => health.is_ill(PART, missing.to_string()),
        false => health.is_well_so(PART, missing.to_string()),
    }
}

/// Without the other rights nobody is kept from buying: the shop stays in service.
fn keeps_from_buying(missing: &MissingRights) -> bool {
    missing.needs.iter().any(|need| [COMMANDS, FULFILMENT].contains(&need.part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_stays_in_service_without_what_nobody_needs_to_buy() {
        for part in [COMMANDS, FULFILMENT, SEALING, SNAPSHOTS, VERIFICATION] {
            let needs = NEEDS.into_iter().filter(|need| need.part == part).collect();
            let is_needed = keeps_from_buying(&MissingRights { needs, has_none: false });
            assert_eq!(is_needed, part == COMMANDS || part == FULFILMENT, "{part}");
        }
    }
}
