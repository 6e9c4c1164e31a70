//! How much of a SKU may be held by those who have not paid and whom nobody knows.

/// A share of a SKU's stock, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

const WHOLE: u32 = 1_000_000;

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(WHOLE);

    /// So many hundredths; more than 100 are all of it.
    #[must_use]
    pub const fn of_percent(percent: u32) -> Self {
        if percent < 100 { Self(percent * (WHOLE / 100)) } else { Self::WHOLE }
    }

    /// The share of so many units, rounded down, and never less than one unit: or nobody could reserve the last one.
    #[must_use]
    pub fn of_units(self, units: u64) -> u64 {
        let share = u128::from(units) * u128::from(self.0) / u128::from(WHOLE);
        // A share is never more than its whole.
        u64::try_from(share).unwrap_or(units).max(1)
    }
}
