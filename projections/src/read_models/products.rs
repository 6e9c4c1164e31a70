use crate::fact::{Fact, Subject};
use crate::projection::{ApplyError, Projection};
use chrono::{DateTime, Utc};
use domain::{Money, Sku, product};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// The catalogue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Products;

/// What a batch does to a product.
struct Change<'a> {
    defined: Option<(&'a product::Defined, DateTime<Utc>)>,
    price: Option<Money>,
    retired: bool,
    last: &'a Fact,
}

impl Projection for Products {
    const NAME: &'static str = "products";
    const VERSION: i32 = 1;
    const WANTS: &'static [&'static str] = &["product"];
    const TABLES: &'static [&'static str] = &["products"];
    const STREAM_COLUMN: Option<&'static str> = Some("sku");

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut changes: BTreeMap<&Sku, Change<'_>> = BTreeMap::new();
        for fact in facts {
            let Subject::Product(sku, event) = &fact.subject else { continue };
            let change = changes.entry(sku).or_insert(Change {
                defined: None,
                price: None,
                retired: false,
                last: fact,
            });
            change.last = fact;
            match event {
                product::Event::Defined(defined) => {
                    change.defined = Some((defined, fact.occurred_at));
                    change.price = Some(defined.price);
                }
                product::Event::Repriced(repriced) => change.price = Some(repriced.price),
                product::Event::Retired(_) => change.retired = true,
            }
        }
        insert(transaction, &changes).await?;
        update(transaction, &changes).await
    }
}

async fn insert(
    transaction: &mut PgConnection,
    changes: &BTreeMap<&Sku, Change<'_>>,
) -> Result<(), ApplyError> {
    let mut skus = Vec::new();
    let (mut merchants, mut names, mut prices, mut currencies) = (vec![], vec![], vec![], vec![]);
    let (mut retired, mut defined_at, mut changed_at) = (vec![], vec![], vec![]);
    let (mut revisions, mut positions) = (vec![], vec![]);
    for (sku, change) in changes {
        let Some((defined, at)) = change.defined else { continue };
        let price = change.price.unwrap_or(defined.price);
        skus.push(sku.as_str());
        merchants.push(defined.merchant_id.as_str());
        names.push(defined.name.as_str());
        prices.push(price.amount());
        currencies.push(price.currency().to_string());
        retired.push(change.retired);
        defined_at.push(at);
        changed_at.push(change.last.occurred_at);
        revisions.push(change.last.revision);
        positions.push(change.last.position);
    }
    if skus.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO products (sku, merchant_id, name, price, currency, retired, defined_at, changed_at,
                               revision, position)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::boolean[],
                              $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::bigint[])",
        &skus as _,
        &merchants as _,
        &names as _,
        &prices,
        &currencies,
        &retired,
        &defined_at,
        &changed_at,
        &revisions,
        &positions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update(
    transaction: &mut PgConnection,
    changes: &BTreeMap<&Sku, Change<'_>>,
) -> Result<(), ApplyError> {
    let (mut skus, mut prices, mut retired) = (vec![], vec![], vec![]);
    let (mut changed_at, mut revisions, mut positions) = (vec![], vec![], vec![]);
    for (sku, change) in changes.iter().filter(|(_, change)| change.defined.is_none()) {
        skus.push(sku.as_str());
        prices.push(change.price.map(|price| price.amount()));
        retired.push(change.retired);
        changed_at.push(change.last.occurred_at);
        revisions.push(change.last.revision);
        positions.push(change.last.position);
    }
    if skus.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE products AS p
         SET price = coalesce(c.price, p.price), retired = p.retired OR c.retired, changed_at = c.changed_at,
             revision = c.revision, position = c.position
         FROM UNNEST($1::text[], $2::bigint[], $3::boolean[], $4::timestamptz[], $5::bigint[], $6::bigint[])
              AS c (sku, price, retired, changed_at, revision, position)
         WHERE p.sku = c.sku",
        &skus as _,
        &prices as _,
        &retired,
        &changed_at,
        &revisions,
        &positions
    )
    .execute(transaction)
    .await?;
    Ok(())
}
