//! The simulator's own random numbers: one 64-bit seed, the same sequence on every machine.

/// xoshiro256** seeded by splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Rng([u64; 4]);

/// One step of splitmix64: spreads neighbouring seeds far apart.
pub(super) const fn splitmix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        let a = splitmix(seed);
        let b = splitmix(a);
        let c = splitmix(b);
        Self([a, b, c, splitmix(c)])
    }

    pub(super) const fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.0;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let n2 = s2 ^ s0;
        let n3 = s3 ^ s1;
        self.0 = [s0 ^ n3, s1 ^ n2, n2 ^ (s1 << 17), n3.rotate_left(45)];
        result
    }

    /// Below `n`, which is not 0.
    pub(super) const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub(super) const fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a thousand.
    pub(super) const fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1000) < per_mille as u64
    }

    /// One of `of`, which is not empty.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
