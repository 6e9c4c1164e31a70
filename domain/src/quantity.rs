//! How many units: never zero.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number of units from 1 to [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u32")]
pub struct Quantity(u32);

/// The number is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a quantity is a whole number from 1 to {max}, not {0}", max = Quantity::MAX)]
pub struct InvalidQuantity(pub i64);

impl Quantity {
    /// The largest number of units that one fact may name.
    pub const MAX: u32 = 1_000_000_000;

    /// A number of units.
    ///
    /// # Errors
    /// When it is not between 1 and [`Quantity::MAX`].
    pub fn new(units: i64) -> Result<Self, InvalidQuantity> {
        match u32::try_from(units) {
            Ok(units) if (1..=Self::MAX).contains(&units) => Ok(Self(units)),
            _ => Err(InvalidQuantity(units)),
        }
    }

    /// The number of units, at least 1.
    #[must_use]
    pub fn units(self) -> u32 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// When it is above [`Quantity::MAX`].
    pub fn plus(self, other: Self) -> Result<Self, InvalidQuantity> {
        Self::new(i64::from(self.0) + i64::from(other.0))
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(units: i64) -> Result<Self, Self::Error> {
        Self::new(units)
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
