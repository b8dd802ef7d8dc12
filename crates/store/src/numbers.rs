//! Blocks of transaction numbers: which of them may not be used.

use switch_core::{NumberBlock, TxnId};

use crate::{StoreError, image::long};

/// STANs repeat after so many numbers.
const STANS: u64 = 1_000_000;

/// The numbers of exchanges that are still open and whose STAN is that of one of $2 numbers from $1 on: of many that are
/// owed, few.
pub(crate) const OPEN: &str = "SELECT id FROM obligation \
     WHERE status IN (1, 3) AND (id % 1000000 - $1 % 1000000 + 1000000) % 1000000 < $2";

/// The first number after a block of `count` that begins at `first`, if it fits below the limit.
pub(crate) fn after(first: u64, count: u64) -> Result<i64, StoreError> {
    let end = first.saturating_add(count);
    if end > TxnId::LIMIT { Err(StoreError::NumbersExhausted) } else { Ok(long(end)) }
}

/// The block with the numbers in it whose STAN is 000000 or that of an exchange that is still open (I20).
pub(crate) fn block(first: u64, count: u64, open: &[u64]) -> NumberBlock {
    let end = first.saturating_add(count);
    let mut skip: Vec<u64> = open
        .iter()
        .chain([&0])
        .flat_map(|id| {
            let stan = id % STANS;
            let ahead = (stan + STANS - first % STANS) % STANS;
            let step = usize::try_from(STANS).unwrap_or(usize::MAX);
            (first.saturating_add(ahead)..end).step_by(step)
        })
        .collect();
    skip.sort_unstable();
    skip.dedup();
    NumberBlock { first, count, skip }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: u64, count: u64, open: &[u64], skip: &[u64]) {
        assert_eq!(block(first, count, open), NumberBlock { first, count, skip: skip.to_vec() });
    }

    #[test]
    fn numbers_with_a_stan_that_is_in_use_are_skipped() {
        check(1, 10_000, &[], &[]);
        check(990_001, 10_000, &[], &[1_000_000]);
        check(1_000_001, 10_000, &[5, 10_000, 10_001], &[1_000_005, 1_010_000]);
        check(5_000_000, 3, &[1_000_001], &[5_000_000, 5_000_001]);
        check(1, 2_500_000, &[7, 1_000_007], &[7, 1_000_000, 1_000_007, 2_000_000, 2_000_007]);
    }

    #[test]
    fn the_last_number_has_twelve_digits() {
        assert!(after(TxnId::LIMIT - 10, 10).is_ok());
        assert!(after(TxnId::LIMIT - 10, 11).is_err());
    }
}
