//! Parcels of an order: each merchant ships its own lines.

use crate::schema;
use chrono::{DateTime, Utc};
use domain::order::{CancelReason, ShippedLine, Tracking};
use domain::{MerchantId, OrderId, ShipmentId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Ships a parcel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendShipment {
    #[schema(value_type = schema::MerchantId)]
    pub merchant_id: MerchantId,
    /// What is in it (`line_id` and `quantity` of each); all that the merchant has not shipped yet if it is left out.
    #[schema(value_type = Option<Vec<Object>>)]
    pub lines: Option<Vec<ShippedLine>>,
    /// `carrier` and `number`.
    #[schema(value_type = Option<Object>)]
    pub tracking: Option<Tracking>,
    /// Names the parcel: a second one with the same id is the same one.
    #[schema(value_type = Option<schema::ShipmentId>)]
    pub shipment_id: Option<ShipmentId>,
}

/// A parcel that was shipped or delivered, and how the order stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShipmentChanged {
    #[schema(value_type = schema::ShipmentId)]
    pub shipment_id: ShipmentId,
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
}

/// A parcel of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Shipment {
    pub shipment_id: Uuid,
    pub merchant_id: String,
    /// `line_id` and `quantity` of each.
    #[schema(value_type = Vec<Object>)]
    pub lines: serde_json::Value,
    /// `carrier` and `number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub tracking: Option<serde_json::Value>,
    pub sent_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
}
