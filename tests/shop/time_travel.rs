//! What was is told as it was: every state that a page ever showed is found again at its revision, its position and its
//! time.

use crate::harness::{DEADLINE, Shop, gbp};
use domain::Aggregate;
use domain::stored::{COMMAND_NOTED, StoredEvent};
use futures::TryStreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// The pages of one thing, by the revision that they stood at.
type Seen = BTreeMap<u64, Value>;

async fn look(shop: &Shop, path: &str, seen: &mut Seen) {
    let page = shop.get_now(path).await.expect(StatusCode::OK);
    seen.insert(page["revision"].as_u64().unwrap(), page);
}

async fn as_of(shop: &Shop, path: &str, point: &str) -> crate::http::Reply {
    shop.request(Method::GET, &format!("{path}?as_of={point}")).operator().send().await
}

/// Every page that was seen is what is told of its revision now; and the last is the present one.
async fn is_told_as_it_was(shop: &Shop, path: &str, seen: &Seen) {
    for (revision, page) in seen {
        let told = as_of(shop, path, &format!("revision:{revision}")).await.expect(StatusCode::OK);
        assert_eq!(&told, page, "{path} at {revision}");
    }
    // A process may write between the two.
    let looking = async {
        loop {
            let now = shop.get_now(path).await.expect(StatusCode::OK);
            let far_away = as_of(shop, path, "9999-01-01T00:00:00Z").await.expect(StatusCode::OK);
            if far_away["revision"] == now["revision"] {
                return (far_away, now);
            }
        }
    };
    let (far_away, now) = tokio::time::timeout(DEADLINE, looking).await.expect("it comes to rest in time");
    assert_eq!(far_away, now, "{path} at its end");
}

/// Each prefix of the stream, folded here by the domain alone, gives the figures that are told of it; and it is found by
/// the position of its last event too.
async fn is_the_fold_of_each_prefix<A: Aggregate>(
    shop: &Shop,
    (path, stream): (&str, &str),
    says_the_same: impl Fn(&A, &Value),
) -> usize {
    let events: Vec<_> = shop.events().read_stream(stream, 0, usize::MAX).try_collect().await.unwrap();
    let mut state = A::default();
    let mut pages = Vec::new();
    for event in &events {
        if event.event_type != COMMAND_NOTED {
            state = state.evolve(&A::Event::read(&event.event_type, &event.data).unwrap());
        }
        let told = as_of(shop, path, &format!("revision:{}", event.revision)).await.expect(StatusCode::OK);
        says_the_same(&state, &told);
        let by_position = as_of(shop, path, &format!("position:{}", event.position)).await;
        assert_eq!(by_position.expect(StatusCode::OK), told);
        pages.push(told);
    }
    // Between two events it is what it was after the first of them.
    let before = as_of(shop, path, &format!("position:{}", events[0].position.value() - 1)).await;
    before.expect_problem(StatusCode::NOT_FOUND, "not-found");
    pages.len()
}

fn same_order(order: &domain::order::Order, page: &Value) {
    let domain::order::Order::Placed(order) = order else { panic!("an order begins with being placed") };
    assert_eq!(page["status"], order.status.name());
    assert_eq!(page["paid"]["amount"], order.paid_amount());
    assert_eq!(page["refunded"]["amount"], order.refunded_amount());
    assert_eq!(page["lines"].as_array().unwrap().len(), order.lines.len());
    assert_eq!(page["shipments"].as_array().unwrap().len(), order.shipments.len());
}

fn same_stock(stock: &domain::inventory::Inventory, page: &Value) {
    assert_eq!(page["available"], stock.available());
    assert_eq!(page["reserved"], stock.reserved());
    assert_eq!(page["shipped"], stock.shipped());
    assert_eq!(page["received"], stock.received());
}

fn same_cart(cart: &domain::cart::Cart, page: &Value) {
    let (status, lines) = match cart {
        domain::cart::Cart::Open(cart) => ("open", cart.lines.len()),
        domain::cart::Cart::CheckedOut(cart) => ("checked_out", cart.lines.len()),
        domain::cart::Cart::Abandoned | domain::cart::Cart::Unopened => return,
    };
    assert_eq!((&page["status"], &page["line_count"]), (&json!(status), &json!(lines)));
}

fn same_product(product: &domain::product::Product, page: &Value) {
    let (definition, retired) = match product {
        domain::product::Product::Listed(definition) => (definition, false),
        domain::product::Product::Retired(definition) => (definition, true),
        domain::product::Product::Undefined => panic!("a product begins with its definition"),
    };
    assert_eq!(
        (&page["price"]["amount"], &page["retired"]),
        (&json!(definition.price.amount()), &json!(retired))
    );
}

/// A command that must be taken.
async fn done(shop: &Shop, path: &str, body: Value) {
    let reply = shop.post_as_operator(path, body).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.body);
}

/// Everything that an order can go through, by stories that end differently.
async fn stories(shop: &Shop, seen: &mut BTreeMap<String, Seen>) {
    shop.define("MUG", 1000, 500).await;
    shop.define("BOWL", 500, 500).await;
    // Paid by a card after one was declined; a parcel with tracking, the rest given up, a refund in part, delivered.
    let order = shop.order(&[("MUG", 2), ("BOWL", 3)], 3500).await;
    let path = format!("/orders/{order}");
    let of = seen.entry(path.clone()).or_default();
    look(shop, &path, of).await;
    shop.pay_by("pm_card_visa_chargeDeclined", &order, 3500).await;
    look(shop, &path, of).await;
    shop.pay_by("pm_card_visa", &order, 3500).await.expect(StatusCode::OK);
    look(shop, &path, of).await;
    let lines = of.values().last().unwrap()["lines"].clone();
    let parcel = json!({ "merchant_id": "acme", "lines": [{ "line_id": lines[0]["line_id"], "quantity": 1 }],
                         "tracking": { "carrier": "Royal Mail", "number": "AB1" } });
    let sent = shop.post_as_operator(&format!("{path}/shipments"), parcel).await.expect(StatusCode::OK);
    look(shop, &path, of).await;
    let shipment = sent["shipment_id"].as_str().unwrap();
    done(shop, &format!("{path}/shipments/{shipment}/delivery"), json!({})).await;
    look(shop, &path, of).await;
    done(shop, &format!("{path}/unshipped/cancellation"), json!({ "reason": "burnt" })).await;
    look(shop, &path, of).await;
    done(shop, &format!("{path}/delivery"), json!({})).await;
    look(shop, &path, of).await;
    done(shop, &format!("{path}/refunds"), json!({ "amount": gbp(100) })).await;
    look(shop, &path, of).await;
    // Money by other means, cancelled, given back by hand.
    let order = shop.order(&[("BOWL", 1)], 500).await;
    let path = format!("/orders/{order}");
    let of = seen.entry(path.clone()).or_default();
    shop.pay(&order, 500).await.expect(StatusCode::OK);
    look(shop, &path, of).await;
    done(shop, &format!("{path}/cancellation"), json!({ "reason": "changed my mind" })).await;
    look(shop, &path, of).await;
    done(shop, &format!("{path}/refunds"), json!({ "amount": gbp(500), "reference": "till 7" })).await;
    look(shop, &path, of).await;
    // Sold out in the end: refused by stock.
    shop.define("LAST", 100, 1).await;
    let first = shop.cart(&[("LAST", 1)]).await;
    let second = shop.cart(&[("LAST", 1)]).await;
    let (one, two) = tokio::join!(shop.check_out(&first, 100), shop.check_out(&second, 100));
    for reply in [one, two] {
        if let Some(order_id) = reply.body["order_id"].as_str() {
            let path = format!("/orders/{order_id}");
            look(shop, &path, seen.entry(path.clone()).or_default()).await;
        }
    }
}

#[sqlx::test(migrations = false)]
async fn every_page_of_an_order_is_found_again(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let mut seen = BTreeMap::new();
    stories(&shop, &mut seen).await;
    assert!(seen.len() >= 3);
    let mut events = 0;
    for (path, seen) in &seen {
        // What the processes still do belongs to the end of the story.
        shop.get_when(path, |page| page["revision"].as_u64() >= seen.keys().last().copied()).await;
        is_told_as_it_was(&shop, path, seen).await;
        let stream = format!("order-{}", path.trim_start_matches("/orders/"));
        events += is_the_fold_of_each_prefix(&shop, (path, &stream), same_order).await;
    }
    assert!(events > 30, "{events} events");
    for sku in ["MUG", "BOWL", "LAST"] {
        let path = format!("/stock/{sku}");
        is_told_as_it_was(&shop, &path, &Seen::new()).await;
        is_the_fold_of_each_prefix(&shop, (&path, &format!("inventory-{sku}")), same_stock).await;
    }
}

#[sqlx::test(migrations = false)]
async fn every_page_of_a_cart_and_of_a_product_is_found_again(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 5).await;
    shop.define("BOWL", 500, 5).await;
    let mut ends = Vec::new();
    for ending in ["abandoned", "checked_out", "open"] {
        let cart_id = shop.cart(&[("MUG", 1)]).await;
        let (path, mut seen) = (format!("/carts/{cart_id}"), Seen::new());
        look(&shop, &path, &mut seen).await;
        let lines = json!({ "lines": [{ "sku": "BOWL", "quantity": 2 }] });
        shop.post(&format!("{path}/lines"), lines).await.expect(StatusCode::OK);
        look(&shop, &path, &mut seen).await;
        let bowl = seen.values().last().unwrap()["lines"][1]["line_id"].clone();
        let fewer = json!({ "lines": [{ "line_id": bowl, "sku": "BOWL", "quantity": 1 }] });
        shop.post(&format!("{path}/lines"), fewer).await.expect(StatusCode::OK);
        look(&shop, &path, &mut seen).await;
        let charge = json!({ "charge": gbp(250) });
        shop.request(Method::PUT, &format!("{path}/shipping"))
            .operator()
            .new_key()
            .json(&charge)
            .send()
            .await;
        look(&shop, &path, &mut seen).await;
        match ending {
            "abandoned" => {
                shop.request(Method::DELETE, &path).new_key().send().await.expect(StatusCode::OK);
            }
            "checked_out" => {
                shop.check_out(&cart_id, 1750).await.expect(StatusCode::OK);
            }
            _ => {
                let line = format!("{path}/lines/{}", bowl.as_str().unwrap());
                shop.request(Method::DELETE, &line).new_key().send().await.expect(StatusCode::OK);
            }
        }
        look(&shop, &path, &mut seen).await;
        is_told_as_it_was(&shop, &path, &seen).await;
        is_the_fold_of_each_prefix(&shop, (&path, &format!("cart-{cart_id}")), same_cart).await;
        ends.push(seen.values().last().unwrap()["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(ends, ["abandoned", "checked_out", "open"]);
    let (path, mut seen) = ("/products/MUG", Seen::new());
    look(&shop, path, &mut seen).await;
    let price = json!({ "price": gbp(1200) });
    shop.request(Method::PUT, "/products/MUG/price").operator().new_key().json(&price).send().await;
    look(&shop, path, &mut seen).await;
    shop.request(Method::DELETE, path).operator().new_key().send().await;
    look(&shop, path, &mut seen).await;
    assert_eq!(seen.len(), 3);
    is_told_as_it_was(&shop, path, &seen).await;
    is_the_fold_of_each_prefix(&shop, (path, "product-MUG"), same_product).await;
}

/// Business time: what was told of the past later counts there.
#[sqlx::test(migrations = false)]
async fn a_time_is_business_time(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let define = json!({ "sku": "MUG", "merchant_id": "acme", "name": "Mug", "price": gbp(1000) });
    let at = |request: crate::http::Request, time: &str| request.header("emporium-occurred-at", time);
    let request = shop.request(Method::POST, "/products").operator().new_key().json(&define);
    at(request, "2011-01-01T00:00:00Z").send().await.expect(StatusCode::CREATED);
    for (time, price) in [("2011-06-01T00:00:00Z", 1100), ("2011-03-01T00:00:00Z", 1200)] {
        let request = shop.request(Method::PUT, "/products/MUG/price").operator().new_key();
        at(request.json(&json!({ "price": gbp(price) })), time).send().await.expect(StatusCode::OK);
    }
    let price_at = async |time: &str| {
        as_of(&shop, "/products/MUG", time).await.expect(StatusCode::OK)["price"]["amount"].as_i64().unwrap()
    };
    assert_eq!(price_at("2011-01-01T00:00:00Z").await, 1000);
    assert_eq!(price_at("2011-02-28T23:59:59Z").await, 1000);
    // The last event that had happened by then is the second change, which was decided upon the first.
    assert_eq!(price_at("2011-03-01T00:00:00Z").await, 1200);
    assert_eq!(price_at("2011-03-01T01:00:00%2B01:00").await, 1200);
    let before = as_of(&shop, "/products/MUG", "2010-12-31T23:59:59Z").await;
    before.expect_problem(StatusCode::NOT_FOUND, "not-found");

    // The history of prices says the same of each moment: 1100 was never asked for.
    let prices = shop.get_now("/products/MUG/prices").await.expect(StatusCode::OK);
    let told: Vec<_> = prices["items"].as_array().unwrap().iter().collect();
    let told = told.iter().map(|price| (&price["price"]["amount"], &price["from"], &price["until"]));
    let (begin, change) = (json!("2011-01-01T00:00:00Z"), json!("2011-03-01T00:00:00Z"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(&json!(1000), &begin, &change), (&json!(1200), &change, &Value::Null)]
    );
}

#[sqlx::test(migrations = false)]
async fn a_history_is_told_in_words_and_a_difference_with_its_events(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 5).await;
    let order = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order, 1000).await.expect(StatusCode::OK);
    let path = format!("/orders/{order}");
    let page = shop.get_when(&path, |page| page["status"] == "processing").await;

    let history = shop.get(&format!("{path}/history")).await.expect(StatusCode::OK);
    let told = history["items"].as_array().unwrap();
    assert_eq!(told.len(), page["history"].as_array().unwrap().len());
    for (entry, row) in told.iter().zip(page["history"].as_array().unwrap()) {
        for field in ["revision", "position", "type", "summary", "actor", "occurred_at"] {
            assert_eq!(entry[field], row[field]);
        }
    }
    let first = shop.get(&format!("{path}/history?limit=2")).await.expect(StatusCode::OK);
    let next = first["next_cursor"].as_str().unwrap();
    let second = shop.get(&format!("{path}/history?limit=2&cursor={next}")).await.expect(StatusCode::OK);
    assert_eq!(second["items"][0], told[2]);

    let diff = shop.get(&format!("{path}/diff?from=revision:1&to=revision:3")).await.expect(StatusCode::OK);
    assert_eq!((&diff["from_revision"], &diff["to_revision"]), (&json!(1), &json!(3)));
    let changes = diff["changes"].as_array().unwrap();
    let change = |path: &str| changes.iter().find(|change| change["path"] == path).unwrap();
    assert_eq!(
        (&change("/status")["before"], &change("/status")["after"]),
        (&json!("pending"), &json!("paid"))
    );
    assert_eq!((&change("/paid")["before"], &change("/paid")["after"]), (&gbp(0), &gbp(1000)));
    assert_eq!(diff["events"].as_array().unwrap(), &told[2..=3]);
    let whole = shop.get(&format!("{path}/diff?from=2000-01-01T00:00:00Z")).await.expect(StatusCode::OK);
    assert_eq!((&whole["from_revision"], &whole["changes"][0]["before"]), (&Value::Null, &Value::Null));
    assert_eq!(whole["changes"][0]["after"], page);
    let nothing =
        shop.get(&format!("{path}/diff?from=revision:1&to=revision:1")).await.expect(StatusCode::OK);
    assert_eq!((&nothing["changes"], &nothing["events"]), (&json!([]), &json!([])));
}

#[sqlx::test(migrations = false)]
async fn the_past_is_open_to_those_to_whom_the_page_is_and_bad_points_are_refused(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 5).await;
    let order = shop.order(&[("MUG", 1)], 1000).await;
    shop.get(&format!("/orders/{order}?as_of=revision:0")).await.expect(StatusCode::OK);
    // Stock's history names orders, and who knows an order's id may cancel it.
    for path in [
        "/stock/MUG?as_of=revision:0",
        "/stock/MUG/history",
        "/stock/MUG/diff?from=revision:0",
        "/products/MUG?as_of=revision:0",
        "/products/MUG/history",
        "/products/MUG/prices",
    ] {
        shop.get(path).await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    }
    // A shop that has just been opened makes its tables first.
    let stock = shop.request(Method::GET, "/stock/MUG?min-position=head").header("prefer", "wait=25");
    stock.send().await.expect(StatusCode::OK);
    let (missing, unknown) = ("revision:99", "018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f02");
    for (path, status, problem) in [
        (format!("/orders/{order}?as_of=noon"), StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        (format!("/orders/{order}?as_of="), StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        (format!("/orders/{order}?as_of={missing}"), StatusCode::NOT_FOUND, "not-found"),
        (format!("/orders/{unknown}?as_of=revision:0"), StatusCode::NOT_FOUND, "not-found"),
        (
            format!("/orders/{order}?as_of=position:9000000000000"),
            StatusCode::SERVICE_UNAVAILABLE,
            "position-not-reached",
        ),
        (format!("/orders/{order}/diff"), StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        (
            format!("/orders/{order}/diff?from=revision:1&to=revision:0"),
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-request",
        ),
        (format!("/orders/{unknown}/diff?from=revision:0"), StatusCode::NOT_FOUND, "not-found"),
        (format!("/orders/{unknown}/history"), StatusCode::NOT_FOUND, "not-found"),
        ("/orders/x/history".to_owned(), StatusCode::NOT_FOUND, "not-found"),
    ] {
        shop.request(Method::GET, &path).operator().send().await.expect_problem(status, problem);
    }
}
