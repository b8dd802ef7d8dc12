//! An owed reversal: sent at once, repeated until a final answer comes, never lost (M4).

use std::time::Duration;

use iso8583::Code;

use crate::{
    Case, CaseKind, Change, Durable, Effect, Engine, Instant, IssuerAnswer, Key, NoteKind, Notice,
    Now, ObligationStatus, ObligationWrite, ReversalOut, ReversalResult, ReversalSchedule,
    ReversalUnsent, Row, Said, TxnId,
    bug::Bug,
    core::{Core, Issuer, Timer},
    txn::{Exchange, Sending, Txn},
};

/// Twice the time-out of an issuer whose time-out is not known: long enough for any.
const UNKNOWN_TWICE: Duration = Duration::from_secs(120);
/// After so long a first copy that was handed to a link is written, or never will be (M1).
const FIRST_COPY: Duration = Duration::from_secs(6);
/// One in so many is of the backlog, however many first attempts there are: repeats do not starve.
const BACKLOG_EVERY: u32 = 8;
/// Reversals that may always be out at an issuer, however far behind the store is.
const FEW: usize = 4;

/// Whose turn an attempt is (M4).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    /// The first of what became owed in this life: of a backlog, one in eight goes before it.
    First,
    /// A repeat, or what an earlier life owed: beside sales it is held back.
    Backlog,
}

impl Engine {
    /// Sends what is ready at every issuer whose queue has changed.
    pub(crate) fn pump_all(&mut self, now: Now) {
        while let Some(issuer) = self.core.pumps.pop_first() {
            while let Some(key) = self.next_ready(now, &issuer) {
                self.send_reversal(now, key);
            }
        }
    }

    /// The first attempts of this life's own before the backlog, of which a drain begins nothing: it is durable.
    fn next_ready(&mut self, now: Now, name: &str) -> Option<Key> {
        let issuer = self.core.issuers.get_mut(name)?;
        let most = issuer.policy.reversal.max_in_flight;
        if issuer.links.is_empty() || issuer.reversals_out >= most {
            return None;
        }
        let backlog = !issuer.ready.is_empty() && !self.core.stopping;
        if issuer.fresh.is_empty() && !backlog {
            return None;
        }
        // What their answers write must not fill the store's room, or sales would be shed for it (M16): a few at a time
        // then, of which one that is stuck blocks no other (M4).
        let behind = self.core.records.len() >= self.core.config.max_store_lag.div_ceil(4);
        if behind && issuer.reversals_out >= (most / 8).max(FEW) {
            self.core.pace_again(now);
            return None;
        }
        issuer.turns = issuer.turns.wrapping_add(1);
        let backlog_first = backlog && issuer.turns.is_multiple_of(BACKLOG_EVERY);
        if !backlog_first && let Some(key) = issuer.fresh.pop_front() {
            return Some(key);
        }
        if backlog && issuer.pace.take(now.mono) {
            return issuer.ready.pop_front();
        }
        let key = issuer.fresh.pop_front();
        if key.is_none() {
            self.core.pace_again(now);
        }
        key
    }

    /// Those that were held back ask again.
    pub(crate) fn on_pace_due(&mut self) {
        self.core.paced = false;
        let waits = |issuer: &Issuer| !(issuer.fresh.is_empty() && issuer.ready.is_empty());
        let held = self.core.issuers.iter().filter(|(_, issuer)| waits(issuer));
        self.core.pumps.extend(held.map(|(name, _)| name.clone()));
    }

    fn send_reversal(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let (Sending::Ready, Some(owed), Some(issuer)) =
            (txn.duty.sending, txn.duty.proof.clone(), txn.row.issuer.clone())
        else {
            return;
        };
        if !txn.owes(&self.core)
            || txn.duty.confirmed.is_some()
            || (txn.duty.withdraw && !txn.duty.written_once)
        {
            txn.set_sending(Sending::Idle, &mut self.core);
            return self.step(now, key);
        }
        let link = match txn.exchange {
            Exchange::Written { link, .. } => Some(link),
            Exchange::Unsent | Exchange::Handed => None,
        };
        txn.set_sending(Sending::Handed, &mut self.core);
        txn.duty.handed_early = txn.is_early(now);
        txn.duty.early += u32::from(txn.duty.handed_early);
        let repeat = txn.duty.written_once && !self.core.has(Bug::RepeatNotMarked);
        let (repeat, row) = (repeat, Box::new(txn.row.clone()));
        self.core.push(Effect::Reverse(ReversalOut { owed, issuer, link, repeat, row }));
    }

    pub(crate) fn on_reversal_written(&mut self, now: Now, id: TxnId) {
        let Some(key) = self.key_of(id) else { return };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        txn.duty.written_once = true;
        txn.duty.handed_early = false;
        txn.duty.withdraw &= self.core.has(Bug::WithdrawnAfterWrite);
        if txn.duty.sending == Sending::Handed {
            let timeout =
                self.core.issuer(txn.row.issuer.as_ref()).map(|issuer| issuer.policy.timeout);
            let deadline = now.mono.plus(timeout.unwrap_or_default());
            txn.set_sending(Sending::Written { deadline }, &mut self.core);
        }
        self.step(now, key);
    }

    /// It does not count: it is tried again when a link is up, or after the first wait.
    pub(crate) fn on_reversal_never_sent(&mut self, now: Now, id: TxnId, why: ReversalUnsent) {
        let Some(key) = self.key_of(id) else { return };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if txn.duty.sending == Sending::Handed {
            let schedule = self
                .core
                .issuer(txn.row.issuer.as_ref())
                .map(|issuer| (issuer.policy.reversal.first, issuer.policy.reversal.longest));
            let (first, longest) = schedule.unwrap_or((Duration::from_secs(2), UNKNOWN_TWICE));
            let wait = match why {
                ReversalUnsent::NoLink => first,
                ReversalUnsent::Unwritable => longest,
            };
            let at = now.mono.plus(wait);
            // it brings no answer
            let early = u32::from(std::mem::take(&mut txn.duty.handed_early));
            txn.duty.early = txn.duty.early.saturating_sub(early);
            if why == ReversalUnsent::Unwritable {
                txn.cannot_be_sent(&self.core);
            }
            let next = if txn.wants_answer(&self.core) { Sending::Due(at) } else { Sending::Idle };
            txn.set_sending(next, &mut self.core);
        }
        self.step(now, key);
    }

    pub(crate) fn on_duty_due(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        match txn.duty.sending {
            Sending::Due(at) if at <= now.mono && txn.has_case() => {
                // what is written tells whether it is still owed
                txn.duty.progress = true;
                txn.set_sending(Sending::Idle, &mut self.core);
            }
            Sending::Due(at) if at <= now.mono => txn.queue(Turn::Backlog, &mut self.core),
            Sending::Written { deadline }
                if deadline <= now.mono && !txn.wants_answer(&self.core) =>
            {
                txn.set_sending(Sending::Idle, &mut self.core);
            }
            Sending::Written { deadline } if deadline <= now.mono => {
                txn.attempt_failed(now, ReversalResult::Unanswered, None, &mut self.core);
            }
            Sending::Due(_)
            | Sending::Written { .. }
            | Sending::Idle
            | Sending::Ready
            | Sending::Handed => {}
        }
        self.step(now, key);
    }
}

impl Txn {
    /// The reversal is owed durably: the first attempt goes at once, but for that of a backlog.
    pub(crate) fn owe(&mut self, now: Now, durable: Durable, turn: Turn, core: &mut Core) {
        let Some(issuer) = self.row.issuer.clone() else { return };
        let known = self.obligation.as_ref();
        self.duty.attempts = known.map_or(0, |known| known.attempts);
        self.duty.parked = known.is_some_and(|known| known.parked);
        self.duty.written_once |= self.duty.attempts > 0;
        self.duty.confirmed = None;
        self.duty.denied = false;
        self.duty.proof = Some(durable.into_owed());
        self.hold_stan(core);
        core.disarm(self.grace_timer.take(), Timer::Grace(self.row.key));
        if !self.is_delivered() {
            core.notice(Notice::ReversalOwed(issuer.clone()));
        }
        self.count_owed(core);
        let Some(known) = core.issuers.get(&issuer) else {
            self.duty.case = true;
            self.duty.waits_for_issuer = true;
            self.duty.issuer_gone = true;
            self.duty.not_found_counts_from = Some(now.mono.plus(UNKNOWN_TWICE));
            return;
        };
        self.duty.waits_for_issuer = false;
        let twice = known.policy.timeout * 2;
        let written = match self.exchange {
            Exchange::Written { at, .. } => at,
            Exchange::Unsent | Exchange::Handed => now.mono,
        };
        self.duty.not_found_counts_from = Some(written.plus(twice));
        if self.is_delivered() && self.exchange == Exchange::Handed {
            // a drain concluded it: its first copy may still be written, and no other goes beside that
            let at = now.mono.plus(twice.max(FIRST_COPY));
            self.set_sending(Sending::Due(at), core);
        } else {
            self.queue(turn, core);
            if !self.may_send(core) {
                self.still_owed(now, core);
            }
        }
        if let Some(said) = self.answered.take() {
            self.on_delivery_answer(now, said, core);
        }
    }

    /// Whether an attempt that goes out now may overtake its original.
    fn is_early(&self, now: Now) -> bool {
        self.duty.not_found_counts_from.is_some_and(|from| now.mono < from)
    }

    /// A case of it is open: a person may say at any time what became of it (M4, M12).
    fn has_case(&self) -> bool {
        self.duty.parked || (self.is_delivered() && self.duty.issuer_gone)
    }

    /// M4: it stays owed and is a case. It is tried again, since a reload or a start with the right key may mend it.
    fn cannot_be_sent(&mut self, core: &Core) {
        if core.has(Bug::UnwritableForgotten) {
            self.duty.confirmed = Some(Code::APPROVED);
        } else if self.wants_answer(core) && !self.duty.unwritable {
            self.duty.unwritable = true;
            self.duty.case = true;
        }
    }

    /// What has its case is still owed, as was just written: it is sent again, or looked at again later.
    pub(crate) fn still_owed(&mut self, now: Now, core: &mut Core) {
        let rests = self.duty.sending == Sending::Idle && self.duty.proof.is_some();
        let dropped = core.has(Bug::ReversalDroppedAtCap) && self.duty.parked;
        if !rests || dropped || !self.has_case() || !self.wants_answer(core) {
            return;
        }
        let Some(issuer) = core.issuer(self.row.issuer.as_ref()) else { return };
        let longest = issuer.policy.reversal.longest;
        if self.may_send(core) || !self.duty.parked {
            self.queue(Turn::Backlog, core);
        } else {
            self.set_sending(Sending::Due(now.mono.plus(longest)), core);
        }
    }

    /// Its issuer is configured, again or at last.
    pub(crate) fn resume(&mut self, core: &mut Core) {
        let known = core.issuer(self.row.issuer.as_ref()).is_some();
        if known && self.duty.proof.is_some() && self.duty.sending == Sending::Idle {
            self.duty.waits_for_issuer = false;
            if self.has_case() {
                return self.set_sending(Sending::Due(Instant::default()), core);
            }
            self.queue(Turn::Backlog, core);
            // what may not be sent is for a person: that is written at the next look
            core.arm(Instant::default(), Timer::Duty(self.row.key));
        }
    }

    /// Its exchange is open again: no new request takes its STAN (I20).
    pub(crate) fn hold_stan(&mut self, core: &mut Core) {
        if let Some(known) = core.issuer(self.row.issuer.as_ref()) {
            let stan = self.row.id.stan();
            if !known.stans.contains_key(&stan) {
                known.stans.insert(stan, self.row.id);
                self.stan_held = true;
            }
        }
    }

    /// Queues the next attempt at its issuer.
    pub(crate) fn queue(&mut self, turn: Turn, core: &mut Core) {
        let Some(issuer) = self.row.issuer.clone() else { return };
        if self.is_out() {
            // one copy at a time: what comes of this one decides
            return;
        }
        if self.duty.withdraw && !self.duty.written_once {
            return self.set_sending(Sending::Idle, core);
        }
        if !self.may_send(core) {
            self.duty.case |= !self.duty.parked;
            self.duty.progress |= !self.duty.parked;
            self.duty.parked = true;
            return self.set_sending(Sending::Idle, core);
        }
        self.set_sending(Sending::Ready, core);
        // what never came to the wire is still a first attempt
        let tried = self.duty.written_once || self.duty.attempts > 0;
        let turn = if tried { turn } else { Turn::First };
        if let Some(known) = core.issuers.get_mut(&issuer) {
            match turn {
                Turn::First => known.fresh.push_back(self.row.key),
                Turn::Backlog => known.ready.push_back(self.row.key),
            }
        }
        core.pumps.insert(issuer);
    }

    /// The issuer answered a reversal.
    pub(crate) fn on_reversal_answer(&mut self, now: Now, answer: &IssuerAnswer, core: &mut Core) {
        let code = answer.code;
        let Some(issuer) = core.issuer(self.row.issuer.as_ref()) else { return };
        let is_final = issuer.policy.reversal.final_codes.contains(&code);
        if !self.wants_answer(core) && matches!(self.duty.sending, Sending::Written { .. }) {
            self.set_sending(Sending::Idle, core);
        }
        if !self.wants_answer(core) || !self.duty.written_once {
            return;
        }
        let awaited = matches!(self.duty.sending, Sending::Written { .. });
        self.duty.answered = Some(code);
        if is_of_another(&self.row, answer) && !core.has(Bug::OtherReversalConfirms) {
            // M4: it says that something else was taken back
            core.notice(Notice::Contradicted(answer.issuer.clone()));
            core.note(now, self.row.id, self.row.day, NoteKind::Contradiction, "reversal");
            if awaited {
                self.attempt_failed(now, ReversalResult::Refused, None, core);
            }
            return;
        }
        // a 25 to so early an attempt may mean that it overtook its original, however late the 25 itself comes
        let not_found = code == Code::NOT_FOUND;
        let answers_early = not_found && (self.duty.early > 0 || self.is_early(now));
        self.duty.early = self.duty.early.saturating_sub(u32::from(answers_early));
        let answers_early = answers_early && !core.has(Bug::EarlyNotFoundFinal);
        let early = self.duty.not_found_counts_from.filter(|_| answers_early);
        let denied = not_found && self.was_approved() && !core.has(Bug::NotFoundConfirms);
        if denied && !core.reads_new && early.is_none() {
            // a node of the version before cannot read that it is denied: it is a case all the same, and tried on
            self.duty.case |= !self.duty.parked;
            self.duty.parked = true;
            if awaited {
                self.attempt_failed(now, ReversalResult::Denied, None, core);
            }
            return;
        }
        if (is_final || denied) && early.is_none() {
            self.duty.attempts += u32::from(awaited);
            self.duty.confirmed = Some(code);
            self.duty.denied = denied;
            self.rest(core);
            let result = if denied { ReversalResult::Denied } else { ReversalResult::Confirmed };
            self.tell_result(result, core);
        } else if awaited {
            self.attempt_failed(now, ReversalResult::Refused, early, core);
        }
    }

    /// A final answer came. A later attempt that a link still holds may go out: until it tells, that is the one copy.
    pub(crate) fn rest(&mut self, core: &mut Core) {
        if self.duty.sending != Sending::Handed {
            self.set_sending(Sending::Idle, core);
        }
    }

    /// Whether an attempt is at a link or on the wire.
    const fn is_out(&self) -> bool {
        matches!(self.duty.sending, Sending::Handed | Sending::Written { .. })
    }

    /// Whether an issuer's answer to an attempt still decides anything.
    fn wants_answer(&self, core: &Core) -> bool {
        self.owes(core) && self.duty.confirmed.is_none()
    }

    pub(crate) fn attempt_failed(
        &mut self,
        now: Now,
        result: ReversalResult,
        not_before: Option<Instant>,
        core: &mut Core,
    ) {
        self.tell_result(result, core);
        self.duty.attempts += 1;
        self.duty.progress = true;
        let id = self.row.id;
        let dropped = core.has(Bug::ReversalDroppedAtCap);
        let Some(issuer) = core.issuer(self.row.issuer.as_ref()) else { return };
        let schedule = &issuer.policy.reversal;
        if self.duty.attempts >= schedule.attempts && !self.duty.parked {
            self.duty.parked = true;
            self.duty.case = true;
            if dropped {
                return self.set_sending(Sending::Idle, core);
            }
        }
        let wait =
            if self.duty.parked { schedule.longest } else { schedule.wait(id, self.duty.attempts) };
        let at = now.mono.plus(wait).max(not_before.unwrap_or_default());
        self.set_sending(Sending::Due(at), core);
    }

    pub(crate) fn tell_result(&self, result: ReversalResult, core: &mut Core) {
        let Some(issuer) = self.row.issuer.clone() else { return };
        core.notice(if self.is_delivered() {
            Notice::Advice { issuer, result }
        } else {
            Notice::Reversal { issuer, result }
        });
    }

    /// Confirmed, denied or withdrawn: behind everything else.
    pub(crate) fn record_release(&mut self, now: Now, status: ObligationStatus, core: &mut Core) {
        let cause =
            self.obligation.as_ref().map_or(crate::ObligationCause::Silence, |known| known.cause);
        let said = self.said();
        let write = ObligationWrite { status, cause, at: now.wall, due: now.wall, said };
        let row = self.next_image(core, |_| {});
        let case = (status == ObligationStatus::Denied).then(|| {
            let (id, kind) = (self.row.id, CaseKind::ReversalDenied);
            core.notice(Notice::CaseOpened { id, kind });
            Case { id, kind, at: now.wall }
        });
        let change = Change { row, obligation: Some(write), note: None, case, claim: None };
        self.record(now, change, core);
    }

    /// How many attempts were written, and what the last answer said.
    pub(crate) fn said(&self) -> Option<Said> {
        let attempts = self.duty.attempts.max(self.obligation.as_ref()?.attempts);
        Some(Said { attempts, answered: self.duty.answered })
    }

    /// It is durable that nothing is owed any more.
    pub(crate) fn released(&mut self, core: &mut Core) {
        if self.obligation_is(ObligationStatus::Withdrawn) {
            self.tell_result(ReversalResult::Withdrawn, core);
        }
        if !self.is_out() {
            self.set_sending(Sending::Idle, core);
        }
        self.duty = crate::txn::Duty {
            sending: self.duty.sending,
            written_once: self.duty.written_once,
            ..crate::txn::Duty::default()
        };
        self.count_owed(core);
    }

    /// Keeps the timer, and the count of reversals that are out, in step with what is being sent.
    pub(crate) fn set_sending(&mut self, next: Sending, core: &mut Core) {
        let key = self.row.key;
        let is_out =
            |sending: Sending| matches!(sending, Sending::Handed | Sending::Written { .. });
        let due = |sending: Sending| match sending {
            Sending::Due(at) | Sending::Written { deadline: at } => Some(at),
            Sending::Idle | Sending::Ready | Sending::Handed => None,
        };
        let before = std::mem::replace(&mut self.duty.sending, next);
        core.disarm(due(before), Timer::Duty(key));
        if let Some(at) = due(next) {
            core.arm(at, Timer::Duty(key));
        }
        let Some(name) = self.row.issuer.clone() else { return };
        let Some(issuer) = core.issuers.get_mut(&name) else { return };
        match (is_out(before), is_out(next)) {
            (false, true) => issuer.reversals_out += 1,
            (true, false) => {
                issuer.reversals_out = issuer.reversals_out.saturating_sub(1);
                core.pumps.insert(name);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Keeps the engine's list of owed reversals in step with the obligation.
    pub(crate) fn count_owed(&self, core: &mut Core) {
        let Some(obligation) = &self.obligation else { return };
        let entry = (obligation.opened, obligation.id);
        let owes = self.owes(core);
        let list = if self.is_delivered() { &mut core.advices } else { &mut core.owed };
        if owes {
            list.insert(entry);
        } else {
            list.remove(&entry);
        }
    }
}

/// M4: an answer to a reversal that names another amount, currency or card.
fn is_of_another(row: &Row, answer: &IssuerAnswer) -> bool {
    let moves = row.kind.moves_money();
    let amounts = [row.amount, row.approved];
    answer.amount.is_some_and(|amount| moves && !amounts.contains(&amount))
        || answer.currency.is_some_and(|currency| moves && currency != row.currency)
        || answer.card_hash.is_some_and(|hash| hash != row.card.hash)
}

impl ReversalSchedule {
    /// The wait after so many failed attempts: exponential, with a quarter of jitter either way from a hash of number
    /// and attempt (the engine has no randomness).
    #[must_use]
    pub fn wait(&self, id: TxnId, failed: u32) -> Duration {
        let steps = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(steps);
        let mut mixed = id.0 ^ (u64::from(failed) << 48) ^ 0x9e37_79b9_7f4a_7c15;
        for _ in 0..2 {
            mixed ^= mixed >> 31;
            mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        let permille = u32::try_from((mixed >> 33) % 501).unwrap_or(250);
        let jitter = 0.75 + f64::from(permille) / 1000.0;
        let wait = (seconds * jitter).min(self.longest.as_secs_f64());
        Duration::try_from_secs_f64(wait).unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_up_to_the_longest() {
        let schedule = ReversalSchedule {
            first: Duration::from_secs(2),
            factor: 2.0,
            longest: Duration::from_secs(300),
            attempts: 50,
            max_in_flight: 100,
            final_codes: Vec::new(),
        };
        for (failed, low, high) in
            [(1, 1.5, 2.5), (2, 3.0, 5.0), (5, 24.0, 40.0), (30, 300.0, 300.0)]
        {
            for id in 1..200 {
                let wait = schedule.wait(TxnId(id), failed).as_secs_f64();
                assert!((low..=high).contains(&wait), "{failed} failed: {wait}");
            }
        }
        assert_ne!(schedule.wait(TxnId(1), 1), schedule.wait(TxnId(2), 1), "jitter");
    }
}
