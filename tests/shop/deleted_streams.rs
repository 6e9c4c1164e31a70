//! Streams of the service's own that somebody has deleted: their successors are used, and the operator is told.

use crate::every_step::{Machine, Process};
use crate::parked::{buys, is_ready, last_revision};
use crate::written::{mugs, told};
use event_store::ExpectedRevision;

const CHECKPOINTS: &str = "process-order_fulfilment";
const LOCK: &str = "lock-order_fulfilment";

#[tokio::test(flavor = "multi_thread")]
async fn fulfilment_goes_on_with_the_successors_of_its_deleted_streams() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    buys(&machine).await;
    machine.has_checkpoint("before").await;
    machine.crash();
    let last = last_revision(&store, CHECKPOINTS).await.unwrap();
    store.tombstone(CHECKPOINTS, ExpectedRevision::Exact(last)).await.unwrap();
    store.tombstone(LOCK, ExpectedRevision::NoStream).await.unwrap();
    machine.crash_and_restart().await;
    buys(&machine).await;
    let how = is_ready(&machine, "order-fulfilment: deleted streams").await["how"].clone();
    for successor in ["`process-order_fulfilment-2`", "`lock-order_fulfilment-2`"] {
        assert!(how.as_str().unwrap().contains(successor), "{how}");
    }
    machine.end().await;
}
