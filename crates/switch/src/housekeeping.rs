//! What a node does beside transactions: its beat, numbers, recovery, and the care of nodes that fell silent.

use std::{sync::Arc, time::Duration};

use store::{Estate, Lease, SilenceTracker, Store, StoreError};
use switch_core::{Epoch, Event, Found, NodeNo, TxnId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    driver::{Shown, lowest_open},
    input::{Input, Inputs},
};

/// Numbers drawn at once.
const BLOCK: u32 = 10_000;
/// Rows read at once in a recovery.
const CHUNK: u32 = 2_000;
/// What a recovery writes should not fill the store's room, or new work would be shed for it (M16): after each chunk it waits
/// until no more than a chunk is under way, but for an estate no longer than this, since meanwhile the node is not there.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// So much of each second the adoption of a dead node's reversals may take: beats must go on.
const ADOPTION_TURN: Duration = Duration::from_millis(500);

/// How this process is named to another that asks for its node.
pub(crate) fn process() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.as_deref().map_or("this host", str::trim);
    format!("{host}, process {}", std::process::id())
}

/// Draws a block of numbers whenever the engine asks, until the driver ends. `first` is told of the first.
pub(crate) async fn draw_numbers(
    store: Store,
    mut draws: mpsc::UnboundedReceiver<()>,
    inputs: Inputs,
    first: oneshot::Sender<()>,
) {
    let mut first = Some(first);
    while draws.recv().await.is_some() {
        match store.draw_numbers(BLOCK).await {
            Ok(block) => {
                inputs.event(Event::Numbers(block));
                if let Some(first) = first.take() {
                    let _ = first.send(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no numbers could be drawn");
                inputs.event(Event::NumbersFailed);
            }
        }
    }
}

/// Hands an estate to the engine (M14): reversals owed first, then what was in flight.
///
/// # Errors
/// The store failed; recovering again changes nothing more.
pub(crate) async fn recover(
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

/// Where the rows of an estate are read.
trait Rows {
    /// The transactions of these obligations that are still owed.
    async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError>;
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
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let last = found.last().map(|found| found.row.id)?;
        let more = found.len() >= chunk;
        for found in found {
            self.inputs.event(Event::Recovered(Box::new(found)));
        }
        // The driver takes what it was given, and shows what became of it, at the end of a round.
        while Instant::now() < self.until {
            sleep(Duration::from_millis(2)).await;
            if self.shown.gauges().records_under_way <= chunk {
                break;
            }
        }
        more.then_some(last)
    }
}

/// What was taken over from dead nodes and not yet handed to the engine. It is this node's already, so it is kept, and tried
/// again, until the engine has it (M4, M14).
#[derive(Debug, Default)]
struct Adoption {
    owed: Vec<TxnId>,
    estates: Vec<Estate>,
}

impl Adoption {
    /// Hands on what was taken over, as much as fits into a turn; the rest, and what failed, comes with the next beat.
    async fn go_on(&mut self, store: &impl Rows, hands: &Hands<'_>) -> Result<(), StoreError> {
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        while !self.owed.is_empty() && Instant::now() < hands.until {
            let part = self.owed.len().min(chunk);
            hands.over(store.read_owed(&self.owed[..part]).await?).await;
            self.owed.drain(..part);
        }
        while let Some(estate) = self.estates.last().copied() {
            let in_flight = recover_in_flight(store, estate, hands).await?;
            tracing::info!(node = estate.node.0, in_flight, "recovered");
            self.estates.pop();
        }
        Ok(())
    }
}

/// How often days are looked after.
const DAYS_EVERY: u32 = 5;

/// Keeps the node's place: a beat a second, the care of nodes that fell silent, and of business days.
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) inputs: Inputs,
    pub(crate) shown: Arc<Shown>,
}

impl Keeper {
    /// Runs until the node ends. A step that was begun is finished: no store call is ever cancelled.
    pub(crate) async fn run(self, ending: CancellationToken) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tracker = SilenceTracker::new(self.lease.node);
        let mut adoption = Adoption::default();
        let mut tick = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ending.cancelled() => return,
            }
            match self.beat(&mut tracker, &mut adoption).await {
                Ok(()) => {}
                // A lease that seems taken may be our own last connection, not dead yet: the fence decides.
                Err(error @ StoreError::Fenced { .. }) => {
                    return self.inputs.send(Input::Fenced(error));
                }
                Err(error) => tracing::warn!(%error, "the node's beat failed"),
            }
            tick = tick.wrapping_add(1);
            if tick.is_multiple_of(DAYS_EVERY)
                && let Err(error) = keep_days(&self.store).await
            {
                tracing::warn!(%error, "business days could not be looked after");
            }
        }
    }

    async fn beat(
        &self,
        tracker: &mut SilenceTracker,
        adoption: &mut Adoption,
    ) -> Result<(), StoreError> {
        self.store.beat(&self.lease, lowest_open(&self.shown)).await?;
        let beats = self.store.beats().await?;
        for (node, seen) in tracker.observe(clock::mono(), &beats) {
            self.take_over(node, seen, adoption).await?;
        }
        let until = Instant::now() + ADOPTION_TURN;
        let hands = Hands { inputs: &self.inputs, shown: &self.shown, until };
        adoption.go_on(&self.store, &hands).await
    }

    /// M14: a dead node's intents are timed out here, after its epoch was raised, and its reversals are sent from here.
    async fn take_over(
        &self,
        node: NodeNo,
        seen: Epoch,
        adoption: &mut Adoption,
    ) -> Result<(), StoreError> {
        let Some(taken) = self.store.take_over(&self.lease, node, seen).await? else {
            return Ok(());
        };
        let owed = taken.adopted.len();
        tracing::warn!(node = node.0, owed, "a silent node is taken over");
        adoption.owed.extend(taken.adopted);
        adoption.estates.extend(taken.estates);
        Ok(())
    }
}

/// One step of looking after business days.
///
/// # Errors
/// The store failed; the next step tries again.
pub(crate) async fn keep_days(store: &Store) -> Result<(), StoreError> {
    let kept = store.keep_days(clock::now().wall).await?;
    if let Some(day) = kept.cut_over_to {
        tracing::info!(day = day.0, "the business day was cut over");
    }
    if kept.delivery_unknown > 0 {
        tracing::warn!(
            cases = kept.delivery_unknown,
            "approvals of the ended day whose delivery stayed unknown"
        );
    }
    for day in &kept.dropped {
        tracing::info!(day = day.0, "an old business day was dropped");
    }
    for day in &kept.held {
        tracing::debug!(day = day.0, "an old business day has something open and is kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use switch_core::Row;

    use super::*;
    use crate::fixtures::Fixtures;

    /// Rows of which each third read fails.
    struct Flaky {
        row: Row,
        reads: AtomicUsize,
        in_flight: u64,
    }

    impl Flaky {
        fn rows(&self, ids: impl Iterator<Item = TxnId>) -> Result<Vec<Found>, StoreError> {
            if self.reads.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                return Err(StoreError::NoDay);
            }
            let found = |id| {
                let mut row = self.row.clone();
                row.fixed_mut().id = id;
                Found { row, obligation: None, within_horizon: true }
            };
            Ok(ids.map(found).collect())
        }
    }

    impl Rows for Flaky {
        async fn read_owed(&self, ids: &[TxnId]) -> Result<Vec<Found>, StoreError> {
            self.rows(ids.iter().copied())
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

    #[tokio::test]
    async fn m14_reads_that_fail_during_a_take_over_lose_nothing() {
        let row = Fixtures::new().row(&Fixtures::issuer("iso87-ascii"));
        let store = Flaky { row, reads: AtomicUsize::new(0), in_flight: 2_500 };
        let (inputs, mut taken) = Inputs::channel();
        let shown = Shown::default();
        let mut adoption = Adoption {
            owed: (1..=5_000).map(TxnId).collect(),
            estates: [2, 3].map(|node| Estate { node: NodeNo(node), below: Epoch(9) }).to_vec(),
        };
        let (mut owed, mut in_flight, mut failures) = (Vec::new(), Vec::new(), 0);
        while !(adoption.owed.is_empty() && adoption.estates.is_empty()) {
            let until = Instant::now() + ADOPTION_TURN;
            let hands = Hands { inputs: &inputs, shown: &shown, until };
            failures += usize::from(adoption.go_on(&store, &hands).await.is_err());
            assert!(failures < 100, "it does not get on");
            let (high, low) = handed(&mut taken).into_iter().partition(|id| *id > 5_000);
            in_flight.extend::<Vec<u64>>(high);
            owed.extend::<Vec<u64>>(low);
        }
        assert!(failures >= 3, "only {failures} reads failed");
        assert_eq!(owed, (1..=5_000).collect::<Vec<u64>>(), "each once, in order");
        // Those of an estate may come again: recovering twice changes nothing more.
        in_flight.sort_unstable();
        in_flight.dedup();
        let all = (2_000_000..2_002_500).chain(3_000_000..3_002_500);
        assert_eq!(in_flight, all.collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn m14_a_turn_without_time_hands_no_owed_reversals_on_and_keeps_them() {
        let row = Fixtures::new().row(&Fixtures::issuer("iso87-ascii"));
        let store = Flaky { row, reads: AtomicUsize::new(0), in_flight: 0 };
        let (inputs, mut taken) = Inputs::channel();
        let shown = Shown::default();
        let owed: Vec<TxnId> = (1..=10).map(TxnId).collect();
        let mut adoption = Adoption { owed: owed.clone(), estates: Vec::new() };
        let hands = Hands { inputs: &inputs, shown: &shown, until: Instant::now() };
        adoption.go_on(&store, &hands).await.expect("nothing was read");
        assert_eq!((adoption.owed, handed(&mut taken)), (owed, Vec::new()));
    }
}
