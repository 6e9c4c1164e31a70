use super::*;
use rstest::rstest;

fn intent(token: &str, capture_method: CaptureMethod) -> Intent {
    Intent {
        id: "pi_1".to_owned(),
        number: 0,
        created: 1,
        amount: 1000,
        currency: "gbp".to_owned(),
        status: Status::RequiresConfirmation,
        capture_method,
        payment_method: Some(token.to_owned()),
        metadata: BTreeMap::new(),
        description: None,
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

fn action() -> Action {
    Action { url: "http://sandbox/authenticate/pi_1".to_owned(), return_url: None }
}

fn approved() -> Intent {
    let mut intent = intent("pm_card_visa", CaptureMethod::Manual);
    intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
    intent
}

#[rstest]
#[case("pm_card_visa", CaptureMethod::Manual, Status::RequiresCapture, Happening::AmountCapturableUpdated)]
#[case("pm_card_visa", CaptureMethod::Automatic, Status::Succeeded, Happening::Succeeded)]
#[case("pm_sandbox_slow", CaptureMethod::Manual, Status::Processing, Happening::Processing)]
#[case("pm_sandbox_decline", CaptureMethod::Manual, Status::RequiresPaymentMethod, Happening::PaymentFailed)]
fn confirming(
    #[case] token: &str,
    #[case] capture_method: CaptureMethod,
    #[case] status: Status,
    #[case] happening: Happening,
) {
    let mut intent = intent(token, capture_method);
    let change = intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
    assert_eq!((intent.status, change.happenings), (status, vec![happening]));
    assert_eq!(change.failure, intent.failure);
    assert_eq!(intent.due, (status == Status::Processing).then_some(9));
    assert_eq!(intent.amount_capturable(), if status == Status::RequiresCapture { 1000 } else { 0 });
    assert_eq!(intent.amount_received, if status == Status::Succeeded { 1000 } else { 0 });
}

#[rstest]
#[case("pm_sandbox_slow", Status::RequiresCapture, Happening::AmountCapturableUpdated)]
#[case("pm_sandbox_slow_decline", Status::RequiresPaymentMethod, Happening::PaymentFailed)]
fn a_slow_payment_settles_once(#[case] token: &str, #[case] status: Status, #[case] happening: Happening) {
    let mut intent = intent(token, CaptureMethod::Manual);
    intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
    assert_eq!(intent.settle(), Some(Change { happenings: vec![happening], failure: None }));
    assert_eq!((intent.status, intent.due), (status, None));
    assert_eq!(intent.settle(), None);
}

#[rstest]
#[case(true, Status::RequiresCapture, Happening::AmountCapturableUpdated, None)]
#[case(
    false,
    Status::RequiresPaymentMethod,
    Happening::PaymentFailed,
    Some("payment_intent_authentication_failure")
)]
fn the_shopper_decides_once(
    #[case] approves: bool,
    #[case] status: Status,
    #[case] happening: Happening,
    #[case] code: Option<&str>,
) {
    let mut intent = intent("pm_sandbox_requires_action", CaptureMethod::Manual);
    let asked = intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
    assert_eq!((asked.happenings, asked.failure), (vec![Happening::RequiresAction], None));
    assert_eq!((intent.status, &intent.action), (Status::RequiresAction, &Some(action())));
    assert_eq!(intent.decide(approves), Some(Change { happenings: vec![happening], failure: None }));
    assert_eq!(intent.status, status);
    assert_eq!(intent.failure.as_ref().and_then(|failure| failure.code.as_deref()), code);
    assert_eq!(intent.decide(!approves), None);
}

#[rstest]
#[case(None, Ok(1000))]
#[case(Some(1), Ok(1))]
#[case(Some(1000), Ok(1000))]
#[case(Some(1001), Err("amount_too_large"))]
fn capturing(#[case] amount: Option<i64>, #[case] received: Result<i64, &str>) {
    let mut intent = approved();
    let captured = intent.capture(amount);
    let captured = captured.map(|_| intent.amount_received).map_err(|failure| failure.code.unwrap());
    assert_eq!(captured.as_ref().map_err(String::as_str), received.as_ref().map_err(|code| *code));
    assert_eq!(intent.status == Status::Succeeded, received.is_ok());
    assert_eq!(intent.amount_capturable(), if received.is_ok() { 0 } else { 1000 });
}

#[test]
fn a_declined_capture_wants_another_payment_method() {
    let mut intent = intent("pm_sandbox_capture_fails", CaptureMethod::Manual);
    intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
    let change = intent.capture(None).unwrap();
    assert_eq!(change.failure.unwrap().status, 402);
    assert_eq!((intent.status, intent.amount_received), (Status::RequiresPaymentMethod, 0));
}

#[rstest]
#[case(&[Some(400), Some(600)], Ok(1000))]
#[case(&[Some(400), None], Ok(1000))]
#[case(&[Some(400), Some(601)], Err("amount_too_large"))]
#[case(&[None, Some(1)], Err("charge_already_refunded"))]
#[case(&[Some(1001)], Err("amount_too_large"))]
fn no_more_is_refunded_than_was_taken(#[case] amounts: &[Option<i64>], #[case] expected: Result<i64, &str>) {
    let mut intent = approved();
    intent.capture(None).unwrap();
    let refunded: Result<Vec<i64>, Failure> = amounts.iter().map(|amount| intent.refund(*amount)).collect();
    match (refunded, expected) {
        (Ok(amounts), Ok(total)) => {
            assert_eq!((amounts.iter().sum::<i64>(), intent.amount_refunded), (total, total));
        }
        (Err(failure), Err(code)) => assert_eq!(failure.code.as_deref(), Some(code)),
        (refunded, _) => panic!("{refunded:?}"),
    }
}

#[rstest]
#[case(Status::RequiresPaymentMethod, "ca")]
#[case(Status::RequiresConfirmation, "ca")]
#[case(Status::RequiresAction, "ca")]
#[case(Status::Processing, "")]
#[case(Status::RequiresCapture, "CA ca")]
#[case(Status::Succeeded, "re")]
#[case(Status::Canceled, "")]
fn what_each_state_allows(#[case] status: Status, #[case] allowed: &str) {
    let is_allowed = |done: Result<(), Failure>| match done {
        Ok(()) => true,
        Err(failure) => {
            assert_eq!(failure.code.as_deref(), Some("payment_intent_unexpected_state"));
            false
        }
    };
    let mut intent = Intent { status, amount_received: 10, ..approved() };
    assert_eq!(is_allowed(intent.clone().capture(None).map(drop)), allowed.contains("CA"), "capture");
    assert_eq!(is_allowed(intent.clone().cancel(None, 5).map(drop)), allowed.contains("ca"), "cancel");
    assert_eq!(is_allowed(intent.clone().refund(None).map(drop)), allowed.contains("re"), "refund");
    let confirmed = intent.confirm("ch_2".to_owned(), 9, action()).map(drop);
    let may_confirm = matches!(status, Status::RequiresPaymentMethod | Status::RequiresConfirmation);
    assert_eq!(is_allowed(confirmed), may_confirm, "confirm");
}
