//! Open requests of each terminal, counted, so that a settlement asks in constant time (M11, `counter`).

use std::collections::BTreeMap;

use crate::{Engine, TerminalKey, core::Core, table::Table, txn::Txn};

/// Number of open requests by terminal; a terminal without one has no entry.
#[derive(Debug)]
pub(crate) struct OpenRequests(Table<TerminalKey, usize>);

impl OpenRequests {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Table::seeded(seed))
    }

    fn add(&mut self, terminal: TerminalKey) {
        let count = self.0.get(&terminal).copied().unwrap_or(0);
        self.0.insert(terminal, count + 1);
    }

    fn take(&mut self, terminal: TerminalKey) {
        match self.0.get_mut(&terminal) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                self.0.remove(&terminal);
            }
            None => {}
        }
    }
}

impl Txn {
    /// Brings the count of its terminal up to date. Called after each step, and wherever a transaction enters memory.
    pub(crate) fn count_open(&mut self, core: &mut Core) {
        let open = self.may_be_approved();
        if open != self.counted_open {
            self.counted_open = open;
            let terminal = self.row.key.terminal();
            if open {
                core.open.add(terminal);
            } else {
                core.open.take(terminal);
            }
        }
    }

    /// It leaves memory, or is about to enter it anew.
    pub(crate) fn uncount_open(&mut self, core: &mut Core) {
        if std::mem::take(&mut self.counted_open) {
            core.open.take(self.row.key.terminal());
        }
    }
}

impl Engine {
    /// Whether a request of this terminal has no outcome yet that its batch's totals could count: nobody asked for its
    /// reversal, and it may still be approved. Takes constant time.
    #[must_use]
    pub fn is_open(&self, terminal: TerminalKey) -> bool {
        self.core.open.0.contains_key(&terminal)
    }

    /// Whether the counts behind [`Engine::is_open`] are what a walk over all transactions in memory finds. For checkers:
    /// takes time in proportion to what is in memory.
    #[must_use]
    pub fn open_counts_are_exact(&self) -> bool {
        let mut walked: BTreeMap<TerminalKey, usize> = BTreeMap::new();
        for key in self.txns.keys_of(|txn| txn.may_be_approved()) {
            *walked.entry(key.terminal()).or_default() += 1;
        }
        let counts = &self.core.open.0;
        walked.len() == counts.len()
            && walked.iter().all(|(terminal, count)| counts.get(terminal) == Some(count))
    }
}
