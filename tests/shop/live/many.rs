//! Thousands who listen, and what they cost the database.

use super::Listener;
use crate::harness::Shop;
use futures::{StreamExt, stream};
use reqwest::{Client, StatusCode};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use sqlx::PgPool;

const LISTENERS: usize = 2_000;

/// How many connections of that name there are to the database.
async fn connections(pool: &PgPool, name: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrations = false)]
async fn two_thousand_listeners_take_one_connection(pool: PgPool) {
    // Both ends of each connection are in this process.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[]).await;
    shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    let others = connections(&pool, "emporium-query-api").await;
    let paths = ["/stock/MUG/live".to_owned(), "/sales/live".to_owned(), format!("/carts/{cart_id}/live")];
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let listeners = (0..LISTENERS).map(|number| {
        let (path, client) = (paths[number % paths.len()].clone(), client.clone());
        let url = shop.url();
        async move { Listener::connect_by(&client, url, &path, None).await }
    });
    let mut listeners: Vec<_> = stream::iter(listeners).buffered(100).collect().await;
    let first = futures::future::join_all(listeners.iter_mut().map(Listener::next)).await;
    assert!(first.iter().all(Option::is_some));

    // Something for each of them.
    let line = json!({ "lines": [{ "sku": "MUG", "quantity": 2 }] });
    shop.post(&format!("/carts/{cart_id}/lines"), line).await.expect(StatusCode::OK);
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let second = futures::future::join_all(listeners.iter_mut().map(Listener::next)).await;
    for (number, heard) in second.iter().enumerate() {
        assert_eq!(heard.as_ref().unwrap().id, second[number % paths.len()].as_ref().unwrap().id);
    }
    assert_eq!(connections(&pool, "emporium-query-api live").await, 1);
    assert!(connections(&pool, "emporium-query-api").await <= others, "somebody asked for a page too");
}
