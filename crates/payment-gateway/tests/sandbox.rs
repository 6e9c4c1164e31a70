//! The adapter against the real sandbox gateway, in this process and over HTTP.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use payment_gateway::{
    Charge, Gateway, GatewayConfig, GatewayError, IntentStatus, RefundRequest, RefundStatus, UnfitAmount,
    UnknownOutcome, WebhookEvent, Webhooks, check_amount,
};
use rstest::rstest;
use sandbox_gateway::{DEFAULT_SECRET_KEY, Delays, SandboxConfig, SandboxGateway, Webhook};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(20);
const SECRET: &str = "whsec_adapter";

/// A sandbox, and a shop that receives its webhooks.
struct World {
    folder: TempDir,
    sandbox: SandboxGateway,
    webhook: Webhook,
    received: UnboundedReceiver<WebhookEvent>,
}

impl World {
    async fn new() -> Self {
        let (sender, received) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let router = Router::new().route("/webhooks", post(receive)).with_state(sender);
        tokio::spawn(async { axum::serve(listener, router).await });
        let webhook = Webhook { url, secret: SECRET.to_owned(), events: vec![] };
        let folder = tempfile::tempdir().unwrap();
        let sandbox = start(&folder, &webhook).await;
        Self { folder, sandbox, webhook, received }
    }

    async fn restart(self) -> Self {
        let Self { folder, sandbox, webhook, received } = self;
        sandbox.stop().await;
        let sandbox = start(&folder, &webhook).await;
        Self { folder, sandbox, webhook, received }
    }

    fn gateway(&self) -> Gateway {
        self.gateway_with(DEFAULT_SECRET_KEY, Duration::from_secs(10))
    }

    fn gateway_with(&self, secret_key: &str, timeout: Duration) -> Gateway {
        let base_url = format!("http://{}", self.sandbox.address());
        let (secret_key, keeps_keys) = (secret_key.to_owned(), GatewayConfig::STRIPE_KEEPS_KEYS);
        Gateway::new(&GatewayConfig { base_url, secret_key, timeout, keeps_keys }).unwrap()
    }

    /// Waits for the next webhook.
    async fn told(&mut self) -> WebhookEvent {
        tokio::time::timeout(DEADLINE, self.received.recv()).await.expect("a webhook").unwrap()
    }

    /// Waits for a webhook of this kind.
    async fn told_of(&mut self, kind: &str) -> WebhookEvent {
        loop {
            let event = self.told().await;
            if event.kind == kind {
                return event;
            }
        }
    }
}

async fn start(folder: &TempDir, webhook: &Webhook) -> SandboxGateway {
    let mut config = SandboxConfig::new(folder.path());
    config.listen.set_port(0);
    config.webhook = Some(webhook.clone());
    config.delays = Delays { processing: Duration::from_millis(50), late_answer: Duration::from_secs(60) };
    SandboxGateway::start(config).await.unwrap()
}

async fn receive(
    State(sender): State<UnboundedSender<WebhookEvent>>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let signature = headers["stripe-signature"].to_str().unwrap();
    let webhooks = Webhooks::new(SECRET).unwrap();
    let event = webhooks.verify(signature, body.as_bytes(), i64::try_from(now).unwrap()).unwrap();
    sender.send(event).unwrap();
    StatusCode::OK
}

fn charge(payment_method: &str) -> Charge<'_> {
    let (order_id, payment_id) = (Uuid::new_v4(), Uuid::new_v4());
    Charge { order_id, payment_id, amount: 4_200, currency: "GBP", payment_method, return_url: None }
}

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

    // Also when it is none of the newest.
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

/// The adapter's table of currencies and the sandbox's own are the same, and so are the amounts that they take.
#[tokio::test]
async fn what_the_adapter_says_can_be_paid_is_what_the_gateway_takes() {
    let world = World::new().await;
    let gateway = world.gateway();
    let url = format!("http://{}/v1/payment_intents", world.sandbox.address());
    let asking = reqwest::Client::new().post(url).bearer_auth(DEFAULT_SECRET_KEY);
    let refused = asking.form(&[("amount", "5"), ("currency", "none")]).send().await.unwrap();
    let refused = refused.text().await.unwrap();
    let (_, listed) = refused.split_once("these currencies: ").unwrap();
    let listed: Vec<&str> = listed.split('"').next().unwrap().split(", ").collect();
    assert!(listed.len() > 130, "{listed:?}");
    let letters = || 'a'..='z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    for code in codes.map(String::from_iter) {
        assert_eq!(check_amount(100_000, &code).is_ok(), listed.contains(&code.as_str()), "{code}");
    }
    for currency in listed {
        let charge = Charge { currency, amount: 123_400, ..charge("pm_card_visa") };
        let intent = gateway.authorize(&charge).await.unwrap();
        assert!(intent.is_of(&charge), "{intent:?}");
        let captured = gateway.capture(&intent.id, (charge.amount, currency), currency).await.unwrap();
        assert_eq!(captured.amount_received, Some(charge.amount));
    }
}

#[rstest]
#[case::a_thousandth_of_a_dinar("KWD", 1_005, UnfitAmount::Step { amount: 1_005, currency: "KWD".to_owned(), step: 10 })]
#[case::half_an_ariary("MGA", 1_050, UnfitAmount::Step { amount: 1_050, currency: "MGA".to_owned(), step: 100 })]
#[case::iraqi_dinars("IQD", 1_000, UnfitAmount::Currency { currency: "IQD".to_owned() })]
#[tokio::test]
async fn what_the_gateway_cannot_take_it_is_not_asked_for(
    #[case] currency: &str,
    #[case] amount: i64,
    #[case] why: UnfitAmount,
) {
    let world = World::new().await;
    let gateway = world.gateway();
    let charge = Charge { currency, amount, ..charge("pm_card_visa") };
    let refund = RefundRequest { intent_id: "pi_1", refund_id: Uuid::new_v4(), amount, currency };
    let unfit = [
        gateway.authorize(&charge).await.unwrap_err(),
        gateway.capture("pi_1", (amount, currency), "key").await.unwrap_err(),
        gateway.refund(&refund).await.unwrap_err(),
    ];
    for error in unfit {
        assert!(error.is_final() && matches!(&error, GatewayError::Unfit(said) if *said == why), "{error:?}");
    }
    assert!(gateway.intents(None).await.unwrap().items.is_empty());
}
