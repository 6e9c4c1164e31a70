//! Chance that a seed determines, the same on every machine and for ever: `SplitMix64`.

/// A row of numbers that look random.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not, `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("an index is a number of 64 bits").max(1);
        usize::try_from(self.next() % end).expect("it is below an index")
    }

    /// A number from `low` to `high`, both among them.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// An amount of money or units from `low` to `high`, both among them.
    pub fn amount(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low).expect("low is not above high");
        low + i64::try_from(self.between(0, span)).expect("spans are small")
    }

    /// Whether something happens that does so many times in a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
