use domain::Money;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of money in an answer: whole minor units (pence, cents), below zero where something is owed back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    #[schema(value_type = crate::schema::Currency)]
    pub currency: String,
}

impl Amount {
    /// So many minor units of this currency.
    #[must_use]
    pub fn new(amount: i64, currency: &str) -> Self {
        Self { amount, currency: currency.to_owned() }
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self::new(money.amount(), money.currency().code())
    }
}
