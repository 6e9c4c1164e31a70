//! Which orders go in, with all that happened to them; which do not, and why; and which products they need first.

use super::draft::{Draft, Times};
use super::files::Files;
use super::refusal::RefusedOrder;
use super::totals::Totals;
use chrono::{DateTime, Utc};
use domain::{CustomerId, MerchantId, Money, PaymentMethod, ProductName, Quantity, Reason, Reference, Sku};
use std::collections::HashMap;
use uuid::Uuid;

/// What is to be sent, and what stays outside.
#[derive(Debug, Default)]
pub struct Plan {
    /// The products of all orders, also of those beyond the limit.
    pub products: Vec<PlannedProduct>,
    /// The orders, by the time of purchase.
    pub orders: Vec<PlannedOrder>,
    /// Orders that the rules refuse.
    pub refused: Vec<RefusedOrder>,
    /// What the files give for the orders up to the limit, refused ones included.
    pub in_files: Totals,
}

/// A product of one seller.
#[derive(Debug)]
pub struct PlannedProduct {
    /// The product's id and the seller's id after it: 64 characters, all that a SKU may have.
    pub sku: Sku,
    /// The seller.
    pub merchant_id: MerchantId,
    /// The files have no names: its category, and the beginning of its id.
    pub name: ProductName,
    /// Its price in the first order.
    pub first_price: Money,
    /// When that was.
    pub first_sold_at: DateTime<Utc>,
    /// Units that all orders need, those that are called off later included: what the shop must have had.
    pub units: u64,
    last_price: Money,
    orders: u32,
}

/// An order with all that happened to it.
#[derive(Debug)]
pub struct PlannedOrder {
    /// The marketplace's id.
    pub id: String,
    /// Who bought.
    pub customer_id: CustomerId,
    /// When.
    pub purchased_at: DateTime<Utc>,
    /// What. A SKU stands in one line.
    pub lines: Vec<PlannedLine>,
    /// For sending it.
    pub freight: Money,
    /// Items and freight.
    pub total: Money,
    /// What came in.
    pub payments: Vec<PlannedPayment>,
    /// Whether the payments cover the total.
    pub is_paid: bool,
    /// What went out, one for each seller.
    pub parcels: Vec<PlannedParcel>,
    /// When it was called off, and why.
    pub cancellation: Option<(DateTime<Utc>, Reason)>,
    /// Where it stands in the end.
    pub status: &'static str,
    /// What the files say about its times that cannot be.
    pub odd_times: Times,
    /// What its rows add up to.
    pub totals: Totals,
}

/// A line.
#[derive(Debug)]
pub struct PlannedLine {
    /// The number of its first unit in the order.
    pub number: u32,
    /// Its product's place in [`Plan::products`].
    pub product: usize,
    /// How many.
    pub quantity: Quantity,
    /// For one unit.
    pub unit_price: Money,
    /// How many orders of this SKU come before: they must be checked out first.
    pub turn: u32,
    /// Whether the price is another than in the order before.
    pub is_new_price: bool,
}

/// A payment.
#[derive(Debug)]
pub struct PlannedPayment {
    /// Its id in the shop.
    pub payment_id: Uuid,
    /// Its number in the order.
    pub number: u32,
    /// How much.
    pub amount: Money,
    /// How.
    pub method: PaymentMethod,
    /// Order, number and instalments.
    pub reference: Reference,
    /// When it was approved.
    pub at: DateTime<Utc>,
}

/// What a seller sent.
#[derive(Debug)]
pub struct PlannedParcel {
    /// Its id in the shop.
    pub shipment_id: Uuid,
    /// Who sent it.
    pub merchant_id: MerchantId,
    /// When the carrier got it.
    pub sent_at: DateTime<Utc>,
    /// When the customer got it.
    pub delivered_at: Option<DateTime<Utc>>,
}

impl Plan {
    /// The first `limit` orders of the files, or all of them.
    ///
    /// The products keep the first price and the stock that the whole files give them, whatever the limit: so a
    /// short import and a full one after it agree.
    #[must_use]
    pub fn new(files: &Files, limit: Option<usize>) -> Self {
        let limit = limit.unwrap_or(usize::MAX);
        let mut plan = Self::default();
        let mut places = HashMap::new();
        for (place, row) in files.orders.iter().enumerate() {
            let is_wanted = place < limit;
            let totals = row.totals();
            if is_wanted {
                plan.in_files.add(&totals);
            }
            match Draft::new(files, row) {
                Ok(draft) => {
                    let order = plan.take(draft, &mut places, totals);
                    plan.orders.extend(is_wanted.then_some(order));
                }
                Err(refusal) if is_wanted => {
                    plan.refused.push(RefusedOrder { id: row.id.clone(), refusal, totals });
                }
                Err(_) => {}
            }
        }
        plan
    }

    /// Gives each line its product, its turn and its price's turn.
    fn take(&mut self, draft: Draft, places: &mut HashMap<Sku, usize>, totals: Totals) -> PlannedOrder {
        let mut order = draft.order;
        order.totals = totals;
        for line in draft.lines {
            let products = &mut self.products;
            let place = *places.entry(line.sku.clone()).or_insert_with(|| {
                products.push(PlannedProduct {
                    sku: line.sku,
                    merchant_id: line.merchant_id,
                    name: line.name,
                    first_price: line.unit_price,
                    first_sold_at: order.purchased_at,
                    units: 0,
                    last_price: line.unit_price,
                    orders: 0,
                });
                products.len() - 1
            });
            let product = &mut products[place];
            order.lines.push(PlannedLine {
                number: line.number,
                product: place,
                quantity: line.quantity,
                unit_price: line.unit_price,
                turn: product.orders,
                is_new_price: product.last_price != line.unit_price,
            });
            product.units += u64::from(line.quantity.units());
            product.last_price = line.unit_price;
            product.orders += 1;
        }
        order
    }

    /// The places of the products that the orders need, in the order in which they are needed.
    #[must_use]
    pub fn needed_products(&self) -> Vec<usize> {
        let mut needed = vec![false; self.products.len()];
        let lines = self.orders.iter().flat_map(|order| &order.lines);
        lines
            .map(|line| line.product)
            .filter(|product| !std::mem::replace(&mut needed[*product], true))
            .collect()
    }
}
