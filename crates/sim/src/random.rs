//! Numbers from a seed: the same seed gives the same run.

/// A small generator of well-mixed numbers (the `SplitMix64` step). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator for one of many that share a seed: terminals, rules, cards.
    pub(crate) fn stream(seed: u64, number: u64) -> Self {
        Self(mix(&[seed, number]))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number above 0 and at most 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) + 1.0) / 4_294_967_296.0
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Whether an event of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        happens(self.next(), probability)
    }
}

/// Whether a number drawn at random makes an event of this probability happen.
pub(crate) fn happens(number: u64, probability: f64) -> bool {
    // 32 bits are exact in a float, and enough for a probability.
    let unit = f64::from(u32::try_from(number >> 32).unwrap_or(0)) / 4_294_967_296.0;
    unit < probability
}

/// One number out of several, by which draws do not depend on the order in which things arrive.
pub(crate) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x51_7C_C1_B7_27_22_0A_95, |sum, part| {
        scramble(sum.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ *part)
    })
}

/// As [`mix`], of bytes.
pub(crate) fn mix_bytes(seed: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(seed, |sum, chunk| {
        let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        mix(&[sum, word])
    })
}

const fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_chances_come_out() {
        let draw = |seed| {
            let mut random = Random::stream(seed, 0);
            (0..1000).map(|_| random.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|number| *number < 100));
        let mut random = Random::stream(1, 2);
        let hits = (0..10_000).filter(|_| random.chance(0.2)).count();
        assert!((1800..2200).contains(&hits), "{hits}");
        assert!(!random.chance(0.0) && random.chance(1.0));
        assert_ne!(mix_bytes(1, b"123456789"), mix_bytes(1, b"123456780"));
    }
}
