//! What dashboards ask, for any period in any time zone. The terms are defined in `docs/analytics.md`.

mod buying;
mod revenue;
mod stock;

pub use buying::*;
pub use revenue::*;
pub use stock::*;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A period, as the clocks of its time zone show it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Period {
    pub from: String,
    /// Itself outside.
    pub to: String,
    pub time_zone: String,
}

/// What a period is divided into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    Minute,
    Hour,
    #[default]
    Day,
    /// From Monday on.
    Week,
    Month,
    Year,
    /// All of it at once.
    Period,
}

/// The start of a bucket, and its end, itself outside.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Span {
    pub start: String,
    pub end: String,
}
