use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of a request that needs none: an empty object, or nothing at all.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}
