use super::*;
use sqlx::postgres::PgPoolOptions;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::Poll;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A client that closes its connection ends its request, wherever that has come to.
#[sqlx::test]
async fn a_snapshot_that_is_left_while_it_begins_leaves_no_past_behind(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let one = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let database = Database::new(
        one,
        &DatabaseArgs { queries_at_once: NonZeroU32::MIN, ..DatabaseArgs::default() },
        &Health::default(),
    );
    let client = Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), connection: 1, is_busy: false };
    sqlx::query("CREATE TABLE written (number int)").execute(&pool).await.unwrap();
    for number in 1..=50 {
        let polls = 1 + number % 5;
        // Whether it has become a snapshot by then does not matter here.
        drop(left_after(polls, database.snapshot(client, BEGIN)).await);
        written(&database, client).await;
        sqlx::query("INSERT INTO written VALUES ($1)").bind(number).execute(&pool).await.unwrap();
        assert_eq!(written(&database, client).await, i64::from(number), "left after {polls} polls");
    }
}

async fn written(database: &Database, client: Client) -> i64 {
    let mut connection = database.connection(client).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(&mut *connection).await.unwrap()
}

/// Polls a future so many times, and then drops it.
async fn left_after<F: Future>(polls: i32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
