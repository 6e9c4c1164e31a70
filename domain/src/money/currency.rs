//! Currencies, by ISO 4217.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An ISO 4217 alphabetic code, such as `GBP`. Any three upper-case letters can be read, because what was once written
/// stays readable; new carts and products take known currencies only, see [`Currency::is_known`].
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

    /// Whether it is an active currency of ISO 4217 that people can pay with.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known_decimals().is_some()
    }

    /// How many decimals an amount has. Of the codes that are not known, some units of account have others than two: new
    /// carts and products do not take them, but older ones may have them.
    #[must_use]
    pub fn decimals(&self) -> usize {
        self.known_decimals().unwrap_or(match &self.0 {
            b"UYI" => 0,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        })
    }

    /// List one of ISO 4217 as of 2026, without metals, test codes, and the units of account and funds (BOV, CHE, CHW,
    /// CLF, COU, MXV, USN, UYI, UYW) in which no gateway takes money.
    fn known_decimals(self) -> Option<usize> {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => Some(0),
            b"AED" | b"AFN" | b"ALL" | b"AMD" | b"AOA" | b"ARS" | b"AUD" | b"AWG" | b"AZN" | b"BAM"
            | b"BBD" | b"BDT" | b"BMD" | b"BND" | b"BOB" | b"BRL" | b"BSD" | b"BTN" | b"BWP" | b"BYN"
            | b"BZD" | b"CAD" | b"CDF" | b"CHF" | b"CNY" | b"COP" | b"CRC" | b"CUP" | b"CVE" | b"CZK"
            | b"DKK" | b"DOP" | b"DZD" | b"EGP" | b"ERN" | b"ETB" | b"EUR" | b"FJD" | b"FKP" | b"GBP"
            | b"GEL" | b"GHS" | b"GIP" | b"GMD" | b"GTQ" | b"GYD" | b"HKD" | b"HNL" | b"HTG" | b"HUF"
            | b"IDR" | b"ILS" | b"INR" | b"IRR" | b"JMD" | b"KES" | b"KGS" | b"KHR" | b"KPW" | b"KYD"
            | b"KZT" | b"LAK" | b"LBP" | b"LKR" | b"LRD" | b"LSL" | b"MAD" | b"MDL" | b"MGA" | b"MKD"
            | b"MMK" | b"MNT" | b"MOP" | b"MRU" | b"MUR" | b"MVR" | b"MWK" | b"MXN" | b"MYR" | b"MZN"
            | b"NAD" | b"NGN" | b"NIO" | b"NOK" | b"NPR" | b"NZD" | b"PAB" | b"PEN" | b"PGK" | b"PHP"
            | b"PKR" | b"PLN" | b"QAR" | b"RON" | b"RSD" | b"RUB" | b"SAR" | b"SBD" | b"SCR" | b"SDG"
            | b"SEK" | b"SGD" | b"SHP" | b"SLE" | b"SOS" | b"SRD" | b"SSP" | b"STN" | b"SVC" | b"SYP"
            | b"SZL" | b"THB" | b"TJS" | b"TMT" | b"TOP" | b"TRY" | b"TTD" | b"TWD" | b"TZS" | b"UAH"
            | b"USD" | b"UYU" | b"UZS" | b"VED" | b"VES" | b"WST" | b"XCD" | b"XCG" | b"YER" | b"ZAR"
            | b"ZMW" | b"ZWG" => Some(2),
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => Some(3),
            _ => None,
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
