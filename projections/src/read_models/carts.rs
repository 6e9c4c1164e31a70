use crate::fact::{Fact, Subject};
use crate::projection::{ApplyError, Projection};
use chrono::{DateTime, Utc};
use domain::{CartId, LineId, cart};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Carts and their lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carts;

/// What a batch does to a cart.
struct CartChange<'a> {
    opened: Option<(&'a cart::Opened, DateTime<Utc>)>,
    checked_out: Option<&'a cart::CheckedOut>,
    abandoned: bool,
    shipping: Option<i64>,
    last: &'a Fact,
}

/// What a batch does to a line: first out, then changed, then in.
#[derive(Default)]
struct LineChange<'a> {
    removed: bool,
    quantity: Option<i64>,
    price: Option<i64>,
    added: Option<AddedLine<'a>>,
}

/// A line that was not there before the batch, as it stands after it.
struct AddedLine<'a> {
    sku: &'a str,
    quantity: i64,
    price: i64,
    agreed: bool,
    revision: i64,
}

#[derive(Default)]
struct Batch<'a> {
    carts: BTreeMap<CartId, CartChange<'a>>,
    lines: BTreeMap<(CartId, LineId), LineChange<'a>>,
}

impl Projection for Carts {
    const NAME: &'static str = "carts";
    const VERSION: i32 = 2;
    const WANTS: &'static [&'static str] = &["cart"];
    const TABLES: &'static [&'static str] = &["carts", "cart_lines"];
    const STREAM_COLUMN: Option<&'static str> = Some("cart_id");

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut batch = Batch::default();
        for fact in facts {
            if let Subject::Cart(cart_id, event) = &fact.subject {
                batch.add(*cart_id, event, fact);
            }
        }
        insert_carts(transaction, &batch.carts).await?;
        update_carts(transaction, &batch.carts).await?;
        remove_lines(transaction, &batch.lines).await?;
        update_lines(transaction, &batch.lines).await?;
        insert_lines(transaction, &batch.lines).await
    }
}

impl<'a> Batch<'a> {
    fn add(&mut self, cart_id: CartId, event: &'a cart::Event, fact: &'a Fact) {
        let cart = self.carts.entry(cart_id).or_insert(CartChange {
            opened: None,
            checked_out: None,
            abandoned: false,
            shipping: None,
            last: fact,
        });
        cart.last = fact;
        match event {
            cart::Event::Opened(opened) => cart.opened = Some((opened, fact.occurred_at)),
            cart::Event::Abandoned(_) => cart.abandoned = true,
            cart::Event::ShippingSet(set) => cart.shipping = Some(set.charge.amount()),
            cart::Event::CheckedOut(checked_out) => {
                cart.checked_out = Some(checked_out);
                for line in &checked_out.lines {
                    self.line(cart_id, line.line_id).set_price(line.unit_price.amount());
                }
            }
            cart::Event::ItemAdded(added) => {
                self.line(cart_id, added.line_id).added = Some(AddedLine {
                    sku: added.sku.as_str(),
                    quantity: i64::from(added.quantity.units()),
                    price: added.unit_price.amount(),
                    agreed: added.agreed,
                    revision: fact.revision,
                });
            }
            cart::Event::ItemQuantityChanged(changed) => {
                let units = i64::from(changed.quantity.units());
                self.line(cart_id, changed.line_id).set_quantity(units);
            }
            cart::Event::ItemRemoved(removed) => self.line(cart_id, removed.line_id).remove(),
        }
    }

    fn line(&mut self, cart_id: CartId, line_id: LineId) -> &mut LineChange<'a> {
        self.lines.entry((cart_id, line_id)).or_default()
    }
}

impl LineChange<'_> {
    fn set_quantity(&mut self, units: i64) {
        match &mut self.added {
            Some(added) => added.quantity = units,
            None => self.quantity = Some(units),
        }
    }

    fn set_price(&mut self, price: i64) {
        match &mut self.added {
            Some(added) => added.price = price,
            None => self.price = Some(price),
        }
    }

    /// A line that came in with this batch just does not come in; any other has a row to go.
    fn remove(&mut self) {
        if self.added.take().is_none() {
            *self = Self { removed: true, ..Self::default() };
        }
    }
}

impl CartChange<'_> {
    fn status(&self) -> Option<&'static str> {
        match (self.checked_out, self.abandoned) {
            (Some(_), _) => Some("checked_out"),
            (None, true) => Some("abandoned"),
            (None, false) => None,
        }
    }
}

async fn insert_carts(
    transaction: &mut PgConnection,
    carts: &BTreeMap<CartId, CartChange<'_>>,
) -> Result<(), ApplyError> {
    let (mut ids, mut statuses, mut currencies) = (vec![], vec![], vec![]);
    let (mut customers, mut orders, mut countries) = (vec![], vec![], vec![]);
    let (mut shipping, mut totals) = (vec![], vec![]);
    let (mut opened_at, mut changed_at) = (vec![], vec![]);
    let (mut revisions, mut positions) = (vec![], vec![]);
    for (cart_id, cart) in carts {
        let Some((opened, at)) = cart.opened else { continue };
        ids.push(cart_id.0);
        statuses.push(cart.status().unwrap_or("open"));
        currencies.push(opened.currency.to_string());
        customers.push(opened.customer_id.as_ref().map(|customer| customer.as_str()));
        orders.push(cart.checked_out.map(|checked_out| checked_out.order_id.0));
        countries.push(cart.checked_out.map(|checked_out| checked_out.country.code().as_str()));
        shipping.push(cart.shipping);
        totals.push(cart.checked_out.map(|checked_out| checked_out.total.amount()));
        opened_at.push(at);
        changed_at.push(cart.last.occurred_at);
        revisions.push(cart.last.revision);
        positions.push(cart.last.position);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO carts (cart_id, status, currency, customer_id, order_id, country, shipping, total, opened_at,
                            changed_at, revision, position)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[],
                              $7::bigint[], $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::bigint[],
                              $12::bigint[])",
        &ids,
        &statuses as _,
        &currencies,
        &customers as _,
        &orders as _,
        &countries as _,
        &shipping as _,
        &totals as _,
        &opened_at,
        &changed_at,
        &revisions,
        &positions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_carts(
    transaction: &mut PgConnection,
    carts: &BTreeMap<CartId, CartChange<'_>>,
) -> Result<(), ApplyError> {
    let (mut ids, mut statuses) = (vec![], vec![]);
    let (mut orders, mut countries, mut shipping, mut totals) = (vec![], vec![], vec![], vec![]);
    let (mut changed_at, mut revisions, mut positions) = (vec![], vec![], vec![]);
    for (cart_id, cart) in carts.iter().filter(|(_, cart)| cart.opened.is_none()) {
        ids.push(cart_id.0);
        statuses.push(cart.status());
        orders.push(cart.checked_out.map(|checked_out| checked_out.order_id.0));
        countries.push(cart.checked_out.map(|checked_out| checked_out.country.code().as_str()));
        shipping.push(cart.shipping);
        totals.push(cart.checked_out.map(|checked_out| checked_out.total.amount()));
        changed_at.push(cart.last.occurred_at);
        revisions.push(cart.last.revision);
        positions.push(cart.last.position);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE carts AS t
         SET status = coalesce(c.status, t.status), order_id = coalesce(c.order_id, t.order_id),
             country = coalesce(c.country, t.country), shipping = coalesce(c.shipping, t.shipping),
             total = coalesce(c.total, t.total), changed_at = c.changed_at, revision = c.revision,
             position = c.position
         FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[],
                     $7::timestamptz[], $8::bigint[], $9::bigint[])
              AS c (cart_id, status, order_id, country, shipping, total, changed_at, revision, position)
         WHERE t.cart_id = c.cart_id",
        &ids,
        &statuses as _,
        &orders as _,
        &countries as _,
        &shipping as _,
        &totals as _,
        &changed_at,
        &revisions,
        &positions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn remove_lines(
    transaction: &mut PgConnection,
    lines: &BTreeMap<(CartId, LineId), LineChange<'_>>,
) -> Result<(), ApplyError> {
    let (carts, ids): (Vec<Uuid>, Vec<Uuid>) =
        lines.iter().filter(|(_, line)| line.removed).map(|((cart, line), _)| (cart.0, line.0)).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM cart_lines AS l USING UNNEST($1::uuid[], $2::uuid[]) AS c (cart_id, line_id)
         WHERE l.cart_id = c.cart_id AND l.line_id = c.line_id",
        &carts,
        &ids
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// Checkout names the price of every line; only the rows that it changes are written.
async fn update_lines(
    transaction: &mut PgConnection,
    lines: &BTreeMap<(CartId, LineId), LineChange<'_>>,
) -> Result<(), ApplyError> {
    let (mut carts, mut ids, mut quantities, mut prices) = (vec![], vec![], vec![], vec![]);
    for ((cart_id, line_id), line) in lines {
        if line.quantity.is_some() || line.price.is_some() {
            carts.push(cart_id.0);
            ids.push(line_id.0);
            quantities.push(line.quantity);
            prices.push(line.price);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE cart_lines AS l
         SET quantity = coalesce(c.quantity, l.quantity), unit_price = coalesce(c.unit_price, l.unit_price)
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])
              AS c (cart_id, line_id, quantity, unit_price)
         WHERE l.cart_id = c.cart_id AND l.line_id = c.line_id
           AND (l.quantity, l.unit_price)
               <> (coalesce(c.quantity, l.quantity), coalesce(c.unit_price, l.unit_price))",
        &carts,
        &ids,
        &quantities as _,
        &prices as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert_lines(
    transaction: &mut PgConnection,
    lines: &BTreeMap<(CartId, LineId), LineChange<'_>>,
) -> Result<(), ApplyError> {
    let (mut carts, mut ids, mut skus) = (vec![], vec![], vec![]);
    let (mut quantities, mut prices, mut agreed, mut added) = (vec![], vec![], vec![], vec![]);
    for ((cart_id, line_id), line) in lines {
        let Some(line) = &line.added else { continue };
        carts.push(cart_id.0);
        ids.push(line_id.0);
        skus.push(line.sku);
        quantities.push(line.quantity);
        prices.push(line.price);
        agreed.push(line.agreed);
        added.push(line.revision);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO cart_lines (cart_id, line_id, sku, quantity, unit_price, agreed, added)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[],
                              $7::bigint[])",
        &carts,
        &ids,
        &skus as _,
        &quantities,
        &prices,
        &agreed,
        &added
    )
    .execute(transaction)
    .await?;
    Ok(())
}
