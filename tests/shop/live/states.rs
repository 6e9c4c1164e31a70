//! The stock of a SKU and the sales: the newest state, whatever becomes of the connection.

use super::{Heard, Listener};
use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// The figures of a SKU after each event, added up from the events themselves: by position, what is available.
async fn available(shop: &Shop, sku: &str) -> Vec<(u64, i64)> {
    let events = shop.get_now(&format!("/events?limit=500&stream=inventory-{sku}")).await;
    let events = events.expect(StatusCode::OK);
    let mut available = 0;
    let after_each = |event: &Value| {
        let units = event["data"]["quantity"].as_i64().unwrap_or(0);
        available += match event["type"].as_str().unwrap() {
            "inventory.received.v1" | "inventory.released.v1" => units,
            "inventory.reserved.v1" => -units,
            "inventory.adjusted.v1" => event["data"]["delta"].as_i64().unwrap(),
            _ => 0,
        };
        (event["position"].as_u64().unwrap(), available)
    };
    events["items"].as_array().unwrap().iter().map(after_each).collect()
}

async fn receive(shop: &Shop, sku: &str, quantity: u32) {
    let path = format!("/stock/{sku}/receipts");
    shop.post_as_operator(&path, json!({ "quantity": quantity })).await.expect(StatusCode::CREATED);
}

#[sqlx::test(migrations = false)]
async fn stock_is_told_as_it_was_at_each_position_and_ends_at_the_newest(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let listener = Listener::connect(shop.url(), "/stock/MUG/live", None).await;
    // One whose connection is cut after each state that it has heard.
    let in_pieces = async {
        let mut all: Vec<Heard> = Vec::new();
        while all.last().is_none_or(|heard| heard.data["received"] != 41) {
            let last = all.last().map(|heard| heard.id);
            let mut listener = Listener::connect(shop.url(), "/stock/MUG/live", last).await;
            all.push(listener.next().await.unwrap());
        }
        all
    };
    let whole = async {
        let mut listener = listener;
        listener.until_it(|heard| heard.data["received"] == 41).await
    };
    let happening = async {
        for _ in 0..40 {
            receive(&shop, "MUG", 1).await;
        }
    };
    let (whole, in_pieces, ()) = tokio::join!(whole, in_pieces, happening);
    let truth = available(&shop, "MUG").await;
    for told in [&whole, &in_pieces] {
        assert!(told.windows(2).all(|pair| pair[0].id < pair[1].id), "{told:?}");
        for heard in told {
            assert_eq!(heard.name, "current");
            assert!(truth.contains(&(heard.id, heard.data["available"].as_i64().unwrap())), "{heard:?}");
        }
        assert_eq!(told.last().unwrap().id, truth.last().unwrap().0);
    }
    let page = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!(whole.last().unwrap().data, page);
}

#[sqlx::test(migrations = false)]
async fn a_reservation_is_seen_at_once_and_who_has_heard_it_hears_it_no_more(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let mut listener = Listener::connect(shop.url(), "/stock/MUG/live", None).await;
    assert_eq!(listener.next().await.unwrap().data["available"], 10);
    shop.order(&[("MUG", 3)], 3000).await;
    let reserved = listener.until_it(|heard| heard.data["reserved"] == 3).await.pop().unwrap();
    assert_eq!(reserved.data["available"], 7);
    let mut back = Listener::connect(shop.url(), "/stock/MUG/live", Some(reserved.id)).await;
    receive(&shop, "MUG", 5).await;
    let next = back.next().await.unwrap();
    assert_eq!((&next.data["received"], &next.data["available"]), (&json!(15), &json!(12)));
    assert_eq!(listener.next().await.unwrap(), next);
    let unknown = shop.get("/stock/NONE/live").await.expect_problem(StatusCode::NOT_FOUND, "not-found");
    assert_eq!(unknown["detail"], "No stock is known as `NONE`.");
}

#[sqlx::test(migrations = false)]
async fn the_sales_are_told_with_each_paid_order(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 100).await;
    shop.get("/sales/live").await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    let mut listener = Listener::connect(shop.url(), "/sales/live", None).await;
    let nothing = listener.next().await.unwrap();
    assert_eq!((&nothing.data["today"], &nothing.data["all"]), (&json!([]), &json!([])));

    // Long ago: not of today.
    let cart_id = shop.cart(&[("MUG", 2)]).await;
    let order = shop.check_out(&cart_id, 2000).await.expect(StatusCode::OK);
    let path = format!("/orders/{}/payments", order["order_id"].as_str().unwrap());
    let body = json!({ "amount": gbp(2000), "method": "card", "reference": "till 1" });
    let payment = shop.request(Method::POST, &path).operator().new_key();
    let payment = payment.header("emporium-occurred-at", "2011-12-09T12:00:00Z").json(&body);
    payment.send().await.expect(StatusCode::OK);
    let sold = |orders: i64, units: i64| json!([{ "orders": orders, "lines": orders, "units": units, "revenue": gbp(units * 1000) }]);
    let first = listener.next().await.unwrap();
    assert_eq!((&first.data["today"], &first.data["all"]), (&json!([]), &sold(1, 2)));

    let order_id = shop.order(&[("MUG", 3)], 3000).await;
    shop.pay(&order_id, 3000).await.expect(StatusCode::OK);
    let second = listener.next().await.unwrap();
    assert_eq!((&second.data["today"], &second.data["all"]), (&sold(1, 3), &sold(2, 5)));
    assert!(nothing.id < first.id && first.id < second.id);

    // Who has heard the first hears the second, who has heard that hears nothing until something is sold.
    let mut back = Listener::connect(shop.url(), "/sales/live", Some(first.id)).await;
    assert_eq!(back.next().await.unwrap(), second);
    let mut up_to_date = Listener::connect(shop.url(), "/sales/live", Some(second.id)).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    assert_eq!(up_to_date.next().await.unwrap().data["all"], sold(3, 6));
}

/// Of another log, or of one that has lost its end: nobody knows what its listener has heard.
#[sqlx::test(migrations = false)]
async fn who_has_heard_more_than_there_is_in_the_log_hears_how_it_stands(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let beyond = Some(u64::from(u32::MAX));
    let mut stock = Listener::connect(shop.url(), "/stock/MUG/live", beyond).await;
    assert_eq!(stock.next().await.unwrap().data["available"], 8);
    let mut sales = Listener::connect(shop.url(), "/sales/live", beyond).await;
    assert_eq!(sales.next().await.unwrap().data["all"], json!([]));
    let path = format!("/carts/{cart_id}/live");
    let mut cart = Listener::connect(shop.url(), &path, beyond).await;
    let current = cart.next().await.unwrap();
    assert_eq!((current.name.as_str(), &current.data["line_count"]), ("current", &json!(1)));
    let mut order = Listener::connect(shop.url(), &format!("/orders/{order_id}/live"), beyond).await;
    let current = order.next().await.unwrap();
    assert_eq!((current.name.as_str(), &current.data["status"]), ("current", &json!("pending")));
    // And goes on from there.
    receive(&shop, "MUG", 5).await;
    assert_eq!(stock.next().await.unwrap().data["available"], 13);
    shop.request(Method::DELETE, &format!("/carts/{cart_id}")).new_key().send().await;
    assert_eq!(cart.next().await.unwrap().data["status"], "abandoned");
    shop.pay(&order_id, 2000).await.expect(StatusCode::OK);
    assert_eq!(order.next().await.unwrap().name, "order.payment_recorded.v1");
}

#[sqlx::test(migrations = false)]
async fn stock_that_was_just_received_is_waited_for_and_not_unknown(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("CUP", 500, 1).await;
    shop.get_now("/stock/CUP").await.expect(StatusCode::OK);
    // The read model cannot go on.
    let mut held = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE stock IN SHARE MODE").execute(&mut *held).await.unwrap();
    shop.define("MUG", 1000, 7).await;
    let request = shop.request(Method::GET, "/stock/MUG/live").header("prefer", "wait=1");
    request.send().await.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "position-not-reached");
    held.rollback().await.unwrap();
    let mut listener = Listener::connect(shop.url(), "/stock/MUG/live", None).await;
    assert_eq!(listener.next().await.unwrap().data["available"], 7);
}

#[sqlx::test(migrations = false)]
async fn another_version_with_other_figures_is_seen_although_nothing_has_happened(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    sqlx::query("UPDATE stock SET received = 11, available = 11").execute(&pool).await.unwrap();
    let mut listener = Listener::connect(shop.url(), "/stock/MUG/live", None).await;
    let wrong = listener.next().await.unwrap();
    assert_eq!(wrong.data["available"], 11);
    let rebuild = shop.post_as_operator("/projections/stock/rebuild", json!({ "switch": true }));
    rebuild.await.expect(StatusCode::ACCEPTED);
    let right = listener.next().await.unwrap();
    assert_eq!((right.id, &right.data["available"]), (wrong.id, &json!(10)));
}
