//! What was refused to protect the rest: remembered, so that copies get the same refusal, and written down later (M15, M16).

use std::collections::VecDeque;
use std::time::Duration;

use iso8583::{Cause, OnSilence};

use crate::{
    Case, CaseKind, Effect, Engine, Found, Key, Notice, Now, Outcome, Read, ReadFailed, Record,
    Reply, Row, RowState, ShedReason, TxnId, Wall,
    admit::{RefusedBy, refusal_of},
    core::{Core, RecordFor, Timer},
    effect::{DuplicateResult, TxnOutcome},
    event::{Commit, Persisted, Request},
    table::Table,
};

const WRITE_EVERY: Duration = Duration::from_millis(200);
/// Shed requests written down at a time: they must not crowd out new work.
const WRITE_AT_ONCE: usize = 256;

#[derive(Debug)]
pub(crate) struct ShedMemory {
    entries: Table<Key, Entry>,
    order: VecDeque<(Wall, Key)>,
    unwritten: VecDeque<Key>,
    armed: bool,
}

#[derive(Debug)]
struct Entry {
    row: Box<Row>,
    written: bool,
    /// Whether a number was drawn for it: without one it cannot be written down yet.
    numbered: bool,
    /// Whether the edge refused it: no row is made of it, its own is only looked for (M2).
    looked_for: bool,
    /// Whether that look is under way.
    looking: bool,
}

impl ShedMemory {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Table::seeded(seed),
            order: VecDeque::new(),
            unwritten: VecDeque::new(),
            armed: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Answers a copy of what was shed: the same refusal, or 94 to other content.
    pub(crate) fn answers(&self, now: Now, request: &Request, core: &mut Core) -> bool {
        let Some(entry) = self.entries.get(&request.key) else { return false };
        if now.wall.since(entry.row.created) > core.config.repeat_window && entry.written {
            return false;
        }
        if entry.row.digest == request.digest {
            core.notice(Notice::Duplicate(DuplicateResult::Replayed));
            let id = entry.numbered.then_some(entry.row.id);
            let outcome = Outcome { id, ..Outcome::of(&entry.row) };
            core.push(Effect::Reply { ask: request.asked.ask, reply: Reply::Refused(outcome) });
        } else {
            core.notice(Notice::Duplicate(DuplicateResult::Refused));
            core.refuse(now, &request.asked, request.key, Cause::Duplicate);
        }
        true
    }

    /// Forgets what is too old to be asked for again, and, where there is no more room, what has a row by now: a copy
    /// finds that.
    fn forget_old(&mut self, now: Now, core: &Core) {
        while let Some(&(at, key)) = self.order.front() {
            let written = self.entries.get(&key).is_none_or(|entry| entry.written);
            let old = now.wall.since(at) > core.config.repeat_window;
            if !written || !(old || self.entries.len() >= core.config.max_shed) {
                break;
            }
            self.order.pop_front();
            self.entries.remove(&key);
        }
    }
}

impl Engine {
    /// Refuses new work without reading its identity; never when that could not be remembered.
    pub(crate) fn shed(&mut self, now: Now, request: &Request, cause: Cause, reason: ShedReason) {
        self.shed.forget_old(now, &self.core);
        if self.shed.len() >= self.core.config.max_shed {
            self.core.notice(Notice::Shed(ShedReason::Memory));
            self.core.push(Effect::Close(request.asked.ask));
            return;
        }
        self.core.notice(Notice::Shed(reason));
        self.core.concluded_without_row(request, TxnOutcome::Refused);
        let id = self.core.spare_number(now);
        let row = request.clone().row(
            id.unwrap_or_default(),
            RowState::NeverSent,
            cause,
            now,
            &mut self.core,
        );
        let outcome = Outcome { id, ..Outcome::of(&row) };
        let reply = match reason {
            ShedReason::IssuerInFlight | ShedReason::StoreLag | ShedReason::Numbers => {
                Reply::Shed(outcome)
            }
            ShedReason::StoreDown | ShedReason::Draining | ShedReason::Memory => {
                Reply::Refused(outcome)
            }
        };
        self.core.push(Effect::Reply { ask: request.asked.ask, reply });
        let looked_for = request.refusal.is_some_and(|cause| refusal_of(cause) == RefusedBy::Look);
        self.keep_shed(now, row, id.is_some(), looked_for);
    }

    /// Keeps a refusal that has no row yet.
    pub(crate) fn remember_refusal(&mut self, now: Now, row: Row, numbered: bool) {
        self.keep_shed(now, row, numbered, false);
    }

    fn keep_shed(&mut self, now: Now, row: Row, numbered: bool, looked_for: bool) {
        let key = row.key;
        self.shed.order.push_back((now.wall, key));
        self.shed.unwritten.push_back(key);
        let row = Box::new(row);
        let entry = Entry { row, written: false, numbered, looked_for, looking: false };
        self.shed.entries.insert(key, entry);
        self.arm_shed(now);
    }

    fn arm_shed(&mut self, now: Now) {
        if !self.shed.armed {
            self.shed.armed = true;
            self.core.arm(now.mono.plus(WRITE_EVERY), Timer::Shed);
        }
    }

    /// Writes some of it down, if the store has room.
    pub(crate) fn on_shed_due(&mut self, now: Now) {
        self.shed.armed = false;
        let room =
            self.core.store_up && self.core.records.len() < self.core.config.max_store_lag / 2;
        for _ in 0..if room { WRITE_AT_ONCE } else { 0 } {
            let Some(key) = self.shed.unwritten.pop_front() else { break };
            self.write_shed(now, key);
        }
        self.shed.forget_old(now, &self.core);
        if !self.shed.unwritten.is_empty() {
            self.arm_shed(now);
        }
    }

    fn write_shed(&mut self, now: Now, key: Key) {
        // a transaction under that key is in memory: its own record may be under way
        if self.txns.contains_key(&key) {
            return self.shed.unwritten.push_back(key);
        }
        let Some(entry) = self.shed.entries.get_mut(&key) else { return };
        if entry.looked_for {
            if !std::mem::replace(&mut entry.looking, true) {
                self.core.push(Effect::Read(Read::Key(key)));
            }
            return;
        }
        if !entry.numbered {
            let Some(id) = self.core.spare_number(now) else {
                return self.shed.unwritten.push_front(key);
            };
            entry.row.fixed_mut().id = id;
            entry.numbered = true;
        }
        self.core.persist(Record::Intent(entry.row.clone()), RecordFor::Shed(key));
    }

    pub(crate) fn on_shed_persisted(&mut self, now: Now, key: Key, result: Persisted) {
        let Some(entry) = self.shed.entries.get_mut(&key) else { return };
        match result {
            Persisted::Applied(Commit { .. }) => entry.written = true,
            Persisted::Lost(Some(found)) => self.shed_stands(now, key, &found),
            Persisted::Lost(None) | Persisted::Failed | Persisted::Unknown => {
                self.shed.unwritten.push_back(key);
            }
        }
        if !self.shed.unwritten.is_empty() {
            self.arm_shed(now);
        }
    }

    /// The row of a shed request that is only looked for was read.
    pub(crate) fn on_shed_looked(
        &mut self,
        now: Now,
        key: Key,
        found: &Result<Option<Found>, ReadFailed>,
    ) {
        let Some(entry) = self.shed.entries.get_mut(&key) else { return };
        if !std::mem::take(&mut entry.looking) {
            return;
        }
        match found {
            Ok(None) => entry.written = true,
            Ok(Some(found)) => self.shed_stands(now, key, found),
            Err(ReadFailed) => self.shed.unwritten.push_back(key),
        }
        if !self.shed.unwritten.is_empty() {
            self.arm_shed(now);
        }
    }

    /// Something stands under the identity of what was shed: an approval is a case, since its terminal was told 96.
    fn shed_stands(&mut self, now: Now, key: Key, found: &Found) {
        let Some(entry) = self.shed.entries.get_mut(&key) else { return };
        let state = found.row.state;
        entry.written = !state.is_in_flight();
        let advice = found.row.kind.on_silence() == OnSilence::Deliver;
        if advice && state.is_told_approved() {
            // M12: it was taken before; its terminal repeats it until it hears so
            self.shed.entries.remove(&key);
        } else if state == RowState::Approved && found.row.id != entry.row.id {
            let case = Case { id: found.row.id, kind: CaseKind::ShedButApproved, at: now.wall };
            self.core.case(case);
        }
        if state.is_in_flight() {
            self.shed.unwritten.push_back(key);
        }
    }

    /// The number that a shed request's answer carried, if it is remembered.
    #[must_use]
    pub fn shed_number(&self, key: Key) -> Option<TxnId> {
        self.shed.entries.get(&key).filter(|entry| entry.numbered).map(|entry| entry.row.id)
    }
}
