//! Blocks of transaction numbers: which of them may not be used.

use switch_core::{NumberBlock, TxnId};

use crate::{StoreError, image::long};

/// STANs repeat after so many numbers.
const STANS: i64 = 1_000_000;

/// The numbers of exchanges that are still open and whose STAN lies in one of two ranges: of many that are owed, few. The
/// index `obligation_stan` has this expression and this condition.
pub(crate) const OPEN: &str = "SELECT id FROM obligation WHERE status IN (1, 3) AND id % 1000000 BETWEEN $1 AND $2 \
     UNION ALL \
     SELECT id FROM obligation WHERE status IN (1, 3) AND id % 1000000 BETWEEN $3 AND $4";

/// What [`OPEN`] is asked with for the block of `count` numbers that begins at `first`: the first and last STANs of two
/// ranges that do not meet, the second empty unless the block runs over 999999.
pub(crate) fn ranges(first: i64, count: u32) -> [i64; 4] {
    let (from, count) = (first % STANS, i64::from(count));
    if count >= STANS {
        [0, STANS - 1, 1, 0]
    } else if from + count > STANS {
        [from, STANS - 1, 0, from + count - STANS - 1]
    } else {
        [from, from + count - 1, 1, 0]
    }
}

/// The first number after a block of `count` that begins at `first`, if it fits below the limit.
pub(crate) fn after(first: u64, count: u64) -> Result<i64, StoreError> {
    let end = first.saturating_add(count);
    if end > TxnId::LIMIT { Err(StoreError::NumbersExhausted) } else { Ok(long(end)) }
}

/// The block with the numbers in it whose STAN is 000000 or that of an exchange that is still open (I20).
pub(crate) fn block(first: u64, count: u64, open: &[u64]) -> NumberBlock {
    let end = first.saturating_add(count);
    let stans = STANS.unsigned_abs();
    let mut skip: Vec<u64> = open
        .iter()
        .chain([&0])
        .flat_map(|id| {
            let ahead = (id % stans + stans - first % stans) % stans;
            let step = usize::try_from(stans).unwrap_or(usize::MAX);
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
    fn the_ranges_are_the_stans_of_the_block() {
        for (first, count) in [
            (1, 10_000),
            (990_001, 10_000),
            (7_999_999, 1),
            (8_995_000, 10_000),
            (5, 999_999),
            (5, 2_000_000),
        ] {
            let [from, to, again, last] = ranges(first, count);
            let met = |stan| (from..=to).contains(&stan) || (again..=last).contains(&stan);
            for stan in 0..STANS {
                let ahead = (stan + STANS - first % STANS) % STANS;
                assert_eq!(met(stan), ahead < i64::from(count), "{stan} of {count} from {first}");
            }
            assert!(last < from || last < again, "the ranges do not meet");
        }
    }

    #[test]
    fn the_last_number_has_twelve_digits() {
        assert!(after(TxnId::LIMIT - 10, 10).is_ok());
        assert!(after(TxnId::LIMIT - 10, 11).is_err());
    }
}
