//! The laws of proration: parts add up, never shrink, and end at the whole.

use domain::proration::{parts, prorated};
use proptest::prelude::*;
use rstest::rstest;

#[rstest]
#[case::half_up(1, 1, 2, 1)]
#[case::below_half(1, 1, 3, 0)]
#[case::all_of_it(1_999, 7, 7, 1_999)]
#[case::none_of_it(1_999, 0, 7, 0)]
#[case::of_nothing(0, 3, 7, 0)]
#[case::without_a_whole(5, 0, 0, 0)]
#[case::money_that_came_again(-1, 1, 2, 0)]
#[case::the_largest(i64::MAX, i64::MAX, i64::MAX, i64::MAX)]
fn a_part_of_a_whole(#[case] amount: i64, #[case] part: i64, #[case] whole: i64, #[case] expected: i64) {
    assert_eq!(prorated(amount, part, whole), expected);
}

#[rstest]
#[case::in_proportion(40, &[100, 200, 100], &[10, 20, 10])]
#[case::equal_weights(2, &[1, 1, 1], &[1, 1, 0])]
#[case::without_any_weight(3, &[0, 0], &[0, 3])]
#[case::without_weights(0, &[], &[])]
#[case::one_weight(3, &[7], &[3])]
#[case::small_ones_among_a_large_one(440, &[1, 1, 1, 1, 1_000, 1, 1, 1], &[1, 0, 1, 0, 437, 0, 1, 0])]
fn an_amount_in_parts(#[case] amount: i64, #[case] weights: &[i64], #[case] expected: &[i64]) {
    assert_eq!(parts(amount, weights), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Units of a line that go back in any steps are worth the whole line in the end, and no step is below zero.
    #[test]
    fn units_are_worth_what_was_paid_however_they_come(paid in 0..=i64::MAX, steps in prop::collection::vec(0..50_i64, 1..20)) {
        let units: i64 = steps.iter().sum();
        prop_assume!(units > 0);
        let (mut before, mut worth) = (0, 0_i128);
        for step in steps {
            let of_step = prorated(paid, before + step, units) - prorated(paid, before, units);
            prop_assert!(of_step >= 0);
            before += step;
            worth += i128::from(of_step);
        }
        prop_assert_eq!(worth, i128::from(paid));
    }

    #[test]
    fn parts_add_up_and_never_shrink(
        weights in prop::collection::vec(prop_oneof![Just(0), 1..5_i64, 1..1_000_000_i64], 1..40),
        (some, more) in (0..=1_000_u32, 0..=1_000_u32),
    ) {
        let total: i64 = weights.iter().sum();
        let of_total = |thousandths: u32| total / 1_000 * i64::from(thousandths);
        let (less, more) = (of_total(some.min(more)), of_total(some.max(more)));
        let (before, after) = (parts(less, &weights), parts(more, &weights));
        prop_assert_eq!(before.iter().sum::<i64>(), less);
        prop_assert_eq!(after.iter().sum::<i64>(), more);
        prop_assert!(before.iter().all(|part| *part >= 0));
        prop_assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} {after:?}");
        prop_assert!(total == 0 || after.iter().zip(&weights).all(|(part, weight)| part <= weight));
        prop_assert!(total == 0 || parts(total, &weights) == weights);
    }

    #[test]
    fn each_minor_unit_goes_to_one_part(weights in prop::collection::vec(0..9_i64, 1..12)) {
        let total: i64 = weights.iter().sum();
        for amount in -total..total {
            let (before, after) = (parts(amount, &weights), parts(amount + 1, &weights));
            let grown: Vec<i64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
            prop_assert_eq!(grown.iter().sum::<i64>(), 1);
            prop_assert!(grown.iter().all(|part| *part >= 0), "{:?} of {:?}", grown, weights);
        }
    }

    #[test]
    fn parts_are_near_the_exact_proportion(weights in prop::collection::vec(0..100_000_i64, 1..64), percent in 0..=100_i64) {
        let total: i64 = weights.iter().sum();
        prop_assume!(total > 0);
        let amount = total * percent / 100;
        let halvings = i64::from(weights.len().next_power_of_two().ilog2());
        for (part, weight) in parts(amount, &weights).iter().zip(&weights) {
            // Both sides times the total, so that nothing is rounded.
            let off = (part * total - amount * weight).abs();
            prop_assert!(off <= halvings * total, "{part} of {weight}");
        }
    }
}
