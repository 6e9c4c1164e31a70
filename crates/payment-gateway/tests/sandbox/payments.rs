//! What becomes of a payment, from its authorisation to its refunds.

use crate::world::{World, charge};
use payment_gateway::{Charge, GatewayError, IntentStatus, RefundRequest, RefundStatus};
use rstest::rstest;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn a_shopper_who_must_act_is_sent_to_a_page_and_may_be_given_up() {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let charge =
        Charge { return_url: Some("https://shop.example/paid"), ..charge("pm_card_authenticationRequired") };
    let intent = gateway.authorize(&charge).await.unwrap();
    assert_eq!((&intent.status, intent.amount_capturable), (&IntentStatus::RequiresAction, Some(0)));
    let page = format!("http://{}/authenticate/{}", world.sandbox.address(), intent.id);
    assert_eq!(intent.redirect_url, Some(page));
    let told = world.told_of("payment_intent.requires_action").await;
    assert_eq!(told.payment_id, Some(charge.payment_id));
    let cancelled = gateway.cancel(&intent.id).await.unwrap();
    assert_eq!((cancelled.status, cancelled.redirect_url), (IntentStatus::Canceled, None));
}

#[tokio::test]
async fn a_payment_and_its_refunds_are_found_by_our_own_ids() {
    let world = World::new().await;
    let gateway = world.gateway();
    let (wanted, other) = (charge("pm_card_visa"), charge("pm_card_visa"));
    assert_eq!(gateway.find(&wanted).await.unwrap(), None);
    gateway.authorize(&other).await.unwrap();
    let made = gateway.authorize(&wanted).await.unwrap();
    assert_eq!(gateway.find(&wanted).await.unwrap(), Some(made.clone()));
    let captured = gateway.capture(&made.id, (4_200, "GBP"), "key").await.unwrap();
    assert_eq!(gateway.find(&wanted).await.unwrap(), Some(captured));

    // Even if it is none of the newest.
    for _ in 0..100 {
        gateway.authorize(&charge("pm_card_visa")).await.unwrap();
    }
    assert_eq!(gateway.find(&wanted).await.unwrap().unwrap().id, made.id);
    let less = Charge { amount: 1, ..wanted };
    assert_eq!(gateway.find(&less).await.unwrap(), None, "it is of another amount");

    // More than one page of them.
    let mut refunds = Vec::new();
    for _ in 0..101 {
        let refund_id = Uuid::new_v4();
        let request = RefundRequest { intent_id: &made.id, refund_id, amount: 1, currency: "GBP" };
        refunds.push((refund_id, gateway.refund(&request).await.unwrap()));
    }
    for (refund_id, refund) in [refunds.remove(100), refunds.remove(0)] {
        assert_eq!(gateway.find_refund(&made.id, refund_id).await.unwrap(), Some(refund));
    }
    assert_eq!(gateway.find_refund(&made.id, Uuid::new_v4()).await.unwrap(), None);
}

#[rstest]
#[case("pm_card_visa")]
#[case("pm_card_mastercard")]
#[case("pm_sandbox_approve")]
#[tokio::test]
async fn a_payment_is_authorised_captured_and_refunded(#[case] token: &str) {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let charge = charge(token);
    let intent = gateway.authorize(&charge).await.unwrap();
    assert_eq!(intent.status, IntentStatus::RequiresCapture);
    let amounts = (intent.amount, intent.amount_capturable, intent.amount_received);
    assert_eq!(amounts, (Some(4_200), Some(4_200), Some(0)));
    assert_eq!(intent.currency, "GBP");
    assert_eq!((intent.order_id, intent.payment_id), (Some(charge.order_id), Some(charge.payment_id)));
    assert_eq!(gateway.authorize(&charge).await.unwrap(), intent, "the same payment is authorised once");
    assert_eq!(gateway.retrieve(&intent.id).await.unwrap(), intent);

    let captured = gateway.capture(&intent.id, (4_000, "GBP"), "capture-1").await.unwrap();
    assert_eq!(captured.status, IntentStatus::Succeeded);
    assert_eq!((captured.amount_capturable, captured.amount_received), (Some(0), Some(4_000)));
    assert_eq!(gateway.capture(&intent.id, (4_000, "GBP"), "capture-1").await.unwrap(), captured);
    assert_eq!(
        gateway.capture(&intent.id, (4_000, "GBP"), "capture-2").await.unwrap(),
        captured,
        "done before"
    );
    let more = gateway.capture(&intent.id, (4_100, "GBP"), "capture-3").await;
    assert!(matches!(more, Err(GatewayError::Refused { status: 400, .. })), "{more:?}");

    let (intent_id, refund_id) = (intent.id.as_str(), Uuid::new_v4());
    let request = RefundRequest { intent_id, refund_id, amount: 3_000, currency: "GBP" };
    let refund = gateway.refund(&request).await.unwrap();
    assert_eq!((refund.status.clone(), refund.amount), (RefundStatus::Succeeded, Some(3_000)));
    assert_eq!((refund.intent_id.as_deref(), refund.refund_id), (Some(&*intent.id), Some(request.refund_id)));
    assert_eq!(gateway.refund(&request).await.unwrap(), refund);
    assert_eq!(gateway.retrieve_refund(&refund.id).await.unwrap(), refund);
    assert_eq!(gateway.refunds(Some(&intent.id), None).await.unwrap().items, [refund]);
    let too_much = RefundRequest { refund_id: Uuid::new_v4(), amount: 1_001, ..request };
    assert!(gateway.refund(&too_much).await.unwrap_err().is_final());

    for kind in ["payment_intent.succeeded", "charge.refunded"] {
        let event = world.told_of(kind).await;
        assert_eq!(event.intent_id.as_deref(), Some(&*intent.id));
        assert_eq!((event.order_id, event.payment_id), (Some(charge.order_id), Some(charge.payment_id)));
    }
}

#[tokio::test]
async fn a_capture_that_fails_is_a_decline() {
    let world = World::new().await;
    let gateway = world.gateway();
    let intent = gateway.authorize(&charge("pm_sandbox_capture_fails")).await.unwrap();
    let declined = gateway.capture(&intent.id, (4_200, "GBP"), "capture").await.unwrap_err();
    assert!(matches!(declined, GatewayError::Declined { intent_id: Some(_), .. }), "{declined:?}");
    let intent = gateway.retrieve(&intent.id).await.unwrap();
    assert_eq!(intent.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!((intent.amount_capturable, intent.amount_received), (Some(0), Some(0)));
    assert_eq!(gateway.cancel(&intent.id).await.unwrap().status, IntentStatus::Canceled);
}

#[tokio::test]
async fn a_cancelled_payment_is_cancelled_once_and_cannot_be_captured() {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let intent = gateway.authorize(&charge("pm_card_visa")).await.unwrap();
    let cancelled = gateway.cancel(&intent.id).await.unwrap();
    assert_eq!((cancelled.status.clone(), cancelled.amount_capturable), (IntentStatus::Canceled, Some(0)));
    assert_eq!(gateway.cancel(&intent.id).await.unwrap(), cancelled);
    let captured = gateway.capture(&intent.id, (4_200, "GBP"), "capture").await.unwrap_err();
    let GatewayError::Refused { status: 400, code: Some(code), .. } = captured else {
        panic!("{captured:?}")
    };
    assert_eq!(code, "payment_intent_unexpected_state");
    world.told_of("payment_intent.canceled").await;
}

#[tokio::test]
async fn a_cancellation_that_came_too_early_can_be_asked_again() {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let intent = gateway.authorize(&charge("pm_sandbox_slow")).await.unwrap();
    if let Err(early) = gateway.cancel(&intent.id).await {
        assert!(matches!(early, GatewayError::Refused { status: 400, .. }), "{early:?}");
        world.told_of("payment_intent.amount_capturable_updated").await;
    }
    assert_eq!(gateway.cancel(&intent.id).await.unwrap().status, IntentStatus::Canceled);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let world = World::new().await;
    let gateway = world.gateway();
    let missing = gateway.retrieve("pi_nothing").await.unwrap_err();
    assert!(matches!(missing, GatewayError::Refused { status: 404, .. }), "{missing:?}");
    let unknown = gateway.authorize(&charge("pm_nobody_knows")).await.unwrap_err();
    assert!(matches!(unknown, GatewayError::Refused { status: 400, .. }), "{unknown:?}");
    let first = charge("pm_card_visa");
    gateway.authorize(&first).await.unwrap();
    let other = gateway.authorize(&Charge { amount: 1, ..first }).await.unwrap_err();
    assert!(matches!(other, GatewayError::OtherRequest { .. }) && !other.is_final(), "{other:?}");
    let of_another_order = gateway.authorize(&Charge { order_id: Uuid::new_v4(), ..first }).await.unwrap();
    assert_eq!(of_another_order.status, IntentStatus::RequiresCapture, "two orders may use one payment id");
    let stranger = world.gateway_with("sk_test_other", Duration::from_secs(5));
    let locked_out = stranger.authorize(&first).await.unwrap_err();
    assert!(matches!(locked_out, GatewayError::LockedOut { status: 401, .. }), "{locked_out:?}");
    assert!(!locked_out.is_final());
}

#[tokio::test]
async fn the_books_are_read_page_by_page() {
    let world = World::new().await;
    let gateway = world.gateway();
    let mut made = Vec::new();
    for _ in 0..101 {
        made.push(gateway.authorize(&charge("pm_card_visa")).await.unwrap().id);
    }
    made.reverse();
    let first = gateway.intents(None).await.unwrap();
    let second = gateway.intents(first.items.last().map(|intent| intent.id.as_str())).await.unwrap();
    assert_eq!((first.items.len(), first.has_more, second.has_more), (100, true, false));
    let read: Vec<_> = first.items.into_iter().chain(second.items).map(|intent| intent.id).collect();
    assert_eq!(read, made);
}
