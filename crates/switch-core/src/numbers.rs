//! Transaction numbers: blocks drawn ahead from the store, each number used once (I20).

use std::{collections::BTreeSet, time::Duration};

use crate::{Instant, TxnId, event::NumberBlock};

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
    skip: BTreeSet<u64>,
    drawn: Instant,
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
            skip: block.skip.iter().copied().collect(),
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
                block.next >= block.half || now.since(block.drawn) >= DRAW_AHEAD
            });
        let wants = short && !self.drawing;
        self.drawing |= wants;
        wants
    }

    /// The next number whose STAN `is_free`, never 000000; none if the blocks are used up.
    pub(crate) fn take(&mut self, now: Instant, is_free: impl Fn(u32) -> bool) -> Option<TxnId> {
        self.expire(now);
        loop {
            let block = self.current.as_mut()?;
            while block.next < block.end {
                let id = TxnId(block.next);
                block.next += 1;
                if id.stan() != 0 && !block.skip.contains(&id.0) && is_free(id.stan()) {
                    return Some(id);
                }
            }
            self.current = self.next.take();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u64, count: u64) -> NumberBlock {
        NumberBlock { first, count, skip: vec![first + 1] }
    }

    #[test]
    fn numbers_are_taken_once_and_skip_what_must_be_skipped() {
        let mut numbers = Numbers::default();
        let now = Instant(0);
        assert!(numbers.wants_draw(now));
        assert!(!numbers.wants_draw(now), "one draw at a time");
        numbers.drawn(now, &block(999_999, 5));
        let taken: Vec<u64> =
            std::iter::from_fn(|| numbers.take(now, |stan| stan != 2)).map(|id| id.0).collect();
        assert_eq!(taken, [999_999, 1_000_001, 1_000_003], "not 000000, not the open STAN 2");
        assert!(numbers.wants_draw(now));
    }

    #[test]
    fn an_old_block_is_given_up() {
        let mut numbers = Numbers::default();
        numbers.drawn(Instant(0), &block(1, 100));
        assert!(numbers.take(Instant(0).plus(BLOCK_LIFE), |_| true).is_none());
    }
}
