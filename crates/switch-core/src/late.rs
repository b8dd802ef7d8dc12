//! Approvals that match nothing in memory: looked up by number, so many a second (M9).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::{Effect, Engine, Found, Instant, IssuerAnswer, Key, Now, Read, TxnId, txn::Txn};

/// Most approvals that wait for their row at a time.
const MOST_WAITING: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct LateReads {
    waiting: BTreeMap<TxnId, Vec<IssuerAnswer>>,
    named: BTreeMap<TxnId, Vec<Key>>,
    /// Originals of which a claim that stood was released.
    freed: BTreeSet<TxnId>,
    asked: VecDeque<Instant>,
}

impl LateReads {
    /// Whether no approval waits for its row, and nothing that was freed is still to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.freed.is_empty()
    }

    /// Keeps the answer and says what to read, or drops it where too many are looked up already.
    pub(crate) fn ask(
        &mut self,
        now: Now,
        id: TxnId,
        answer: IssuerAnswer,
        most: u32,
    ) -> Option<Read> {
        while self.asked.front().is_some_and(|at| now.mono.since(*at) >= Duration::from_secs(1)) {
            self.asked.pop_front();
        }
        let room = self.asked.len() < usize::try_from(most).unwrap_or(usize::MAX)
            && self.waiting.len() < MOST_WAITING;
        if !room {
            return None;
        }
        let waiting = self.waiting.entry(id).or_default();
        waiting.push(answer);
        let first = waiting.len() == 1;
        if first {
            self.asked.push_back(now.mono);
        }
        first.then_some(Read::Id(id))
    }

    pub(crate) fn take(&mut self, id: TxnId) -> Vec<IssuerAnswer> {
        self.waiting.remove(&id).unwrap_or_default()
    }

    pub(crate) fn put_back(&mut self, id: TxnId, answers: Vec<IssuerAnswer>) {
        if !answers.is_empty() {
            self.waiting.entry(id).or_default().extend(answers);
        }
    }

    /// A claim on it that stood was released: what its terminal was promised may be owed now.
    pub(crate) fn free(&mut self, id: TxnId) -> Read {
        self.freed.insert(id);
        Read::Id(id)
    }

    pub(crate) fn freed(&mut self, id: TxnId) -> bool {
        self.freed.remove(&id)
    }

    /// A reversal names this number.
    pub(crate) fn name(&mut self, id: TxnId, key: Key) {
        self.named.entry(id).or_default().push(key);
    }

    pub(crate) fn named(&mut self, id: TxnId) -> Vec<Key> {
        self.named.remove(&id).unwrap_or_default()
    }
}

impl Engine {
    /// The original of a claim that was released was read: it is reversed, where its terminal was told so (M8).
    pub(crate) fn on_freed(&mut self, now: Now, found: Found) {
        if !found.obligation.as_ref().is_some_and(crate::Obligation::is_promised) {
            return;
        }
        let (key, id) = (found.row.key, found.row.id);
        match self.txns.get_mut(&key) {
            Some(txn) if txn.row.id == id => {
                if crate::txn::is_newer(&found.row, &txn.row)
                    && txn.pending.is_none()
                    && txn.durable
                    && !txn.looking
                {
                    txn.adopt_image(found, &mut self.core);
                }
            }
            Some(_) => {
                // another day's transaction has the identity: both cannot be in memory
                self.late.freed.insert(id);
                let at = now.mono.plus(crate::persisted::RETRY);
                return self.core.arm(at, crate::core::Timer::Stray(id));
            }
            None => {
                self.finished.remove(key);
                self.insert_txn(Txn::found(found));
            }
        }
        self.step(now, key);
    }

    /// The store did not answer: look again.
    pub(crate) fn on_stray_due(&mut self, id: TxnId) {
        if self.late.waiting.contains_key(&id) || self.late.freed.contains(&id) {
            self.core.push(Effect::Read(Read::Id(id)));
        }
    }
}
