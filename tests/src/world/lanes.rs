//! The two writers of a node and their statements, as they meet the fences, stalls and broken connections of the store.

use switch_core::{Commit, Event, Instant, Key, NodeNo, Persisted, Record, RecordId, TxnId};

use super::{
    coverage::Sit,
    event::{Ev, Proc},
    node::LaneState,
    options::{Fault, MS, SEC},
    state::World,
    store::{Op, Statement},
};

/// Number and identity of the transaction that a record changes.
fn about(record: &Record) -> Option<(TxnId, Key)> {
    match record {
        Record::Intent(row) => Some((row.id, row.key)),
        Record::Claim(claim) => Some((claim.row.id, claim.row.key)),
        Record::Change(change) => Some((change.row.id, change.row.key)),
        Record::Progress(progress) => Some((progress.id, progress.key)),
        Record::Case(_) | Record::Note(_) => None,
    }
}

/// The row that a record writes.
fn key_of(record: &Record) -> Option<Key> {
    match record {
        Record::Intent(row) => Some(row.key),
        Record::Claim(claim) => Some(claim.row.key),
        Record::Change(change) => Some(change.row.key),
        Record::Progress(_) | Record::Case(_) | Record::Note(_) => None,
    }
}

impl World {
    /// A writer that is free takes whatever waits as one statement.
    pub(super) fn kick(&mut self, node: usize, lane: usize) {
        let n = &mut self.nodes[node];
        let l = &mut n.lanes[lane];
        if l.state != LaneState::Idle || l.queue.is_empty() {
            return;
        }
        let mut records = std::mem::take(&mut l.queue);
        if records.len() > 64 {
            l.queue = records.split_off(64);
        }
        let mut keys: Vec<Key> = records.iter().filter_map(|(_, record)| key_of(record)).collect();
        let held = keys.len();
        keys.sort_unstable();
        keys.dedup();
        let twice = keys.len() < held;
        let (life, epoch, day) = (n.life, n.epoch, n.day);
        if twice && lane == 1 {
            self.broken("one-record", || {
                format!("node {node}: one key twice in a batch of changes")
            });
        }
        self.totals.batches += 1;
        self.totals.records += records.len() as u64;
        if self.now < self.store.down_until {
            let results = failed(&records);
            self.nodes[node].lanes[lane].state = LaneState::Busy(0);
            self.plan(node, 2 * MS, Proc::Results { lane, statement: 0, results });
            return;
        }
        self.store.next_statement += 1;
        let statement = self.store.next_statement;
        let since = self.now;
        let made = Statement {
            node,
            life,
            lane,
            epoch,
            day,
            since,
            records,
            begun: false,
            parked: false,
            refused: false,
            orphan: false,
            doomed: false,
            mute: false,
        };
        let l = &mut self.nodes[node].lanes[lane];
        l.state = LaneState::Busy(statement);
        l.sent = made.records.iter().map(|(number, record)| (*number, about(record))).collect();
        self.launch(statement, made);
    }

    fn launch(&mut self, statement: u64, made: Statement) {
        let (node, lane) = (made.node, made.lane);
        let slow = !self.healing && self.rng.chance(self.opts.rate(Fault::StoreSlow));
        let wait =
            if slow { self.rng.range(10, 8_000) * MS } else { self.rng.range(50, 900) * 1000 };
        let faults = !self.healing;
        let mut made = made;
        if faults && self.rng.chance(self.opts.rate(Fault::StoreFail)) {
            let results = failed(&made.records);
            self.plan(node, wait, Proc::Results { lane, statement, results });
            return;
        }
        if faults && self.rng.chance(self.opts.rate(Fault::UnknownApplied)) {
            made.mute = true;
            let after = self.rng.range(1, 20_000) * 1000;
            self.plan(node, wait + after, Proc::Unknown { lane, statement });
        } else if faults && self.rng.chance(self.opts.rate(Fault::UnknownLost)) {
            made.doomed = true;
            let after = self.rng.range(1, 20_000) * 1000;
            self.plan(node, wait + after, Proc::Unknown { lane, statement });
        } else if slow {
            self.watchdog(node, lane, statement);
        }
        self.store.statements.insert(statement, made);
        self.agenda.add(self.now + wait, Ev::Begin(statement));
    }

    /// Closes a connection that does not answer: the result is unknown.
    fn watchdog(&mut self, node: usize, lane: usize, statement: u64) {
        self.plan(node, 15 * SEC, Proc::Unknown { lane, statement });
    }

    /// The statement reaches the database: it takes its fence row shared, or finds that epoch or day moved on.
    pub(super) fn statement_begin(&mut self, id: u64) {
        let Some(statement) = self.store.statements.get(&id) else { return };
        let (node, lane, life) = (statement.node, statement.lane, statement.life);
        if self.now < self.store.down_until {
            self.store.statements.remove(&id);
            let what = Proc::Unknown { lane, statement: id };
            self.agenda.add(self.now + 5 * MS, Ev::Proc { node, life, what });
            return;
        }
        if self.store.is_awaited(node, lane) {
            let fresh = statement.life == self.nodes[node].life;
            if let Some(statement) = self.store.statements.get_mut(&id) {
                statement.parked = true;
            }
            if fresh {
                self.watchdog(node, lane, id);
            }
            return;
        }
        let fence = self.store.fence[node][lane];
        let after = self.rng.range(50, 400) * 1000;
        let current = statement.epoch == fence.epoch;
        if !current || statement.day != fence.day {
            let orphan = statement.orphan;
            if !orphan {
                let what = if current {
                    Proc::OtherDay { lane, statement: id }
                } else {
                    Proc::Fenced { lane }
                };
                self.agenda.add(self.now + after, Ev::Proc { node, life, what });
            }
            if orphan || !current {
                self.store.statements.remove(&id);
            } else if let Some(statement) = self.store.statements.get_mut(&id) {
                statement.refused = true;
            }
            return;
        }
        self.store.fence[node][lane].shared += 1;
        let slow = !self.healing && self.rng.chance(self.opts.rate(Fault::StoreSlow));
        let mut end = self.now
            + if slow { self.rng.range(1, 20_000) * MS } else { self.rng.range(100, 2_500) * 1000 };
        if end < self.store.stalled_until || self.now < self.store.stalled_until {
            end = self.store.stalled_until + self.rng.below(50 * MS);
        }
        if let Some(statement) = self.store.statements.get_mut(&id) {
            statement.begun = true;
        }
        if end > self.now + SEC && life == self.nodes[node].life {
            self.watchdog(node, lane, id);
        }
        self.agenda.add(end, Ev::Commit(id));
    }

    /// The statement ends.
    pub(super) fn statement_commit(&mut self, id: u64) {
        let Some(statement) = self.store.statements.remove(&id) else { return };
        let Statement { node, life, lane, day, since, records, orphan, doomed, mute, .. } =
            statement;
        self.store.fence[node][lane].shared -= 1;
        if !doomed {
            let commit = Commit { day, since: Instant(since) };
            let results = self.apply_all(node, records, commit);
            if orphan {
                self.hit(Sit::OrphanApplied);
            } else if !mute {
                let after = self.rng.range(50, 900) * 1000;
                let what = Proc::Results { lane, statement: id, results };
                self.agenda.add(self.now + after, Ev::Proc { node, life, what });
            }
        }
        if !self.store.ops.is_empty() {
            self.agenda.add(self.now, Ev::TryOps);
        }
    }

    fn apply_all(
        &mut self,
        node: usize,
        mut records: Vec<(RecordId, Record)>,
        commit: Commit,
    ) -> Vec<(RecordId, Persisted)> {
        records.sort_by_key(|(_, record)| key_of(record));
        let by = NodeNo(node as i32 + 1);
        let mut results = Vec::with_capacity(records.len());
        for (number, record) in records {
            let keep = super::show::record(&record, self.trace.is_on());
            if !self.healing && self.rng.chance(self.opts.rate(Fault::BadRecord)) {
                self.hit(Sit::BadRecordAlone);
                results.push((number, Persisted::Failed));
                continue;
            }
            let claims = matches!(record, Record::Claim(_));
            let (mut result, applied) = self.store.apply(record, by, commit, self.now);
            if let Some(keep) = keep {
                let how = super::show::persisted(&result);
                self.trace.line(self.now, || format!("store: node {node} {keep}: {how}"));
            }
            if claims && result == Persisted::Lost(None) {
                self.hit(Sit::OriginalMoved);
            }
            if let Some(applied) = applied {
                self.check_applied(node, &applied);
            }
            if matches!(result, Persisted::Lost(_))
                && !self.healing
                && self.rng.chance(self.opts.rate(Fault::LostUnread))
            {
                // what stands in its way could not be read
                result = Persisted::Unknown;
            }
            results.push((number, result));
        }
        results
    }

    /// The writer hears how its batch ended.
    pub(super) fn lane_results(
        &mut self,
        node: usize,
        lane: usize,
        statement: u64,
        results: Vec<(RecordId, Persisted)>,
    ) {
        if self.nodes[node].lanes[lane].state != LaneState::Busy(statement) {
            return;
        }
        self.nodes[node].lanes[lane].state = LaneState::Idle;
        let down = self.now < self.store.down_until;
        if down && results.iter().all(|(_, result)| *result == Persisted::Failed) {
            self.store_failed(node);
        }
        for (record, result) in results {
            if self.nodes[node].engine.is_none() {
                return;
            }
            self.feed(node, Event::Persisted { record, result });
        }
        if self.nodes[node].engine.is_some() {
            self.kick(node, lane);
        }
    }

    /// The day moved on: the batch goes again as a new statement with the new day.
    pub(super) fn lane_other_day(&mut self, node: usize, lane: usize, statement: u64) {
        if self.nodes[node].lanes[lane].state != LaneState::Busy(statement) {
            return;
        }
        let Some(mut made) = self.store.statements.remove(&statement) else { return };
        self.hit(Sit::BatchMeetsNewDay);
        let day = self.store.fence[node][lane].day;
        self.nodes[node].day = day;
        made.day = day;
        made.since = self.now;
        made.doomed = false;
        made.refused = false;
        made.mute = false;
        self.store.next_statement += 1;
        let again = self.store.next_statement;
        self.nodes[node].lanes[lane].state = LaneState::Busy(again);
        self.launch(again, made);
    }

    /// The connection of the writer broke before the result came.
    pub(super) fn lane_unknown(&mut self, node: usize, lane: usize, statement: u64) {
        if self.nodes[node].lanes[lane].state != LaneState::Busy(statement) {
            return;
        }
        self.nodes[node].lanes[lane].state = LaneState::Reconnecting;
        self.totals.unknown += 1;
        let life = self.nodes[node].life;
        self.hit(if lane == 0 { Sit::UnknownIntent } else { Sit::UnknownOutcome });
        for (record, of) in std::mem::take(&mut self.nodes[node].lanes[lane].sent) {
            if let Some((id, key)) = of {
                if lane == 0 && self.store.claims.contains_key(&id) {
                    self.hit(Sit::ClaimUnknown);
                }
                self.ledgers.unknown[node].insert(id, key);
            }
            self.feed(node, Event::Persisted { record, result: Persisted::Unknown });
            if self.nodes[node].engine.is_none() {
                return;
            }
        }
        if let Some(old) = self.store.statements.get_mut(&statement) {
            if old.begun {
                old.orphan = true;
            } else {
                self.store.statements.remove(&statement);
            }
        }
        self.store.ops.push(Op::LaneFence { node, life, lane });
        let after = self.rng.range(1, 200) * MS;
        self.agenda.add(self.now + after, Ev::TryOps);
    }

    /// The fenced connection is there: reads wait no more, and the queue goes on.
    pub(super) fn lane_back(&mut self, node: usize, lane: usize) {
        let l = &mut self.nodes[node].lanes[lane];
        if l.state != LaneState::Reconnecting {
            return;
        }
        l.state = LaneState::Idle;
        for read in std::mem::take(&mut l.confirms) {
            self.send_read(node, read);
        }
        self.kick(node, lane);
    }

    /// Runs the operations whose fence rows are free.
    pub(super) fn try_ops(&mut self) {
        let held = self.store.down_until.max(self.store.stalled_until);
        if self.now < held {
            if !self.store.ops.is_empty() {
                self.agenda.add(held + MS, Ev::TryOps);
            }
            return;
        }
        while let Some(op) = self.store.ready_op() {
            match op {
                Op::Start { node, life } => self.started(node, life),
                Op::LaneFence { node, life, lane } => {
                    let fence = self.store.fence[node][lane];
                    let what = if fence.epoch == self.nodes[node].epoch {
                        Proc::LaneBack(lane)
                    } else {
                        Proc::Fenced { lane }
                    };
                    self.agenda.add(self.now + MS, Ev::Proc { node, life, what });
                }
                Op::TakeOver { by, life, of, seen } => self.taken_over(by, life, of, seen),
                Op::CutOver => {
                    let until = self.now + self.opts.overlap;
                    self.store.cut_over(until);
                    self.totals.cut_overs += 1;
                    self.trace.line(self.now, || "cut-over of the day".to_owned());
                }
            }
        }
        let parked: Vec<u64> =
            self.store.statements.iter().filter(|(_, s)| s.parked).map(|(id, _)| *id).collect();
        for id in parked {
            let free = self
                .store
                .statements
                .get(&id)
                .is_some_and(|s| !self.store.is_awaited(s.node, s.lane));
            if free {
                if let Some(statement) = self.store.statements.get_mut(&id) {
                    statement.parked = false;
                }
                self.agenda.add(self.now, Ev::Begin(id));
            }
        }
    }

    /// Raises the epoch of a node's fence rows.
    pub(super) fn raise_epoch(&mut self, node: usize) -> i32 {
        let lanes = &mut self.store.fence[node];
        let epoch = lanes[0].epoch.max(lanes[1].epoch) + 1;
        lanes[0].epoch = epoch;
        lanes[1].epoch = epoch;
        epoch
    }

    /// What of `of` must be loaded: in flight before `epoch`, or open.
    pub(super) fn to_recover(&self, of: usize, epoch: i32) -> Vec<TxnId> {
        self.store.recoverable(NodeNo(of as i32 + 1), switch_core::Epoch(epoch))
    }

    /// The beat of `of` stood still for long enough.
    pub(super) fn take_over(&mut self, by: usize, of: usize, seen: i32) {
        let stopped = self.nodes[of].engine.is_none() || self.nodes[of].paused;
        let starting =
            self.store.ops.iter().any(|op| matches!(op, Op::Start { node, .. } if *node == of));
        let able = self.nodes[by].engine.is_some() && !self.nodes[by].paused;
        if !stopped || starting || self.store.fence[of][0].epoch != seen {
            return;
        }
        if !able || self.now < self.store.down_until {
            self.agenda.add(self.now + SEC, Ev::TakeOver { by, of, seen });
            return;
        }
        let life = self.nodes[by].life;
        self.store.ops.push(Op::TakeOver { by, life, of, seen });
        self.agenda.add(self.now, Ev::TryOps);
    }

    fn taken_over(&mut self, by: usize, life: u32, of: usize, seen: i32) {
        // the statement holds the fence of the node that runs it, too: one of its earlier life does nothing
        if self.store.fence[of][0].epoch != seen || self.nodes[by].life != life {
            return;
        }
        let epoch = self.raise_epoch(of);
        self.totals.take_overs += 1;
        self.trace.line(self.now, || format!("node {by} takes over node {of}, epoch {epoch}"));
        let list = self.to_recover(of, epoch);
        let accepted = |id: &TxnId| {
            self.store.row(*id).is_some_and(|row| row.state == switch_core::RowState::Accepted)
        };
        if list.iter().any(accepted) {
            self.hit(Sit::AdviceTakenOver);
        }
        // in the same transaction: a restart of the other finds nothing of its own to send
        self.store.hand_over(NodeNo(of as i32 + 1), NodeNo(by as i32 + 1));
        self.agenda.add(self.now + MS, Ev::Proc { node: by, life, what: Proc::Recover(list) });
    }
}

fn failed(records: &[(RecordId, Record)]) -> Vec<(RecordId, Persisted)> {
    records.iter().map(|(number, _)| (*number, Persisted::Failed)).collect()
}
