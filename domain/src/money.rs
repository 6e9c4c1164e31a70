//! Money: whole minor units (pence, cents) and an ISO 4217 currency. Never a float.

mod currency;

pub use currency::{Currency, InvalidCurrency};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An amount that is never negative: `amount` in minor units of `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedMoney")]
pub struct Money {
    amount: i64,
    currency: Currency,
}

/// As it stands in JSON, before the check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedMoney {
    amount: i64,
    currency: Currency,
}

/// Why an amount or a sum of amounts is not money.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidMoney {
    /// Below zero or above [`Money::MAX_AMOUNT`].
    #[error("an amount is a whole number of minor units from 0 to {max}, not {0}", max = Money::MAX_AMOUNT)]
    OutOfRange(i128),
    /// Amounts of two currencies cannot be added.
    #[error("{0} and {1} cannot be added: use one currency")]
    CurrencyMismatch(Currency, Currency),
}

impl Money {
    /// The largest amount: 10^15 minor units.
    pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

    /// An amount in minor units.
    ///
    /// # Errors
    /// When it is negative or above [`Money::MAX_AMOUNT`].
    pub fn new(amount: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        Self::checked(i128::from(amount), currency)
    }

    /// Nothing, in this currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// Minor units.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ or the sum is above [`Money::MAX_AMOUNT`].
    pub fn plus(self, other: Self) -> Result<Self, InvalidMoney> {
        if self.currency != other.currency {
            return Err(InvalidMoney::CurrencyMismatch(self.currency, other.currency));
        }
        Self::checked(i128::from(self.amount) + i128::from(other.amount), self.currency)
    }

    /// The price of so many units.
    ///
    /// # Errors
    /// When the product is above [`Money::MAX_AMOUNT`].
    pub fn times(self, units: u32) -> Result<Self, InvalidMoney> {
        Self::checked(i128::from(self.amount) * i128::from(units), self.currency)
    }

    fn checked(amount: i128, currency: Currency) -> Result<Self, InvalidMoney> {
        match i64::try_from(amount) {
            Ok(amount) if (0..=Self::MAX_AMOUNT).contains(&amount) => Ok(Self { amount, currency }),
            _ => Err(InvalidMoney::OutOfRange(amount)),
        }
    }
}

impl TryFrom<UncheckedMoney> for Money {
    type Error = InvalidMoney;

    fn try_from(unchecked: UncheckedMoney) -> Result<Self, Self::Error> {
        Self::new(unchecked.amount, unchecked.currency)
    }
}

impl std::fmt::Display for Money {
    /// As people write it, for example `19.99 GBP`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.currency.written(self.amount))
    }
}
