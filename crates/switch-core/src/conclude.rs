//! From what was decided to the change that makes it durable (M2, M3, M5, M8, M10, M13, M14).

use bytes::Bytes;
use iso8583::{Cause, Class};

use crate::{
    Change, IssuerAnswer, Note, NoteKind, Notice, Now, ObligationCause, ObligationStatus,
    ObligationWrite, Row, RowState,
    bug::Bug,
    core::Core,
    txn::{Conclusion, Txn},
};

impl Txn {
    /// What is decided now stays decided, whatever comes later.
    pub(crate) fn decide(&mut self, conclusion: Conclusion, core: &mut Core) {
        if self.conclusion.is_none() {
            self.conclusion = Some(conclusion);
            self.leave_issuer(core);
        }
    }

    /// Writes the conclusion: state, answer, and the owed reversal, in one statement.
    pub(crate) fn record_conclusion(&mut self, now: Now, core: &mut Core) {
        // It stays decided: until the change is durable it may have to be written again.
        let Some(conclusion) = self.conclusion.take() else { return };
        self.write_conclusion(now, &conclusion, core);
        self.conclusion = Some(conclusion);
    }

    fn write_conclusion(&mut self, now: Now, conclusion: &Conclusion, core: &mut Core) {
        let loses = core.has(Bug::TerminalReversalLoses);
        let asked = !loses
            && (self.row.state == RowState::InFlightReversalAsked || !self.reversers.is_empty());
        let mut row = self.next_image(core, |row| row.concluded = Some(now.wall));
        let mut note = None;
        let obligation = match conclusion {
            Conclusion::Approved(answer) => {
                approve(&mut row, answer);
                if asked {
                    // M8 wins
                    row.state = RowState::Undone;
                    row.cause = Cause::NoAnswer;
                    note = Some(self.note(now, NoteKind::ReversalAsked, ""));
                    self.owed(now, ObligationCause::Asked)
                } else {
                    self.mark_with_outcome(now, core)
                }
            }
            Conclusion::Declined(answer) => {
                decline(&mut row, answer, asked);
                // M8: a code that is not final leaves open what the issuer did
                let open = core.class_of(answer) != Class::Final;
                let owes = asked && open && !core.has(Bug::OpenDeclineForgotten);
                self.owed(now, ObligationCause::Asked).filter(|_| owes)
            }
            Conclusion::Contradicted(_)
            | Conclusion::Silent(_)
            | Conclusion::Recovered
            | Conclusion::NeverSent(_)
                if self.is_delivered() && !core.has(Bug::AdviceReversed) =>
            {
                note = self.note_of_advice(now, conclusion, core);
                Some(self.accept(&mut row, now, !matches!(conclusion, Conclusion::NeverSent(_))))
            }
            Conclusion::Contradicted(answer) => {
                row.state = RowState::Undone;
                row.cause = Cause::Contradicted;
                row.code = Some(answer.code);
                note = Some(self.note(now, NoteKind::Contradiction, answer.code.as_str()));
                core.notice(Notice::Contradicted(answer.issuer.clone()));
                self.owed(now, ObligationCause::Contradicted)
            }
            Conclusion::Silent(code) => {
                row.state = RowState::TimedOut;
                row.cause = Cause::NoAnswer;
                row.code = *code;
                let cause = if asked { ObligationCause::Asked } else { ObligationCause::Silence };
                self.owed(now, cause).filter(|_| !core.has(Bug::NoReversalOnSilence))
            }
            Conclusion::Recovered => {
                row.state = RowState::TimedOut;
                row.cause = Cause::NoAnswer;
                note = Some(self.note(now, NoteKind::Recovered, ""));
                self.owed(now, ObligationCause::Recovery)
            }
            Conclusion::NeverSent(cause) => {
                row.state = RowState::NeverSent;
                row.cause = if asked { Cause::NoAnswer } else { *cause };
                None
            }
        };
        let early = core.has(Bug::ApproveBeforeCommit) && row.state == RowState::Approved;
        let before_commit = early.then(|| row.clone());
        self.record(now, Change { row, obligation, note, case: None, claim: None }, core);
        if let Some(row) = before_commit {
            self.row = Row { version: self.row.version, ..row };
            self.give_approval(now, crate::Commit { day: self.row.day, since: now.mono }, core);
        }
    }

    /// M12: what is noted of an advice whose delivery is now ours.
    fn note_of_advice(&self, now: Now, conclusion: &Conclusion, core: &mut Core) -> Option<Note> {
        match conclusion {
            Conclusion::Contradicted(answer) => {
                core.notice(Notice::Contradicted(answer.issuer.clone()));
                Some(self.note(now, NoteKind::Contradiction, answer.code.as_str()))
            }
            Conclusion::Recovered => Some(self.note(now, NoteKind::Recovered, "")),
            Conclusion::Approved(_)
            | Conclusion::Declined(_)
            | Conclusion::Silent(_)
            | Conclusion::NeverSent(_) => None,
        }
    }

    /// M10: where the end was seen before the outcome was committed, the mark and its due time are part of that commit.
    fn mark_with_outcome(&self, now: Now, core: &mut Core) -> Option<ObligationWrite> {
        let ignored = core.has(Bug::UndeliveredIgnored);
        if ignored || !self.is_undelivered() || !self.askers.is_empty() || !self.is_reversed() {
            return None;
        }
        core.notice(Notice::Undelivered);
        Some(ObligationWrite {
            status: ObligationStatus::Marked,
            cause: ObligationCause::Undelivered,
            at: now.wall,
            due: now.wall.plus(self.grace),
            said: None,
        })
    }
}

pub(crate) fn approve(row: &mut Row, answer: &IssuerAnswer) {
    row.state = RowState::Approved;
    row.cause = Cause::Issuer;
    row.code = Some(answer.code);
    row.approved =
        if answer.is_partial() { answer.amount.unwrap_or(row.amount) } else { row.amount };
    row.answer = Bytes::clone(&answer.answer);
}

fn decline(row: &mut Row, answer: &IssuerAnswer, asked: bool) {
    row.state = RowState::Declined;
    row.cause = if asked { Cause::NoAnswer } else { Cause::Issuer };
    row.code = Some(answer.code);
    row.answer = answer.answer.clone();
}
