//! A terminal's reversal (0400): an operation on its original's identity, which wins any race (M8).

use iso8583::Cause;

use crate::{
    Effect, Engine, Found, Key, Now, Read, ReadFailed, ReversalRequest, RowState, TxnId,
    effect::Reply, txn::Txn,
};

impl Engine {
    pub(crate) fn on_reversal(&mut self, now: Now, request: ReversalRequest) {
        let key = request.key;
        if request.kind.on_silence() == iso8583::OnSilence::Deliver {
            // M12: an advice or refund is the switch's to deliver, and is not reversed
            return self.core.refuse(now, &request.asked, key, Cause::OriginalNotFound);
        }
        if let Some(txn) = self.txns.get_mut(&key) {
            txn.join_reverser(&request, &mut self.core);
            return self.step(now, key);
        }
        let window = self.core.config.repeat_window;
        if let Some(row) = self.finished.get(now, key, window) {
            if row.state == RowState::Declined && !self.core.is_refusal(row) {
                // M8: it may be owed, and what is owed already, only its row tells
                self.finished.remove(key);
            } else if row.state.is_told_approved() {
                self.remember(key);
                return self.on_reversal(now, request);
            } else {
                return self.answer_finished_reversal(now, &request);
            }
        }
        // not in memory: its row is looked for in every day, since beyond the horizon the answer is 25
        let Some(id) = self.core.spare_number(now) else {
            return self.core.silent(request.asked.ask);
        };
        let row = request.row(id, now, &mut self.core);
        let mut txn = Txn::new(row, false, true);
        txn.looking = true;
        txn.named = request.rrn;
        txn.join_reverser(&request, &mut self.core);
        self.insert_txn(txn);
        self.core.push(Effect::Read(Read::AnyDay(key)));
    }

    /// Declined, never sent, timed out, undone: nothing changes.
    fn answer_finished_reversal(&mut self, now: Now, request: &ReversalRequest) {
        let window = self.core.config.repeat_window;
        let Some(row) = self.finished.get(now, request.key, window) else { return };
        if row.is_beyond_horizon() {
            self.core.refuse(now, &request.asked, request.key, Cause::OriginalNotFound);
        } else if request.amount.is_some_and(|amount| amount != row.amount) {
            self.core.refuse(now, &request.asked, request.key, Cause::AmountDiffers);
        } else {
            let reply = Reply::Done(Some(row.id));
            self.core.push(Effect::Reply { ask: request.asked.ask, reply });
        }
    }

    pub(crate) fn on_row_read(
        &mut self,
        now: Now,
        read: Read,
        found: Result<Option<Box<Found>>, ReadFailed>,
    ) {
        let found = found.map(|found| found.map(|found| *found));
        match read {
            Read::Key(key) => self.on_followed(now, key, found),
            Read::Confirm { key, intents } => match found {
                Ok(found) => self.on_confirmed(now, key, found),
                // the lane is still down: ask again, it answers when it is back
                Err(ReadFailed) => self.core.push(Effect::Read(Read::Confirm { key, intents })),
            },
            Read::AnyDay(key) => self.on_looked(now, key, found),
            Read::Id(id) => self.on_id_read(now, id, found),
        }
    }

    /// The row of a request that the edge refuses was looked for within its horizon.
    pub(crate) fn on_own_read(
        &mut self,
        now: Now,
        key: Key,
        found: Result<Option<Found>, ReadFailed>,
    ) {
        let reversed = self.txns.get(&key).is_some_and(|txn| !txn.reversers.is_empty());
        if reversed && matches!(found, Ok(None)) {
            // M8: what is beyond its horizon is refused to its reversal
            return self.core.push(Effect::Read(Read::AnyDay(key)));
        }
        self.on_looked(now, key, found);
    }

    fn on_looked(&mut self, now: Now, key: Key, found: Result<Option<Found>, ReadFailed>) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if !txn.looking {
            return;
        }
        let only_asked = txn.request.is_some() && txn.reversers.is_empty();
        match found {
            // M15: reversals wait unanswered
            Err(ReadFailed) => txn.retry(now, &mut self.core),
            Ok(found) if only_asked && found.as_ref().is_none_or(|found| !found.within_horizon) => {
                self.refuse_without_row(now, key);
            }
            Ok(Some(found)) if !found.within_horizon => {
                // 25, for this reversal and its repeats; and an original that re-uses the identity and is still under way
                // is refused when it arrives
                txn.row.cause = Cause::OriginalNotFound;
                self.reverse_before_arrival(now, key);
            }
            Ok(Some(found)) => {
                let id = txn.row.id;
                txn.looking = false;
                txn.request = None;
                txn.beside.clear();
                txn.durable = true;
                txn.ours = false;
                // M7: even the first to ask here is a copy of what stands there, or has other content
                for asker in &mut txn.askers {
                    asker.copy = true;
                }
                self.core.by_id.remove(&id);
                self.core.by_id.insert(found.row.id, key);
                txn.adopt_image(found, &mut self.core);
                self.step(now, key);
            }
            Ok(None) => match txn.named.take() {
                Some(id) => {
                    self.late.name(id, key);
                    self.core.push(Effect::Read(Read::Id(id)));
                }
                None => self.reverse_before_arrival(now, key),
            },
        }
    }

    /// The number that a reversal names was looked up: another terminal's transaction is refused (25).
    pub(crate) fn on_named(&mut self, now: Now, key: Key, found: Option<&Found>) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        if !txn.looking {
            return;
        }
        if found.is_some_and(|found| found.row.key.terminal() != key.terminal()) {
            self.refuse_looking(now, key);
        } else {
            self.reverse_before_arrival(now, key);
        }
    }

    /// A row stands under its identity from now on: the original will be refused.
    fn reverse_before_arrival(&mut self, now: Now, key: Key) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        if txn.reversers.is_empty() {
            for asker in std::mem::take(&mut txn.askers) {
                self.core.silent(asker.asked.ask);
            }
            return txn.release(&mut self.core);
        }
        txn.looking = false;
        txn.beside.clear();
        if let Some(request) = txn.request.take() {
            // refused by the edge, and reversed before anything stood under it
            txn.row.state = RowState::ReversedBeforeArrival;
            if Some(txn.row.cause) == request.refusal {
                txn.row.cause = Cause::AfterReversal;
            }
            if let Some(amount) = txn.reversers.first().and_then(|waits| waits.amount) {
                // that of the request may have been unreadable
                txn.row.fixed_mut().amount = amount;
            }
        }
        self.record_intent(now, txn);
    }

    /// 25: beyond its horizon, or another terminal's.
    fn refuse_looking(&mut self, now: Now, key: Key) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        for waits in std::mem::take(&mut txn.reversers) {
            self.core.refuse(now, &waits.asked, key, Cause::OriginalNotFound);
        }
        for asker in std::mem::take(&mut txn.askers) {
            self.core.silent(asker.asked.ask);
        }
        txn.release(&mut self.core);
    }

    /// What failed is tried again.
    pub(crate) fn on_retry(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        txn.retry_at = None;
        if !txn.looking {
            return self.step(now, key);
        }
        if txn.reversers.is_empty() && txn.askers.is_empty() {
            if let Some(mut txn) = self.txns.remove(&key) {
                txn.release(&mut self.core);
            }
            return;
        }
        self.core.push(Effect::Read(Read::AnyDay(key)));
    }

    fn on_id_read(&mut self, now: Now, id: TxnId, found: Result<Option<Found>, ReadFailed>) {
        let named = self.late.named(id);
        let freed = self.late.freed(id);
        let answers = self.late.take(id);
        match found {
            Ok(found) => {
                for key in named {
                    self.on_named(now, key, found.as_ref());
                }
                if let Some(found) = found {
                    if freed {
                        self.on_freed(now, found.clone());
                    }
                    for answer in answers {
                        self.on_stray_found(now, &answer, found.clone());
                    }
                }
            }
            Err(ReadFailed) => {
                for key in named {
                    if let Some(txn) = self.txns.get_mut(&key) {
                        txn.named = Some(id);
                        txn.retry(now, &mut self.core);
                    }
                }
                self.late.put_back(id, answers);
                if freed {
                    self.late.free(id);
                }
                self.core
                    .arm(now.mono.plus(crate::persisted::RETRY), crate::core::Timer::Stray(id));
            }
        }
    }
}
