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

/// Refuses an amount that Stripe does not take in this currency: kronur and Ugandan shillings have two decimals there
/// which are always 00, and the last digit of three decimals is always 0.
pub(crate) fn check_amount(amount: i64, currency: &str, param: &str) -> Result<(), Failure> {
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
    #[case("gbp", 1_999, true)]
    #[case("jpy", 1, true)]
    #[case("mga", 1, true)]
    #[case("huf", 12_345, true)]
    #[case("isk", 500, true)]
    #[case("isk", 5, false)]
    #[case("ugx", 150, false)]
    #[case("bhd", 5_121, false)]
    #[case("jod", 5_121, false)]
    #[case("kwd", 5_124, false)]
    #[case("kwd", 5_120, true)]
    #[case("omr", 5_121, false)]
    #[case("tnd", 5_121, false)]
    fn amounts(#[case] currency: &str, #[case] amount: i64, #[case] is_taken: bool) {
        assert_eq!(check(currency), Ok(()));
        let refused = check_amount(amount, currency, "amount").map_err(|failure| failure.code.unwrap());
        let expected = if is_taken { Ok(()) } else { Err("parameter_invalid_integer".to_owned()) };
        assert_eq!(refused, expected);
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
