//! Payments that are declined, slow, answered late or twice, or never.

use crate::world::{DEADLINE, World, charge};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use payment_gateway::{Charge, GatewayError, IntentStatus, UnknownOutcome};
use rstest::rstest;
use sandbox_gateway::DEFAULT_SECRET_KEY;
use std::time::Duration;
use uuid::Uuid;

#[rstest]
#[case("pm_card_chargeDeclined", "card_declined")]
#[case("pm_sandbox_decline", "card_declined")]
#[case("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds")]
#[tokio::test]
async fn a_decline_says_why_and_stays_one(#[case] token: &str, #[case] reason: &str) {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let charge = charge(token);
    for _ in 0..2 {
        let declined = gateway.authorize(&charge).await.unwrap_err();
        let GatewayError::Declined { intent_id: Some(id), code, .. } = declined else {
            panic!("{declined:?}")
        };
        assert_eq!(code, reason);
        let intent = gateway.retrieve(&id).await.unwrap();
        assert_eq!(intent.status, IntentStatus::RequiresPaymentMethod);
        assert_eq!(intent.decline.unwrap().code, reason);
    }
    assert_eq!(gateway.intents(None).await.unwrap().items.len(), 1);
    assert_eq!(world.told_of("payment_intent.payment_failed").await.payment_id, Some(charge.payment_id));
}

#[rstest]
#[case("pm_sandbox_slow", "payment_intent.amount_capturable_updated", IntentStatus::RequiresCapture)]
#[case("pm_sandbox_slow_decline", "payment_intent.payment_failed", IntentStatus::RequiresPaymentMethod)]
#[tokio::test]
async fn a_slow_payment_is_told_when_it_is_there_also_across_a_restart(
    #[case] token: &str,
    #[case] kind: &str,
    #[case] status: IntentStatus,
    #[values(false, true)] restarts: bool,
) {
    let mut world = World::new().await;
    let charge = charge(token);
    let intent = world.gateway().authorize(&charge).await.unwrap();
    assert_eq!((intent.status, intent.amount_capturable), (IntentStatus::Processing, Some(0)));
    if restarts {
        world = world.restart().await;
    }
    assert_eq!(world.told_of(kind).await.intent_id.as_deref(), Some(&*intent.id));
    assert_eq!(world.gateway().retrieve(&intent.id).await.unwrap().status, status);
    let again = world.gateway().authorize(&charge).await.unwrap();
    assert_eq!(again.status, IntentStatus::Processing, "the first answer, as it was");
}

#[tokio::test]
async fn a_payment_that_never_answers_is_unknown_and_leaves_nothing() {
    let world = World::new().await;
    let impatient = world.gateway_with(DEFAULT_SECRET_KEY, Duration::from_millis(50));
    let charge = charge("pm_sandbox_never_answers");
    for _ in 0..2 {
        let unknown = impatient.authorize(&charge).await.unwrap_err();
        let is_unknown = matches!(unknown, GatewayError::Unknown { source: UnknownOutcome::NoAnswer(_) });
        assert!(is_unknown && !unknown.is_final());
    }
    assert_eq!(world.gateway().intents(None).await.unwrap().items, []);
    // A request that hangs does not keep the sandbox from stopping, and is broken off then.
    let patient = world.gateway();
    let hanging = tokio::spawn(async move {
        let charge = Charge { payment_id: Uuid::new_v4(), ..charge };
        patient.authorize(&charge).await
    });
    tokio::time::timeout(DEADLINE, world.restart()).await.expect("a stop");
    let hung = tokio::time::timeout(DEADLINE, hanging).await.expect("an end").unwrap();
    assert!(matches!(hung, Err(GatewayError::Unknown { .. })));
}

#[tokio::test]
async fn payments_that_never_answer_leave_connections_for_those_of_others() {
    let world = World::new().await;
    let gateway = world.gateway_with(DEFAULT_SECRET_KEY, 2 * DEADLINE);
    let charges: Vec<_> = (0..20).map(|_| charge("pm_sandbox_never_answers")).collect();
    let mut asked: FuturesUnordered<_> = charges.iter().map(|charge| gateway.authorize(charge)).collect();
    // Sixteen hang, and the others are cut off at once.
    for _ in 0..4 {
        let cut_off = tokio::time::timeout(DEADLINE, asked.next()).await.expect("an end").unwrap();
        assert!(matches!(cut_off, Err(GatewayError::Unknown { .. })), "{cut_off:?}");
    }
    assert!(asked.next().now_or_never().is_none());
    let (another, visa) = (world.gateway(), charge("pm_card_visa"));
    let paid = tokio::time::timeout(DEADLINE, another.authorize(&visa)).await.expect("an answer").unwrap();
    assert_eq!(paid.status, IntentStatus::RequiresCapture);
}

#[tokio::test]
async fn a_payment_whose_answer_is_late_is_known_at_the_second_asking() {
    let world = World::new().await;
    let gateway = world.gateway_with(DEFAULT_SECRET_KEY, Duration::from_secs(2));
    let charge = charge("pm_sandbox_answers_after_timeout");
    let intent = gateway.authorize(&charge).await.unwrap();
    assert_eq!(
        (&intent.status, intent.payment_id),
        (&IntentStatus::RequiresCapture, Some(charge.payment_id))
    );
    assert_eq!(gateway.intents(None).await.unwrap().items, [intent], "asked twice, done once");
}

#[tokio::test]
async fn a_payment_that_answers_twice_tells_everything_twice_and_once_before_the_answer() {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let intent = gateway.authorize(&charge("pm_sandbox_answers_twice")).await.unwrap();
    let early = world.received.try_recv().expect("a webhook before the answer");
    assert_eq!(early.kind, "payment_intent.amount_capturable_updated");
    let mut others = vec![world.told().await, world.told().await, world.told().await];
    let kinds: Vec<_> = others.iter().map(|event| event.kind.as_str()).collect();
    let created = "payment_intent.created";
    assert_eq!(kinds, [created, "payment_intent.amount_capturable_updated", created]);
    assert_eq!(others.remove(1), early, "the very same event");
    gateway.capture(&intent.id, (4_200, "GBP"), "capture").await.unwrap();
    let early = world.received.try_recv().expect("a webhook before the answer");
    assert_eq!(early.kind, "payment_intent.succeeded");
    assert_eq!(world.told().await, early);
}
