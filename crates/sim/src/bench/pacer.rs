//! Which terminal sells when: at once in a closed loop, by the clock in an open one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::Notify;

use super::options::Pace;
use super::rates::Schedule;

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Load,
    /// No new sales; terminals clear up what they do not know.
    Healing,
}

/// Hands out sales. One thread owns it.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When the next sale is due, and those after it; only in an open loop.
    open: Option<RefCell<Dues>>,
    phase: Cell<Phase>,
    /// Sales still to be begun.
    left: Cell<u64>,
    /// Free terminals, by connection and place in it, the longest free first.
    idle: RefCell<VecDeque<(usize, usize)>>,
    /// When sales were due for which no terminal was free.
    backlog: RefCell<VecDeque<Instant>>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Dues {
    schedule: Schedule,
    start: Instant,
    next: Option<Instant>,
}

impl Dues {
    fn advance(&mut self) {
        // One that lies beyond all time never comes.
        self.next = self.schedule.next().and_then(|due| self.start.checked_add(due));
    }
}

/// What a free terminal is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turnout {
    /// Begin the sale that was due then.
    Begin(Instant),
    /// Wait: it is kept in mind.
    Listed,
    /// Nothing now.
    Nothing,
}

/// What one connection is told.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) wake: Notify,
    given: RefCell<Vec<(usize, Instant)>>,
    /// Terminals that do not know an outcome.
    pub(super) unsettled: Cell<usize>,
}

impl Pacer {
    pub(super) fn new(pace: &Pace, seed: u64, connections: usize, sales: Option<u64>) -> Self {
        let open = match pace {
            Pace::Closed => None,
            Pace::Open(rates, arrivals) => Some(RefCell::new(Dues {
                schedule: rates.schedule(*arrivals, seed),
                start: Instant::now(),
                next: None,
            })),
        };
        Self {
            open,
            phase: Cell::new(Phase::Connecting),
            left: Cell::new(sales.unwrap_or(u64::MAX)),
            idle: RefCell::default(),
            backlog: RefCell::default(),
            slots: (0..connections).map(|_| Slot::default()).collect(),
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Begins a phase; connections learn it.
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        for slot in &self.slots {
            slot.wake.notify_one();
        }
    }

    pub(super) fn slot(&self, connection: usize) -> Option<&Slot> {
        self.slots.get(connection)
    }

    pub(super) fn unsettled(&self) -> usize {
        self.slots.iter().map(|slot| slot.unsettled.get()).sum()
    }

    /// Sales that were due and not begun.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.borrow().len()
    }

    /// Whether all sales that were asked for were begun.
    pub(super) const fn is_done(&self) -> bool {
        self.left.get() == 0
    }

    /// What a terminal does that is free now and not listed.
    pub(super) fn next_for(&self, terminal: (usize, usize), now: Instant) -> Turnout {
        if self.phase.get() != Phase::Load || self.left.get() == 0 {
            return Turnout::Nothing;
        }
        let due = match self.open {
            None => now,
            Some(_) => match self.backlog.borrow_mut().pop_front() {
                Some(due) => due,
                None => {
                    self.idle.borrow_mut().push_back(terminal);
                    return Turnout::Listed;
                }
            },
        };
        self.left.set(self.left.get() - 1);
        Turnout::Begin(due)
    }

    /// A connection is gone: its terminals are not free.
    pub(super) fn forget(&self, connection: usize) {
        self.idle.borrow_mut().retain(|(of, _)| *of != connection);
        if let Some(slot) = self.slots.get(connection) {
            let given = slot.given.take();
            self.left.set(self.left.get().saturating_add(u64::try_from(given.len()).unwrap_or(0)));
            self.backlog.borrow_mut().extend(given.into_iter().map(|(_, due)| due));
        }
    }

    /// What was handed to a connection's terminals.
    pub(super) fn take(&self, connection: usize) -> Vec<(usize, Instant)> {
        self.slots.get(connection).map(|slot| slot.given.take()).unwrap_or_default()
    }

    /// The load begins: sales are due from now on.
    pub(super) fn begin(&self, start: Instant) {
        if let Some(dues) = &self.open {
            let mut dues = dues.borrow_mut();
            dues.start = start;
            dues.advance();
        }
    }

    /// Hands out what is due until now; gives back when the next sale is due, if there is one. Only in an open loop.
    pub(super) fn hand_out(&self, now: Instant) -> Option<Instant> {
        let mut dues = self.open.as_ref()?.borrow_mut();
        while let Some(due) = dues.next {
            if due > now {
                return Some(due);
            }
            if self.left.get() == 0 {
                return None;
            }
            let terminal = self.idle.borrow_mut().pop_front();
            match terminal.and_then(|(of, place)| Some((self.slots.get(of)?, place))) {
                Some((slot, place)) => {
                    self.left.set(self.left.get() - 1);
                    slot.given.borrow_mut().push((place, due));
                    slot.wake.notify_one();
                }
                None => self.backlog.borrow_mut().push_back(due),
            }
            dues.advance();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::{Arrivals, Rates};

    #[test]
    fn sales_go_to_free_terminals_and_wait_for_them() {
        let rates = Rates::constant(1000.0).expect("above 0");
        let pacer = Pacer::new(&Pace::Open(rates, Arrivals::Constant), 1, 2, Some(3));
        let start = Instant::now();
        assert_eq!(pacer.next_for((0, 0), start), Turnout::Nothing);
        pacer.set_phase(Phase::Load);
        assert_eq!(pacer.next_for((1, 4), start), Turnout::Listed);
        let later = start + Duration::from_micros(1500);
        pacer.begin(start);
        let next = pacer.hand_out(later).expect("more to come");
        assert_eq!(next, start + Duration::from_millis(2));
        assert_eq!(pacer.take(1), [(4, start)]);
        assert_eq!(pacer.backlog(), 1);
        let begin = Turnout::Begin(start + Duration::from_millis(1));
        assert_eq!(pacer.next_for((0, 0), later), begin);
        assert_eq!(pacer.next_for((0, 0), later), Turnout::Listed);
        pacer.forget(0);
        assert_eq!(pacer.hand_out(next), Some(next + Duration::from_millis(1)));
        assert_eq!((pacer.backlog(), pacer.is_done()), (1, false));
    }
}
