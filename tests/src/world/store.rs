//! The ledger S: what the database would hold, with its leaves, fences, numbers and rules of conditional update.

use std::collections::{BTreeMap, BTreeSet};

use switch_core::{
    CaseKind, Change, Claim, ClaimEnd, ClaimIntent, ClaimStatus, Commit, Day, Epoch, Found, Key,
    Name, Named, NodeNo, NumberBlock, Obligation, ObligationCause, ObligationStatus, Persisted,
    Progress, Record, RecordId, Row, RowState, TxnId,
};

/// A row of the table `fence`, and who holds it shared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FenceRow {
    pub(super) epoch: i32,
    pub(super) day: Day,
    pub(super) shared: u32,
}

/// A statement that needs fence rows for itself: it waits for the batches that hold them, and batches wait behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// A node begins a life: its epoch is raised.
    Start { node: usize, life: u32 },
    /// A writer reconnects after a commit of unknown result (I21).
    LaneFence { node: usize, life: u32, lane: usize },
    /// A node takes over another that stood still.
    TakeOver { by: usize, life: u32, of: usize, seen: i32 },
    /// The business day ends.
    CutOver,
}

/// One batch on its way.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) lane: usize,
    pub(super) epoch: i32,
    pub(super) day: Day,
    pub(super) since: u64,
    pub(super) records: Vec<(RecordId, Record)>,
    pub(super) begun: bool,
    pub(super) parked: bool,
    /// The day had moved on: its client must send it again.
    pub(super) refused: bool,
    /// Its client has heard that its result is unknown, or is gone: nobody listens.
    pub(super) orphan: bool,
    /// It will end without effect.
    pub(super) doomed: bool,
    /// Its connection will break before its result arrives.
    pub(super) mute: bool,
}

/// What one applied record did.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) id: TxnId,
    pub(super) before: Option<Row>,
    /// Whether the row was written (else only the obligation).
    pub(super) row: bool,
    pub(super) status_before: Option<ObligationStatus>,
    /// The original whose row changed with it.
    pub(super) original: Option<TxnId>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) rows: BTreeMap<(Day, Key), Row>,
    pub(super) by_id: BTreeMap<TxnId, (Day, Key)>,
    pub(super) obligations: BTreeMap<TxnId, Obligation>,
    /// Claims on originals, by the transaction that makes them; and by original, in order.
    pub(super) claims: BTreeMap<TxnId, Claim>,
    pub(super) claims_of: BTreeMap<TxnId, Vec<TxnId>>,
    /// Transactions whose batch was closed.
    pub(super) settled: BTreeSet<TxnId>,
    pub(super) cases: BTreeSet<(TxnId, CaseKind)>,
    pub(super) notes: u64,
    /// Transactions that were ever durably approved.
    pub(super) approved: BTreeSet<TxnId>,
    pub(super) today: Day,
    /// The day before, and until when its identities hold.
    pub(super) former: Option<(Day, u64)>,
    pub(super) fence: Vec<[FenceRow; 2]>,
    pub(super) next_number: u64,
    pub(super) statements: BTreeMap<u64, Statement>,
    pub(super) next_statement: u64,
    pub(super) ops: Vec<Op>,
    pub(super) down_until: u64,
    pub(super) stalled_until: u64,
    pub(super) last_draw: u64,
    /// A number was used for a second row.
    pub(super) number_twice: bool,
}

impl Store {
    /// The row with this number.
    pub(super) fn row(&self, id: TxnId) -> Option<&Row> {
        self.by_id.get(&id).and_then(|at| self.rows.get(at))
    }

    fn former_day(&self, now: u64) -> Option<Day> {
        self.former.filter(|(_, until)| now < *until).map(|(day, _)| day)
    }

    /// Whether identities of that day still hold.
    pub(super) fn within_horizon(&self, day: Day, now: u64) -> bool {
        day == self.today || self.former_day(now) == Some(day)
    }

    fn found(&self, row: &Row, now: u64) -> Box<Found> {
        Box::new(Found {
            row: row.clone(),
            obligation: self.obligations.get(&row.id).cloned(),
            claim: self.claims.get(&row.id).copied(),
            claim_undone: self.claim_undone(row.id),
            within_horizon: self.within_horizon(row.day, now),
        })
    }

    /// Whether a claim on it that stands is to be released.
    pub(super) fn claim_undone(&self, original: TxnId) -> bool {
        let undone = |id: &TxnId| {
            let stands =
                self.claims.get(id).is_some_and(|claim| claim.status == ClaimStatus::Stands);
            stands
                && self.obligations.get(id).is_some_and(|obligation| {
                    is_open(obligation) && obligation.cause != ObligationCause::Delivery
                })
        };
        self.claims_of.get(&original).into_iter().flatten().any(undone)
    }

    /// The row under this key in the horizon.
    pub(super) fn read_key(&self, key: Key, now: u64) -> Option<Box<Found>> {
        let former = self.former_day(now).and_then(|day| self.rows.get(&(day, key)));
        self.rows.get(&(self.today, key)).or(former).map(|row| self.found(row, now))
    }

    /// The newest transaction under this key.
    pub(super) fn by_key(&self, key: Key) -> Option<TxnId> {
        (0..=self.today.0).rev().find_map(|day| self.rows.get(&(Day(day), key))).map(|row| row.id)
    }

    /// The newest row under this key of any day.
    pub(super) fn read_any_day(&self, key: Key, now: u64) -> Option<Box<Found>> {
        (0..=self.today.0)
            .rev()
            .find_map(|day| self.rows.get(&(Day(day), key)))
            .map(|row| self.found(row, now))
    }

    /// Whether the newest row under this key is still to be conducted to its end.
    pub(super) fn is_open(&self, key: Key, now: u64) -> bool {
        self.read_any_day(key, now).is_some_and(|found| {
            found.row.state.is_in_flight() || found.obligation.as_ref().is_some_and(is_open)
        })
    }

    pub(super) fn read_id(&self, id: TxnId, now: u64) -> Option<Box<Found>> {
        self.row(id).map(|row| self.found(row, now))
    }

    /// Rows and obligations that `node` must conduct to their end: in flight in an earlier epoch, or open and its own.
    pub(super) fn recoverable(&self, node: NodeNo, epoch: Epoch) -> Vec<TxnId> {
        let rows = self
            .rows
            .values()
            .filter(|row| row.node == node && row.epoch < epoch && row.state.is_in_flight())
            .map(|row| row.id);
        let open =
            self.obligations.values().filter(|o| o.owner == node && is_open(o)).map(|o| o.id);
        rows.chain(open).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Open obligations of one node become another's.
    pub(super) fn hand_over(&mut self, from: NodeNo, to: NodeNo) {
        for obligation in self.obligations.values_mut() {
            if obligation.owner == from && is_open(obligation) {
                obligation.owner = to;
            }
        }
    }

    /// The image that recovery gives `by` of one of these, if it is still open, and not another's by now.
    pub(super) fn recovered(&self, id: TxnId, by: NodeNo, now: u64) -> Option<Box<Found>> {
        let row = self.row(id)?;
        let open = self.obligations.get(&id).is_some_and(|o| is_open(o) && o.owner == by);
        (row.state.is_in_flight() || open).then(|| self.found(row, now))
    }

    /// Draws a block of numbers; those whose STAN has an open exchange are to be skipped at its issuer.
    pub(super) fn draw(&mut self, count: u64) -> NumberBlock {
        let first = self.next_number;
        self.next_number += count;
        let stans: BTreeSet<(u32, Name)> = self
            .rows
            .values()
            .filter(|row| {
                row.state.is_in_flight() || self.obligations.get(&row.id).is_some_and(is_open)
            })
            .filter_map(|row| Some((row.id.stan(), row.issuer.clone()?)))
            .collect();
        let at = |number: u64| {
            let stan = TxnId(number).stan();
            let open = stans.iter().filter(move |(open, _)| *open == stan);
            open.map(move |(_, issuer)| (number, issuer.clone()))
        };
        let skip = (first..first + count).flat_map(at).collect();
        NumberBlock { first, count, skip }
    }

    /// Applies one record of a batch whose fence held.
    pub(super) fn apply(
        &mut self,
        record: Record,
        by: NodeNo,
        commit: Commit,
        now: u64,
    ) -> (Persisted, Option<Applied>) {
        match record {
            Record::Intent(row) => self.insert(*row, commit, now),
            Record::Claim(claim) => self.claim(*claim, commit, now),
            Record::Change(change) => self.change(*change, by, commit, now),
            Record::Progress(progress) => self.progress(progress, by, commit, now),
            Record::Case(case) => {
                self.cases.insert((case.id, case.kind));
                (Persisted::Applied(commit), None)
            }
            Record::Note(_) => {
                self.notes += 1;
                (Persisted::Applied(commit), None)
            }
        }
    }

    fn insert(&mut self, mut row: Row, commit: Commit, now: u64) -> (Persisted, Option<Applied>) {
        if let Some(found) = self.read_key(row.key, now) {
            return (Persisted::Lost(Some(found)), None);
        }
        row.day = commit.day;
        let id = row.id;
        self.number_twice |= self.by_id.insert(id, (row.day, row.key)).is_some();
        self.rows.insert((row.day, row.key), row);
        (
            Persisted::Applied(commit),
            Some(Applied { id, before: None, row: true, status_before: None, original: None }),
        )
    }

    /// The intent and its claim, or neither.
    fn claim(
        &mut self,
        claim: ClaimIntent,
        commit: Commit,
        now: u64,
    ) -> (Persisted, Option<Applied>) {
        if let Some(found) = self.read_key(claim.row.key, now) {
            return (Persisted::Lost(Some(found)), None);
        }
        let free = |row: &&mut Row| {
            row.id == claim.original
                && row.version == claim.version
                && row.state == RowState::Approved
                && row.claiming.is_none()
        };
        let Some(original) = self.rows.get_mut(&(claim.day, claim.key)).filter(free) else {
            return (Persisted::Lost(None), None);
        };
        let id = claim.row.id;
        original.version += 1;
        original.change = claim.row.change;
        original.claiming = Some(id);
        let held = Claim {
            original: claim.original,
            key: claim.key,
            day: claim.day,
            amount: claim.amount,
            status: ClaimStatus::Open,
        };
        self.claims.insert(id, held);
        self.claims_of.entry(claim.original).or_default().push(id);
        let (result, applied) = self.insert(claim.row, commit, now);
        (result, applied.map(|applied| Applied { original: Some(claim.original), ..applied }))
    }

    /// The end of a claim, and its original's row with it.
    fn end_claim(&mut self, id: TxnId, end: &ClaimEnd, mark: u64) -> Option<TxnId> {
        let claim = self.claims.get_mut(&id).filter(|claim| claim.status == end.from)?;
        claim.status = end.to;
        let original = self.rows.get_mut(&(end.day, claim.key))?;
        if original.id == claim.original {
            original.claimed += end.taken;
            original.claiming = original.claiming.filter(|open| *open != id);
            original.version += 1;
            original.change = mark;
        }
        Some(original.id)
    }

    /// The original that is named so: as the edge looks for it.
    pub(super) fn find(
        &self,
        key: Key,
        named: Named,
        kinds: &[iso8583::Kind],
        now: u64,
    ) -> Option<Box<Found>> {
        match named {
            Named::Trace { batch, stan } => kinds
                .iter()
                .filter_map(|kind| {
                    self.read_any_day(Key::new(key.terminal(), batch, stan, *kind), now)
                })
                .max_by_key(|found| (found.row.day, found.row.id)),
            Named::Number(id) => self.read_id(id, now),
            Named::Authorisation { card, code, date: _ } => self
                .rows
                .values()
                .filter(|row| row.card.hash == card && kinds.contains(&row.kind))
                .filter(|row| super::edge::authorisation_of(row) == Some(code))
                .max_by_key(|row| row.id)
                .map(|row| self.found(row, now)),
        }
    }

    fn change(
        &mut self,
        change: Change,
        by: NodeNo,
        commit: Commit,
        now: u64,
    ) -> (Persisted, Option<Applied>) {
        let at = (change.row.day, change.row.key);
        let Some(stored) = self.rows.get_mut(&at) else {
            return (Persisted::Lost(None), None);
        };
        if stored.version + 1 != change.row.version || stored.id != change.row.id {
            let stored = stored.clone();
            return (Persisted::Lost(Some(self.found(&stored, now))), None);
        }
        let id = change.row.id;
        let (claimed, claiming, mark) = (stored.claimed, stored.claiming, change.row.change);
        let before = std::mem::replace(stored, Row { claimed, claiming, ..change.row });
        let status_before = self.obligations.get(&id).map(|o| o.status);
        if let Some(write) = change.obligation {
            let obligation = self.obligations.entry(id).or_insert(Obligation {
                id,
                status: write.status,
                cause: write.cause,
                owner: by,
                attempts: 0,
                opened: write.at,
                due: write.due,
                parked: false,
                answered: None,
            });
            if let Some(said) = write.said {
                obligation.attempts = obligation.attempts.max(said.attempts);
                obligation.answered = said.answered.or(obligation.answered);
            }
            obligation.status = write.status;
            obligation.cause = write.cause;
            obligation.owner = by;
            obligation.due = write.due;
        }
        self.notes += u64::from(change.note.is_some());
        if let Some(case) = change.case {
            self.cases.insert((case.id, case.kind));
        }
        let original = change.claim.and_then(|end| self.end_claim(id, &end, mark));
        (
            Persisted::Applied(commit),
            Some(Applied { id, before: Some(before), row: true, status_before, original }),
        )
    }

    fn progress(
        &mut self,
        progress: Progress,
        by: NodeNo,
        commit: Commit,
        now: u64,
    ) -> (Persisted, Option<Applied>) {
        match self.obligations.get_mut(&progress.id) {
            Some(obligation) if obligation.status == ObligationStatus::Owed => {
                obligation.attempts = progress.attempts;
                obligation.parked = progress.parked;
                obligation.owner = by;
                let status_before = Some(ObligationStatus::Owed);
                let id = progress.id;
                (
                    Persisted::Applied(commit),
                    Some(Applied { id, before: None, row: false, status_before, original: None }),
                )
            }
            _ => (Persisted::Lost(self.read_id(progress.id, now)), None),
        }
    }

    /// Which fence rows an operation needs for itself.
    pub(super) fn rows_of(&self, op: Op) -> Vec<(usize, usize)> {
        match op {
            Op::Start { node, .. } | Op::TakeOver { of: node, .. } => vec![(node, 0), (node, 1)],
            Op::LaneFence { node, lane, .. } => vec![(node, lane)],
            Op::CutOver => (0..self.fence.len()).flat_map(|n| [(n, 0), (n, 1)]).collect(),
        }
    }

    /// Whether an operation waits for this fence row, so that a new batch must wait behind it.
    pub(super) fn is_awaited(&self, node: usize, lane: usize) -> bool {
        self.ops.iter().any(|op| self.rows_of(*op).contains(&(node, lane)))
    }

    /// The next operation whose fence rows are free, if there is one.
    pub(super) fn ready_op(&mut self) -> Option<Op> {
        let free = self.ops.iter().position(|op| {
            self.rows_of(*op).iter().all(|(node, lane)| self.fence[*node][*lane].shared == 0)
        })?;
        Some(self.ops.remove(free))
    }

    /// Ends the day: the next leaf takes all new intents.
    pub(super) fn cut_over(&mut self, until: u64) {
        self.former = Some((self.today, until));
        self.today = Day(self.today.0 + 1);
        let today = self.today;
        for lanes in &mut self.fence {
            for lane in lanes {
                lane.day = today;
            }
        }
    }
}

/// Whether it is still to be sent, or may become so.
pub(super) const fn is_open(obligation: &Obligation) -> bool {
    matches!(obligation.status, ObligationStatus::Owed | ObligationStatus::Marked)
}
