//! Blocks of transaction numbers: which of them may not be used, and where.

use switch_core::{NumberBlock, TxnId};

use crate::{
    StoreError,
    image::{count, long},
};

const STANS: i64 = TxnId::STANS.cast_signed();

/// The exchanges that are still open (owed, marked, or denied: status 6) and whose STAN lies in one of two ranges, with
/// their issuers: of many that are open, few. The index `obligation_open_stan` has this expression and this condition.
pub(crate) const OPEN: &str = "SELECT issuer, id FROM obligation WHERE status IN (1, 3, 6) AND id % 1000000 BETWEEN $1 AND $2 \
     UNION ALL \
     SELECT issuer, id FROM obligation WHERE status IN (1, 3, 6) AND id % 1000000 BETWEEN $3 AND $4";

/// What [`OPEN`] gives: an issuer, none where nothing was ever meant for one, and the number of the exchange.
pub(crate) type Open = (Option<String>, i64);

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

/// The block, with the numbers in it whose STAN is that of an exchange that is still open, each with the issuer where it
/// may not be used (I20).
pub(crate) fn block(first: u64, wanted: u64, open: Vec<Open>) -> NumberBlock {
    let end = first.saturating_add(wanted);
    let stans = TxnId::STANS;
    let step = usize::try_from(stans).unwrap_or(usize::MAX);
    let mut skip: Vec<_> = open
        .into_iter()
        .filter_map(|(issuer, id)| Some((switch_core::IssuerName::from(issuer?), count(id))))
        .flat_map(|(issuer, id)| {
            let ahead = (id % stans + stans - first % stans) % stans;
            let same = (first.saturating_add(ahead)..end).step_by(step);
            same.map(move |number| (number, issuer.clone()))
        })
        .collect();
    skip.sort_unstable();
    skip.dedup();
    NumberBlock { first, count: wanted, skip }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: u64, wanted: u64, open: &[(&str, i64)], expected: &[(u64, &str)]) {
        let open = open.iter().map(|(issuer, id)| (Some((*issuer).to_owned()), *id)).collect();
        let expected =
            expected.iter().map(|(number, issuer)| (*number, (*issuer).into())).collect();
        let made = block(first, wanted, open);
        assert_eq!(made, NumberBlock { first, count: wanted, skip: expected });
    }

    #[test]
    fn a_number_whose_stan_is_in_use_is_named_with_the_issuer_that_uses_it() {
        check(1, 10_000, &[], &[]);
        check(
            1_000_001,
            10_000,
            &[("a", 5), ("b", 10_000), ("b", 10_001)],
            &[(1_000_005, "a"), (1_010_000, "b")],
        );
        check(5_000_000, 3, &[("a", 1_000_001), ("a", 2_000_001)], &[(5_000_001, "a")]);
        check(5_000_000, 3, &[("b", 1), ("a", 1_000_001)], &[(5_000_001, "a"), (5_000_001, "b")]);
        check(1, 2_000_010, &[("a", 7)], &[(7, "a"), (1_000_007, "a"), (2_000_007, "a")]);
        let none = block(1, 10, vec![(None, 5)]);
        assert!(none.skip.is_empty(), "what is for no issuer is open at none");
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
