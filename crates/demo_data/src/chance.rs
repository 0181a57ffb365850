//! Repeatable chance.
//!
//! Every conversation draws from its own stream of one seed, so that it can be written alone, in any order, and is
//! always the same. Numbers are scaled here and not by a distribution library, whose results may change with its version.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The one seed of all demo data: changing it changes every conversation.
const SEED: u64 = 0x5241_4457_4552_4b21;

pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn of_stream(stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.0.next_u64()) * bound as u128) >> 64;
        usize::try_from(scaled).expect("less than bound, which is a usize")
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low + 1).expect("ranges are written low to high");
        low + i64::try_from(self.below(span)).expect("less than an i64 range")
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
