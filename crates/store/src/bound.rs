//! The number below which nothing of this node is open: it bounds the next recovery (M14).
//!
//! It must never be too high, or a crash would leave a transaction that nobody recovers. So a beat may not move it before
//! the node's own estate was handed over whole and has shown in what the engine says; and where nothing is open it is the
//! first number that the engine may still use.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use switch_core::{NodeNo, TxnId};

/// Blocks are given up after 60 s; so long after it was drawn none of a block's numbers is used for the first time.
const BLOCK_LIFE: Duration = Duration::from_secs(120);
/// So many beats after the recovery do not move the bound: what was handed over may not have reached the engine yet.
const SETTLING: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Bound(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    node: Option<NodeNo>,
    /// Beats to wait for, once the estate was handed over.
    settling: Option<u32>,
    blocks: VecDeque<(Instant, u64)>,
    next: Option<u64>,
}

impl Bound {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A life begins.
    pub(crate) fn begin(&self, node: NodeNo) {
        self.with(|state| *state = State { node: Some(node), ..State::default() });
    }

    /// The last of this node's estate was handed over.
    pub(crate) fn recovered(&self, node: NodeNo) {
        self.with(|state| {
            if state.node == Some(node) && state.settling.is_none() {
                state.settling = Some(SETTLING);
            }
        });
    }

    /// Numbers from `first` up to `next` were drawn.
    pub(crate) fn drawn(&self, now: Instant, first: u64, next: u64) {
        self.with(|state| {
            state.blocks.push_back((now, first));
            state.next = Some(next);
        });
    }

    /// What a beat may store: nothing, where the bound must stay.
    pub(crate) fn allow(&self, now: Instant, lowest_open: Option<TxnId>) -> Option<TxnId> {
        self.with(|state| match state.settling {
            None => None,
            Some(0) => lowest_open.or_else(|| state.lowest_usable(now).map(TxnId)),
            Some(beats) => {
                state.settling = Some(beats - 1);
                None
            }
        })
    }
}

impl State {
    fn lowest_usable(&mut self, now: Instant) -> Option<u64> {
        let old = |(drawn, _): &(Instant, u64)| now.saturating_duration_since(*drawn) > BLOCK_LIFE;
        while self.blocks.front().is_some_and(old) {
            self.blocks.pop_front();
        }
        self.blocks.iter().map(|(_, first)| *first).min().or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_moves_only_after_the_recovery_and_never_past_a_usable_number() {
        let bound = Bound::default();
        let now = Instant::now();
        let beat = |lowest: Option<u64>| bound.allow(now, lowest.map(TxnId)).map(|id| id.0);
        bound.begin(NodeNo(1));
        assert_eq!(beat(Some(7)), None, "not recovered");
        bound.recovered(NodeNo(2));
        assert_eq!(beat(Some(7)), None, "another's estate");
        bound.recovered(NodeNo(1));
        assert_eq!([beat(Some(7)), beat(Some(7)), beat(Some(7))], [None; 3], "settling");
        assert_eq!(beat(Some(7)), Some(7));
        assert_eq!(beat(None), None, "nothing was drawn in this life");
        bound.drawn(now, 10_001, 20_001);
        bound.drawn(now + Duration::from_secs(100), 30_001, 40_001);
        assert_eq!(beat(None), Some(10_001));
        let later = |seconds| bound.allow(now + Duration::from_secs(seconds), None);
        assert_eq!(later(121), Some(TxnId(30_001)));
        assert_eq!(later(300), Some(TxnId(40_001)));
    }
}
