//! Stock: units of each SKU.

use crate::schema;
use chrono::{DateTime, Utc};
use domain::{AdjustmentId, Quantity, Reason, ReceiptId, Sku};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Takes goods into stock.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiveStock {
    #[schema(value_type = schema::Quantity)]
    pub quantity: Quantity,
    /// Names the delivery: a second one with the same id is the same one.
    #[schema(value_type = Option<schema::ReceiptId>)]
    pub receipt_id: Option<ReceiptId>,
}

/// The delivery that was taken in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockReceived {
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
    #[schema(value_type = schema::ReceiptId)]
    pub receipt_id: ReceiptId,
}

/// Corrects the stock by what was counted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustStock {
    /// Units more; below zero, units fewer.
    pub delta: i64,
    #[schema(value_type = schema::Reason)]
    pub reason: Reason,
    /// Names the correction: a second one with the same id is the same one.
    #[schema(value_type = Option<schema::AdjustmentId>)]
    pub adjustment_id: Option<AdjustmentId>,
}

/// The correction that was made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockAdjusted {
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
    #[schema(value_type = schema::AdjustmentId)]
    pub adjustment_id: AdjustmentId,
}

/// Which page of the stock list.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StockFilter {
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// The stock of a SKU as the operator sees it, in units: received + adjusted = available + reserved + shipped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockLevel {
    pub sku: String,
    /// Can be sold.
    pub available: i64,
    /// Held for orders, the committed units included.
    pub reserved: i64,
    /// Held for orders that are paid.
    pub committed: i64,
    pub shipped: i64,
    pub received: i64,
    /// The sum of all corrections.
    pub adjusted: i64,
    pub changed_at: DateTime<Utc>,
    /// Of its stream: one more with each change.
    pub revision: i64,
}

/// The stock of a SKU as everybody sees it: nothing from which it can be told how many were ever sold. Even the revision
/// counts the orders.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AvailableStock {
    pub sku: String,
    /// Can be sold.
    pub available: i64,
    pub changed_at: DateTime<Utc>,
}

/// The stock of a SKU as its reader may see it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StockPage {
    /// For the operator.
    Whole(StockLevel),
    /// For everybody.
    Available(AvailableStock),
}

impl StockLevel {
    /// As everybody sees it.
    #[must_use]
    pub fn for_shoppers(&self) -> AvailableStock {
        AvailableStock { sku: self.sku.clone(), available: self.available, changed_at: self.changed_at }
    }
}
