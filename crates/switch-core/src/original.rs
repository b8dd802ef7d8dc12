//! A request about another transaction: its original is looked for and judged, and the claim on it is written with the
//! intent (M11).

use std::collections::BTreeSet;

use iso8583::Cause;

use crate::{
    AskId, ClaimIntent, Effect, Engine, Key, Now, OriginalFound, ReadFailed, Record, Request, Row,
    RowState, ShedReason, Translated,
    admit::Admission,
    claim::{Refusal, judge},
    core::Core,
    effect::TxnOutcome,
    event::Asked,
    txn::{Asker, Txn},
};

impl Engine {
    /// A new request that names an original: nothing is written until that was read.
    pub(crate) fn look_for_original(&mut self, now: Now, request: Request) {
        if let Some((cause, reason)) = self.core.cannot_take() {
            return self.shed(now, &request, cause, reason);
        }
        let Some(id) = self.core.spare_number(now) else {
            return self.shed(now, &request, Cause::SystemDown, ShedReason::Numbers);
        };
        let asker = Asker::of(&request, false);
        let row =
            request.clone().row(id, RowState::NeverSent, Cause::SystemDown, now, &mut self.core);
        let mut txn = Txn::new(row, false, true);
        txn.looking = true;
        txn.delivery.all_known = true;
        txn.request = Some(Box::new(request));
        txn.join(asker, &mut self.core);
        txn.ask_for_original(&mut self.core);
        self.insert_txn(txn);
    }

    pub(crate) fn on_original_read(
        &mut self,
        now: Now,
        key: Key,
        original: Result<Option<Box<OriginalFound>>, ReadFailed>,
    ) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        let Some(request) = txn.request.take_if(|_| txn.looking) else { return };
        txn.looking = false;
        let Ok(original) = original else {
            // M15: nothing was sent and nothing is durable
            let row = txn.row.clone();
            return self.on_intent_failed(now, key, row);
        };
        if !txn.reversers.is_empty() {
            // M8: its reversal came first
            return self.judged(
                now,
                key,
                RowState::ReversedBeforeArrival,
                Cause::AfterReversal,
                None,
            );
        }
        if txn.askers.is_empty() {
            // nobody waits any more, and nothing was begun
            if let Some(mut txn) = self.txns.remove(&key) {
                txn.release(&mut self.core);
            }
            return;
        }
        match original_of(&request, original.as_deref(), &self.core) {
            Err(Refusal { cause, words }) => {
                self.judged(now, key, RowState::NeverSent, cause, Some(words));
            }
            Ok(taken) => self.claim(now, key, request, original.as_deref(), taken),
        }
    }

    /// The original may be claimed: the request is admitted like any other, at the issuer that has its original.
    fn claim(
        &mut self,
        now: Now,
        key: Key,
        asked: Box<Request>,
        original: Option<&OriginalFound>,
        taken: Option<i64>,
    ) {
        let Some(original) = original else { return };
        let more = match &original.translated {
            Translated::Carried(more) => more,
            Translated::Inexpressible => {
                let words = format!("the issuer of {} cannot have it", original.found.row.id.rrn());
                let (state, cause) = (RowState::NeverSent, Cause::Format);
                return self.judged(now, key, state, cause, Some(words));
            }
            Translated::NoIssuer => {
                let words = format!("the issuer of {} is gone", original.found.row.id.rrn());
                let (state, cause) = (RowState::NeverSent, Cause::IssuerDown);
                return self.judged(now, key, state, cause, Some(words));
            }
        };
        let request = Request {
            issuer: original.found.row.issuer.clone(),
            carried: [&asked.carried[..], &more[..]].concat().into(),
            ..(*asked).clone()
        };
        let (id, state, cause) = match self.core.admission(now, &request) {
            Admission::Forward(id) => (id, RowState::InFlight, Cause::NoAnswer),
            Admission::NoLink(id) => (id, RowState::NeverSent, Cause::IssuerDown),
            Admission::Shed(cause, reason) => {
                return self.shed_looking(now, key, &request, cause, reason);
            }
        };
        let Some(mut txn) = self.txns.remove(&key) else { return };
        txn.release(&mut self.core);
        txn.row = request.row(id, state, cause, now, &mut self.core);
        txn.arm_askers(&mut self.core);
        if state != RowState::InFlight {
            return self.record_intent(now, txn);
        }
        self.core.enter_issuer(now, &mut txn);
        let Some(amount) = taken else { return self.record_intent(now, txn) };
        let from = &original.found.row;
        let what = Record::Claim(Box::new(ClaimIntent {
            row: txn.row.clone(),
            original: from.id,
            key: from.key,
            day: from.day,
            version: from.version,
            amount,
        }));
        // as it came: should the original have moved on, it is judged again
        txn.request = Some(asked);
        let record = self.core.persist_of(key, &what);
        txn.pend(record, what, now);
        self.insert_txn(txn);
    }

    /// What the original's row was is no longer so: it is read and judged again.
    pub(crate) fn original_moved(&mut self, now: Now, key: Key) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        if txn.request.is_none() {
            let row = txn.row.clone();
            self.txns.insert(key, txn);
            return self.on_intent_failed(now, key, row);
        }
        txn.release(&mut self.core);
        txn.looking = true;
        txn.ask_for_original(&mut self.core);
        txn.arm_askers(&mut self.core);
        self.insert_txn(txn);
    }

    /// A refusal for what the original is, or for a reversal that came first, is committed under the request's identity.
    fn judged(&mut self, now: Now, key: Key, state: RowState, cause: Cause, words: Option<String>) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        txn.row = Row { state, cause, concluded: Some(now.wall), ..txn.row };
        txn.words = words;
        self.record_intent(now, txn);
    }

    /// M16: a bound was reached while the original was read.
    fn shed_looking(
        &mut self,
        now: Now,
        key: Key,
        request: &Request,
        cause: Cause,
        reason: ShedReason,
    ) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        txn.release(&mut self.core);
        let mut asked: Vec<Asked> = txn.askers.drain(..).map(|asker| asker.asked).collect();
        if asked.is_empty() {
            return;
        }
        let first = Request { asked: asked.remove(0), ..request.clone() };
        self.shed(now, &first, cause, reason);
        for asked in asked {
            let again = Request { asked, ..request.clone() };
            if !self.shed.answers(now, &again, &mut self.core) {
                self.core.push(Effect::Close(again.asked.ask));
            }
        }
    }

    /// A request that the edge refuses: its identity may stand from before it had a reason to, as a batch that was closed or a
    /// merchant that was taken off the list, so its row is looked for first (M2, M6).
    pub(crate) fn look_for_own(&mut self, now: Now, request: Request, cause: Cause) {
        if let Some((cause, reason)) = self.core.cannot_take() {
            return self.shed(now, &request, cause, reason);
        }
        let Some(id) = self.core.spare_number(now) else {
            return self.shed(now, &request, Cause::SystemDown, ShedReason::Numbers);
        };
        let asker = Asker::of(&request, true);
        let row = request.clone().row(id, RowState::NeverSent, cause, now, &mut self.core);
        let mut txn = Txn::new(row, false, true);
        txn.looking = true;
        txn.join(asker, &mut self.core);
        let key = txn.row.key;
        txn.request = Some(Box::new(request));
        self.core.push(Effect::Read(crate::Read::Key(key)));
        self.insert_txn(txn);
    }

    /// No row stands under it: the refusal, without a commit. Copies that may have more than that come as if anew.
    pub(crate) fn refuse_without_row(&mut self, now: Now, key: Key) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        let waits: BTreeSet<AskId> = txn.askers.iter().map(|asker| asker.asked.ask).collect();
        let mut beside = std::mem::take(&mut txn.beside);
        // whose terminal is gone, or has waited too long, asks nothing more
        beside.retain(|request| waits.contains(&request.asked.ask));
        let anew: BTreeSet<AskId> = beside.iter().map(|request| request.asked.ask).collect();
        for asker in std::mem::take(&mut txn.askers) {
            if let Some(cause) = asker.refusal.filter(|_| !anew.contains(&asker.asked.ask)) {
                self.core.refuse(now, &asker.asked, key, cause);
            }
        }
        if let Some(request) = &txn.request {
            self.core.concluded_without_row(request, TxnOutcome::Refused);
        }
        txn.release(&mut self.core);
        for request in beside {
            self.on_request(now, request);
        }
    }
}

fn original_of(
    request: &Request,
    original: Option<&OriginalFound>,
    core: &Core,
) -> Result<Option<i64>, Refusal> {
    match &request.original {
        Some(ask) => judge(request, ask, original, core),
        None => Ok(None),
    }
}

impl Txn {
    fn ask_for_original(&self, core: &mut Core) {
        let Some(ask) = self.request.as_ref().and_then(|request| request.original.as_ref()) else {
            return;
        };
        core.push(Effect::FindOriginal {
            key: self.row.key,
            named: ask.named,
            kinds: ask.kinds.clone(),
            ask: self.askers.first().map(|asker| asker.asked.ask),
            merchant: self.row.merchant.clone(),
        });
    }
}
