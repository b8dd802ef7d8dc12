//! A request comes in: copies are joined, answered or refused (M6, M7); new work is admitted or shed (M15, M16).

use std::time::Duration;

use iso8583::{Cause, OnSilence};

use crate::{
    Effect, Engine, Instant, Key, Notice, Now, Record, Row, RowState, ShedReason, TxnId,
    bug::Bug,
    core::Core,
    effect::{DuplicateResult, TxnOutcome},
    event::Request,
    txn::{Asker, Txn},
};

/// What a new request meets.
pub(crate) enum Admission {
    /// A row is inserted and forwarded.
    Forward(TxnId),
    /// No link is up: a row is inserted as never sent (M5).
    NoLink(TxnId),
    /// Refused without a row (M15, M16).
    Shed(Cause, ShedReason),
}

impl Engine {
    pub(crate) fn on_request(&mut self, now: Now, request: Request) {
        let key = request.key;
        if let Some(txn) = self.txns.get_mut(&key) {
            let asker = Asker::of(&request, true);
            self.core.notice(Notice::Duplicate(DuplicateResult::Joined));
            txn.join(asker, &mut self.core);
            let looked_for = |cause| refusal_of(cause) == RefusedBy::Look;
            if txn.looks_for_own() && !request.refusal.is_some_and(looked_for) {
                // should nothing stand under the identity, this copy is the request, or leaves a row
                txn.beside.push(request.clone());
            }
            if self.core.has(Bug::CopyForwarded) && txn.ours && txn.row.state.is_in_flight() {
                txn.forward_again(now, request.asked.ask, &mut self.core);
            }
            return self.step(now, key);
        }
        if self.shed.answers(now, &request, &mut self.core) {
            return;
        }
        if self.answer_finished(now, &request) {
            return;
        }
        if let Some(cause) = request.refusal {
            return self.refuse_new(now, request, cause);
        }
        if request.original.is_some() {
            return self.look_for_original(now, request);
        }
        match self.core.admission(now, &request) {
            Admission::Shed(cause, reason) => self.shed(now, &request, cause, reason),
            Admission::Forward(id) => {
                self.admit(now, request, id, RowState::InFlight, Cause::NoAnswer);
            }
            Admission::NoLink(id) => {
                self.admit(now, request, id, RowState::NeverSent, Cause::IssuerDown);
            }
        }
        // a busy second uses more than a block: the next is asked for as soon as this one is half used
        self.want_numbers(now);
    }

    /// M2: a request that the edge refuses, of an identity that is not in memory.
    fn refuse_new(&mut self, now: Now, request: Request, cause: Cause) {
        match refusal_of(cause) {
            RefusedBy::Row => {
                if let Some((cause, reason)) = self.core.cannot_take() {
                    return self.shed(now, &request, cause, reason);
                }
                let Some(id) = self.core.spare_number(now) else {
                    return self.shed(now, &request, Cause::SystemDown, ShedReason::Numbers);
                };
                self.admit(now, request, id, RowState::NeverSent, cause);
            }
            RefusedBy::Look if !self.core.has(Bug::RefusedUnread) => {
                self.look_for_own(now, request, cause);
            }
            RefusedBy::Shedding => self.shed(now, &request, cause, ShedReason::StoreDown),
            RefusedBy::Look | RefusedBy::Nothing => {
                self.core.refuse(now, &request.asked, request.key, cause);
                self.core.concluded_without_row(&request, TxnOutcome::Refused);
            }
        }
    }

    /// A finished refusal is repeated from memory (M6); a finished approval comes back to memory, since it is given again
    /// only by a conditional update.
    fn answer_finished(&mut self, now: Now, request: &Request) -> bool {
        let window = self.core.config.repeat_window;
        let Some(row) = self.finished.get(now, request.key, window) else { return false };
        if row.state.is_told_approved() {
            self.remember(request.key);
            let asker = Asker::of(request, true);
            if let Some(txn) = self.txns.get_mut(&request.key) {
                txn.join(asker, &mut self.core);
            }
            self.step(now, request.key);
            return true;
        }
        if may_repeat(now, row, request.digest, &self.core) {
            self.core.notice(Notice::Duplicate(DuplicateResult::Replayed));
            self.core.refuse_with(request.asked.ask, row);
        } else {
            let (id, day) = (row.id, row.day);
            self.core.refuse_copy(now, &request.asked, request.key, id, day);
        }
        true
    }

    /// A new request: its row goes to the store.
    fn admit(&mut self, now: Now, request: Request, id: TxnId, state: RowState, cause: Cause) {
        let asker = Asker::of(&request, false);
        // what is taken back, given or told is taken as it is, or not at all (M13)
        let takes_partial =
            request.takes_partial && request.kind.on_silence() == OnSilence::Reverse;
        let row = request.row(id, state, cause, now, &mut self.core);
        let mut txn = Txn::new(row, false, true);
        txn.takes_partial = takes_partial;
        txn.delivery.all_known = true;
        txn.join(asker, &mut self.core);
        if state == RowState::InFlight {
            self.core.enter_issuer(now, &mut txn);
        }
        self.record_intent(now, txn);
    }

    /// Hands a row to the writer of intents.
    pub(crate) fn record_intent(&mut self, now: Now, txn: impl Into<Box<Txn>>) {
        let mut txn = txn.into();
        let what = Record::Intent(Box::new(txn.row.clone()));
        let record = self.core.persist_of(txn.row.key, &what);
        txn.pend(record, what, now);
        self.insert_txn(txn);
    }

    pub(crate) fn insert_txn(&mut self, txn: impl Into<Box<Txn>>) {
        let mut txn = txn.into();
        txn.count_open(&mut self.core);
        self.core.by_id.insert(txn.row.id, txn.row.key);
        self.txns.insert(txn.row.key, txn);
    }
}

/// M6 and M7: whether the stored answer may be given to a copy with this digest.
pub(crate) fn may_repeat(now: Now, row: &Row, digest: crate::Digest, core: &Core) -> bool {
    row.state == RowState::ReversedBeforeArrival
        || ((row.digest == digest || core.has(Bug::ContentIgnored))
            && (row.state.is_in_flight()
                || now.wall.since(row.created) <= core.config.repeat_window))
}

/// What must be known before a refusal of the edge is given (M2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedBy {
    /// A row under its identity: one answer on all nodes, also while rules change.
    Row,
    /// Nothing, once it is known that no row stands under its identity.
    Look,
    /// The memory of what was shed (M15, M16).
    Shedding,
    /// Nothing: it says nothing of the identity.
    Nothing,
}

pub(crate) const fn refusal_of(cause: Cause) -> RefusedBy {
    match cause {
        Cause::NoRoute
        | Cause::TerminalNotPermitted
        | Cause::CardNotPermitted
        | Cause::OverLimit => RefusedBy::Row,
        Cause::Format | Cause::UnknownMerchant | Cause::UnknownTerminal | Cause::BatchDiffers => {
            RefusedBy::Look
        }
        Cause::SystemDown | Cause::IssuerDown => RefusedBy::Shedding,
        Cause::NotSupported
        | Cause::WrongMac
        | Cause::Issuer
        | Cause::Done
        | Cause::NoAnswer
        | Cause::Contradicted
        | Cause::Duplicate
        | Cause::AfterReversal
        | Cause::OriginalNotApproved
        | Cause::OriginalNotFound
        | Cause::OriginalUndone
        | Cause::AmountDiffers
        | Cause::OtherCard
        | Cause::ClaimOpen => RefusedBy::Nothing,
    }
}

impl Core {
    /// Counts it as in flight at its issuer, and holds its STAN there (I20).
    pub(crate) fn enter_issuer(&mut self, now: Now, txn: &mut Txn) {
        txn.counted = true;
        txn.stan_held = true;
        self.in_flight.insert(txn.row.id);
        if let Some(issuer) = self.issuer(txn.row.issuer.as_ref()) {
            issuer.in_flight += 1;
            issuer.stans.insert(txn.row.id.stan(), txn.row.id);
            issuer.pace.sale(now.mono);
        }
    }

    /// M15, M16: why nothing new is taken now, whoever its issuer is.
    pub(crate) fn cannot_take(&self) -> Option<(Cause, ShedReason)> {
        if self.draining {
            return Some((Cause::SystemDown, ShedReason::Draining));
        }
        if !self.store_up {
            return Some((Cause::SystemDown, ShedReason::StoreDown));
        }
        (self.records.len() >= self.config.max_store_lag)
            .then_some((Cause::SystemDown, ShedReason::StoreLag))
    }

    /// M15, M16, M5: what becomes of a new request.
    pub(crate) fn admission(&mut self, now: Now, request: &Request) -> Admission {
        if let Some((cause, reason)) = self.cannot_take() {
            return Admission::Shed(cause, reason);
        }
        let named = request.issuer.as_ref();
        let Some((name, issuer)) = named.and_then(|name| Some((name, self.issuers.get(name)?)))
        else {
            return Admission::Shed(Cause::IssuerDown, ShedReason::IssuerInFlight);
        };
        if issuer.in_flight >= issuer.policy.max_in_flight {
            return Admission::Shed(Cause::IssuerDown, ShedReason::IssuerInFlight);
        }
        let free = |stan| !issuer.stans.contains_key(&stan);
        let Some(id) = self.numbers.take(now.mono, Some(name), free) else {
            return Admission::Shed(Cause::SystemDown, ShedReason::Numbers);
        };
        let in_time = now.mono.plus(issuer.policy.timeout) <= request.asked.deadline;
        if issuer.links.is_empty() || !in_time {
            Admission::NoLink(id)
        } else {
            Admission::Forward(id)
        }
    }

    /// M7: the identity stands for something else, or is too old to be answered again: 94.
    pub(crate) fn refuse_copy(
        &mut self,
        now: Now,
        asked: &crate::Asked,
        key: Key,
        id: TxnId,
        day: crate::Day,
    ) {
        self.notice(Notice::Duplicate(DuplicateResult::Refused));
        self.refuse(now, asked, key, Cause::Duplicate);
        self.note(now, id, day, crate::NoteKind::OtherContent, "94");
    }

    pub(crate) fn concluded_without_row(&mut self, request: &Request, outcome: TxnOutcome) {
        let listener = request.asked.listener.clone();
        self.notice(Notice::Concluded { listener, kind: request.kind, outcome });
    }

    /// Nobody will be answered on this ask.
    pub(crate) fn silent(&mut self, ask: crate::AskId) {
        self.push(Effect::Silent(ask));
    }
}

/// The earliest time at which an original that was not handed to the kernel is never sent (M1).
pub(crate) fn never_after(commit_since: Instant) -> Instant {
    commit_since.plus(Duration::from_secs(5))
}
