//! What a transaction does next, once nothing of it is under way: at most one record at a time.

use iso8583::Cause;

use crate::{
    Case, CaseKind, Change, Note, NoteKind, Now, ObligationCause, ObligationStatus,
    ObligationWrite, Progress, Record, Row, RowState,
    admit::may_repeat,
    bug::Bug,
    core::Core,
    effect::{Effect, Reply},
    txn::{Sending, Txn},
};

impl Txn {
    /// Looks at what is true and does the next thing. Safe to call at any time.
    pub(crate) fn settle(&mut self, now: Now, core: &mut Core) {
        if self.pending.is_some() || self.looking || !self.durable || self.retry_at.is_some() {
            return;
        }
        match self.row.state {
            RowState::InFlight => self.settle_in_flight(now, core),
            RowState::InFlightReversalAsked => self.settle_reversal_asked(now, core),
            RowState::Approved => self.settle_approved(now, core),
            RowState::Accepted | RowState::Disputed => self.settle_accepted(now, core),
            RowState::Declined
            | RowState::NeverSent
            | RowState::TimedOut
            | RowState::Undone
            | RowState::ReversedBeforeArrival => self.settle_refused(now, core),
        }
    }

    fn settle_in_flight(&mut self, now: Now, core: &mut Core) {
        if !self.ours {
            core.follow(now, self.row.key);
        }
        if self.ours && self.conclusion.is_some() {
            return self.record_conclusion(now, core);
        }
        self.refuse_other_amounts(now, core);
        if !self.reversers.is_empty() {
            // M8: at any node
            let row = self.next_image(core, |row| row.state = RowState::InFlightReversalAsked);
            let note = self.note(now, NoteKind::ReversalAsked, "");
            let change =
                Change { row, obligation: None, note: Some(note), case: None, claim: None };
            self.record(now, change, core);
        }
    }

    fn settle_reversal_asked(&mut self, now: Now, core: &mut Core) {
        self.answer_reversers(now, core);
        self.answer_askers(now, core);
        if self.ours && self.conclusion.is_some() {
            self.record_conclusion(now, core);
        }
    }

    fn settle_approved(&mut self, now: Now, core: &mut Core) {
        // an approval that stands is the committed outcome: nothing is late
        self.late = 0;
        self.refuse_other_amounts(now, core);
        self.refuse_settled(now, core);
        if !core.has(Bug::ReversedUnderClaim) && !self.answer_claimed(now, core) {
            return;
        }
        let free = self.row.claiming.is_none() && self.row.claimed == 0;
        if !self.reversers.is_empty() || (self.is_promised() && free) {
            return self.undo(now, ObligationCause::Asked, NoteKind::ReversalAsked, core);
        }
        self.refuse_strangers(now, core);
        if self.is_promised() {
            return self.answer_as_reversed(core);
        }
        if self.is_marked() && self.askers.iter().any(|asker| asker.other_batch) {
            // the totals of its batch are agreed without it: it is undone, and not given again (M10)
            return self.undo(now, ObligationCause::Undelivered, NoteKind::Undelivered, core);
        }
        if !self.askers.is_empty() && core.has(Bug::CopyFromMemory) {
            let commit = crate::Commit { day: self.row.day, since: now.mono };
            return self.give_approval(now, commit, core);
        }
        if !self.askers.is_empty() {
            return self.record_copy(now, core);
        }
        if self.adopt && self.is_marked() {
            return self.record_adopted_mark(now, core);
        }
        if self.is_marked() {
            if self.ours && self.grace_timer.is_none() && self.delivery.offered == 0 {
                self.undo(now, ObligationCause::Undelivered, NoteKind::Undelivered, core);
            }
        } else if self.row.claiming.is_none()
            && self.row.claimed == 0
            && self.is_undelivered()
            && !core.has(Bug::UndeliveredIgnored)
        {
            self.record_mark(now, core);
        }
    }

    fn settle_refused(&mut self, now: Now, core: &mut Core) {
        if self.is_owed_when_asked(core) {
            self.refuse_other_amounts(now, core);
            if !self.reversers.is_empty() {
                // M8: its code did not say that nothing was posted
                return self.owe_declined(now, core);
            }
        }
        self.answer_reversers(now, core);
        self.answer_askers(now, core);
        if self.adopt {
            return self.record_progress(now, core);
        }
        if self.late > 0 && self.is_reversed() && self.row.issuer.is_some() {
            if !self.owes(core) {
                return self.record_late_approval(now, core);
            }
            self.cover_late_approval(now, core);
        }
        self.late = 0;
        if !self.takes_up_duty(now, core) {
            return;
        }
        if self.duty.confirmed.is_some() {
            let denied = self.duty.denied;
            let status =
                if denied { ObligationStatus::Denied } else { ObligationStatus::Confirmed };
            self.record_release(now, status, core);
        } else if self.duty.withdraw
            && (!self.duty.written_once || core.has(Bug::WithdrawnAfterWrite))
            && self.duty.sending != Sending::Handed
        {
            self.record_release(now, ObligationStatus::Withdrawn, core);
        } else {
            self.record_duty(now, core);
        }
    }

    /// Whether this life has something to send for it; what an earlier life of this node owed is adopted first (M14).
    pub(crate) fn takes_up_duty(&mut self, now: Now, core: &mut Core) -> bool {
        if !self.owes(core) {
            return false;
        }
        if self.duty.proof.is_none() {
            self.adopt = true;
            self.record_progress(now, core);
            return false;
        }
        true
    }

    /// Writes down what its sending came to: a case before its attempts.
    pub(crate) fn record_duty(&mut self, now: Now, core: &mut Core) {
        if std::mem::take(&mut self.duty.case) {
            self.record_case(now, core);
        } else if std::mem::take(&mut self.duty.progress) {
            self.record_progress(now, core);
        }
    }

    /// What it owes goes on without end, or cannot go on: a person must look.
    pub(crate) fn record_case(&mut self, now: Now, core: &mut Core) {
        // a node of the version before reads no newer kind
        let unwritable = self.duty.unwritable && core.reads_new;
        let parked = self.duty.parked || self.duty.unwritable;
        let kind = match (unwritable, parked, self.is_delivered()) {
            (true, true | false, true | false) => CaseKind::CannotBeSent,
            (false, true, true) => CaseKind::AdviceUnanswered,
            (false, true, false) => CaseKind::ReversalUnanswered,
            (false, false, true | false) => CaseKind::IssuerGone,
        };
        let case = Case { id: self.row.id, kind, at: now.wall };
        core.notice(crate::Notice::CaseOpened { id: case.id, kind });
        let row = self.next_image(core, |_| {});
        let change = Change { row, obligation: None, note: None, case: Some(case), claim: None };
        self.record(now, change, core);
    }

    /// M11: a reversal of what was claimed since. All of it is taken: nothing is owed, and it is remembered that it will be,
    /// should the claim be released. A part is taken: it is too late for a reversal. False while that cannot be said: it
    /// waits for the end of a claim that is open, or of a part that is to be released, and for a look at the row.
    fn answer_claimed(&mut self, now: Now, core: &mut Core) -> bool {
        if !self.waits_for_claim() {
            return true;
        }
        let all = self.row.left() <= 0;
        let open = self.row.claiming.is_some() || (self.claim_undone && !all);
        if open || self.reversers.iter().any(|waits| !waits.read) {
            core.follow(now, self.row.key);
            return false;
        }
        if all && !self.is_promised() {
            self.promise(now, core);
            return false;
        }
        for waits in std::mem::take(&mut self.reversers) {
            if all {
                let reply = Reply::Done(Some(self.row.id));
                core.push(Effect::Reply { ask: waits.asked.ask, reply });
            } else {
                core.refuse(now, &waits.asked, self.row.key, Cause::OriginalNotFound);
            }
        }
        self.arm_askers(core);
        true
    }

    /// M8: declined by a code that is not surely a refusal, and no reversal was ever owed.
    fn is_owed_when_asked(&self, core: &Core) -> bool {
        self.row.state == RowState::Declined
            && self.is_reversed()
            && self.row.issuer.is_some()
            && self.obligation.is_none()
            && !core.is_refusal(&self.row)
            && !core.has(Bug::OpenDeclineForgotten)
    }

    /// The row stays declined, as its terminal was told; its reversal is owed from now on.
    fn owe_declined(&mut self, now: Now, core: &mut Core) {
        let row = self.next_image(core, |_| {});
        let obligation = self.owed(now, ObligationCause::Asked);
        let note = Some(self.note(now, NoteKind::ReversalAsked, ""));
        self.record(now, Change { row, obligation, note, case: None, claim: None }, core);
    }

    /// Its reversal is owed once nothing claims it: that is durable before it is answered (M4).
    fn promise(&mut self, now: Now, core: &mut Core) {
        let row = self.next_image(core, |_| {});
        let obligation = Some(ObligationWrite {
            status: ObligationStatus::Cleared,
            cause: ObligationCause::Asked,
            at: now.wall,
            due: now.wall,
            said: None,
        });
        let note = Some(self.note(now, NoteKind::ReversalAsked, ""));
        self.record(now, Change { row, obligation, note, case: None, claim: None }, core);
    }

    /// M6: copies of what its terminal was told is reversed.
    fn answer_as_reversed(&mut self, core: &mut Core) {
        let row = Row { state: RowState::Undone, cause: Cause::NoAnswer, ..self.row.clone() };
        for asker in std::mem::take(&mut self.askers) {
            core.refuse_with(asker.asked.ask, &row);
        }
        self.arm_askers(core);
    }

    /// Approved, and from now on to be undone: one statement makes the state and the obligation (M4, M8, M10).
    fn undo(&mut self, now: Now, cause: ObligationCause, note: NoteKind, core: &mut Core) {
        let row = self.next_image(core, |row| {
            row.state = RowState::Undone;
            row.cause = Cause::NoAnswer;
        });
        let obligation = self.owed(now, cause);
        let note = self.note(now, note, "");
        let change = Change { row, obligation, note: Some(note), case: None, claim: None };
        self.record(now, change, core);
    }

    /// An approval is given again only by a conditional update (M6); it clears a mark (M10).
    pub(crate) fn record_copy(&mut self, now: Now, core: &mut Core) {
        let row = self.next_image(core, |row| row.copies += 1);
        let obligation =
            self.obligation.as_ref().filter(|_| self.is_marked()).map(|mark| ObligationWrite {
                status: ObligationStatus::Cleared,
                cause: mark.cause,
                at: now.wall,
                due: mark.due,
                said: None,
            });
        if obligation.is_some() {
            // nobody had it: this life knows of every connection that asks from now on
            self.delivery.all_known = true;
            self.delivery.missed = false;
            self.ours = true;
        }
        core.notice(crate::Notice::Duplicate(crate::DuplicateResult::Replayed));
        let note = self.note(now, NoteKind::Copy, "");
        let change = Change { row, obligation, note: Some(note), case: None, claim: None };
        self.record(now, change, core);
    }

    pub(crate) fn record_progress(&mut self, now: Now, core: &mut Core) {
        let known = self.obligation.as_ref();
        let attempts = known.map_or(0, |known| known.attempts).max(self.duty.attempts);
        let progress = Progress {
            id: self.row.id,
            key: self.row.key,
            attempts,
            parked: self.duty.parked || known.is_some_and(|known| known.parked),
            answered: self.duty.answered,
            at: now.wall,
        };
        let record = core.persist_progress(progress);
        self.pend(record, Record::Progress(progress), now);
    }

    /// Hands a change of this row to its writer.
    pub(crate) fn record(&mut self, now: Now, mut change: Change, core: &mut Core) {
        change.claim = self.claim_end(now, &change.row, change.obligation.as_ref(), core);
        if change.obligation.is_some_and(|write| write.status == ObligationStatus::Owed) {
            self.hold_stan(core);
        }
        let late = change.row.late - self.row.late;
        let what = Record::Change(Box::new(change));
        let record = core.persist_of(self.row.key, &what);
        self.pend(record, what, now);
        if let Some(pending) = &mut self.pending {
            pending.late = late;
        }
    }

    /// The next image of the row.
    pub(crate) fn next_image(&self, core: &mut Core, set: impl FnOnce(&mut Row)) -> Row {
        let mut row = self.row.clone();
        row.version += 1;
        row.change = core.change_mark();
        set(&mut row);
        row
    }

    pub(crate) fn note(&self, now: Now, kind: NoteKind, detail: &str) -> Note {
        Note { id: self.row.id, day: self.row.day, kind, at: now.wall, detail: detail.to_owned() }
    }

    /// The obligation that becomes owed, where the kind is reversed at all (M12).
    pub(crate) fn owed(&self, now: Now, cause: ObligationCause) -> Option<ObligationWrite> {
        (self.is_reversed() && self.row.issuer.is_some()).then_some(ObligationWrite {
            status: ObligationStatus::Owed,
            cause,
            at: now.wall,
            due: now.wall,
            said: None,
        })
    }

    /// M8: an approval in a settled batch stands: 25. One that certainly was not delivered is in no terminal's totals, and is
    /// undone all the same (M10).
    fn refuse_settled(&mut self, now: Now, core: &mut Core) {
        if self.is_marked() {
            return;
        }
        let key = self.row.key;
        self.reversers.retain(|waits| {
            if waits.settled {
                core.refuse(now, &waits.asked, key, Cause::OriginalNotFound);
            }
            !waits.settled
        });
        self.arm_askers(core);
    }

    /// M8: a reversal of another amount is refused: 64.
    fn refuse_other_amounts(&mut self, now: Now, core: &mut Core) {
        let (amount, key) = (self.row.amount, self.row.key);
        self.reversers.retain(|waits| {
            let same = waits.amount.is_none_or(|asked| asked == amount);
            if !same {
                core.refuse(now, &waits.asked, key, Cause::AmountDiffers);
            }
            same
        });
        self.arm_askers(core);
    }

    /// M8: what the reversal asks for is durable, or nothing is owed.
    fn answer_reversers(&mut self, now: Now, core: &mut Core) {
        if self.row.is_beyond_horizon() {
            // what it was meant for
            for waits in std::mem::take(&mut self.reversers) {
                core.refuse(now, &waits.asked, self.row.key, Cause::OriginalNotFound);
            }
        }
        self.refuse_other_amounts(now, core);
        for waits in std::mem::take(&mut self.reversers) {
            core.push(Effect::Reply {
                ask: waits.asked.ask,
                reply: Reply::Done(Some(self.row.id)),
            });
        }
        self.arm_askers(core);
    }

    /// M7: other content, or too late a copy: 94.
    pub(crate) fn refuse_strangers(&mut self, now: Now, core: &mut Core) {
        let row = &self.row;
        self.askers.retain(|asker| {
            let may = !asker.copy || may_repeat(now, row, asker.digest, core);
            if !may {
                core.refuse_copy(now, &asker.asked, row.key, row.id, row.day);
            }
            may
        });
        self.arm_askers(core);
    }

    /// M6: the committed refusal, or 98, to everyone who waits.
    fn answer_askers(&mut self, now: Now, core: &mut Core) {
        self.refuse_strangers(now, core);
        for asker in std::mem::take(&mut self.askers) {
            core.refuse_with(asker.asked.ask, &self.row);
        }
        self.arm_askers(core);
    }
}
