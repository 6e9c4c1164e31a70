//! Which currencies Stripe takes, and in which amounts.

use crate::failure::Failure;

/// Stripe's list, in its order but for the currencies that are no more everywhere.
const TAKEN: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd \
                     cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd \
                     hkd hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl \
                     mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr \
                     pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd \
                     tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw btn ghs svc";

/// Refuses what is no currency, or none that Stripe takes. The code is in small letters.
pub(crate) fn check(currency: &str) -> Result<(), Failure> {
    if TAKEN.split(' ').any(|taken| taken == currency) {
        return Ok(());
    }
    let listed = TAKEN.replace(' ', ", ");
    Err(Failure::invalid(format!(
        "Invalid currency: {currency}. The sandbox takes these currencies: {listed}"
    ))
    .param("currency"))
}

/// The largest amount that Stripe takes by whatever means of payment: docs.stripe.com/currencies, *Maximum charge
/// amounts*, *Other payment methods*. Cards may go beyond that there, up to twelve digits; the sandbox has one limit for
/// all its payment methods.
fn most(currency: &str) -> i64 {
    let digits = match currency {
        "idr" => 12,
        "cop" => 10,
        "inr" => 9,
        _ => 8,
    };
    10_i64.pow(digits) - 1
}

/// Refuses an amount that Stripe does not take in this currency: it has a limit, kronur and Ugandan shillings have two
/// decimals there which are always 00, and the last digit of three decimals is always 0.
pub(crate) fn check_amount(amount: i64, currency: &str, param: &str) -> Result<(), Failure> {
    let most = most(currency);
    if amount > most {
        let currency = currency.to_ascii_uppercase();
        let message = format!("Invalid {param}: in {currency} it must be at most {most}, and is {amount}.");
        return Err(Failure::invalid(message).code("amount_too_large").param(param));
    }
    let step = match currency {
        "isk" | "ugx" => 100,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
        _ => 1,
    };
    if amount % step == 0 {
        return Ok(());
    }
    let currency = currency.to_ascii_uppercase();
    let message = format!("Invalid {param}: in {currency} it must be divisible by {step}, and is {amount}.");
    Err(Failure::invalid(message).code("parameter_invalid_integer").param(param))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("gbp", 1_999, Ok(()))]
    #[case("jpy", 1, Ok(()))]
    #[case("mga", 1, Ok(()))]
    #[case("huf", 12_345, Ok(()))]
    #[case("isk", 500, Ok(()))]
    #[case("isk", 5, Err("parameter_invalid_integer"))]
    #[case("ugx", 150, Err("parameter_invalid_integer"))]
    #[case("bhd", 5_121, Err("parameter_invalid_integer"))]
    #[case("jod", 5_121, Err("parameter_invalid_integer"))]
    #[case("kwd", 5_124, Err("parameter_invalid_integer"))]
    #[case("kwd", 5_120, Ok(()))]
    #[case("omr", 5_121, Err("parameter_invalid_integer"))]
    #[case("tnd", 5_121, Err("parameter_invalid_integer"))]
    #[case("idr", 100_000_000, Ok(()))]
    #[case("idr", 999_999_999_999, Ok(()))]
    #[case("idr", 1_000_000_000_000, Err("amount_too_large"))]
    #[case("cop", 9_999_999_999, Ok(()))]
    #[case("cop", 10_000_000_000, Err("amount_too_large"))]
    #[case("inr", 999_999_999, Ok(()))]
    #[case("inr", 1_000_000_000, Err("amount_too_large"))]
    #[case("gbp", 99_999_999, Ok(()))]
    #[case("gbp", 100_000_000, Err("amount_too_large"))]
    #[case("jpy", 100_000_000, Err("amount_too_large"))]
    #[case("isk", 99_999_900, Ok(()))]
    #[case("isk", 100_000_000, Err("amount_too_large"))]
    fn amounts(#[case] currency: &str, #[case] amount: i64, #[case] expected: Result<(), &str>) {
        assert_eq!(check(currency), Ok(()));
        let taken = check_amount(amount, currency, "amount").map_err(|failure| failure.code.unwrap());
        assert_eq!(taken, expected.map_err(str::to_owned));
    }

    #[rstest]
    #[case("iqd")]
    #[case("GBP")]
    #[case("gb")]
    #[case("")]
    #[case("usd aed")]
    fn no_currencies(#[case] currency: &str) {
        assert_eq!(check(currency).unwrap_err().param.as_deref(), Some("currency"));
    }
}
