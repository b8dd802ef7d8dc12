//! Whether an approval reached its terminal (M10), and who stops waiting (M2).

use std::time::Duration;

use crate::{
    AskId, Change, Engine, Key, NoteKind, Notice, Now, ObligationCause, ObligationStatus,
    ObligationWrite,
    core::{Core, Timer},
    txn::{Conclusion, Txn},
};

impl Engine {
    /// A connection took the approval, or certainly did not.
    pub(crate) fn on_reply(&mut self, now: Now, key: Key, taken: bool) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        txn.delivery.offered = txn.delivery.offered.saturating_sub(1);
        txn.delivery.taken |= taken;
        txn.delivery.missed |= !taken;
        self.step(now, key);
    }

    /// A connection ended before it was answered.
    pub(crate) fn on_terminal_gone(&mut self, now: Now, ask: AskId, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let before = txn.askers.len();
        txn.askers.retain(|asker| asker.asked.ask != ask);
        txn.delivery.missed |= txn.askers.len() < before;
        txn.reversers.retain(|waits| waits.asked.ask != ask);
        txn.arm_askers(&mut self.core);
        self.step(now, key);
    }

    /// `response_deadline` has passed for the earliest of those who wait: they stay without an answer (M2).
    pub(crate) fn on_askers_due(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let core = &mut self.core;
        let delivery = &mut txn.delivery;
        txn.askers.retain(|asker| {
            let waits = asker.asked.deadline > now.mono;
            if !waits {
                core.silent(asker.asked.ask);
                delivery.missed = true;
            }
            waits
        });
        txn.reversers.retain(|reverser| {
            let waits = reverser.asked.deadline > now.mono;
            if !waits {
                core.silent(reverser.asked.ask);
            }
            waits
        });
        txn.arm_askers(core);
        txn.give_up_unwritten(now);
        self.step(now, key);
    }

    /// The grace time of an undelivered approval is over.
    pub(crate) fn on_grace_due(&mut self, now: Now, key: Key) {
        if let Some(txn) = self.txns.get_mut(&key) {
            txn.grace_timer = None;
        }
        self.step(now, key);
    }
}

impl Txn {
    /// An approval that could not be made durable by the deadline of its answer is not given: it goes on as on silence
    /// (M2, M3).
    pub(crate) fn give_up_unwritten(&mut self, now: Now) {
        let over = self.answer_by.is_some_and(|deadline| deadline <= now.mono);
        let unwritten =
            self.pending.is_none() && self.row.state.is_in_flight() && self.askers.is_empty();
        let given_up = over && unwritten && !self.is_delivered();
        if given_up && matches!(self.conclusion, Some(Conclusion::Approved(_))) {
            self.conclusion = Some(Conclusion::Silent(None));
            self.late += 1;
        }
    }

    /// Certainly nobody who asked for it took it, and nobody can take it any more (M10).
    pub(crate) const fn is_undelivered(&self) -> bool {
        let delivery = &self.delivery;
        self.ours
            && delivery.all_known
            && delivery.missed
            && !delivery.taken
            && delivery.offered == 0
    }

    /// Marks it: reversed after the grace time, unless the terminal comes back for it.
    pub(crate) fn record_mark(&mut self, now: Now, core: &mut Core) {
        if !self.is_reversed() {
            self.delivery.missed = false;
            return;
        }
        core.notice(Notice::Undelivered);
        let obligation = ObligationWrite {
            status: ObligationStatus::Marked,
            cause: ObligationCause::Undelivered,
            at: now.wall,
            due: now.wall.plus(self.grace),
            said: None,
        };
        let note = self.note(now, NoteKind::Undelivered, "");
        let row = self.next_image(core, |_| {});
        self.record(
            now,
            Change { row, obligation: Some(obligation), note: Some(note), case: None, claim: None },
            core,
        );
    }

    /// A mark of an earlier life becomes ours (M14).
    pub(crate) fn record_adopted_mark(&mut self, now: Now, core: &mut Core) {
        let Some(mark) = &self.obligation else { return };
        let obligation = ObligationWrite {
            status: ObligationStatus::Marked,
            cause: mark.cause,
            at: now.wall,
            due: mark.due,
            said: None,
        };
        let row = self.next_image(core, |_| {});
        self.record(
            now,
            Change { row, obligation: Some(obligation), note: None, case: None, claim: None },
            core,
        );
    }

    /// The mark is durable: its grace time runs.
    pub(crate) fn marked(&mut self, now: Now, core: &mut Core) {
        self.adopt = false;
        self.ours = true;
        // of a node whose clock was ahead: never longer than it was to be
        let wait = self.obligation.as_ref().map_or(Duration::ZERO, |mark| {
            mark.due.since(now.wall).min(mark.due.since(mark.opened))
        });
        let at = now.mono.plus(wait);
        core.disarm(self.grace_timer, Timer::Grace(self.row.key));
        core.arm(at, Timer::Grace(self.row.key));
        self.grace_timer = Some(at);
    }

    /// A repeat cleared the mark.
    pub(crate) fn unmarked(&mut self, core: &mut Core) {
        core.disarm(self.grace_timer.take(), Timer::Grace(self.row.key));
    }
}
