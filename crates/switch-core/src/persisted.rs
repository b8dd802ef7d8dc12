//! A writer is done with a record: the only place where proofs of durability are made (M1, M2, M4).

use std::time::Duration;

use iso8583::Cause;

use crate::{
    Change, Claim, ClaimStatus, Durable, Effect, Engine, Found, Key, NoteKind, Notice, Now,
    ObligationStatus, Persisted, Read, Record, RecordId, Reply, Row, RowState,
    admit::may_repeat,
    bug::Bug,
    core::{Core, RecordFor, Timer},
    duty::Turn,
    effect::TxnOutcome,
    event::Commit,
    txn::{Pending, Txn},
};

/// How long a record that failed waits before it is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(250);

impl Engine {
    pub(crate) fn on_persisted(&mut self, now: Now, record: RecordId, result: Persisted) {
        match self.take_record(record) {
            Some(RecordFor::Transaction(key)) => {
                self.on_transaction_persisted(now, key, record, result);
            }
            Some(RecordFor::Shed(key)) => self.on_shed_persisted(now, key, result),
            Some(RecordFor::Alone(what)) => match result {
                Persisted::Applied(_) | Persisted::Lost(_) => {}
                Persisted::Failed | Persisted::Unknown => self.core.retry_alone(now, what),
            },
            None => {}
        }
    }

    fn on_transaction_persisted(
        &mut self,
        now: Now,
        key: Key,
        record: RecordId,
        result: Persisted,
    ) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let Some(pending) = txn.pending.take_if(|pending| pending.record == record) else { return };
        match result {
            Persisted::Applied(commit) => self.on_applied(now, key, pending.what, commit),
            Persisted::Lost(found) => self.on_lost(now, key, pending, found.map(|found| *found)),
            Persisted::Failed => self.on_failed(now, key, pending),
            Persisted::Unknown if self.core.has(Bug::UnknownTakenForDone) => {
                let commit = Commit { day: txn.row.day, since: now.mono };
                self.on_applied(now, key, pending.what, commit);
            }
            Persisted::Unknown => {
                // I21: the row is read over a fenced connection before anything is done with it
                let intents = matches!(pending.what, Record::Intent(_) | Record::Claim(_));
                txn.pending = Some(Pending { unknown: true, ..pending });
                self.core.push(Effect::Read(Read::Confirm { key, intents }));
            }
        }
    }

    /// What a fenced read says of a record whose commit was unknown (I21).
    pub(crate) fn on_confirmed(&mut self, now: Now, key: Key, found: Option<Found>) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let Some(pending) = txn.pending.take_if(|pending| pending.unknown) else { return };
        // of a day whose horizon is past: nothing, or another that has the identity now; its change is conditional, and tried
        // again
        let own = matches!(pending.what, Record::Intent(_) | Record::Claim(_));
        let id = txn.row.id;
        let found = found.filter(|found| own || found.row.id == id);
        let Some(found) = found else { return self.on_failed(now, key, pending) };
        let commit = Commit { day: found.row.day, since: pending.since };
        match &pending.what {
            what if what.intent().is_some_and(|row| row.id == found.row.id) => {
                self.on_applied(now, key, pending.what, commit);
                // another node may have changed it since
                if let Some(txn) = self.txns.get_mut(&key) {
                    txn.adopt_image(found, &mut self.core);
                }
                self.step(now, key);
            }
            Record::Change(change) if change.row.change == found.row.change => {
                self.on_applied(now, key, pending.what, commit);
            }
            Record::Intent(_) | Record::Claim(_) | Record::Change(_) => {
                self.on_lost(now, key, pending, Some(found));
            }
            // attempts are absolute figures: writing them again changes nothing more
            Record::Progress(_) | Record::Case(_) | Record::Note(_) => {
                self.on_failed(now, key, pending);
            }
        }
    }

    fn on_applied(&mut self, now: Now, key: Key, what: Record, commit: Commit) {
        let core = &mut self.core;
        let Some(txn) = self.txns.get_mut(&key) else { return };
        match what {
            Record::Intent(row) => txn.intended(now, &row, commit, core),
            Record::Claim(claim) => {
                txn.claim = Some(Claim {
                    original: claim.original,
                    key: claim.key,
                    day: claim.day,
                    amount: claim.amount,
                    status: ClaimStatus::Open,
                });
                txn.request = None;
                txn.intended(now, &claim.row, commit, core);
            }
            Record::Change(change) => {
                let was_in_flight = txn.row.state.is_in_flight();
                let write = change.obligation;
                if let (Some(end), Some(claim)) = (change.claim, &mut txn.claim) {
                    claim.status = end.to;
                    let stood = (end.from, end.to) == (ClaimStatus::Stands, ClaimStatus::Released);
                    if stood && !core.has(Bug::PromiseForgotten) {
                        core.push(Effect::Read(self.late.free(end.original)));
                    }
                }
                txn.take_change(*change, core);
                if was_in_flight && !txn.row.state.is_in_flight() {
                    txn.conclusion = None;
                    txn.concluded(core);
                }
                match write.map(|write| write.status) {
                    Some(ObligationStatus::Owed) => {
                        let owed = Durable::of_commit(txn.row.id, commit);
                        txn.owe(now, owed, Turn::First, core);
                    }
                    Some(ObligationStatus::Marked) => txn.marked(now, core),
                    Some(ObligationStatus::Cleared) => txn.unmarked(core),
                    Some(
                        ObligationStatus::Confirmed
                        | ObligationStatus::Withdrawn
                        | ObligationStatus::Denied
                        | ObligationStatus::EndedByHand,
                    ) => txn.released(core),
                    None => {}
                }
                if txn.row.state.is_told_approved() && txn.reversers.is_empty() && !txn.is_marked()
                {
                    txn.give_approval(now, commit, core);
                }
            }
            Record::Progress(progress) => {
                if let Some(obligation) = &mut txn.obligation {
                    obligation.attempts = progress.attempts;
                    obligation.answered = progress.answered.or(obligation.answered);
                    obligation.owner = core.config.node;
                }
                if std::mem::take(&mut txn.adopt) {
                    txn.duty.written_once = true;
                    // an earlier life may have written an attempt, whose 25 may still come, however late
                    txn.duty.early = 1;
                    let owed = Durable::of_commit(txn.row.id, commit);
                    txn.owe(now, owed, Turn::Backlog, core);
                } else {
                    txn.still_owed(now, core);
                }
            }
            Record::Case(_) | Record::Note(_) => {}
        }
        self.step(now, key);
    }

    /// Another row stands under the key, or the version moved on: follow what stands there.
    fn on_lost(&mut self, now: Now, key: Key, pending: Pending, found: Option<Found>) {
        if found.is_none() && matches!(pending.what, Record::Claim(_)) {
            // M11: nothing stands under its own identity, so the original has moved on
            if let Record::Claim(claim) = &pending.what
                && self.core.has(Bug::JudgedOnce)
                && let Some(txn) = self.txns.get_mut(&key)
            {
                let version = claim.version + 1;
                let again =
                    Record::Claim(Box::new(crate::ClaimIntent { version, ..(**claim).clone() }));
                let record = self.core.persist_of(key, &again);
                return txn.pend(record, again, now);
            }
            return self.original_moved(now, key);
        }
        let Some(found) = found else { return self.on_failed(now, key, pending) };
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if self.core.has(Bug::VersionIgnored)
            && let Record::Change(mut change) = pending.what.clone()
        {
            change.row.version = found.row.version + 1;
            return txn.record(now, *change, &mut self.core);
        }
        if matches!(pending.what, Record::Intent(_) | Record::Claim(_)) {
            txn.request = None;
            txn.words = None;
            txn.release(&mut self.core);
            txn.durable = true;
            txn.ours = false;
            txn.delivery.all_known = false;
            // M7: even the first to ask here is a copy of what stands there, or has other content
            for asker in &mut txn.askers {
                asker.copy = true;
            }
            self.core.by_id.insert(found.row.id, key);
            self.core.notice(Notice::Duplicate(crate::DuplicateResult::Joined));
        }
        txn.late += pending.late;
        // M4: a case that was to be opened beside it is still to be opened
        if let Record::Change(change) = &pending.what {
            txn.duty.case |= change.case.is_some() && change.obligation.is_none();
        }
        // M12: a person said that its issuer does not have it, and it took it
        let denied = found.row.state == RowState::Disputed && !txn.duty.refused;
        let taken = txn.duty.confirmed.filter(|_| txn.is_delivered() && denied);
        txn.adopt_image(found, &mut self.core);
        if let Some(code) = taken {
            txn.taken_after_all(now, code, &mut self.core);
        }
        txn.arm_askers(&mut self.core);
        self.step(now, key);
    }

    /// Certainly not written.
    fn on_failed(&mut self, now: Now, key: Key, pending: Pending) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        txn.late += pending.late;
        match pending.what {
            Record::Intent(row) => self.on_intent_failed(now, key, *row),
            Record::Claim(claim) => self.on_intent_failed(now, key, claim.row),
            Record::Progress(_) => {
                txn.duty.progress |= !txn.adopt;
                txn.retry(now, &mut self.core);
            }
            Record::Change(change) => {
                txn.duty.case |= change.case.is_some();
                txn.give_up_unwritten(now);
                txn.retry(now, &mut self.core);
            }
            Record::Case(_) | Record::Note(_) => {}
        }
    }

    /// M15: nothing was sent and nothing is durable. The request is refused, and that is remembered; a reversal waits.
    pub(crate) fn on_intent_failed(&mut self, now: Now, key: Key, row: Row) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        txn.release(&mut self.core);
        if !txn.askers.is_empty() && row.state != RowState::ReversedBeforeArrival {
            let refused =
                Row { state: RowState::NeverSent, cause: Cause::SystemDown, ..row.clone() };
            let room = self.shed.len() < self.core.config.max_shed;
            for asker in txn.askers.drain(..) {
                if room {
                    self.core.refuse_with(asker.asked.ask, &refused);
                } else {
                    self.core.push(Effect::Close(asker.asked.ask));
                }
            }
            self.core.notice(Notice::Shed(crate::ShedReason::StoreDown));
            if room {
                self.remember_refusal(now, refused, true);
            }
        }
        if !txn.reversers.is_empty() || !txn.askers.is_empty() {
            let waiting = Txn {
                looking: true,
                askers: txn.askers,
                reversers: txn.reversers,
                ..Txn::new(
                    Row {
                        state: RowState::ReversedBeforeArrival,
                        cause: Cause::AfterReversal,
                        ..row
                    },
                    false,
                    true,
                )
            };
            self.insert_txn(waiting);
            if let Some(txn) = self.txns.get_mut(&key) {
                txn.arm_askers(&mut self.core);
                txn.retry(now, &mut self.core);
            }
        }
    }
}

impl Txn {
    /// Its intent is durable: it is sent, or was refused.
    fn intended(&mut self, now: Now, row: &Row, commit: Commit, core: &mut Core) {
        self.durable = true;
        self.row.day = commit.day;
        if row.state == RowState::InFlight {
            return self.forward(now, Durable::of_commit(row.id, commit), core);
        }
        if let Some(words) = self.words.take() {
            core.note(now, row.id, commit.day, NoteKind::OriginalRefused, &words);
        }
        self.concluded(core);
    }

    /// Gives a durable approval to everyone who waits for it (M2, M6). A copy beyond its window gets 94 (M7).
    pub(crate) fn give_approval(&mut self, now: Now, commit: Commit, core: &mut Core) {
        for asker in std::mem::take(&mut self.askers) {
            if asker.asked.deadline <= now.mono {
                self.delivery.missed = true;
                core.silent(asker.asked.ask);
            } else if asker.copy && !may_repeat(now, &self.row, asker.digest, core) {
                core.refuse_copy(now, &asker.asked, self.row.key, self.row.id, self.row.day);
            } else {
                self.delivery.offered += 1;
                let durable = Durable::of_commit(self.row.id, commit);
                let reply = Reply::Approved { durable, outcome: self.outcome() };
                core.push(Effect::Reply { ask: asker.asked.ask, reply });
            }
        }
        self.arm_askers(core);
    }

    /// The image that a change made.
    fn take_change(&mut self, change: Change, core: &mut Core) {
        let Change { row, obligation, note: _, case: _, claim: _ } = change;
        self.row = row;
        if let Some(write) = obligation {
            // written by this node: nothing is left to adopt
            self.adopt = false;
            let known = self.obligation.take();
            // one that was owed before, in whatever life, may have been written
            self.duty.written_once |=
                known.as_ref().is_some_and(crate::Obligation::may_have_been_written);
            let attempts = known.as_ref().map_or(0, |known| known.attempts);
            let answered = known.as_ref().and_then(|known| known.answered);
            self.obligation = Some(crate::Obligation {
                id: self.row.id,
                status: write.status,
                cause: write.cause,
                owner: core.config.node,
                attempts: write.said.map_or(attempts, |said| said.attempts),
                answered: write.said.and_then(|said| said.answered).or(answered),
                opened: known.as_ref().map_or(write.at, |known| known.opened),
                due: write.due,
                parked: known.is_some_and(|known| known.parked),
            });
        }
        self.count_owed(core);
    }

    /// The outcome is durable: count it.
    fn concluded(&self, core: &mut Core) {
        core.in_flight.remove(&self.row.id);
        let outcome = match self.row.state {
            // M12: the terminal of an advice that is accepted is told that it is done
            RowState::Approved | RowState::Accepted | RowState::Disputed => TxnOutcome::Approved,
            RowState::Declined => TxnOutcome::Declined,
            RowState::TimedOut | RowState::Undone => TxnOutcome::TimedOut,
            RowState::NeverSent if self.row.cause == Cause::IssuerDown => TxnOutcome::NeverSent,
            RowState::NeverSent => TxnOutcome::Refused,
            RowState::ReversedBeforeArrival
            | RowState::InFlight
            | RowState::InFlightReversalAsked => return,
        };
        let listener = self.row.listener.clone();
        core.notice(Notice::Concluded { listener, kind: self.row.kind, outcome });
    }

    /// Tries again in a while.
    pub(crate) fn retry(&mut self, now: Now, core: &mut Core) {
        let at = now.mono.plus(RETRY);
        core.disarm(self.retry_at, Timer::Retry(self.row.key));
        core.arm(at, Timer::Retry(self.row.key));
        self.retry_at = Some(at);
    }
}
