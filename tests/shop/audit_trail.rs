//! The auditor's questions: which events are there, what set off what, who changed a price, and give me all of it.

use crate::harness::{Shop, TOKEN, gbp};
use event_store::RecordedEvent;
use futures::TryStreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

async fn audit(shop: &Shop, query: &str) -> Value {
    shop.get_now(&format!("/audit/{query}")).await.expect(StatusCode::OK)
}

/// All pages of a selection, by their positions.
async fn positions(shop: &Shop, filters: &str, limit: usize) -> Vec<u64> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = audit(shop, &format!("events?{filters}&limit={limit}&cursor={cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        found.extend(items.iter().map(|event| event["position"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return found,
        }
    }
}

fn position(event: &RecordedEvent) -> u64 {
    event.position.value()
}

/// What the log itself says of a selection.
async fn by_the_log(shop: &Shop, is_wanted: impl Fn(&RecordedEvent) -> bool) -> Vec<u64> {
    let events: Vec<_> = shop.events().read_all(None, usize::MAX).try_collect().await.unwrap();
    let is_of_the_shop =
        |event: &&RecordedEvent| ["product", "inventory", "cart", "order"].contains(&event.category());
    events.iter().filter(is_of_the_shop).filter(|event| is_wanted(event)).map(position).collect()
}

async fn two_purchases(shop: &Shop) -> (String, String) {
    shop.define("MUG", 1000, 50).await;
    shop.define("BOWL", 500, 50).await;
    let first = shop.order(&[("MUG", 2), ("BOWL", 1)], 2500).await;
    shop.pay(&first, 2500).await.expect(StatusCode::OK);
    let second = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay_by("pm_card_visa", &second, 1000).await.expect(StatusCode::OK);
    shop.get_when(&format!("/orders/{second}"), |page| page["status"] == "processing").await;
    (first, second)
}

#[sqlx::test(migrations = false)]
async fn events_are_found_by_what_they_are_by_whom_for_which_purchase_and_when(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let (first, _) = two_purchases(&shop).await;
    let metadata = |event: &RecordedEvent| event.metadata().unwrap();
    let all = by_the_log(&shop, |_| true).await;
    let (middle, later) = (all[all.len() / 2], all[all.len() / 2 + 5]);
    let expected = [
        ("limit=1".to_owned(), all.clone()),
        (
            format!("stream=order-{first}"),
            by_the_log(&shop, |event| event.stream == format!("order-{first}")).await,
        ),
        ("category=inventory".to_owned(), by_the_log(&shop, |event| event.category() == "inventory").await),
        ("type=order.paid".to_owned(), by_the_log(&shop, |event| event.event_type == "order.paid.v1").await),
        (
            "type=order.paid.v1&actor=operator".to_owned(),
            by_the_log(&shop, |event| {
                event.event_type == "order.paid.v1" && metadata(event).actor == "operator"
            })
            .await,
        ),
        ("actor=shopper".to_owned(), by_the_log(&shop, |event| metadata(event).actor == "shopper").await),
        (
            format!("correlation={first}"),
            by_the_log(&shop, |event| metadata(event).correlation_id.to_string() == first).await,
        ),
        (
            format!("correlation={first}&category=cart"),
            by_the_log(&shop, |event| {
                metadata(event).correlation_id.to_string() == first && event.category() == "cart"
            })
            .await,
        ),
        (
            format!("from-position={middle}&to-position={later}"),
            all[all.len() / 2..=all.len() / 2 + 5].to_vec(),
        ),
        ("from=2000-01-01&to=2000-12-31".to_owned(), vec![]),
        ("from=2000-01-01".to_owned(), all.clone()),
        ("actor=nobody".to_owned(), vec![]),
    ];
    for (filters, expected) in expected {
        assert_eq!(positions(&shop, &filters.replace("limit=1", ""), 3).await, expected, "{filters}");
        let mut backwards = expected;
        backwards.reverse();
        let newest_first = format!("{}&direction=backwards", filters.replace("limit=1", ""));
        assert_eq!(positions(&shop, &newest_first, 7).await, backwards, "{newest_first}");
    }
    let paid = audit(&shop, "events?type=order.paid&limit=1").await;
    let event = &paid["items"][0];
    assert_eq!(
        (&event["summary"], &event["data"]["amount"]),
        (&json!("Paid in full: 25.00 GBP"), &gbp(2500))
    );
    assert_eq!(event["correlation_id"], first.as_str());
    assert_eq!(event["metadata"]["command_id"], event["command_id"]);
}

/// From the shopper's first command to what stock did when the parcel left.
#[sqlx::test(migrations = false)]
async fn a_purchase_is_told_as_the_tree_of_what_followed_from_what(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let (first, _) = two_purchases(&shop).await;
    shop.post_as_operator(&format!("/orders/{first}/shipment"), json!({})).await.expect(StatusCode::OK);
    shop.get_when(&format!("/orders/{first}"), |page| {
        page["stock"].as_array().unwrap().iter().all(|stock| stock["phase"] == "shipped")
    })
    .await;
    let purchase = audit(&shop, &format!("purchases/{first}")).await;
    let expected =
        by_the_log(&shop, |event| event.metadata().unwrap().correlation_id.to_string() == first).await;
    let steps = purchase["steps"].as_array().unwrap();
    let mut told: Vec<u64> = steps
        .iter()
        .flat_map(|step| step["events"].as_array().unwrap())
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(told, expected, "every event of the purchase, once");
    assert_eq!(purchase["events"], expected.len());

    let types = |step: &Value| -> Vec<String> {
        step["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (types(&steps[0]), &steps[0]["actor"]),
        (vec!["cart.opened.v1".to_owned()], &json!("shopper"))
    );
    // Every step stands under the event that it names as its cause.
    let mut above: Vec<&Value> = Vec::new();
    for step in steps {
        let depth = usize::try_from(step["depth"].as_u64().unwrap()).unwrap();
        above.truncate(depth);
        assert_eq!(above.len(), depth);
        match above.last() {
            None => assert_eq!(step["caused_by"], Value::Null),
            Some(cause) => {
                let mut events = cause["events"].as_array().unwrap().iter();
                assert!(events.any(|event| event["event_id"] == step["caused_by"]), "{step}");
            }
        }
        above.push(step);
    }
    let with = |wanted: &str| {
        steps.iter().position(|step| types(step).iter().any(|event_type| event_type == wanted)).unwrap()
    };
    assert_eq!(steps[with("cart.checked_out.v1")]["depth"], 0);
    // The request placed the order, or the process did so for it.
    let placed = with("order.placed.v1");
    assert!(placed >= with("cart.checked_out.v1"));
    assert_eq!(steps[placed + 1]["actor"], "order-fulfilment", "what stock was asked follows from the order");
    assert!(steps[placed + 1]["depth"].as_u64() > Some(0));
    let shipment = with("order.shipped.v1");
    let after: Vec<String> = steps[shipment..].iter().flat_map(types).collect();
    assert!(after.contains(&"inventory.shipped.v1".to_owned()), "{after:?}");
}

#[sqlx::test(migrations = false)]
async fn a_price_is_told_with_who_set_it_and_the_orders_sold_at_it(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 50).await;
    shop.define("BOWL", 500, 50).await;
    let cheap = shop.order(&[("MUG", 2), ("BOWL", 1)], 2500).await;
    let price = json!({ "price": gbp(1200) });
    let put = shop.request(Method::PUT, "/products/MUG/price").operator().new_key().json(&price);
    put.send().await.expect(StatusCode::OK);
    let dear = shop.order(&[("MUG", 1)], 1200).await;
    let cart_id = shop.cart(&[]).await;
    let agreed = json!({ "lines": [{ "sku": "MUG", "quantity": 3, "agreed_unit_price": gbp(900) }] });
    shop.post_as_operator(&format!("/carts/{cart_id}/lines"), agreed).await.expect(StatusCode::OK);
    let by_agreement = shop.check_out(&cart_id, 2700).await.expect(StatusCode::OK)["order_id"].clone();
    let delete = shop.request(Method::DELETE, "/products/MUG").operator().new_key();
    delete.send().await.expect(StatusCode::OK);

    let prices = shop.get_now("/products/MUG/prices").await.expect(StatusCode::OK);
    let prices = prices["items"].as_array().unwrap();
    let figures = |price: &Value| {
        ["orders", "units", "orders_at_other_prices"].map(|name| price[name].as_i64().unwrap())
    };
    assert_eq!(prices.len(), 2);
    assert_eq!((&prices[0]["price"], &prices[0]["actor"]), (&gbp(1000), &json!("operator")));
    assert_eq!((figures(&prices[0]), &prices[0]["revenue"]), ([1, 2, 0], &gbp(2000)));
    assert_eq!((figures(&prices[1]), &prices[1]["revenue"]), ([1, 1, 1], &gbp(1200)));
    assert_eq!(prices[0]["until"], prices[1]["from"]);
    assert!(prices[1]["until"].is_string(), "a retired product has no price any more");
    let orders = async |revision: u64| {
        let path = format!("/products/MUG/prices/{revision}/orders");
        let page = shop.get_now(&path).await.expect(StatusCode::OK);
        let items = page["items"].as_array().unwrap().iter();
        items.map(|line| (line["order_id"].clone(), line["at_this_price"] == true)).collect::<Vec<_>>()
    };
    assert_eq!(orders(0).await, [(json!(cheap), true)]);
    assert_eq!(orders(1).await, [(json!(dear), true), (by_agreement, false)]);
    let none = shop.get_now("/products/MUG/prices/2/orders").await;
    none.expect_problem(StatusCode::NOT_FOUND, "not-found");
    shop.get_now("/products/CUP/prices").await.expect_problem(StatusCode::NOT_FOUND, "not-found");
}

#[sqlx::test(migrations = false)]
async fn a_selection_is_exported_whole(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let (first, _) = two_purchases(&shop).await;
    let export = async |query: String| {
        let request = shop.request(Method::GET, &format!("/audit/export?{query}")).operator();
        request.send().await
    };
    for filters in [
        "",
        "&category=cart",
        "&actor=operator",
        &format!("&stream=order-{first}"),
        &format!("&correlation={first}"),
    ] {
        let reply = export(format!("format=ndjson{filters}")).await;
        assert_eq!(reply.content_type, "application/x-ndjson");
        let text = reply.expect(StatusCode::OK).as_str().unwrap().to_owned();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_the_lines: Vec<u64> = lines.iter().map(|line| line["position"].as_u64().unwrap()).collect();
        assert_eq!(of_the_lines, positions(&shop, filters, 500).await, "{filters}");
        let csv = export(format!("format=csv{filters}")).await.expect(StatusCode::OK);
        assert_eq!(csv.as_str().unwrap().lines().count(), lines.len() + 1);
    }
    let url = shop_client::address_of(shop.url(), "/audit/export?format=parquet");
    let parquet =
        reqwest::Client::new().get(url).bearer_auth(TOKEN).send().await.unwrap().bytes().await.unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[sqlx::test(migrations = false)]
async fn the_trail_is_the_operators_and_says_what_it_cannot_read(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 5).await;
    let unknown = "018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f02";
    for path in ["/audit/events", "/audit/export?format=csv", &format!("/audit/purchases/{unknown}")] {
        shop.get(path).await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    }
    for (path, status, problem) in [
        ("events?category=orders", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?correlation=7", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?from=noon", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?from-position=-1", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?actor=a%00b", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?format=csv", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?cursor=x", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("events?colour=red", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("export", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("export?format=xml", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        ("export?format=csv&limit=3", StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
        (
            "export?format=csv&min-position=9000000000000",
            StatusCode::SERVICE_UNAVAILABLE,
            "position-not-reached",
        ),
        (&format!("purchases/{unknown}"), StatusCode::NOT_FOUND, "not-found"),
        ("purchases/x", StatusCode::NOT_FOUND, "not-found"),
    ] {
        let reply = shop.request(Method::GET, &format!("/audit/{path}")).operator().send().await;
        reply.expect_problem(status, problem);
    }
    let nothing = audit(&shop, "events?stream=order-nobody").await;
    assert_eq!(nothing["items"], json!([]));
}
