//! Prices as decimal text become whole pennies without ever being a float.

/// Whole pennies of a price in pounds, rounded half up: `2.55` is 255, `0.005` is 1, `0.004` is 0.
///
/// Half up is towards plus infinity, so `-0.005` is 0. `None` when the text is not a plain decimal number or
/// does not fit.
pub fn pennies(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    let digit = |place: usize| fraction.as_bytes().get(place).map_or(0, |byte| i64::from(byte - b'0'));
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let cut = whole.checked_mul(100)?.checked_add(digit(0) * 10 + digit(1))?;
    // The first digit that falls away decides; a negative price moves away from zero only beyond the half.
    let rest_beyond_half = fraction.bytes().skip(3).any(|byte| byte != b'0');
    let up = if negative { digit(2) > 5 || (digit(2) == 5 && rest_beyond_half) } else { digit(2) >= 5 };
    let rounded = cut.checked_add(i64::from(up))?;
    Some(if negative { -rounded } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::pennies;
    use rstest::rstest;

    #[rstest]
    #[case("2.55", Some(255))]
    #[case("2.5", Some(250))]
    #[case("2", Some(200))]
    #[case("2.", Some(200))]
    #[case(".5", Some(50))]
    #[case("0.001", Some(0))]
    #[case("0.0049999999999999999999", Some(0))]
    #[case("0.005", Some(1))]
    #[case("1.115", Some(112))]
    #[case("1.994", Some(199))]
    #[case("1.995", Some(200))]
    #[case("38970.00", Some(3_897_000))]
    #[case("-11062.06", Some(-1_106_206))]
    #[case("-0.005", Some(0))]
    #[case("-0.0051", Some(-1))]
    #[case("92233720368547758.07", Some(i64::MAX))]
    #[case("92233720368547758.075", None)]
    #[case("99999999999999999999", None)]
    #[case("", None)]
    #[case(".", None)]
    #[case("-", None)]
    #[case("1e3", None)]
    #[case("1,50", None)]
    #[case("1.2.3", None)]
    #[case("£2", None)]
    #[case("--2", None)]
    fn a_price_is_read_exactly(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(pennies(text), expected);
    }
}
