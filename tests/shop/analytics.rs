//! What dashboards see.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

/// Sends a command of the past, as the importers do.
async fn at(shop: &Shop, time: &str, path: &str, body: Value) -> Value {
    let request = shop.request(Method::POST, path).operator().new_key();
    let request = request.header("emporium-occurred-at", time).header("prefer", "wait=20");
    let reply = request.json(&body).send().await;
    assert!(reply.status.is_success(), "{}", reply.body);
    reply.body
}

/// What a past order is about.
struct Past<'a> {
    customer: Option<&'a str>,
    country: &'a str,
    sku: &'a str,
    quantity: i64,
    total: i64,
}

/// An order that was opened, placed, paid, sent and delivered at these times; its id.
async fn bought(shop: &Shop, past: &Past<'_>, times: [&str; 5]) -> String {
    let Past { customer, country, sku, quantity, total } = past;
    let [opened, placed, paid, sent, delivered] = times;
    let cart = at(shop, opened, "/carts", json!({ "currency": "GBP", "customer_id": customer })).await;
    let cart = format!("/carts/{}", cart["cart_id"].as_str().unwrap());
    let lines = json!({ "lines": [{ "sku": sku, "quantity": quantity }] });
    at(shop, opened, &format!("{cart}/lines"), lines).await;
    let checkout = json!({ "total": gbp(*total), "country": country });
    let order = at(shop, placed, &format!("{cart}/checkout"), checkout).await;
    let order_id = order["order_id"].as_str().unwrap().to_owned();
    let payment = json!({ "amount": gbp(*total), "method": "card", "reference": "till 1" });
    at(shop, paid, &format!("/orders/{order_id}/payments"), payment).await;
    at(shop, sent, &format!("/orders/{order_id}/shipment"), json!({})).await;
    at(shop, delivered, &format!("/orders/{order_id}/delivery"), json!({})).await;
    order_id
}

/// Two orders on the day on which London's clocks went forward, one of them after its midnight and before that of UTC,
/// and a third one in the next month.
async fn shop_with_a_past(pool: &PgPool) -> (Shop, String) {
    let shop = Shop::open(pool).await;
    shop.define("MUG", 1000, 10).await;
    shop.define("BOWL", 500, 100).await;
    let ann = Past { customer: Some("ann"), country: "GB", sku: "MUG", quantity: 2, total: 2000 };
    let first = bought(
        &shop,
        &ann,
        [
            "2011-03-27T00:00:00Z",
            "2011-03-27T00:10:00Z",
            "2011-03-27T00:30:00Z",
            "2011-03-28T00:30:00Z",
            "2011-03-29T00:30:00Z",
        ],
    )
    .await;
    let bob = Past { customer: Some("bob"), country: "France", sku: "BOWL", quantity: 3, total: 1500 };
    // In London it is summer now, and the next day.
    bought(&shop, &bob, ["2011-03-27T23:30:00Z"; 5]).await;
    let again = Past { customer: Some("ann"), country: "GB", sku: "BOWL", quantity: 1, total: 500 };
    bought(&shop, &again, ["2011-04-30T12:00:00Z"; 5]).await;
    (shop, first)
}

async fn ask(shop: &Shop, question: &str) -> Value {
    shop.get_now(&format!("/analytics/{question}")).await.expect(StatusCode::OK)
}

fn gross(series: &Value) -> Vec<i64> {
    let buckets = series["buckets"].as_array().unwrap().iter();
    buckets.map(|bucket| bucket["revenue"][0]["gross"]["amount"].as_i64().unwrap()).collect()
}

#[sqlx::test(migrations = false)]
async fn revenue_is_told_for_the_days_of_a_time_zone(pool: PgPool) {
    let (shop, _) = shop_with_a_past(&pool).await;
    let days = "revenue?from=2011-03-26&to=2011-03-28";
    let utc = ask(&shop, days).await;
    assert_eq!(gross(&utc), [0, 3500, 0]);
    let london = ask(&shop, &format!("{days}&time_zone=Europe/London")).await;
    assert_eq!(gross(&london), [0, 2000, 1500]);
    let day = &london["buckets"][1];
    assert_eq!(
        (&day["start"], &day["end"]),
        (&json!("2011-03-27T00:00:00+00:00"), &json!("2011-03-28T00:00:00+01:00"))
    );
    let hours = "revenue?from=2011-03-27&to=2011-03-27&time_zone=Europe/London&bucket=hour";
    let hours = gross(&ask(&shop, hours).await);
    assert_eq!((hours.len(), hours[0]), (23, 2000), "the clocks left an hour out");
    let kathmandu = ask(&shop, &format!("{days}&time_zone=Asia/Kathmandu")).await;
    assert_eq!(gross(&kathmandu), [0, 2000, 1500]);
    let months = "revenue?from=2011-03-01&to=2011-05-31&time_zone=Europe/London&bucket=month";
    assert_eq!(gross(&ask(&shop, months).await), [3500, 500, 0]);
    let minutes = "revenue?from=2011-03-27T00:29:00Z&to=2011-03-27T00:32:00Z&bucket=minute";
    assert_eq!(gross(&ask(&shop, minutes).await), [0, 2000, 0]);
    let whole = ask(&shop, "revenue?from=2011-01-01&to=2011-12-31&bucket=period").await;
    let figures = &whole["buckets"][0]["revenue"][0];
    assert_eq!((&figures["orders"], &figures["units"], &figures["net"]), (&json!(3), &json!(6), &gbp(4000)));
}

#[sqlx::test(migrations = false)]
async fn revenue_is_told_apart_and_filtered(pool: PgPool) {
    let (shop, _) = shop_with_a_past(&pool).await;
    let year = "from=2011-01-01&to=2011-12-31&time_zone=Europe/London";
    let whole = |filter: &str| format!("revenue?{year}&bucket=period&{filter}");
    for (filter, expected) in [
        ("sku=BOWL", 2000),
        ("merchant=acme", 4000),
        ("country=GB", 2500),
        ("country=gb", 2500),
        ("country=United%20Kingdom", 2500),
        ("country=GB&sku=BOWL", 500),
        ("merchant=acme&country=France", 1500),
        ("merchant=acme&sku=MUG", 2000),
        ("merchant=other&sku=MUG&currency=GBP", 0),
        ("currency=GBP", 4000),
        ("currency=EUR", 0),
    ] {
        assert_eq!(gross(&ask(&shop, &whole(filter)).await), [expected], "{filter}");
    }
    let empty = ask(&shop, "revenue?from=1999-01-01&to=1999-01-03&currency=GBP").await;
    assert_eq!(gross(&empty), [0, 0, 0]);
    let unknown = ask(&shop, "revenue?from=1999-01-01&to=1999-01-03").await;
    assert_eq!(unknown["buckets"].as_array().unwrap().len(), 3);
    let top = |answer: &Value, key: &str| -> Vec<(String, i64)> {
        let items = answer["items"].as_array().unwrap().iter();
        let item = |item: &Value| {
            (item[key].as_str().unwrap().to_owned(), item["gross"]["amount"].as_i64().unwrap())
        };
        items.map(item).collect()
    };
    let countries = top(&ask(&shop, &format!("revenue/countries?{year}")).await, "country");
    assert_eq!(countries, [("GB".to_owned(), 2500), ("FR".to_owned(), 1500)]);
    let merchants = top(&ask(&shop, &format!("revenue/merchants?{year}&sku=MUG")).await, "merchant_id");
    assert_eq!(merchants, [("acme".to_owned(), 2000)]);
    let sellers = top(&ask(&shop, &format!("top-sellers?{year}&by=units&limit=1")).await, "sku");
    assert_eq!(sellers, [("BOWL".to_owned(), 2000)]);
    let british = top(&ask(&shop, &format!("top-sellers?{year}&country=GB")).await, "sku");
    assert_eq!(british, [("MUG".to_owned(), 2000), ("BOWL".to_owned(), 500)]);
    shop.define("UNSOLD", 100, 7).await;
    let slow = ask(&shop, &format!("slow-sellers?{year}")).await;
    assert_eq!(slow["items"][0], json!({ "sku": "UNSOLD", "units": 0, "orders": 0, "available": 7 }));
    assert_eq!((&slow["items"][1]["sku"], &slow["items"][1]["units"]), (&json!("MUG"), &json!(2)));
}

#[sqlx::test(migrations = false)]
async fn money_that_goes_back_is_gross_and_not_net(pool: PgPool) {
    let (shop, order_id) = shop_with_a_past(&pool).await;
    let refund = json!({ "amount": gbp(500), "reference": "back" });
    at(&shop, "2011-04-02T10:00:00Z", &format!("/orders/{order_id}/refunds"), refund).await;
    let months = ask(&shop, "revenue?from=2011-03-01&to=2011-04-30&bucket=month&sku=MUG").await;
    let net = |month: usize| months["buckets"][month]["revenue"][0]["net"].clone();
    assert_eq!((net(0), net(1)), (gbp(2000), gbp(-500)));
    let top = ask(&shop, "top-sellers?from=2011-01-01&to=2011-12-31&by=net").await;
    assert_eq!((&top["items"][0]["sku"], &top["items"][0]["net"]), (&json!("BOWL"), &gbp(2000)));
    assert_eq!(top["items"][1]["refunded"], gbp(500));
}

#[sqlx::test(migrations = false)]
async fn orders_their_funnel_and_their_buyers(pool: PgPool) {
    let (shop, _) = shop_with_a_past(&pool).await;
    let year = "from=2011-01-01&to=2011-12-31&time_zone=Europe/London";
    // A cart that comes to nothing, and an order that is not paid.
    at(&shop, "2011-03-01T00:00:00Z", "/carts", json!({ "currency": "GBP" })).await;
    let cart = at(&shop, "2011-03-01T00:00:00Z", "/carts", json!({ "currency": "GBP" })).await;
    let cart = format!("/carts/{}", cart["cart_id"].as_str().unwrap());
    let lines = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    at(&shop, "2011-03-01T00:00:00Z", &format!("{cart}/lines"), lines).await;
    let checkout = json!({ "total": gbp(1000), "country": "GB" });
    at(&shop, "2011-03-02T00:00:00Z", &format!("{cart}/checkout"), checkout).await;

    let orders = ask(&shop, &format!("orders?{year}&bucket=month")).await;
    let march = &orders["buckets"][2]["orders"][0];
    assert_eq!((&march["placed"], &march["paid"], &march["paid_total"]), (&json!(3), &json!(2), &gbp(3500)));
    assert_eq!((&march["states"]["delivered"], &march["states"]["pending"]), (&json!(2), &json!(1)));
    assert_eq!((&march["average_order_value"], &march["items_per_order"]), (&gbp(1750), &json!(2.5)));
    let none = &orders["buckets"][0]["orders"][0];
    assert_eq!((&none["placed"], &none["average_order_value"]), (&json!(0), &Value::Null));

    let funnel = ask(&shop, &format!("funnel?{year}")).await;
    let counts: Vec<i64> =
        funnel["stages"].as_array().unwrap().iter().map(|stage| stage["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [5, 4, 3, 3]);
    assert_eq!(funnel["stages"][2]["share_of_previous"], 0.75);

    let states = ask(&shop, &format!("time-in-state?{year}&country=GB")).await;
    let states = states["states"].as_array().unwrap();
    assert_eq!(
        (&states[0]["state"], &states[0]["left"], &states[0]["stay"]),
        (&json!("pending"), &json!(2), &json!(1))
    );
    // Twenty minutes and none at all.
    assert_eq!((&states[0]["p50_seconds"], &states[3]["p50_seconds"]), (&json!(600.0), &json!(43_200.0)));
    assert_eq!(states[3]["p95_seconds"], 82_080.0);

    let buyers = ask(&shop, "buyers?from=2011-04-01&to=2011-04-30").await;
    let figures =
        ["buyers", "new", "repeat", "orders", "guest_orders"].map(|name| buyers[name].as_i64().unwrap());
    assert_eq!(figures, [1, 0, 1, 1, 0]);
    let cohorts = ask(&shop, &format!("cohorts?{year}")).await;
    let march = &cohorts["cohorts"][2];
    assert_eq!(march["buyers"], 2);
    assert_eq!(march["months"][1], json!({ "after": 1, "buyers": 1, "share": 0.5, "orders": 1 }));
    assert_eq!((&march["months"][2]["buyers"], march["months"].as_array().unwrap().len()), (&json!(0), 10));
}

#[sqlx::test(migrations = false)]
async fn what_is_sold_out_is_told_with_what_it_cost(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("LAST", 1000, 1).await;
    let carts = [shop.cart(&[("LAST", 1)]).await, shop.cart(&[("LAST", 1)]).await];
    // Both at once: stock's memory refuses none of them before it has sold one.
    let (one, other) = tokio::join!(shop.check_out(&carts[0], 1000), shop.check_out(&carts[1], 1000));
    let refused = [&one, &other].iter().filter(|reply| reply.status == StatusCode::CONFLICT).count();
    assert_eq!(refused, 1, "{} {}", one.body, other.body);
    let period = "from=2020-01-01&to=2100-01-01";
    let outs = ask(&shop, &format!("stock-outs?{period}")).await;
    assert_eq!((&outs["items"][0]["sku"], &outs["items"][0]["is_out"]), (&json!("LAST"), &json!(true)));
    assert_eq!(outs["items"][0]["stock_outs"], 1);
    let lasting = ask(&shop, &format!("stock-outs/LAST?{period}")).await;
    assert_eq!(lasting["items"][0]["ended_at"], Value::Null);
    shop.post_as_operator("/stock/LAST/receipts", json!({ "quantity": 5 })).await.expect(StatusCode::CREATED);
    let over = ask(&shop, &format!("stock-outs/LAST?{period}")).await;
    assert_ne!(over["items"][0]["ended_at"], Value::Null);
    // Whether the second order was refused at once, which leaves no event, or at the end is a matter of moments.
    let cancelled = shop.get_now("/orders?status=cancelled").await.expect(StatusCode::OK);
    let cancelled = cancelled["items"].as_array().unwrap().len();
    let lost = ask(&shop, &format!("lost-sales?{period}&bucket=period&currency=GBP")).await;
    let lost = &lost["buckets"][0]["lost"][0];
    assert_eq!((&lost["orders"], &lost["missing"]), (&json!(cancelled), &json!(cancelled)));
}

#[sqlx::test(migrations = false)]
async fn what_makes_no_sense_is_answered_with_a_sentence(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1).await;
    for (question, word) in [
        ("revenue", "`from`"),
        ("revenue?from=2011-01-01&to=2011-01-02&time_zone=Europe/Londen", "Europe/Londen"),
        ("revenue?from=2011-01-02&to=2011-01-01", "must be before"),
        ("revenue?from=2000-01-01&to=2011-01-01&bucket=hour", "10080 buckets"),
        ("revenue?from=2011-01-01&to=2011-01-02&currency=pounds", "pounds"),
        ("revenue/countries?from=2011-01-01&to=2011-01-02&bucket=day", "whole period"),
        ("cohorts?from=2011-01-01T00:00:30Z&to=2011-01-02", "whole minute"),
        ("top-sellers?from=2011-01-01&to=2011-01-02&limit=0", "`limit`"),
    ] {
        let reply = shop.get_now(&format!("/analytics/{question}")).await;
        let problem = reply.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    for question in ["revenue?bucket=fortnight", "funnel?sku=MUG", "orders?weather=rain"] {
        let reply = shop.get_now(&format!("/analytics/{question}")).await;
        assert!(reply.status.is_client_error(), "{question}: {}", reply.body);
    }
    let questions = [
        "revenue",
        "revenue/merchants",
        "revenue/countries",
        "top-sellers",
        "slow-sellers",
        "orders",
        "time-in-state",
        "funnel",
        "buyers",
        "cohorts",
        "stock-outs",
        "stock-outs/MUG",
        "lost-sales",
    ];
    let period = "from=2011-01-01&to=2011-01-02";
    for question in questions {
        ask(&shop, &format!("{question}?{period}")).await;
        let nobody = shop.get(&format!("/analytics/{question}?{period}")).await;
        nobody.expect_problem(StatusCode::FORBIDDEN, "operator-only");
        let future = shop
            .request(Method::GET, &format!("/analytics/{question}?{period}&min-position=9000000000000000"));
        // One of them is enough to see that it waits, and each waits for seconds.
        if question == "funnel" {
            let reply = future.operator().send().await;
            reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "position-not-reached");
        }
    }
}

/// Analytics in a database of their own: filled, asked, waited for, rebuilt and looked after there and nowhere else.
#[sqlx::test(migrations = false)]
async fn analytics_may_have_a_database_of_their_own(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let name = format!("analytics_{}", uuid::Uuid::new_v4().simple());
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&pool).await.unwrap();
    let apart = PgPool::connect_with(options.database(&name)).await.unwrap();
    let shop = Shop::open_with_analytics_in(&pool, &apart).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 2)], 2000).await;
    shop.pay(&order_id, 2000).await.expect(StatusCode::OK);
    let whole = "revenue?from=2020-01-01&to=2100-01-01&bucket=period";
    assert_eq!(gross(&ask(&shop, whole).await), [2000]);
    // The two tables that are counted below have readers of their own: each has to have seen the order.
    shop.get_now(&format!("/orders/{order_id}")).await.expect(StatusCode::OK);
    ask(&shop, "funnel?from=2020-01-01&to=2100-01-01").await;
    let orders = async |pool: &PgPool, table: &str| -> i64 {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
    };
    assert_eq!((orders(&pool, "orders").await, orders(&pool, "analytics_orders").await), (1, 0));
    assert_eq!((orders(&apart, "orders").await, orders(&apart, "analytics_orders").await), (0, 1));

    let rebuild =
        shop.post_as_operator("/projections/analytics_sales/rebuild", json!({ "switch": true })).await;
    rebuild.expect(StatusCode::ACCEPTED);
    let is_serving = |all: &Value| {
        let sales = all.as_array().unwrap().iter().find(|one| one["name"] == "analytics_sales").unwrap();
        let versions = sales["versions"].as_array().unwrap();
        versions.iter().any(|version| version["version"] == 2 && version["state"] == "serving")
    };
    shop.get_when("/projections", is_serving).await;
    assert_eq!(gross(&ask(&shop, whole).await), [2000]);
    let compared = shop.post_as_operator("/projections/analytics_sales/compare", json!({})).await;
    let compared = compared.expect(StatusCode::OK);
    assert_eq!((&compared["differences"], &compared["version"]), (&json!(0), &json!(2)));
    assert!(compared["rows"].as_u64().unwrap() > 5, "{compared}");
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM projection_versions ORDER BY name")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(names.iter().all(|name| !name.starts_with("analytics")), "{names:?}");
    drop(shop);
    apart.close().await;
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE \"{name}\" WITH (FORCE)")))
        .execute(&pool)
        .await
        .unwrap();
}
