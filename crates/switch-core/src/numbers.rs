//! Transaction numbers: blocks drawn ahead from the store, each number used once (I20).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{Instant, IssuerName, TxnId, event::NumberBlock};

/// A block is given up so long after it was drawn, so that numbers stay roughly in the order of time.
pub(crate) const BLOCK_LIFE: Duration = Duration::from_secs(60);
/// The next block is drawn when the current one is so old, or half used.
const DRAW_AHEAD: Duration = Duration::from_secs(40);

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    current: Option<Block>,
    next: Option<Block>,
    drawing: bool,
}

#[derive(Debug)]
struct Block {
    next: u64,
    end: u64,
    half: u64,
    /// Issuers that have an open exchange under a number's STAN.
    skip: BTreeMap<u64, Vec<IssuerName>>,
    /// Issuers for which no number is left in it.
    full: BTreeSet<IssuerName>,
    drawn: Instant,
}

impl Block {
    /// The first number for this issuer, if one is left. Those before it are passed over; where none is left, they stay for
    /// other issuers.
    fn find(
        &mut self,
        issuer: Option<&IssuerName>,
        is_free: &impl Fn(u32) -> bool,
    ) -> Option<TxnId> {
        if issuer.is_some_and(|issuer| self.full.contains(issuer)) {
            return None;
        }
        let fits = |id: &TxnId| {
            let open =
                issuer.zip(self.skip.get(&id.0)).is_some_and(|(issuer, at)| at.contains(issuer));
            id.stan() != 0 && !open && is_free(id.stan())
        };
        let found = (self.next..self.end).map(TxnId).find(fits);
        match (found, issuer) {
            (Some(id), _) => self.next = id.0 + 1,
            (None, Some(issuer)) => drop(self.full.insert(issuer.clone())),
            (None, None) => self.next = self.end,
        }
        found
    }
}

impl Numbers {
    /// A block came from the store.
    pub(crate) fn drawn(&mut self, now: Instant, block: &NumberBlock) {
        self.drawing = false;
        let end = block.first.saturating_add(block.count).min(TxnId::LIMIT);
        let fresh = Block {
            next: block.first.max(1),
            end,
            half: block.first.saturating_add(block.count / 2),
            skip: by_number(&block.skip),
            full: BTreeSet::new(),
            drawn: now,
        };
        match self.current {
            None => self.current = Some(fresh),
            Some(_) => self.next = Some(fresh),
        }
    }

    /// The draw failed: it may be asked for again.
    pub(crate) const fn failed(&mut self) {
        self.drawing = false;
    }

    /// Whether a draw shall be asked for now; the caller then does so.
    pub(crate) fn wants_draw(&mut self, now: Instant) -> bool {
        self.expire(now);
        let short = self.next.is_none()
            && self.current.as_ref().is_none_or(|block| {
                block.next >= block.half
                    || !block.full.is_empty()
                    || now.since(block.drawn) >= DRAW_AHEAD
            });
        let wants = short && !self.drawing;
        self.drawing |= wants;
        wants
    }

    /// The next number whose STAN `is_free` at this issuer, never 000000; none if no block has one. A number for no issuer
    /// is one that no exchange will have. What is open at one issuer keeps no number from another (I20).
    pub(crate) fn take(
        &mut self,
        now: Instant,
        issuer: Option<&IssuerName>,
        is_free: impl Fn(u32) -> bool,
    ) -> Option<TxnId> {
        self.expire(now);
        if let Some(id) = self.current.as_mut()?.find(issuer, &is_free) {
            return Some(id);
        }
        // Others go on with the current block.
        let id = self.next.as_mut()?.find(issuer, &is_free);
        let used_up = self.current.as_ref().is_none_or(|block| block.next >= block.end);
        if used_up || id.is_none() {
            // Neither has one: a third is drawn in its place.
            self.current = self.next.take();
        }
        id
    }

    /// The last two numbers of a trace number that may have been given out, the later first.
    pub(crate) fn last_of(&self, stan: u32) -> Vec<TxnId> {
        let end = self.current.iter().chain(&self.next).map(|block| block.end).max();
        let Some(last) = end.and_then(|end| end.checked_sub(1)) else { return Vec::new() };
        let back = (last + TxnId::STANS - u64::from(stan)) % TxnId::STANS;
        let later = last.checked_sub(back);
        let earlier = later.and_then(|id| id.checked_sub(TxnId::STANS));
        later.into_iter().chain(earlier).filter(|id| *id > 0).map(TxnId).collect()
    }

    fn expire(&mut self, now: Instant) {
        let old = |block: &Block| now.since(block.drawn) >= BLOCK_LIFE;
        if self.next.as_ref().is_some_and(old) {
            self.next = None;
        }
        if self.current.as_ref().is_some_and(old) {
            self.current = self.next.take();
        }
    }
}

fn by_number(skip: &[(u64, IssuerName)]) -> BTreeMap<u64, Vec<IssuerName>> {
    let mut by_number: BTreeMap<u64, Vec<IssuerName>> = BTreeMap::new();
    for (number, issuer) in skip {
        by_number.entry(*number).or_default().push(issuer.clone());
    }
    by_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u64, count: u64) -> NumberBlock {
        NumberBlock { first, count, skip: vec![(first + 1, "a".into())] }
    }

    /// The numbers that an issuer gets until there are no more.
    fn all(numbers: &mut Numbers, issuer: &str) -> Vec<u64> {
        let (now, issuer) = (Instant(0), issuer.into());
        std::iter::from_fn(|| numbers.take(now, Some(&issuer), |stan| stan != 2))
            .map(|id| id.0)
            .collect()
    }

    #[test]
    fn the_last_numbers_of_a_trace_number_are_found() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.last_of(7), []);
        numbers.drawn(Instant(0), &block(3_000_001, 1_000));
        for (stan, expected) in [
            (1, [3_000_001, 2_000_001]),
            (1_000, [3_001_000, 2_001_000]),
            (1_001, [2_001_001, 1_001_001]),
            (999_999, [2_999_999, 1_999_999]),
        ] {
            assert_eq!(numbers.last_of(stan), expected.map(TxnId), "{stan}");
        }
        let mut first = Numbers::default();
        first.drawn(Instant(0), &block(1, 1_000));
        assert_eq!(first.last_of(7), [TxnId(7)]);
        assert_eq!(first.last_of(2_000), []);
    }

    #[test]
    fn numbers_are_taken_once_and_skip_what_must_be_skipped() {
        let mut numbers = Numbers::default();
        let now = Instant(0);
        assert!(numbers.wants_draw(now));
        assert!(!numbers.wants_draw(now), "one draw at a time");
        numbers.drawn(now, &block(999_999, 5));
        assert_eq!(
            all(&mut numbers, "a"),
            [999_999, 1_000_001, 1_000_003],
            "not 000000, nor STAN 2"
        );
        assert!(numbers.wants_draw(now));
    }

    #[test]
    fn what_is_open_at_one_issuer_keeps_no_number_from_another() {
        let (a, b): (IssuerName, IssuerName) = ("a".into(), "b".into());
        let now = Instant(0);
        let mut numbers = Numbers::default();
        numbers.drawn(now, &block(10, 4));
        assert_eq!(numbers.take(now, Some(&b), |_| true), Some(TxnId(10)));
        assert_eq!(numbers.take(now, Some(&b), |_| true), Some(TxnId(11)), "open at a only");
        assert_eq!(all(&mut numbers, "a"), [12, 13]);

        // All of a block is open at one issuer: the other goes on in it, and a further one is drawn for the first.
        let mut numbers = Numbers::default();
        let open = |first: u64| (first..first + 4).map(|id| (id, a.clone())).collect();
        numbers.drawn(now, &NumberBlock { first: 20, count: 4, skip: open(20) });
        assert_eq!(numbers.take(now, Some(&a), |_| true), None);
        assert!(numbers.wants_draw(now));
        assert_eq!(numbers.take(now, Some(&b), |_| true), Some(TxnId(20)));
        numbers.drawn(now, &NumberBlock { first: 30, count: 4, skip: open(30) });
        assert_eq!(numbers.take(now, Some(&a), |_| true), None);
        assert!(numbers.wants_draw(now), "a third");
        numbers.drawn(now, &NumberBlock { first: 40, count: 4, skip: Vec::new() });
        assert_eq!(numbers.take(now, Some(&a), |_| true), Some(TxnId(40)));
        assert_eq!(all(&mut numbers, "b"), [30, 31, 32, 33, 41, 42, 43]);
        assert_eq!(numbers.take(now, None, |_| true), None, "no number twice");
    }

    #[test]
    fn an_old_block_is_given_up() {
        let mut numbers = Numbers::default();
        numbers.drawn(Instant(0), &block(1, 100));
        assert!(numbers.take(Instant(0).plus(BLOCK_LIFE), None, |_| true).is_none());
    }
}
