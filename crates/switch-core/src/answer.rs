//! An issuer answers: in time it decides, late it is recorded and never obeyed (M9, M12, M13).

use crate::{
    Engine, Found, IssuerAnswer, NoteKind, Notice, Now, Row, RowState,
    bug::Bug,
    core::Core,
    duty::Turn,
    txn::{Conclusion, Txn},
};

impl Engine {
    pub(crate) fn on_answer(&mut self, now: Now, answer: IssuerAnswer) {
        let Some(key) = self.key_of(answer.id) else { return self.on_stray_answer(now, answer) };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if txn.row.issuer.as_ref() != Some(&answer.issuer) {
            return;
        }
        if answer.to_reversal {
            // M12: an advice is never reversed
            if !txn.is_delivered() {
                txn.on_reversal_answer(now, answer.code, &mut self.core);
            }
        } else if txn.awaits_answer() {
            let conclusion = txn.judge(answer, &self.core);
            txn.decide(conclusion, &mut self.core);
        } else {
            txn.on_late_answer(now, &answer, &mut self.core);
        }
        self.step(now, key);
    }

    /// An answer whose transaction is no longer in memory: only an approval matters, and it is looked up by RRN.
    fn on_stray_answer(&mut self, now: Now, answer: IssuerAnswer) {
        self.core.notice(Notice::LateAnswer(answer.issuer.clone()));
        if answer.to_reversal || !answer.approves {
            return;
        }
        if let Some(read) = self.late.ask(now, answer, self.core.config.late_reads_per_second) {
            self.core.push(crate::Effect::Read(read));
        }
    }

    /// The row of a stray approval was read.
    pub(crate) fn on_stray_found(&mut self, now: Now, answer: &IssuerAnswer, found: Found) {
        let key = found.row.key;
        if found.row.issuer.as_ref() != Some(&answer.issuer) {
            return;
        }
        if self.txns.get(&key).is_some_and(|txn| txn.row.id != answer.id) {
            // another day's transaction has the identity: both cannot be in memory
            self.late.put_back(answer.id, vec![answer.clone()]);
            let at = now.mono.plus(crate::persisted::RETRY);
            return self.core.arm(at, crate::core::Timer::Stray(answer.id));
        }
        if !self.txns.contains_key(&key) {
            self.finished.remove(key);
            self.insert_txn(Txn::found(found));
        }
        if let Some(txn) = self.txns.get_mut(&key)
            && txn.row.id == answer.id
            && !txn.looking
        {
            txn.on_late_answer(now, answer, &mut self.core);
        }
        self.step(now, key);
    }
}

impl Txn {
    /// Whether an answer that comes now is in time.
    fn awaits_answer(&self) -> bool {
        self.ours && self.durable && self.conclusion.is_none() && self.row.state.is_in_flight()
    }

    /// What an answer in time means.
    fn judge(&self, answer: IssuerAnswer, core: &Core) -> Conclusion {
        let answer = Box::new(answer);
        let unknown = core.is_unknown_code(&answer.issuer, answer.code);
        let undecided = unknown && !core.has(Bug::UnknownCodeRefuses);
        if undecided || self.is_told_again(&answer, core) {
            Conclusion::Silent
        } else if !answer.approves {
            Conclusion::Declined(answer)
        } else if contradicts(&self.row, &answer, self.takes_partial)
            && !core.has(Bug::ContradictionAccepted)
        {
            Conclusion::Contradicted(answer)
        } else {
            Conclusion::Approved(answer)
        }
    }

    /// M9: recorded, never obeyed.
    fn on_late_answer(&mut self, now: Now, answer: &IssuerAnswer, core: &mut Core) {
        if self.is_delivered() {
            return self.on_advice_answer(now, answer, core);
        }
        core.notice(Notice::LateAnswer(answer.issuer.clone()));
        if !self.durable {
            return;
        }
        if self.row.state.is_in_flight() && !self.ours {
            // its node, or recovery, concludes it: only then can be said whether this approval is the committed outcome
            if answer.approves && !core.has(Bug::LateApprovalForgotten) {
                self.late += 1;
                self.approval_seen = true;
                core.follow(now, self.row.key);
            }
            return;
        }
        if answer.approves {
            if core.has(Bug::LateApprovalForgotten) {
                return;
            }
            if core.has(Bug::LateApprovalAccepted) && self.row.state == RowState::TimedOut {
                return self.obey_late(now, answer, core);
            }
            if self.is_committed_outcome(answer) {
                return;
            }
            self.late += 1;
            self.approval_seen = true;
            self.duty.withdraw = false;
        } else if !core.is_unknown_code(&answer.issuer, answer.code)
            && !matches!(answer.code.as_str(), "91" | "96" | "98")
            && !self.approval_seen
            && self.row.late == 0
            && !self.was_approved()
        {
            self.duty.withdraw = true;
            core.note(now, self.row.id, self.row.day, NoteKind::LateRefusal, answer.code.as_str());
        }
    }

    /// As if it had come in time: a bug that is planted.
    fn obey_late(&mut self, now: Now, answer: &IssuerAnswer, core: &mut Core) {
        if self.pending.is_none() {
            let row = self.next_image(core, |row| crate::conclude::approve(row, answer));
            let change =
                crate::Change { row, obligation: None, note: None, case: None, claim: None };
            self.record(now, change, core);
        }
    }

    /// The approval that was decided, or stands, come again.
    fn is_committed_outcome(&self, answer: &IssuerAnswer) -> bool {
        let stands = match &self.conclusion {
            Some(Conclusion::Approved(_)) => true,
            Some(_) => false,
            None => self.row.state == RowState::Approved,
        };
        stands && !contradicts(&self.row, answer, true)
    }

    /// An approval was received, whatever was made of it: a later refusal withdraws nothing.
    fn was_approved(&self) -> bool {
        self.row.approved > 0
            || matches!(self.row.state, RowState::Approved | RowState::Undone)
            || matches!(
                self.conclusion,
                Some(Conclusion::Approved(_) | Conclusion::Contradicted(_))
            )
    }

    /// M9: an approval that is not the committed outcome. An open obligation covers it; else it is owed, or owed again.
    pub(crate) fn record_late_approval(&mut self, now: Now, core: &mut Core) {
        if self.owes(core) {
            // what an earlier attempt was answered no longer counts
            self.late = 0;
            if self.duty.confirmed.take().is_some() {
                self.queue(Turn::First, core);
            }
            core.note(now, self.row.id, self.row.day, NoteKind::LateApproval, "");
            return;
        }
        let late = std::mem::take(&mut self.late);
        let row = self.next_image(core, |row| row.late += late);
        let obligation = if self.obligation_is(crate::ObligationStatus::Owed) {
            // another node's, open: the version tells it
            None
        } else {
            self.owed(now, crate::ObligationCause::LateApproval)
        };
        let note = self.note(now, NoteKind::LateApproval, "");
        let change = crate::Change { row, obligation, note: Some(note), case: None, claim: None };
        self.record(now, change, core);
    }
}

/// M13: the answer changes amount, currency, card or identity.
pub(crate) fn contradicts(row: &Row, answer: &IssuerAnswer, takes_partial: bool) -> bool {
    let has_amount = row.kind.moves_money();
    let amount = match (answer.partial, answer.amount) {
        (true, Some(amount)) => !takes_partial || amount <= 0 || amount > row.amount,
        (true, None) => true,
        (false, Some(amount)) => has_amount && amount != row.amount,
        (false, None) => false,
    };
    amount
        || answer.currency.is_some_and(|currency| has_amount && currency != row.currency)
        || answer.card_hash.is_some_and(|hash| hash != row.card.hash)
        || answer.terminal.as_ref().is_some_and(|terminal| *terminal != row.terminal)
        || answer.merchant.as_ref().is_some_and(|merchant| *merchant != row.merchant)
}
