//! What all transactions of an engine share: settings, issuers, effects, timers, records under way, numbers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use iso8583::{Cause, Class};

use crate::{
    AskId, Case, Day, Effect, EngineConfig, Instant, IssuerAnswer, IssuerName, IssuerPolicy, Key,
    LinkId, Note, NoteKind, Notice, Now, Outcome, Progress, Record, RecordId, Reply, Row, TxnId,
    Wall,
    event::Asked,
    numbers::Numbers,
    open_requests::OpenRequests,
    pace::{self, Pace},
    table::Table,
};

/// A wake-up. One table holds them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The issuer's answer is due (M3).
    Answer(Key),
    /// The earliest answer to a terminal is due (M2).
    Askers(Key),
    /// A reversal's next attempt, or the answer to the last, is due (M4).
    Duty(Key),
    /// A mark becomes owed (M10).
    Grace(Key),
    /// What failed is tried again.
    Retry(Key),
    /// Other nodes' transactions are read again (M6).
    Follow,
    /// Reversals that were held back beside sales are looked at again (M4).
    Pace,
    /// Numbers may be needed.
    Numbers,
    /// Shed requests may be written down (M16).
    Shed,
    /// Notes and cases that failed are written again.
    Alone,
    /// What recovery told too early is told again (M14).
    Again,
    /// A stray approval is looked up again (M9).
    Stray(TxnId),
}

/// What a record under way is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordFor {
    /// The one record of the transaction with this key.
    Transaction(Key),
    /// A shed request, written down later (M16).
    Shed(Key),
    /// A note or case of its own, repeated until it is written.
    Alone(Record),
}

#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) policy: IssuerPolicy,
    pub(crate) links: BTreeSet<LinkId>,
    /// Requests admitted and not concluded.
    pub(crate) in_flight: usize,
    /// Transactions that are open with it, by STAN.
    pub(crate) stans: Table<u32, TxnId>,
    /// Reversals handed to a link or awaiting their answer.
    pub(crate) reversals_out: usize,
    /// Reversals that became owed in this life and were not yet tried.
    pub(crate) fresh: VecDeque<Key>,
    /// Other owed reversals whose attempt is due, in order.
    pub(crate) ready: VecDeque<Key>,
    pub(crate) pace: Pace,
    /// Reversals that had their turn, fresh or not.
    pub(crate) turns: u32,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: EngineConfig,
    pub(crate) issuers: BTreeMap<IssuerName, Issuer>,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) timers: BTreeSet<(Instant, Timer)>,
    pub(crate) records: Table<RecordId, RecordFor>,
    pub(crate) numbers: Numbers,
    pub(crate) by_id: Table<TxnId, Key>,
    pub(crate) open: OpenRequests,
    /// In flight here and not concluded.
    pub(crate) in_flight: BTreeSet<TxnId>,
    /// Reversals owed by this node, by when they were opened.
    pub(crate) owed: BTreeSet<(Wall, TxnId)>,
    /// Advices and refunds that this node must deliver (M12), by when they were accepted.
    pub(crate) advices: BTreeSet<(Wall, TxnId)>,
    /// Transactions of other nodes that copies wait for.
    pub(crate) followed: BTreeSet<Key>,
    /// Issuers whose queue of ready reversals should be looked at.
    pub(crate) pumps: BTreeSet<IssuerName>,
    /// Whether `Timer::Pace` is armed.
    pub(crate) paced: bool,
    pub(crate) store_up: bool,
    /// Whether every live node reads the newest stored numbers.
    pub(crate) reads_new: bool,
    /// Whether nothing of a backlog is begun any more.
    pub(crate) stopping: bool,
    pub(crate) draining: bool,
    /// Transactions for whose answer somebody waits.
    pub(crate) awaited: usize,
    /// Notes and cases that failed.
    alone: Vec<Record>,
    records_made: u64,
    changes_made: u64,
}

impl Core {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let mut core = Self {
            issuers: BTreeMap::new(),
            effects: VecDeque::new(),
            timers: BTreeSet::new(),
            records: Table::seeded(config.hash_seed),
            numbers: Numbers::default(),
            by_id: Table::seeded(config.hash_seed),
            open: OpenRequests::new(config.hash_seed),
            in_flight: BTreeSet::new(),
            owed: BTreeSet::new(),
            advices: BTreeSet::new(),
            followed: BTreeSet::new(),
            pumps: BTreeSet::new(),
            paced: false,
            store_up: true,
            reads_new: false,
            stopping: false,
            draining: false,
            awaited: 0,
            alone: Vec::new(),
            records_made: 0,
            changes_made: 0,
            config: config.clone(),
        };
        core.configure(config);
        core
    }

    /// Takes new settings; issuers that are gone stay known until nothing of theirs is open, but take no new work.
    pub(crate) fn configure(&mut self, config: EngineConfig) {
        for policy in &config.issuers {
            match self.issuers.get_mut(&policy.name) {
                Some(issuer) => issuer.policy = policy.clone(),
                None => {
                    self.issuers.insert(
                        policy.name.clone(),
                        Issuer {
                            policy: policy.clone(),
                            links: BTreeSet::new(),
                            in_flight: 0,
                            stans: Table::seeded(config.hash_seed),
                            reversals_out: 0,
                            fresh: VecDeque::new(),
                            ready: VecDeque::new(),
                            pace: Pace::default(),
                            turns: 0,
                        },
                    );
                }
            }
        }
        self.config = config;
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.push(Effect::Notice(notice));
    }

    pub(crate) fn arm(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, timer));
    }

    pub(crate) fn disarm(&mut self, at: Option<Instant>, timer: Timer) {
        if let Some(at) = at {
            self.timers.remove(&(at, timer));
        }
    }

    /// Reversals are held back: they ask again a little later.
    pub(crate) fn pace_again(&mut self, now: Now) {
        if !std::mem::replace(&mut self.paced, true) {
            self.arm(now.mono.plus(pace::AGAIN), Timer::Pace);
        }
    }

    /// Hands a record to its writer.
    pub(crate) fn persist(&mut self, what: Record, of: RecordFor) -> RecordId {
        self.records_made += 1;
        let record = RecordId(self.records_made);
        self.records.insert(record, of);
        self.push(Effect::Persist { record, what });
        record
    }

    /// Hands the record of the transaction under `key` to its writer; the caller keeps it until its fate is known.
    pub(crate) fn persist_of(&mut self, key: Key, what: &Record) -> RecordId {
        self.persist(what.clone(), RecordFor::Transaction(key))
    }

    pub(crate) fn persist_progress(&mut self, progress: Progress) -> RecordId {
        self.persist(Record::Progress(progress), RecordFor::Transaction(progress.key))
    }

    /// Writes a note that changes no row; repeated until it is written.
    pub(crate) fn note(&mut self, now: Now, id: TxnId, day: Day, kind: NoteKind, detail: &str) {
        let note = Note { id, day, kind, at: now.wall, detail: detail.to_owned() };
        let record = Record::Note(Box::new(note));
        self.persist(record.clone(), RecordFor::Alone(record));
    }

    /// Opens a case that changes no row; repeated until it is written.
    pub(crate) fn case(&mut self, case: Case) {
        self.notice(Notice::CaseOpened { id: case.id, kind: case.kind });
        let record = Record::Case(Box::new(case));
        self.persist(record.clone(), RecordFor::Alone(record));
    }

    pub(crate) fn retry_alone(&mut self, now: Now, what: Record) {
        if self.alone.is_empty() {
            self.arm(now.mono.plus(crate::persisted::RETRY), Timer::Alone);
        }
        self.alone.push(what);
    }

    pub(crate) fn on_alone_due(&mut self, now: Now) {
        if !self.store_up {
            return self.arm(now.mono.plus(crate::persisted::RETRY), Timer::Alone);
        }
        for what in std::mem::take(&mut self.alone) {
            self.persist(what.clone(), RecordFor::Alone(what));
        }
    }

    /// A mark for an image of a row that no other change of any life or node carries (I21).
    pub(crate) fn change_mark(&mut self) -> u64 {
        self.changes_made += 1;
        let node = u64::from(self.config.node.0.unsigned_abs()) & 0x3ff;
        let epoch = u64::from(self.config.epoch.0.unsigned_abs()) & 0x3_ffff;
        // 63 bits, so that it fits a signed column: 10 for the node, 18 for its life, 35 for the count
        (node << 53) | (epoch << 35) | (self.changes_made & 0x7_ffff_ffff)
    }

    pub(crate) fn issuer(&mut self, name: Option<&IssuerName>) -> Option<&mut Issuer> {
        self.issuers.get_mut(name?)
    }

    /// Class of an issuer's answer: `unknown_codes` go before its dialect, and a code of our own says as little as an
    /// open one (M12).
    pub(crate) fn class_of(&self, answer: &IssuerAnswer) -> Class {
        let policy = self.issuers.get(&answer.issuer).map(|issuer| &issuer.policy);
        if policy.is_some_and(|policy| policy.unknown_codes.contains(&answer.code)) {
            return Class::Unknown;
        }
        match answer.class {
            Class::Own => Class::Open,
            class => class,
        }
    }

    /// True where the row was declined with a code that surely is a refusal of its issuer (M8).
    pub(crate) fn is_refusal(&self, row: &Row) -> bool {
        let policy = row.issuer.as_ref().and_then(|name| self.issuers.get(name));
        let refusals = policy.map_or(&[][..], |issuer| &issuer.policy.refusals);
        row.code.is_some_and(|code| refusals.contains(&code))
    }

    /// A number for an answer that is no transaction's.
    pub(crate) fn spare_number(&mut self, now: Now) -> Option<TxnId> {
        self.numbers.take(now.mono, None, |_| true)
    }

    /// Refuses without a row.
    pub(crate) fn refuse(&mut self, now: Now, asked: &Asked, key: Key, cause: Cause) {
        let id = self.spare_number(now);
        let outcome = Outcome { key, id, cause, ..Outcome::bare(key) };
        self.push(Effect::Reply { ask: asked.ask, reply: Reply::Refused(outcome) });
    }

    pub(crate) fn refuse_with(&mut self, ask: AskId, row: &Row) {
        self.push(Effect::Reply { ask, reply: Reply::Refused(Outcome::of(row)) });
    }
}

impl Outcome {
    fn bare(key: Key) -> Self {
        Self {
            key,
            id: None,
            day: Day::default(),
            cause: Cause::SystemDown,
            code: None,
            partial: None,
            carried: bytes::Bytes::new(),
            answer: bytes::Bytes::new(),
        }
    }

    /// What the answer to the transaction of this row carries.
    pub(crate) fn of(row: &Row) -> Self {
        Self {
            key: row.key,
            id: Some(row.id),
            day: row.day,
            cause: row.cause,
            code: row.code,
            partial: (row.approved > 0 && row.approved != row.amount).then_some(row.approved),
            carried: row.carried.clone(),
            answer: row.answer.clone(),
        }
    }
}
