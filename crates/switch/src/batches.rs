//! Every terminal's batch, in memory: a sale must not cost a read. The store is right where the two differ.
//!
//! It is loaded at the start; each second what terminals brought is written behind, and what other nodes changed is read.
//! Nothing is refused before the store was asked again.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use store::{Opening, Outage, Store, StoreError, TerminalState};
use switch_core::{Day, Instant, TerminalKey};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock;

/// What is known of a terminal.
#[derive(Debug, Default)]
struct Known {
    seq: u64,
    batch: Option<u32>,
    closed: Vec<(u32, Day)>,
    /// By file, the version that it has whole.
    fetched: BTreeMap<String, String>,
    /// The batch was brought and is not in the store yet.
    unwritten: bool,
    /// It is being settled: nothing new belongs to its batch.
    settling: bool,
    /// Nobody knows what the store did for it last: it must be asked.
    doubtful: bool,
    /// When the store was last asked again.
    looked: Option<Instant>,
}

impl Known {
    fn is_closed(&self, batch: u32) -> bool {
        self.closed.iter().any(|(number, _)| *number == batch)
    }

    /// None where it may become the terminal's batch.
    fn verdict(&self, batch: u32) -> Option<Verdict> {
        if self.settling {
            return Some(Verdict::Differs);
        }
        if self.doubtful {
            return Some(Verdict::Look);
        }
        if self.batch == Some(batch) {
            return Some(Verdict::Same);
        }
        if self.batch.is_none() && !self.is_closed(batch) {
            return None;
        }
        let lately = self.looked.is_some_and(|looked| clock::mono().since(looked) < LOOK_AGAIN);
        Some(if lately { Verdict::Differs } else { Verdict::Look })
    }
}

/// Whether a request belongs to its terminal's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does, or its terminal brought the batch with it.
    Same,
    /// It seems not to: the store must be asked again.
    Look,
    /// It does not: 77.
    Differs,
}

/// The store is asked again about one terminal no more often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Terminals that are remembered; the batches of further ones are not checked.
const MOST_KNOWN: usize = 1_000_000;
/// Parts of the table, each behind a lock of its own.
const SHARDS: usize = 16;
/// Terminals read at once at the start.
const PAGE: u32 = 10_000;

type Shard = RwLock<HashMap<TerminalKey, Known>>;

/// What every connection and the counter share.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    shards: [Shard; SHARDS],
    known: AtomicUsize,
    /// Brought by terminals, for the store.
    brought: Mutex<Vec<Opening>>,
}

impl Batches {
    fn shard(&self, terminal: TerminalKey) -> &Shard {
        let [.., last] = terminal.0;
        let [first, ..] = &self.shards;
        self.shards.get(usize::from(last) % SHARDS).unwrap_or(first)
    }

    /// Whether a request with this batch belongs to its terminal. A batch of a terminal without a known one becomes its
    /// own; `opening` tells the store of it.
    pub(crate) fn check(
        &self,
        terminal: TerminalKey,
        batch: u32,
        opening: impl FnOnce() -> Opening,
    ) -> Verdict {
        let shard = self.shard(terminal);
        {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = shard.get(&terminal)
                && let Some(verdict) = known.verdict(batch)
            {
                return verdict;
            }
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if !shard.contains_key(&terminal) {
            if self.known.load(Ordering::Relaxed) >= MOST_KNOWN {
                return Verdict::Same;
            }
            self.known.fetch_add(1, Ordering::Relaxed);
        }
        let known = shard.entry(terminal).or_default();
        if let Some(verdict) = known.verdict(batch) {
            return verdict;
        }
        known.batch = Some(batch);
        known.unwritten = true;
        self.brought.lock().unwrap_or_else(PoisonError::into_inner).push(opening());
        Verdict::Same
    }

    /// Whether this batch is known to be closed, within the horizon: a copy or a reversal of a transaction in it comes too
    /// late. Another node's settlement is known a second later.
    pub(crate) fn is_closed(&self, terminal: TerminalKey, batch: u32) -> bool {
        self.with(terminal, |known| known.is_closed(batch)).unwrap_or_default()
    }

    fn with<T>(&self, terminal: TerminalKey, look: impl FnOnce(&Known) -> T) -> Option<T> {
        let shard = self.shard(terminal).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&terminal).map(look)
    }

    /// Whether the version that the terminal has of a file differs from this one; none where it has none.
    pub(crate) fn is_stale(
        &self,
        terminal: TerminalKey,
        file: &str,
        version: &str,
    ) -> Option<bool> {
        self.with(terminal, |known| known.fetched.get(file).map(|has| has != version)).flatten()
    }

    /// From now on nothing new belongs to the terminal's batch, or again.
    pub(crate) fn settling(&self, terminal: TerminalKey, settling: bool) {
        let mut shard = self.shard(terminal).write().unwrap_or_else(PoisonError::into_inner);
        if settling && !shard.contains_key(&terminal) {
            // One more than there should be at most does no harm: it must be known for as long as this takes.
            self.known.fetch_add(1, Ordering::Relaxed);
            shard.insert(terminal, Known::default());
        }
        if let Some(known) = shard.get_mut(&terminal) {
            known.settling = settling;
        }
    }

    /// The store failed in something of this terminal's: it is asked before anything else is believed.
    pub(crate) fn doubt(&self, terminal: TerminalKey) {
        let mut shard = self.shard(terminal).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.get_mut(&terminal) {
            known.doubtful = true;
        }
    }

    /// Takes what the store says, unless something newer is known.
    fn apply(&self, state: TerminalState) {
        let mut shard = self.shard(state.terminal).write().unwrap_or_else(PoisonError::into_inner);
        if !shard.contains_key(&state.terminal) {
            if self.known.load(Ordering::Relaxed) >= MOST_KNOWN {
                return;
            }
            self.known.fetch_add(1, Ordering::Relaxed);
        }
        let known = shard.entry(state.terminal).or_default();
        if state.seq < known.seq {
            return;
        }
        known.doubtful = false;
        known.seq = state.seq;
        known.closed = state.closed;
        let whole = |fetched: store::Fetched| Some((fetched.file, fetched.version?));
        known.fetched = state.fetched.into_iter().filter_map(whole).collect();
        // What it brought is still on its way to the store, unless it is closed there.
        let brought = known.batch.filter(|batch| known.unwritten && !known.is_closed(*batch));
        if state.batch.is_some() || brought.is_none() {
            known.batch = state.batch;
            known.unwritten = false;
        }
    }

    /// Reads a terminal again.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn look(
        &self,
        store: &Store,
        terminal: TerminalKey,
    ) -> Result<(), StoreError> {
        if let Some(state) = store.terminal(terminal).await? {
            self.apply(state);
        }
        let mut shard = self.shard(terminal).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.get_mut(&terminal) {
            known.looked = Some(clock::mono());
            known.doubtful = false;
        }
        Ok(())
    }

    /// Reads all terminals: before ports accept.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn load(&self, store: &Store) -> Result<u64, StoreError> {
        let (mut after, mut newest) = (None, 0);
        loop {
            let page = store.terminals(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(newest) };
            after = Some(last.terminal);
            for state in page {
                newest = newest.max(state.seq);
                self.apply(state);
            }
        }
    }

    /// Tells the store of batches that terminals brought. What it does not take is told again.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let openings = {
            let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *brought)
        };
        if openings.is_empty() {
            return Ok(());
        }
        let done = store.open_batches(&openings).await;
        if done.is_err() {
            self.brought.lock().unwrap_or_else(PoisonError::into_inner).extend(openings);
        } else {
            for opening in openings {
                let shard = self.shard(opening.place.terminal);
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                if let Some(known) = shard.get_mut(&opening.place.terminal) {
                    known.unwritten &= known.batch != Some(opening.number);
                }
            }
        }
        done
    }

    /// Takes what changed after `seq`; gives the newest change.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn read(&self, store: &Store, seq: u64) -> Result<u64, StoreError> {
        let mut newest = seq;
        for state in store.terminals_changed(seq).await? {
            newest = newest.max(state.seq);
            self.apply(state);
        }
        Ok(newest)
    }
}

/// What other nodes change may be committed in another order than it is numbered: so long it is read again.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// At the start nobody knows which number was the newest some seconds ago: so many are read again instead.
const NUMBERS_AGAIN: u64 = 10_000;

/// From which number on changes are read: the one that was the newest [`READ_AGAIN`] ago. A change that took a lower number
/// and was committed after that of a higher one is seen if that was not longer ago.
#[derive(Debug)]
struct LookBack(VecDeque<(Instant, u64)>);

impl LookBack {
    /// All up to `newest` was read now.
    fn new(now: Instant, newest: u64) -> Self {
        Self([(now, newest.saturating_sub(NUMBERS_AGAIN))].into())
    }

    fn from(&mut self, now: Instant) -> u64 {
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= READ_AGAIN) {
            self.0.pop_front();
        }
        self.0.front().map_or(0, |(_, seq)| *seq)
    }

    /// At `now`, before it was read, `newest` was the newest.
    fn read(&mut self, now: Instant, newest: u64) {
        self.0.push_back((now, newest));
    }
}

/// Writes behind and reads what changed, each second, until the node ends; `newest` is what was loaded. A call to the store
/// that was begun is finished.
pub(crate) async fn keep(
    batches: Arc<Batches>,
    store: Store,
    newest: u64,
    ending: CancellationToken,
) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look_back = LookBack::new(clock::mono(), newest);
    let outage = Outage::new("batches");
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = ending.cancelled() => true,
        };
        let written = batches.write(&store).await;
        if let Err(error) = &written {
            outage.failed("terminals' batches could not be written", error);
        }
        if last {
            return;
        }
        // Nobody else writes to an embedded database.
        if matches!(&store, Store::Postgres(_)) {
            let now = clock::mono();
            match batches.read(&store, look_back.from(now)).await {
                Ok(newest) => look_back.read(now, newest),
                Err(error) => {
                    outage.failed("changes of terminals could not be read", &error);
                    continue;
                }
            }
        }
        if written.is_ok() {
            outage.over();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use store::Place;
    use switch_core::Wall;

    use super::*;

    const TERMINAL: TerminalKey = TerminalKey([7; 8]);

    fn check(batches: &Batches, batch: u32) -> Verdict {
        batches.check(TERMINAL, batch, || Opening {
            place: Place {
                terminal: TERMINAL,
                domain: String::new(),
                merchant: Bytes::new(),
                name: Bytes::new(),
                listener: "pos".into(),
            },
            number: batch,
            at: Wall(0),
        })
    }

    fn state(seq: u64, batch: Option<u32>, closed: &[u32]) -> TerminalState {
        let closed = closed.iter().map(|number| (*number, Day(1))).collect();
        TerminalState { terminal: TERMINAL, seq, batch, closed, fetched: Vec::new() }
    }

    #[test]
    fn a_terminal_brings_its_batch_once() {
        let batches = Batches::default();
        assert_eq!(check(&batches, 5), Verdict::Same);
        assert_eq!(check(&batches, 5), Verdict::Same);
        assert_eq!(check(&batches, 6), Verdict::Look);
        assert_eq!(batches.brought.lock().expect("no panic").len(), 1);
        // A change of something else does not forget it; another batch in the store is right.
        batches.apply(state(1, None, &[]));
        assert_eq!(check(&batches, 5), Verdict::Same);
        batches.apply(state(2, Some(6), &[]));
        assert_eq!((check(&batches, 5), check(&batches, 6)), (Verdict::Look, Verdict::Same));
        batches.apply(state(1, Some(5), &[]));
        assert_eq!(check(&batches, 6), Verdict::Same, "what is older says nothing");
    }

    #[test]
    fn a_closed_batch_takes_nothing_and_the_next_does() {
        let batches = Batches::default();
        batches.settling(TERMINAL, true);
        assert_eq!(check(&batches, 5), Verdict::Differs, "not heard of here, and settled");
        batches.settling(TERMINAL, false);
        assert_eq!(check(&batches, 5), Verdict::Same);
        batches.settling(TERMINAL, true);
        assert_eq!(check(&batches, 5), Verdict::Differs);
        batches.settling(TERMINAL, false);
        batches.doubt(TERMINAL);
        assert_eq!(check(&batches, 5), Verdict::Look, "it may be closed");
        batches.apply(state(3, None, &[5]));
        assert_eq!(check(&batches, 5), Verdict::Look);
        assert_eq!(check(&batches, 6), Verdict::Same);
        batches.apply(state(4, Some(6), &[5]));
        assert_eq!(check(&batches, 5), Verdict::Look);
    }

    #[test]
    fn a_change_committed_late_under_a_lower_number_is_read() {
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        let mut look_back = LookBack::new(at(0), 50_000);
        for second in 1..=5 {
            let from = look_back.from(at(second));
            assert!(from < 49_999, "committed after the start, numbered before it: {from}");
            look_back.read(at(second), 50_000 + second);
        }
        // At second 7 number 50 006 is committed, while 50 007 was read before.
        look_back.read(at(6), 50_007);
        for second in 7..=10 {
            assert!(look_back.from(at(second)) < 50_006, "{second}");
            look_back.read(at(second), 50_007);
        }
        assert_eq!(look_back.from(at(12)), 50_007, "and it is read no longer than that");
    }

    #[tokio::test]
    async fn what_one_node_does_another_learns() {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", dir.path().join("x.db").display());
        let store = Store::open(&store::StoreConfig::new(url)).await.expect("opened");
        store.migrate().await.expect("migrated");
        store.lease("a", "here", clock::now().wall).await.expect("free");
        let (one, other) = (Batches::default(), Batches::default());
        assert_eq!(check(&one, 5), Verdict::Same);
        one.write(&store).await.expect("written");
        one.write(&store).await.expect("nothing to do");
        assert_eq!(other.load(&store).await.expect("read"), 1);
        assert_eq!(check(&other, 6), Verdict::Look);
        let place = Place {
            terminal: TERMINAL,
            domain: String::new(),
            merchant: Bytes::new(),
            name: Bytes::new(),
            listener: "pos".into(),
        };
        let (asked, at) = (store::Totals::default(), clock::now().wall);
        let settlement = store::Settlement { place, number: 5, stan: 1, asked, at };
        store.settle(&settlement, &store::Rules::default()).await.expect("settled");
        assert_eq!(check(&other, 5), Verdict::Same, "not heard of yet");
        assert!(other.read(&store, 1).await.expect("read") > 1);
        assert_eq!(check(&other, 5), Verdict::Look);
        // The store was asked just now: it is not asked again at once.
        other.look(&store, TERMINAL).await.expect("read");
        assert_eq!((check(&other, 5), check(&other, 6)), (Verdict::Differs, Verdict::Same));
        assert!(other.is_closed(TERMINAL, 5) && !other.is_closed(TERMINAL, 6));
    }
}
