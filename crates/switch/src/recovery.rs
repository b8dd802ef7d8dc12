//! What earlier lives and dead nodes left behind is handed to the engine (M14): at the start, and after a take-over.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use store::{Estate, Lease, Store, StoreError, TakenOver};
use switch_core::{Event, Found, NodeNo, TxnId};
use tokio::time::{Instant, sleep};

use crate::{driver::Shown, input::Inputs};

/// Rows read at once in a recovery.
const CHUNK: u32 = 2_000;
/// What a recovery writes should not fill the store's room, or new work would be shed for it (M16): after each chunk it waits
/// until no more than a chunk is under way, but for an estate no longer than this, since meanwhile the node is not there.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// The same as a number of rows.
const WHOLE: usize = CHUNK as usize;
/// So much of each second the adoption of a dead node's reversals may take: the next dead node and the days wait for it.
const ADOPTION_TURN: Duration = Duration::from_millis(500);

/// Hands the estates to the engine with which a life begins.
///
/// # Errors
/// The store failed; recovering again changes nothing more.
pub(crate) async fn recover_all(
    store: &Store,
    lease: &Lease,
    inputs: &Inputs,
    shown: &Shown,
) -> Result<(), StoreError> {
    for estate in &lease.estates {
        recover(store, *estate, inputs, shown).await?;
    }
    Ok(())
}

/// Hands an estate to the engine (M14): reversals owed first, then what was in flight.
async fn recover(
    store: &Store,
    estate: Estate,
    inputs: &Inputs,
    shown: &Shown,
) -> Result<(), StoreError> {
    let hands = Hands { inputs, shown, until: Instant::now() + START_PATIENCE };
    let mut after = TxnId(0);
    let mut owed = 0_usize;
    loop {
        let found = store.owed(estate.node, after, CHUNK).await?;
        owed += found.len();
        let Some(last) = hands.over(found).await else { break };
        after = last;
    }
    let in_flight = recover_in_flight(store, estate, &hands).await?;
    if owed + in_flight > 0 {
        tracing::info!(node = estate.node.0, owed, in_flight, "recovered");
    }
    Ok(())
}

/// Where estates and their rows are read.
trait Rows {
    /// The transactions of these obligations that are still owed.
    async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError>;
    /// At most `most` of what a node owes, from behind `after`.
    async fn owed(&self, owner: NodeNo, after: TxnId, most: u32) -> Result<Vec<Found>, StoreError>;
    /// At most `most` of what was in flight in an estate, from behind `after`.
    async fn recover(
        &self,
        estate: Estate,
        after: TxnId,
        most: u32,
    ) -> Result<Vec<Found>, StoreError>;
}

impl Rows for Store {
    async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
        self.read_owed(ids).await
    }

    async fn owed(&self, owner: NodeNo, after: TxnId, most: u32) -> Result<Vec<Found>, StoreError> {
        self.owed(owner, after, most).await
    }

    async fn recover(
        &self,
        estate: Estate,
        after: TxnId,
        most: u32,
    ) -> Result<Vec<Found>, StoreError> {
        self.recover(estate, after, most).await
    }
}

/// Hands what was in flight in an estate to the engine; gives how much.
async fn recover_in_flight(
    store: &impl Rows,
    estate: Estate,
    hands: &Hands<'_>,
) -> Result<usize, StoreError> {
    let mut after = TxnId(0);
    let mut count = 0;
    loop {
        let open = store.recover(estate, after, CHUNK).await?;
        count += open.len();
        let Some(last) = hands.over(open).await else { return Ok(count) };
        after = last;
    }
}

/// What hands rows to the engine.
struct Hands<'a> {
    inputs: &'a Inputs,
    shown: &'a Shown,
    /// Until when it waits for room in the store.
    until: Instant,
}

impl Hands<'_> {
    /// Gives the number of the last, once the store has room again; nothing where that was all.
    async fn over(&self, found: Vec<Found>) -> Option<TxnId> {
        let last = found.last().map(|found| found.row.id)?;
        let more = found.len() >= WHOLE;
        for found in found {
            self.inputs.event(Event::Recovered(Box::new(found)));
        }
        // The driver takes what it was given, and shows what became of it, at the end of a round.
        while Instant::now() < self.until {
            sleep(Duration::from_millis(2)).await;
            if self.shown.gauges().records_under_way <= WHOLE {
                break;
            }
        }
        more.then_some(last)
    }

    /// The same hands with a turn of their own.
    fn anew(&self) -> Self {
        Self { until: Instant::now() + ADOPTION_TURN, ..*self }
    }
}

/// What was taken over from dead nodes and not yet handed to the engine. It is this node's already, so it is kept, and tried
/// again, until the engine has it (M4, M14).
#[derive(Debug)]
pub(crate) struct Adoption {
    /// Every estate that this life has been told of.
    known: BTreeSet<Estate>,
    /// Whether all that this node owes is to be read again.
    again: bool,
    /// It is being read again, from behind this number.
    again_after: Option<TxnId>,
    owed: VecDeque<TxnId>,
    /// Reversals read at once: fewer after a read that failed, so that one bad row keeps no other back.
    part: usize,
    estates: VecDeque<Estate>,
}

impl Adoption {
    /// Nothing yet beside the estates of the lease, which were handed over at the start.
    pub(crate) fn new(lease: &Lease) -> Self {
        Self {
            known: lease.estates.iter().copied().collect(),
            again: false,
            again_after: None,
            owed: VecDeque::new(),
            part: WHOLE,
            estates: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, taken: TakenOver) {
        self.owed.extend(taken.adopted);
        self.known.extend(&taken.estates);
        self.estates.extend(taken.estates);
    }

    /// An estate is this node's as the database has it. If nobody told it here, the answer to its take-over was lost:
    /// whoever took it would not know it, and nobody else would conduct it.
    pub(crate) fn find(&mut self, estate: Estate) {
        if self.known.insert(estate) {
            tracing::warn!(node = estate.node.0, "a take-over is found whose answer was lost");
            self.estates.push_back(estate);
            self.again = true;
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        !self.again && self.again_after.is_none() && self.owed.is_empty() && self.estates.is_empty()
    }

    /// A turn of [`Self::go_on`]; what fails is tried again with the next.
    pub(crate) async fn turn(
        &mut self,
        store: &Store,
        own: &Lease,
        inputs: &Inputs,
        shown: &Shown,
    ) {
        let hands = Hands { inputs, shown, until: Instant::now() + ADOPTION_TURN };
        if let Err(error) = self.go_on(store, own, &hands).await {
            let (owed, estates) = (self.owed.len(), self.estates.len());
            tracing::warn!(%error, owed, estates, "what was taken over waits for the store");
        }
    }

    /// Hands on what was taken over, as much as fits into a turn; the rest, and what failed, comes with the next turn.
    async fn go_on(
        &mut self,
        store: &impl Rows,
        own: &Lease,
        hands: &Hands<'_>,
    ) -> Result<(), StoreError> {
        // What fails must not keep the others back.
        let owed = self.hand_owed(store, hands).await;
        let again = self.hand_again(store, own, hands).await;
        self.hand_estates(store, hands).await.and(again).and(owed)
    }

    async fn hand_again(
        &mut self,
        store: &impl Rows,
        own: &Lease,
        hands: &Hands<'_>,
    ) -> Result<(), StoreError> {
        if self.again_after.is_none() && std::mem::take(&mut self.again) {
            self.again_after = Some(TxnId(0));
        }
        while let Some(after) = self.again_after
            && Instant::now() < hands.until
        {
            self.again_after = hands.over(store.owed(own.node, after, CHUNK).await?).await;
        }
        Ok(())
    }

    async fn hand_owed(&mut self, store: &impl Rows, hands: &Hands<'_>) -> Result<(), StoreError> {
        while !self.owed.is_empty() && Instant::now() < hands.until {
            let part = self.owed.len().min(self.part);
            let ids: Vec<TxnId> = self.owed.iter().take(part).copied().collect();
            match store.read_owed(&ids).await {
                Ok(found) => {
                    self.owed.drain(..part);
                    self.part = (self.part * 2).min(WHOLE);
                    hands.over(found).await;
                }
                Err(error) => {
                    self.owed.rotate_left(part);
                    self.part = (part / 2).max(1);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn hand_estates(
        &mut self,
        store: &impl Rows,
        hands: &Hands<'_>,
    ) -> Result<(), StoreError> {
        while let Some(estate) = self.estates.front().copied() {
            // A turn of its own: without waiting, all of it would fall upon the store at once (M16).
            match recover_in_flight(store, estate, &hands.anew()).await {
                Ok(in_flight) => {
                    tracing::info!(node = estate.node.0, in_flight, "recovered");
                    self.estates.pop_front();
                }
                Err(error) => {
                    self.estates.rotate_left(1);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use switch_core::{Epoch, Row};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{fixtures::Fixtures, input::Input};

    /// Rows of which each third read fails.
    struct Flaky {
        row: Row,
        reads: AtomicUsize,
        in_flight: u64,
        /// A row that never can be read.
        bad: Option<TxnId>,
    }

    impl Flaky {
        fn rows(&self, ids: impl Iterator<Item = TxnId>) -> Result<Vec<Found>, StoreError> {
            if self.reads.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                return Err(StoreError::NoDay);
            }
            let ids: Vec<TxnId> = ids.collect();
            if self.bad.is_some_and(|bad| ids.contains(&bad)) {
                return Err(StoreError::NoDay);
            }
            let found = |id| {
                let mut row = self.row.clone();
                row.fixed_mut().id = id;
                Found {
                    row,
                    obligation: None,
                    claim: None,
                    claim_undone: false,
                    within_horizon: true,
                }
            };
            Ok(ids.into_iter().map(found).collect())
        }
    }

    impl Rows for Flaky {
        async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
            self.rows(ids.iter().copied())
        }

        async fn owed(
            &self,
            _owner: NodeNo,
            after: TxnId,
            most: u32,
        ) -> Result<Vec<Found>, StoreError> {
            let more = (after.0 + 1..=5_000).take(usize::try_from(most).expect("fits"));
            self.rows(more.map(TxnId))
        }

        async fn recover(
            &self,
            estate: Estate,
            after: TxnId,
            most: u32,
        ) -> Result<Vec<Found>, StoreError> {
            let first = 1_000_000 * u64::from(estate.node.0.unsigned_abs());
            let last = first + self.in_flight;
            let from = (after.0 + 1).max(first);
            self.rows((from..last).take(usize::try_from(most).expect("fits")).map(TxnId))
        }
    }

    /// What the engine was handed.
    fn handed(taken: &mut mpsc::UnboundedReceiver<Input>) -> Vec<u64> {
        let mut ids = Vec::new();
        while let Ok(input) = taken.try_recv() {
            match input {
                Input::Event(Event::Recovered(found)) => ids.push(found.row.id.0),
                _ => panic!("only rows are handed over"),
            }
        }
        ids
    }

    fn estate(node: i32) -> Estate {
        Estate { node: NodeNo(node), below: Epoch(9) }
    }

    fn estates() -> Vec<Estate> {
        [2, 3].map(estate).to_vec()
    }

    fn lease() -> Lease {
        Lease { node: NodeNo(1), epoch: Epoch(9), estates: vec![estate(1)] }
    }

    fn flaky(in_flight: u64) -> Flaky {
        let row = Fixtures::new().row(&Fixtures::issuer("iso87-ascii"));
        Flaky { row, reads: AtomicUsize::new(0), in_flight, bad: None }
    }

    /// Turns until all is handed over: the owed reversals and the rows in flight, sorted, and how many turns failed.
    async fn adopted(store: &Flaky, mut adoption: Adoption) -> (Vec<u64>, Vec<u64>, usize) {
        let (inputs, mut taken) = Inputs::channel();
        let shown = Shown::default();
        let (mut owed, mut in_flight, mut failures) = (Vec::new(), Vec::new(), 0);
        while !adoption.is_done() && failures < 40 {
            let until = Instant::now() + ADOPTION_TURN;
            let hands = Hands { inputs: &inputs, shown: &shown, until };
            failures += usize::from(adoption.go_on(store, &lease(), &hands).await.is_err());
            let (high, low) = handed(&mut taken).into_iter().partition(|id| *id > 5_000);
            in_flight.extend::<Vec<u64>>(high);
            owed.extend::<Vec<u64>>(low);
        }
        owed.sort_unstable();
        in_flight.sort_unstable();
        (owed, in_flight, failures)
    }

    fn all_in_flight() -> Vec<u64> {
        (2_000_000..2_002_500).chain(3_000_000..3_002_500).collect()
    }

    #[tokio::test]
    async fn m14_reads_that_fail_during_a_take_over_lose_nothing() {
        let mut adoption = Adoption::new(&lease());
        adoption.add(TakenOver { estates: estates(), adopted: (1..=5_000).map(TxnId).collect() });
        let (owed, mut in_flight, failures) = adopted(&flaky(2_500), adoption).await;
        assert!((2..40).contains(&failures), "{failures} turns failed");
        assert_eq!(owed, (1..=5_000).collect::<Vec<u64>>(), "each once");
        // Those of an estate may come again: recovering twice changes nothing more.
        in_flight.dedup();
        assert_eq!(in_flight, all_in_flight());
    }

    #[tokio::test]
    async fn m14_a_take_over_whose_answer_was_lost_is_found_again() {
        let mut adoption = Adoption::new(&lease());
        let [own, first, second] = [1, 2, 3].map(estate);
        for estate in [own, first, second, first] {
            adoption.find(estate);
        }
        let (mut owed, mut in_flight, failures) = adopted(&flaky(2_500), adoption).await;
        assert!((2..40).contains(&failures), "{failures} turns failed");
        owed.dedup();
        in_flight.dedup();
        assert_eq!((owed, in_flight), ((1..=5_000).collect(), all_in_flight()));
    }

    #[tokio::test]
    async fn m4_a_row_that_cannot_be_read_keeps_no_other_back() {
        let store = Flaky { bad: Some(TxnId(1_234)), ..flaky(2_500) };
        let mut adoption = Adoption::new(&lease());
        adoption.add(TakenOver { estates: estates(), adopted: (1..=5_000).map(TxnId).collect() });
        let (owed, mut in_flight, failures) = adopted(&store, adoption).await;
        assert_eq!(failures, 40, "it is tried for ever");
        assert_eq!(owed, (1..=5_000).filter(|id| *id != 1_234).collect::<Vec<u64>>());
        in_flight.dedup();
        assert_eq!(in_flight, all_in_flight());
    }

    #[tokio::test]
    async fn m14_a_turn_without_time_hands_no_owed_reversals_on_and_keeps_them() {
        let (inputs, mut taken) = Inputs::channel();
        let shown = Shown::default();
        let owed: Vec<TxnId> = (1..=10).map(TxnId).collect();
        let mut adoption = Adoption::new(&lease());
        adoption.add(TakenOver { estates: Vec::new(), adopted: owed.clone() });
        let hands = Hands { inputs: &inputs, shown: &shown, until: Instant::now() };
        adoption.go_on(&flaky(0), &lease(), &hands).await.expect("nothing was read");
        assert_eq!((Vec::from(adoption.owed), handed(&mut taken)), (owed, Vec::new()));
    }
}
