use crate::shopper::{PRICE, buy, define};
use crate::store::{Store, fresh};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_goes_from_the_cart_to_the_door_and_every_page_shows_it() {
    let store = Store::find().await;
    let service = store.shop().await;
    let sku = fresh("MUG");
    define(&service, &sku, 10).await;
    let bought = buy(&service, &sku).await.expect("the purchase comes to an end in time");
    let order = format!("/orders/{}", bought.order_id);
    for step in ["shipment", "delivery"] {
        let key = format!("{}-{step}", bought.order_id);
        let (status, body) = service.post(&format!("{order}/{step}"), &key, &json!({})).await.unwrap();
        assert!(status.is_success(), "{step}: {status} {body}");
    }
    let page = service.get(&format!("{order}?min-position=head")).await;
    assert_eq!((&page["status"], &page["paid"]["amount"]), (&json!("delivered"), &json!(PRICE)), "{page}");
    let history = service.get(&format!("{order}/history")).await;
    let last = history["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "order.delivered.v1", "{history}");
    let stock = service.get(&format!("/stock/{sku}?min-position=head")).await;
    assert_eq!((&stock["available"], &stock["shipped"]), (&json!(9), &json!(1)), "{stock}");
    service.terminate().await;
}
