//! Random numbers that can be repeated.

use super::postgres::setting;

/// Returns the seed of a test: that of an earlier run if it is to be repeated, otherwise a new one.
pub fn seed() -> u64 {
    setting("COFFER_TEST_SEED").map_or_else(
        || u64::from_ne_bytes(domain::kernel::secrets::random().unwrap()),
        |text| text.parse().expect("COFFER_TEST_SEED is a number"),
    )
}

/// Random number generator (SplitMix64): a seed gives the same numbers everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a seed for another generator.
    pub fn seed(&mut self) -> u64 {
        self.next()
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
