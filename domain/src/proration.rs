//! Parts of a sum that grows: what each share of it has, so that no part ever shrinks while the sum grows.
//!
//! A part is always counted from the beginning: what comes in between two moments is the difference of what each of
//! them has. Dividing each step by itself loses or makes minor units.

/// What `part` of `whole` has of an amount, rounded half up: `amount · part / whole`, exact in between. Nothing, if
/// there is no whole. It never shrinks while `amount` or `part` grows, and all of the whole has all of the amount.
///
/// Units `a + 1` to `b` of a line with `n` units are worth `prorated(paid, b, n) - prorated(paid, a, n)`.
#[must_use]
pub fn prorated(amount: i64, part: i64, whole: i64) -> i64 {
    let (part, whole) = (i128::from(part), i128::from(whole));
    let twice = (2 * i128::from(amount)).saturating_mul(part).saturating_add(whole);
    // Between zero and the amount, as long as the part is one of the whole.
    twice.checked_div_euclid(2 * whole).and_then(|rounded| i64::try_from(rounded).ok()).unwrap_or(0)
}

/// An amount in parts, in proportion to these weights of zero or more: together they are the amount, and an amount of as
/// much as all weights gives each its weight. While the amount grows by one, one part grows by one, and the others stay.
///
/// The weights are halved again and again, and each half has its share of what both have. So a part is off the exact
/// proportion by less than one unit for each time that its half was halved, however many weights there are.
///
/// Where nothing has any weight, the last part is the amount. There must be a part for it: without weights there are
/// none.
#[must_use]
pub fn parts(amount: i64, weights: &[i64]) -> Vec<i64> {
    let mut parts = Vec::with_capacity(weights.len());
    divide(amount, weights, &mut parts);
    parts
}

fn divide(amount: i64, weights: &[i64], parts: &mut Vec<i64>) {
    if weights.len() < 2 {
        parts.extend(weights.first().map(|_| amount));
        return;
    }
    let (first, second) = weights.split_at(weights.len() / 2);
    let sum = |weights: &[i64]| weights.iter().fold(0_i64, |sum, weight| sum.saturating_add(*weight));
    let of_first = sum(first);
    let share = prorated(amount, of_first, of_first.saturating_add(sum(second)));
    divide(share, first, parts);
    divide(amount - share, second, parts);
}
