//! Which amounts can be paid.

use crate::world::{World, charge};
use payment_gateway::{Charge, GatewayError, RefundRequest, UnfitAmount, check_amount};
use rstest::rstest;
use sandbox_gateway::DEFAULT_SECRET_KEY;
use uuid::Uuid;

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
