//! Second 60, and what countries are called.

use crate::harness::{Shop, gbp};
use crate::http::Reply;
use crate::written::of;
use domain::order::{Event, Placed};
use event_store::ExpectedRevision;
use futures::{StreamExt, pin_mut};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

/// The last microsecond of a year that had a second 60.
const LAST: &str = "2016-12-31T23:59:59.999999Z";

async fn ask(shop: &Shop, path: &str) -> Reply {
    shop.request(Method::GET, path).operator().send().await
}

#[sqlx::test(migrations = false)]
async fn second_60_is_the_end_of_its_minute_wherever_it_comes_in(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let product = json!({ "sku": "MUG", "merchant_id": "acme", "name": "Mug", "price": gbp(1000) });
    let define = shop.request(Method::POST, "/products").operator().new_key();
    let define = define.header("emporium-occurred-at", "2016-12-31T23:59:60.5Z").json(&product);
    define.send().await.expect(StatusCode::CREATED);

    // In the log as everywhere else.
    let store = shop.events();
    let events = store.read_stream("product-MUG", 0, 1);
    pin_mut!(events);
    let event = events.next().await.unwrap().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&event.metadata).unwrap();
    assert_eq!(metadata["occurred_at"], LAST);
    let page = shop.get_now("/products/MUG").await.expect(StatusCode::OK);
    assert_eq!(page["defined_at"], LAST, "{page}");

    let count = async |filter: &str| {
        let trail = shop.get_now(&format!("/audit/events?stream=product-MUG&{filter}")).await;
        trail.expect(StatusCode::OK)["items"].as_array().unwrap().len()
    };
    assert_eq!(count("from=2016-12-31T23:59:60Z").await, 1);
    assert_eq!(count("to=2016-12-31T23:59:60Z").await, 0);
    assert_eq!(count("to=2017-01-01T00:00:00Z").await, 1);
    ask(&shop, "/products/MUG?as_of=2016-12-31T23:59:60Z").await.expect(StatusCode::OK);
    let before = ask(&shop, "/products/MUG?as_of=2016-12-31T23:59:59Z").await;
    before.expect_problem(StatusCode::NOT_FOUND, "not-found");
}

#[sqlx::test(migrations = false)]
async fn a_country_is_its_code_however_it_is_written(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let buy = async |country: &str| {
        let path = format!("/carts/{}/checkout", shop.cart(&[("MUG", 1)]).await);
        let body = json!({ "total": gbp(1000), "country": country });
        shop.request(Method::POST, &path).new_key().header("prefer", "wait=20").json(&body).send().await
    };
    for country in ["gb", "GB", "United Kingdom"] {
        let order = buy(country).await.expect(StatusCode::OK);
        shop.pay(order["order_id"].as_str().unwrap(), 1000).await.expect(StatusCode::OK);
    }
    let sales = shop.get_now("/sales/countries?currency=GBP").await.expect(StatusCode::OK);
    let sales = sales["items"].as_array().unwrap();
    assert_eq!(sales.len(), 1, "{sales:?}");
    assert_eq!((&sales[0]["country"], &sales[0]["orders"]), (&json!("GB"), &json!(3)));
    for country in ["Atlantis", "XX", "Unspecified", ""] {
        let problem = buy(country).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
        assert!(problem["detail"].as_str().unwrap().contains("ISO 3166-1"), "{problem}");
    }
    // Not to know it is something that can be said.
    buy("zz").await.expect(StatusCode::OK);
    for filter in ["gb", "United%20Kingdom"] {
        let orders = shop.get_now(&format!("/orders?country={filter}")).await.expect(StatusCode::OK);
        assert_eq!(orders["items"].as_array().unwrap().len(), 3, "{orders}");
    }
    let fable = ask(&shop, "/orders?country=Atlantis").await;
    fable.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
}

/// Events of old say what was given then. They stay as they are, and count as the country that they mean.
#[sqlx::test(migrations = false)]
async fn an_old_event_keeps_its_text_and_counts_as_the_country_that_it_means(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let store = shop.events();
    for (name, code) in [("EIRE", "IE"), ("Channel Islands", "ZZ")] {
        let order_id = Uuid::new_v4();
        let total = serde_json::from_value(gbp(1000)).unwrap();
        let placed = of(&Event::Placed(Placed {
            cart_id: domain::CartId(Uuid::new_v4()),
            customer_id: None,
            country: name.parse().unwrap(),
            lines: vec![],
            shipping: None,
            total,
            hold_seconds: None,
            anonymous: false,
        }));
        let stream = format!("order-{order_id}");
        store.append(&stream, ExpectedRevision::NoStream, vec![placed]).await.unwrap();
        let page = shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
        assert_eq!(page["country"], code, "{page}");
        let as_of = ask(&shop, &format!("/orders/{order_id}?as_of=revision:0")).await.expect(StatusCode::OK);
        assert_eq!(as_of["country"], code, "{as_of}");
        let events = shop.get_now(&format!("/events?stream={stream}")).await.expect(StatusCode::OK);
        assert_eq!(events["items"][0]["data"]["country"], name, "{events}");
    }
}
