use crate::fact::{Fact, Subject};
use crate::pace::UNHURRIED;
use crate::projection::{ApplyError, Home, Projection};
use chrono::{DateTime, Utc};
use domain::CartId;
use domain::cart::{CheckedOut, Event, Opened};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// One row for each cart: when it was opened, and how it ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnalyticsCarts;

/// What a batch does to a cart.
#[derive(Default)]
struct Change<'a> {
    opened: Option<(&'a Opened, DateTime<Utc>)>,
    checked_out: Option<(&'a CheckedOut, DateTime<Utc>)>,
    abandoned_at: Option<DateTime<Utc>>,
}

type Changes<'a> = BTreeMap<Uuid, Change<'a>>;

impl Projection for AnalyticsCarts {
    const NAME: &'static str = "analytics_carts";
    const VERSION: i32 = 1;
    const WANTS: &'static [&'static str] = &["cart.opened", "cart.checked_out", "cart.abandoned"];
    const TABLES: &'static [&'static str] = &["analytics_carts"];
    const STREAM_COLUMN: Option<&'static str> = Some("cart_id");
    const HOME: Home = Home::Analytics;
    const LEAST_REST: Duration = UNHURRIED;

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut changes = Changes::new();
        for fact in facts {
            let Subject::Cart(CartId(cart_id), event) = &fact.subject else { continue };
            let change = changes.entry(*cart_id).or_default();
            match event {
                Event::Opened(opened) => change.opened = Some((opened, fact.occurred_at)),
                Event::CheckedOut(checked_out) => {
                    change.checked_out = Some((checked_out, fact.occurred_at));
                }
                Event::Abandoned(_) => change.abandoned_at = Some(fact.occurred_at),
                Event::ItemAdded(_)
                | Event::ItemQuantityChanged(_)
                | Event::ItemRemoved(_)
                | Event::ShippingSet(_) => {}
            }
        }
        insert_carts(transaction, &changes).await?;
        update_carts(transaction, &changes).await
    }
}

async fn insert_carts(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut customers, mut currencies, mut opened_at) = (vec![], vec![], vec![], vec![]);
    let (mut orders, mut checked_out_at, mut abandoned_at) = (vec![], vec![], vec![]);
    for (cart_id, change) in changes {
        let Some((opened, at)) = change.opened else { continue };
        ids.push(*cart_id);
        customers.push(opened.customer_id.as_ref().map(|customer| customer.as_str()));
        currencies.push(opened.currency.to_string());
        opened_at.push(at);
        orders.push(change.checked_out.map(|(checked_out, _)| checked_out.order_id.0));
        checked_out_at.push(change.checked_out.map(|(_, at)| at));
        abandoned_at.push(change.abandoned_at);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO analytics_carts (cart_id, customer_id, currency, opened_at, order_id, checked_out_at,
                                      abandoned_at)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[],
                              $6::timestamptz[], $7::timestamptz[])",
        &ids,
        &customers as _,
        &currencies,
        &opened_at,
        &orders as _,
        &checked_out_at as _,
        &abandoned_at as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_carts(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut orders, mut checked_out_at, mut abandoned_at) = (vec![], vec![], vec![], vec![]);
    for (cart_id, change) in changes.iter().filter(|(_, change)| change.opened.is_none()) {
        ids.push(*cart_id);
        orders.push(change.checked_out.map(|(checked_out, _)| checked_out.order_id.0));
        checked_out_at.push(change.checked_out.map(|(_, at)| at));
        abandoned_at.push(change.abandoned_at);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE analytics_carts AS c
         SET order_id = coalesce(n.order_id, c.order_id),
             checked_out_at = coalesce(n.checked_out_at, c.checked_out_at),
             abandoned_at = coalesce(n.abandoned_at, c.abandoned_at)
         FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[])
              AS n (cart_id, order_id, checked_out_at, abandoned_at)
         WHERE c.cart_id = n.cart_id",
        &ids,
        &orders as _,
        &checked_out_at as _,
        &abandoned_at as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}
