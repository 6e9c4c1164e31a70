//! The gateway's own units of money: those of ISO 4217, with exceptions.

use thiserror::Error;

/// The most that the gateway takes at once, in its own units, whatever the means of payment. Of Stripe's page on
/// currencies (docs.stripe.com/currencies, *Maximum charge amounts*) this is the list that is not for cards alone, because
/// an amount is looked at before anybody has chosen how to pay. Most cards may go to twelve digits, and older versions of
/// the page give forints, yen and Lebanese pounds ten or eleven of them; the list that holds for all is the shorter one.
fn most(currency: &str) -> i64 {
    match currency {
        "IDR" => 999_999_999_999,
        "COP" => 9_999_999_999,
        "INR" => 999_999_999,
        _ => 99_999_999,
    }
}

/// An amount that the gateway cannot take, whatever the means of payment. Amounts are in minor units of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnfitAmount {
    /// It takes no money in this currency.
    #[error("the payment gateway takes no {currency}")]
    Currency {
        /// The code.
        currency: String,
    },
    /// It does not count so finely.
    #[error(
        "the payment gateway takes {currency} in steps of {step} minor units only, and {amount} is no multiple of that"
    )]
    Step {
        /// How much was asked for.
        amount: i64,
        /// In which currency.
        currency: String,
        /// What an amount must be a multiple of.
        step: i64,
    },
    /// It is beyond the gateway's limit for one payment.
    #[error(
        "the payment gateway takes at most {max} minor units of {currency} at once, and {amount} is more"
    )]
    TooLarge {
        /// How much was asked for.
        amount: i64,
        /// In which currency.
        currency: String,
        /// The limit.
        max: i64,
    },
}

/// How the gateway counts a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Units {
    /// As ISO 4217 does.
    Iso,
    /// As ISO 4217 does, and the last digit is 0.
    Tens,
    /// ISO 4217 has no decimals; the gateway counts hundredths, and takes whole ones only.
    Hundredths,
    /// ISO 4217 has two decimals; the gateway has none.
    Whole,
}

impl Units {
    /// None for a currency that the gateway does not take. The code is in capitals.
    fn of(currency: &str) -> Option<Self> {
        match currency {
            "ISK" | "UGX" => Some(Self::Hundredths),
            "MGA" => Some(Self::Whole),
            "BHD" | "JOD" | "KWD" | "OMR" | "TND" => Some(Self::Tens),
            code => TAKEN.contains(&code).then_some(Self::Iso),
        }
    }

    /// What an amount in minor units must be a multiple of.
    fn step(self) -> i64 {
        match self {
            Self::Iso | Self::Hundredths => 1,
            Self::Tens => 10,
            Self::Whole => 100,
        }
    }

    /// The gateway's units of minor units that are a multiple of the step.
    fn of_minor_units(self, amount: i64) -> i64 {
        match self {
            Self::Iso | Self::Tens => amount,
            Self::Hundredths => amount.saturating_mul(100),
            Self::Whole => amount / 100,
        }
    }

    /// Minor units of the gateway's units; none if there is no such whole number.
    fn to_minor_units(self, amount: i64) -> Option<i64> {
        match self {
            Self::Iso | Self::Tens => Some(amount),
            Self::Hundredths => (amount % 100 == 0).then_some(amount / 100),
            Self::Whole => amount.checked_mul(100),
        }
    }
}

/// Looks whether the gateway can take so many minor units at once, or give them back.
///
/// The gateway's least amount is not looked at: it depends on the currency in which the account is settled.
///
/// # Errors
/// Why not.
pub fn check_amount(amount: i64, currency: &str) -> Result<(), UnfitAmount> {
    to_gateway(amount, currency).map(drop)
}

/// What the gateway is told for so many minor units.
pub(crate) fn to_gateway(amount: i64, currency: &str) -> Result<i64, UnfitAmount> {
    let currency = currency.to_ascii_uppercase();
    let Some(units) = Units::of(&currency) else { return Err(UnfitAmount::Currency { currency }) };
    let step = units.step();
    if amount % step != 0 {
        return Err(UnfitAmount::Step { amount, currency, step });
    }
    let (told, most) = (units.of_minor_units(amount), most(&currency));
    if told > most {
        let max = units.to_minor_units(most).unwrap_or(most / 100);
        return Err(UnfitAmount::TooLarge { amount, currency, max });
    }
    Ok(told)
}

/// The minor units of what the gateway says; none for an amount that has no whole number of them, or in a currency that
/// we do not know from it. Only others than us can have made such a one.
pub(crate) fn from_gateway(amount: i64, currency: &str) -> Option<i64> {
    Units::of(&currency.to_ascii_uppercase())?.to_minor_units(amount)
}

/// The currencies that the gateway counts as ISO 4217 does. Some are no more: what was paid in them is given back in them.
#[rustfmt::skip]
const TAKEN: [&str; 136] = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BIF", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CVE",
    "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF",
    "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "JMD", "JPY", "KES", "KGS", "KHR", "KMF",
    "KRW", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MKD", "MMK", "MNT", "MOP", "MUR", "MVR",
    "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN",
    "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "STD",
    "SVC", "SZL", "THB", "TJS", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VND", "VUV", "WST",
    "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW",
];

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::pence("GBP", 1_999, 1_999)]
    #[case::cents("usd", 1_000, 1_000)]
    #[case::forints_have_decimals_here("HUF", 123_450, 123_450)]
    #[case::new_taiwan_dollars_too("TWD", 80_045, 80_045)]
    #[case::yen("JPY", 500, 500)]
    #[case::won("KRW", 500, 500)]
    #[case::dong("VND", 500, 500)]
    #[case::chilean_pesos("CLP", 500, 500)]
    #[case::guaranies("PYG", 500, 500)]
    #[case::rwandan_francs("RWF", 500, 500)]
    #[case::central_african_francs("XAF", 500, 500)]
    #[case::west_african_francs("XOF", 500, 500)]
    #[case::pacific_francs("XPF", 500, 500)]
    #[case::burundian_francs("BIF", 500, 500)]
    #[case::djiboutian_francs("DJF", 500, 500)]
    #[case::guinean_francs("GNF", 500, 500)]
    #[case::comorian_francs("KMF", 500, 500)]
    #[case::vatu("VUV", 500, 500)]
    #[case::kronur("ISK", 5, 500)]
    #[case::ugandan_shillings("UGX", 1_250, 125_000)]
    #[case::ariary("MGA", 1_000, 10)]
    #[case::no_ariary("MGA", 0, 0)]
    #[case::bahraini_dinars("BHD", 5_120, 5_120)]
    #[case::jordanian_dinars("JOD", 5_120, 5_120)]
    #[case::kuwaiti_dinars("KWD", 5_120, 5_120)]
    #[case::omani_rials("OMR", 5_120, 5_120)]
    #[case::tunisian_dinars("TND", 5_120, 5_120)]
    #[case::the_most_pounds("GBP", 99_999_999, 99_999_999)]
    #[case::the_most_rupiah("IDR", 999_999_999_999, 999_999_999_999)]
    #[case::the_most_colombian_pesos("COP", 9_999_999_999, 9_999_999_999)]
    #[case::the_most_rupees("INR", 999_999_999, 999_999_999)]
    #[case::the_most_forints("HUF", 99_999_999, 99_999_999)]
    #[case::the_most_yen("JPY", 99_999_999, 99_999_999)]
    #[case::the_most_kronur("ISK", 999_999, 99_999_900)]
    #[case::the_most_ariary("MGA", 9_999_999_900, 99_999_999)]
    fn what_the_gateway_is_told_is_what_it_says(
        #[case] currency: &str,
        #[case] amount: i64,
        #[case] told: i64,
    ) {
        assert_eq!(to_gateway(amount, currency), Ok(told));
        assert_eq!(from_gateway(told, currency), Some(amount));
        assert_eq!(from_gateway(told, &currency.to_ascii_lowercase()), Some(amount));
    }

    #[rstest]
    #[case::a_thousandth_of_a_dinar("KWD", 5_124, UnfitAmount::Step { amount: 5_124, currency: "KWD".to_owned(), step: 10 })]
    #[case::half_an_ariary("MGA", 1_050, UnfitAmount::Step { amount: 1_050, currency: "MGA".to_owned(), step: 100 })]
    #[case::nine_digits("GBP", 100_000_000, UnfitAmount::TooLarge { amount: 100_000_000, currency: "GBP".to_owned(), max: 99_999_999 })]
    #[case::thirteen_digits("idr", 1_000_000_000_000, UnfitAmount::TooLarge { amount: 1_000_000_000_000, currency: "IDR".to_owned(), max: 999_999_999_999 })]
    #[case::eleven_digits("COP", 10_000_000_000, UnfitAmount::TooLarge { amount: 10_000_000_000, currency: "COP".to_owned(), max: 9_999_999_999 })]
    #[case::ten_digits("INR", 1_000_000_000, UnfitAmount::TooLarge { amount: 1_000_000_000, currency: "INR".to_owned(), max: 999_999_999 })]
    #[case::a_hundred_million_yen("JPY", 100_000_000, UnfitAmount::TooLarge { amount: 100_000_000, currency: "JPY".to_owned(), max: 99_999_999 })]
    #[case::a_million_kronur("ISK", 1_000_000, UnfitAmount::TooLarge { amount: 1_000_000, currency: "ISK".to_owned(), max: 999_999 })]
    #[case::more_than_can_be_multiplied("UGX", i64::MAX, UnfitAmount::TooLarge { amount: i64::MAX, currency: "UGX".to_owned(), max: 999_999 })]
    #[case::a_hundred_million_ariary("MGA", 10_000_000_000, UnfitAmount::TooLarge { amount: 10_000_000_000, currency: "MGA".to_owned(), max: 9_999_999_900 })]
    #[case::iraqi_dinars("iqd", 1_000, UnfitAmount::Currency { currency: "IQD".to_owned() })]
    #[case::libyan_dinars("LYD", 1_000, UnfitAmount::Currency { currency: "LYD".to_owned() })]
    #[case::unidades_de_fomento("CLF", 10_000, UnfitAmount::Currency { currency: "CLF".to_owned() })]
    #[case::nobodys("ZZZ", 1_000, UnfitAmount::Currency { currency: "ZZZ".to_owned() })]
    fn what_the_gateway_cannot_take(#[case] currency: &str, #[case] amount: i64, #[case] why: UnfitAmount) {
        assert_eq!(check_amount(amount, currency), Err(why));
    }

    #[rstest]
    #[case::a_hundredth_of_a_krona("ISK", 501)]
    #[case::a_currency_that_we_do_not_know("usdc", 500)]
    #[case::more_than_a_number("MGA", i64::MAX)]
    fn what_others_made_at_the_gateway_may_be_no_amount(#[case] currency: &str, #[case] told: i64) {
        assert_eq!(from_gateway(told, currency), None);
    }

    #[test]
    fn each_currency_is_counted_in_one_way() {
        for currency in TAKEN {
            assert_eq!(Units::of(currency), Some(Units::Iso), "{currency}");
        }
        assert!(TAKEN.is_sorted());
    }
}
