//! An issuer answers: in time it decides, late it is recorded and never obeyed (M9, M12, M13).

use std::time::Duration;

use iso8583::Class;

use crate::{
    Case, CaseKind, Engine, Found, IssuerAnswer, Matched, NoteKind, Notice, Now, Row, RowState,
    TxnId,
    bug::Bug,
    core::Core,
    duty::Turn,
    txn::{Conclusion, Txn},
};

impl Engine {
    pub(crate) fn on_answer(&mut self, now: Now, answer: IssuerAnswer) {
        let key = self.core.number_of(&answer).and_then(|id| self.key_of(id));
        let txn = key.and_then(|key| self.txns.get_mut(&key));
        let Some(txn) = txn.filter(|txn| answer.may_mean(&txn.row)) else {
            return self.on_stray_answer(now, answer);
        };
        let key = txn.row.key;
        if txn.row.issuer.as_ref() != Some(&answer.issuer) {
            let id = Some(txn.row.id).filter(|_| txn.durable);
            return self.core.answer_without_request(now, id, &answer);
        }
        if answer.to_reversal {
            // M12: an advice is never reversed
            if !txn.is_delivered() {
                txn.on_reversal_answer(now, &answer, &mut self.core);
            }
        } else if txn.awaits_answer() {
            let conclusion = txn.judge(answer, &self.core);
            txn.decide(conclusion, &mut self.core);
        } else {
            txn.on_late_answer(now, &answer, &mut self.core);
        }
        self.step(now, key);
    }

    /// An answer whose transaction is no longer in memory: only an approval matters, and it is looked up by its number, or
    /// by its trace number where its issuer repeats no more than that and the time.
    fn on_stray_answer(&mut self, now: Now, answer: IssuerAnswer) {
        self.core.notice(Notice::LateAnswer(answer.issuer.clone()));
        if answer.to_reversal || !self.core.class_of(&answer).approves() {
            return;
        }
        let most = self.core.config.late_reads_per_second;
        let numbers = match answer.matched {
            Matched::Number(id) => vec![id],
            Matched::Trace { sent: None, .. } => Vec::new(),
            Matched::Trace { stan, sent: Some(_) } => self.core.numbers.last_of(stan),
        };
        for id in numbers {
            if let Some(read) = self.late.ask(now, id, answer.clone(), most) {
                self.core.push(crate::Effect::Read(read));
            }
        }
    }

    /// The row of a stray approval was read.
    pub(crate) fn on_stray_found(&mut self, now: Now, answer: &IssuerAnswer, found: Found) {
        let (key, id) = (found.row.key, found.row.id);
        let issuers = found.row.issuer.as_ref() == Some(&answer.issuer);
        let traced = matches!(answer.matched, Matched::Trace { .. });
        if (traced && !issuers) || !answer.may_mean(&found.row) {
            // a row of the same trace number, which the answer does not mean
            return;
        }
        if !issuers {
            return self.core.answer_without_request(now, Some(id), answer);
        }
        if self.txns.get(&key).is_some_and(|txn| txn.row.id != id) {
            // another day's transaction has the identity: both cannot be in memory
            self.late.put_back(id, vec![answer.clone()]);
            let at = now.mono.plus(crate::persisted::RETRY);
            return self.core.arm(at, crate::core::Timer::Stray(id));
        }
        if !self.txns.contains_key(&key) {
            self.finished.remove(key);
            self.insert_txn(Txn::found(found));
        }
        if let Some(txn) = self.txns.get_mut(&key)
            && txn.row.id == id
            && !txn.looking
        {
            txn.on_late_answer(now, answer, &mut self.core);
        }
        self.step(now, key);
    }
}

/// So far may the time that an answer repeats (7) lie from the time at which its request was read. In this time no node uses
/// a trace number twice.
const SENT_WITHIN: Duration = Duration::from_secs(60);

impl IssuerAnswer {
    /// True unless its terminal (41), where that is matched, or the time that it repeats (7) says that it means another
    /// transaction.
    fn may_mean(&self, row: &Row) -> bool {
        if self.matches_terminal && self.terminal.as_ref() != Some(&row.terminal) {
            return false;
        }
        match self.matched {
            Matched::Number(_) | Matched::Trace { sent: None, .. } => true,
            Matched::Trace { sent: Some(at), .. } => {
                at.since(row.created).max(row.created.since(at)) <= SENT_WITHIN
            }
        }
    }
}

impl Core {
    /// Number of the transaction that an answer names, if one is open that it can mean.
    fn number_of(&self, answer: &IssuerAnswer) -> Option<TxnId> {
        match answer.matched {
            Matched::Number(id) => Some(id),
            Matched::Trace { stan, .. } => {
                self.issuers.get(&answer.issuer)?.stans.get(&stan).copied()
            }
        }
    }

    /// M9: an issuer that was sent no byte of a transaction answers it. Its approval is no answer of ours, but it may have
    /// charged the card: a person must look.
    fn answer_without_request(&mut self, now: Now, id: Option<TxnId>, answer: &IssuerAnswer) {
        self.notice(Notice::LateAnswer(answer.issuer.clone()));
        if let Some(id) = id
            && self.reads_new
            && !answer.to_reversal
            && self.class_of(answer).approves()
        {
            self.case(Case { id, kind: CaseKind::AnswerWithoutRequest, at: now.wall });
        }
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
        match core.class_of(&answer) {
            Class::Unknown if !core.has(Bug::UnknownCodeRefuses) => {
                Conclusion::Silent(Some(answer.code))
            }
            Class::Open | Class::Own if self.is_told_again(&answer, core) => {
                Conclusion::Silent(Some(answer.code))
            }
            Class::Final | Class::Open | Class::Own | Class::Unknown => {
                Conclusion::Declined(answer)
            }
            Class::Approved | Class::Partial
                if contradicts(&self.row, &answer, self.takes_partial)
                    && !core.has(Bug::ContradictionAccepted) =>
            {
                Conclusion::Contradicted(answer)
            }
            Class::Approved | Class::Partial => Conclusion::Approved(answer),
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
        let class = core.class_of(answer);
        if self.row.state.is_in_flight() && !self.ours {
            // its node, or recovery, concludes it: only then can be said whether this approval is the committed outcome
            if class.approves() && !core.has(Bug::LateApprovalForgotten) {
                self.late += 1;
                self.approval_seen = true;
                core.follow(now, self.row.key);
            }
            return;
        }
        if class.approves() {
            if core.has(Bug::LateApprovalForgotten) {
                return;
            }
            if self.row.state == RowState::NeverSent {
                return core.answer_without_request(now, Some(self.row.id), answer);
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
        } else if class == Class::Final && !self.was_approved() {
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

    /// An approval was received, whatever was made of it: a later refusal withdraws nothing (M9), and a 25 to its reversal
    /// confirms nothing (M4).
    pub(crate) fn was_approved(&self) -> bool {
        self.row.approved > 0
            || self.approval_seen
            || self.row.late > 0
            || matches!(self.row.state, RowState::Approved | RowState::Undone)
            || matches!(
                self.conclusion,
                Some(Conclusion::Approved(_) | Conclusion::Contradicted(_))
            )
    }

    /// M9: an open obligation covers an approval that is not the committed outcome.
    pub(crate) fn cover_late_approval(&mut self, now: Now, core: &mut Core) {
        self.late = 0;
        // what an earlier attempt was answered no longer counts
        self.duty.denied = false;
        if self.duty.confirmed.take().is_some() {
            self.queue(Turn::First, core);
        }
        core.note(now, self.row.id, self.row.day, NoteKind::LateApproval, "");
    }

    /// M9: for an approval that is not the committed outcome a reversal is owed, or owed again.
    pub(crate) fn record_late_approval(&mut self, now: Now, core: &mut Core) {
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
    let amount = match (answer.is_partial(), answer.amount) {
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
