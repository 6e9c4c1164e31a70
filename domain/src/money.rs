//! Money: whole minor units (pence, cents) and an ISO 4217 currency. Never a float.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An ISO 4217 alphabetic code, such as `GBP`. Only its form is checked: three upper-case letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The text is not a currency code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a currency: give three upper-case letters, such as GBP")]
pub struct InvalidCurrency(pub String);

impl Currency {
    /// The code, three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// How many decimals an amount has: two, but for the currencies of which ISO 4217 says otherwise (list one, 2024).
    #[must_use]
    pub fn decimals(&self) -> usize {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }

    /// So many minor units as people write them, for example `19.99 GBP`.
    #[must_use]
    pub fn written(&self, amount: i64) -> String {
        let decimals = self.decimals();
        let sign = if amount < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", amount.unsigned_abs(), width = decimals + 1);
        match digits.split_at(digits.len() - decimals) {
            (whole, "") => format!("{sign}{whole} {self}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction} {self}"),
        }
    }
}

impl std::str::FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(InvalidCurrency(text.chars().take(16).collect())),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

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
