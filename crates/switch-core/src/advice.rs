//! An advice or refund is the switch's to deliver once its intent is durable (M12): its terminal is told that it is done, and
//! it is repeated until its issuer answers.

use iso8583::{Cause, Class, Code};

use crate::{
    Case, CaseKind, Change, IssuerAnswer, NoteKind, Now, ObligationCause, ObligationStatus,
    ObligationWrite, ReversalResult, Row, RowState,
    answer::contradicts,
    bug::Bug,
    core::Core,
    txn::{Sending, Txn},
};

/// What an issuer says of an advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdviceAnswer {
    /// It took it.
    Taken(Code),
    /// It refused it for good.
    Refused(Code),
    /// Neither: it is told again.
    NotNow,
}

impl Txn {
    /// Accepted: its terminal is told 00, and its delivery is owed.
    pub(crate) fn accept(&mut self, row: &mut Row, now: Now, sent: bool) -> ObligationWrite {
        row.state = RowState::Accepted;
        row.cause = Cause::Done;
        row.approved = row.amount;
        self.duty.written_once |= sent;
        ObligationWrite {
            status: ObligationStatus::Owed,
            cause: ObligationCause::Delivery,
            at: now.wall,
            due: now.wall,
            said: None,
        }
    }

    /// An answer that is none to the first copy in time.
    pub(crate) fn on_advice_answer(&mut self, now: Now, answer: &IssuerAnswer, core: &mut Core) {
        core.notice(crate::Notice::LateAnswer(answer.issuer.clone()));
        let said = self.advice_answer(answer, core);
        match (self.row.state, said) {
            // its outcome is being written: what was answered counts once its delivery is owed
            (
                RowState::InFlight | RowState::InFlightReversalAsked,
                AdviceAnswer::Taken(_) | AdviceAnswer::Refused(_),
            ) => {
                // once taken, it is taken
                if !matches!(self.answered, Some(AdviceAnswer::Taken(_))) {
                    self.answered = Some(said);
                }
                self.told_late(now, answer, core);
            }
            (RowState::Accepted, _) if self.owes(core) => self.on_delivery_answer(now, said, core),
            (
                RowState::Declined | RowState::NeverSent | RowState::Disputed,
                AdviceAnswer::Taken(_),
            ) => {
                self.told_late(now, answer, core);
            }
            (
                RowState::InFlight
                | RowState::InFlightReversalAsked
                | RowState::Approved
                | RowState::Declined
                | RowState::NeverSent
                | RowState::TimedOut
                | RowState::Undone
                | RowState::ReversedBeforeArrival
                | RowState::Accepted
                | RowState::Disputed,
                _,
            ) => {}
        }
    }

    fn advice_answer(&self, answer: &IssuerAnswer, core: &Core) -> AdviceAnswer {
        let class = core.class_of(answer);
        let ignored = core.has(Bug::AdviceRefusalIgnored) && !self.row.state.is_in_flight();
        match class {
            Class::Final | Class::Open | Class::Own | Class::Unknown if ignored => {
                AdviceAnswer::Taken(answer.code)
            }
            Class::Final => AdviceAnswer::Refused(answer.code),
            Class::Approved | Class::Partial if !contradicts(&self.row, answer, false) => {
                AdviceAnswer::Taken(answer.code)
            }
            Class::Approved | Class::Partial | Class::Open | Class::Own | Class::Unknown => {
                AdviceAnswer::NotNow
            }
        }
    }

    /// M9: taken after it was refused: nothing reverses an advice, so a person must look.
    fn told_late(&self, now: Now, answer: &IssuerAnswer, core: &mut Core) {
        let refused = match &self.conclusion {
            Some(crate::txn::Conclusion::Declined(_)) => true,
            Some(_) => false,
            None => !self.row.state.is_in_flight(),
        };
        if refused && core.class_of(answer).approves() {
            self.taken_after_all(now, answer.code, core);
        }
    }

    pub(crate) fn taken_after_all(&self, now: Now, code: Code, core: &mut Core) {
        core.note(now, self.row.id, self.row.day, NoteKind::LateApproval, code.as_str());
        core.case(Case { id: self.row.id, kind: CaseKind::AdviceApprovedLate, at: now.wall });
    }

    /// The issuer answered a copy of an advice that it is owed.
    pub(crate) fn on_delivery_answer(&mut self, now: Now, said: AdviceAnswer, core: &mut Core) {
        match said {
            AdviceAnswer::Taken(code) => {
                if self.duty.refused && self.pending.is_some() {
                    // that it was refused is being written
                    self.answered = Some(said);
                }
                self.duty.confirmed = Some(code);
                self.duty.refused = false;
                self.rest(core);
                self.tell_result(ReversalResult::Confirmed, core);
            }
            AdviceAnswer::Refused(code) if self.duty.confirmed.is_none() => {
                self.duty.confirmed = Some(code);
                self.duty.refused = true;
                self.rest(core);
                self.tell_result(ReversalResult::Refused, core);
            }
            AdviceAnswer::NotNow if matches!(self.duty.sending, Sending::Written { .. }) => {
                self.attempt_failed(now, ReversalResult::Refused, None, core);
            }
            AdviceAnswer::Refused(_) | AdviceAnswer::NotNow => {}
        }
    }

    /// M12: the answer refuses nothing for good, and its issuer takes a repeat for the same.
    pub(crate) fn is_told_again(&self, answer: &IssuerAnswer, core: &Core) -> bool {
        self.is_delivered()
            && core.issuers.get(&answer.issuer).is_some_and(|issuer| issuer.policy.repeats_advices)
    }

    /// Whether a copy may go out: an issuer that does not take a repeat for the same gets one (M12).
    pub(crate) fn may_send(&self, core: &Core) -> bool {
        !self.is_delivered()
            || core.has(Bug::AdviceRepeated)
            || !self.duty.written_once
            || (self.row.issuer.as_ref().and_then(|name| core.issuers.get(name)))
                .is_none_or(|issuer| issuer.policy.repeats_advices)
    }

    /// Accepted or disputed: copies get the same answer, and the delivery goes on.
    pub(crate) fn settle_accepted(&mut self, now: Now, core: &mut Core) {
        self.late = 0;
        for waits in std::mem::take(&mut self.reversers) {
            core.refuse(now, &waits.asked, self.row.key, Cause::OriginalNotFound);
        }
        if self.row.state == RowState::Disputed
            && let Some(AdviceAnswer::Taken(code)) = self.answered.take()
        {
            self.taken_after_all(now, code, core);
        }
        self.refuse_strangers(now, core);
        if !self.askers.is_empty() {
            return self.record_copy(now, core);
        }
        if self.adopt {
            return self.record_progress(now, core);
        }
        if !self.takes_up_duty(now, core) {
            return;
        }
        if let Some(code) = self.duty.confirmed {
            self.record_delivered(now, code, core);
        } else {
            self.record_duty(now, core);
        }
    }

    /// The issuer's word on it is final: its claim stands, or it is a case and its claim stays (M12).
    fn record_delivered(&mut self, now: Now, code: Code, core: &mut Core) {
        let refused = self.duty.refused;
        let row = self.next_image(core, |row| {
            row.state = if refused { RowState::Disputed } else { RowState::Approved };
        });
        let obligation = Some(ObligationWrite {
            status: ObligationStatus::Confirmed,
            cause: ObligationCause::Delivery,
            at: now.wall,
            due: now.wall,
            said: self.said(),
        });
        let kind = if refused { NoteKind::AdviceRefused } else { NoteKind::AdviceDelivered };
        let note = Some(self.note(now, kind, code.as_str()));
        let case = refused.then(|| {
            let (id, kind) = (self.row.id, CaseKind::AdviceRefused);
            core.notice(crate::Notice::CaseOpened { id, kind });
            Case { id, kind, at: now.wall }
        });
        self.record(now, Change { row, obligation, note, case, claim: None }, core);
    }
}
