//! An engine with a store in memory, a link, and a clock that the test turns.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use iso8583::{Class, Code, Kind};
use switch_core::{
    AskId, Asked, Card, CaseKind, Claim, ClaimAsk, ClaimIntent, ClaimStatus, Commit, Day, Digest,
    Effect, Engine, EngineConfig, Event, Found, IssuerAnswer, IssuerPolicy, Key, LinkId, Matched,
    Named, Now, NumberBlock, Obligation, ObligationStatus, OriginalFound, Persisted, Read,
    ReadFailed, Record, RecordId, Reply, Request, ReversalRequest, ReversalSchedule, Row, RowState,
    Takes, TerminalKey, Translated, TxnId,
};

pub(crate) const ISSUER: &str = "issuer";
pub(crate) const LINK: LinkId = LinkId(7);

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) rows: BTreeMap<Key, Found>,
    /// Records that wait, while `hold` is set.
    pub(crate) held: Vec<(RecordId, Record)>,
    pub(crate) hold: bool,
    /// What was done since the last look, one word or two each.
    pub(crate) log: Vec<String>,
    pub(crate) reads: Vec<Read>,
    /// The transaction that is asked for and looked at.
    pub(crate) focus: Key,
    /// What is told of an original beside its row.
    pub(crate) settled: bool,
    pub(crate) days_old: u32,
    pub(crate) other_domain: bool,
    pub(crate) refunded: bool,
    pub(crate) also_named: Option<TxnId>,
    pub(crate) translated: Translated,
    /// Whether the next look for an original fails.
    pub(crate) original_fails: bool,
    /// Whether looks for originals wait, and those that do.
    pub(crate) hold_originals: bool,
    originals: Vec<(Key, Named, Arc<[Kind]>)>,
    /// Cases that were opened.
    pub(crate) cases: Vec<CaseKind>,
}

pub(crate) fn key() -> Key {
    Key::new(TerminalKey([1; 8]), 1, 42, Kind::Purchase)
}

/// Class of an issuer's code in the rig's dialect.
pub(crate) fn class(code: &str) -> Class {
    match code {
        "00" | "08" | "11" | "16" => Class::Approved,
        "10" => Class::Partial,
        "05" | "12" | "14" | "25" | "51" => Class::Final,
        "06" | "91" | "94" | "96" => Class::Open,
        "77" | "97" | "99" | "A0" => Class::Own,
        _ => Class::Unknown,
    }
}

pub(crate) fn policy() -> IssuerPolicy {
    let code = |text| Code::new(text).expect("code");
    IssuerPolicy {
        name: Arc::from(ISSUER),
        timeout: Duration::from_secs(15),
        max_in_flight: 10,
        unknown_codes: vec![code("68"), code("98")],
        refusals: ["05", "12", "14", "25", "51"].map(code).into(),
        reversal: ReversalSchedule {
            first: Duration::from_secs(2),
            factor: 2.0,
            longest: Duration::from_secs(300),
            attempts: 3,
            max_in_flight: 100,
            final_codes: vec![code("00"), code("25")],
        },
        repeats_advices: true,
    }
}

impl Rig {
    /// A link is up and numbers are there.
    pub(crate) fn new() -> Self {
        Self::numbered(1)
    }

    /// The same, with numbers from `first`.
    pub(crate) fn numbered(first: u64) -> Self {
        let mut rig = Self::down_at(first);
        rig.tell(Event::LinkUp { issuer: Arc::from(ISSUER), link: LINK });
        rig.log.clear();
        rig
    }

    /// A purchase was approved, taken by its terminal, and is no longer in memory.
    pub(crate) fn approved() -> Self {
        let mut rig = Self::new();
        rig.buy(1);
        rig.written();
        rig.answered("00");
        rig.taken(1);
        rig.look();
        rig
    }

    /// No link is up.
    pub(crate) fn down() -> Self {
        Self::down_at(1)
    }

    fn down_at(first: u64) -> Self {
        let config = EngineConfig { issuers: vec![policy()], ..EngineConfig::default() };
        let mut rig = Self {
            engine: Engine::new(config),
            now: Now {
                mono: switch_core::Instant(1_000_000_000),
                wall: switch_core::Wall(1_700_000_000_000_000),
            },
            rows: BTreeMap::new(),
            cases: Vec::new(),
            held: Vec::new(),
            hold: false,
            log: Vec::new(),
            reads: Vec::new(),
            focus: key(),
            settled: false,
            days_old: 0,
            other_domain: false,
            refunded: false,
            also_named: None,
            translated: Translated::Carried(Bytes::from_static(b"E")),
            original_fails: false,
            hold_originals: false,
            originals: Vec::new(),
        };
        rig.number_from(first);
        rig.tell(Event::ReadsNew(true));
        rig.log.clear();
        rig
    }

    /// So many records may be under way.
    pub(crate) fn limit_store_lag(&mut self, max_store_lag: usize) {
        let config =
            EngineConfig { issuers: vec![policy()], max_store_lag, ..EngineConfig::default() };
        self.engine.reconfigure(config);
    }

    /// Its issuer takes no repeats of an advice. Where others are named, only they are configured.
    pub(crate) fn take_no_repeats(&mut self, others: &[&str]) {
        let own = IssuerPolicy { repeats_advices: false, ..policy() };
        let others: Vec<IssuerPolicy> =
            others.iter().map(|name| IssuerPolicy { name: Arc::from(*name), ..policy() }).collect();
        let issuers = if others.is_empty() { vec![own] } else { others };
        self.engine.reconfigure(EngineConfig { issuers, ..EngineConfig::default() });
        self.perform();
    }

    /// The process ends, and another comes that knows no issuer: what is open is told to it.
    pub(crate) fn restart(self) -> Self {
        let mut heir = Self {
            engine: Engine::new(EngineConfig {
                epoch: switch_core::Epoch(2),
                ..EngineConfig::default()
            }),
            held: Vec::new(),
            log: Vec::new(),
            reads: Vec::new(),
            ..self
        };
        let open = |found: &&Found| {
            let owed = found.obligation.as_ref().map(|known| known.status);
            found.row.state.is_in_flight() || owed == Some(ObligationStatus::Owed)
        };
        for found in heir.rows.values().filter(open).cloned().collect::<Vec<_>>() {
            heir.tell(Event::Recovered(Box::new(found)));
        }
        heir
    }

    /// Numbers were drawn.
    pub(crate) fn number_from(&mut self, first: u64) {
        let block = NumberBlock { first, count: 10_000, skip: Vec::new() };
        self.tell(Event::Numbers(block));
    }

    /// Lets time pass, deadlines included.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let end = Now { mono: self.now.mono.plus(wait), wall: self.now.wall.plus(wait) };
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end.mono) {
            let step = at.since(self.now.mono);
            self.now = Now { mono: at.max(self.now.mono), wall: self.now.wall.plus(step) };
            self.engine.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
        self.engine.handle_timeout(self.now);
        self.perform();
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.engine.handle(self.now, event);
        self.perform();
    }

    /// What was done since the last look.
    pub(crate) fn look(&mut self) -> String {
        let log = std::mem::take(&mut self.log);
        let runs = log.chunk_by(|one, next| one == next).map(|run| match (run, run.len()) {
            ([done, ..], 1) => done.clone(),
            ([done, ..], times) => format!("{done} × {times}"),
            ([], _) => String::new(),
        });
        runs.collect::<Vec<_>>().join(", ")
    }

    /// Ends what was held: each record with what `end` makes of it.
    pub(crate) fn release(&mut self) {
        self.hold = false;
        for (record, what) in std::mem::take(&mut self.held) {
            let result = self.apply(what);
            self.engine.handle(self.now, Event::Persisted { record, result });
        }
        self.perform();
    }

    /// Ends what was held without applying it.
    pub(crate) fn end_held(&mut self, result: &Persisted) {
        self.hold = false;
        for (record, _) in std::mem::take(&mut self.held) {
            self.engine.handle(self.now, Event::Persisted { record, result: result.clone() });
        }
        self.perform();
    }

    fn perform(&mut self) {
        self.perform_all();
        assert!(self.engine.open_counts_are_exact(), "open requests are counted by terminal");
    }

    fn perform_all(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Persist { record, what } => {
                    self.log.extend(describe(&what));
                    self.cases.extend(case_of(&what));
                    if self.hold {
                        self.held.push((record, what));
                    } else {
                        let result = self.apply(what);
                        self.engine.handle(self.now, Event::Persisted { record, result });
                    }
                }
                Effect::Read(read) => {
                    self.log.push("read".to_owned());
                    if self.hold {
                        self.reads.push(read);
                    } else {
                        self.answer_read(read);
                    }
                }
                Effect::FindOriginal { key, named, kinds, .. } => {
                    self.log.push("find original".to_owned());
                    if self.hold_originals {
                        self.originals.push((key, named, kinds));
                    } else {
                        let original = self.original(named, &kinds);
                        self.engine.handle(self.now, Event::OriginalRead { key, original });
                    }
                }
                Effect::Forward(forward) => self.log.push(format!("forward to {}", forward.issuer)),
                Effect::Reverse(out) => {
                    self.log.push(if out.repeat {
                        "reverse, repeated".to_owned()
                    } else {
                        "reverse".to_owned()
                    });
                }
                Effect::Reply { ask, reply } => {
                    let text = match reply {
                        Reply::Approved { outcome, .. } => {
                            let code = outcome
                                .code
                                .map_or_else(|| "00".to_owned(), |code| code.to_string());
                            format!("approve {} ({code})", ask.0)
                        }
                        Reply::Refused(outcome) | Reply::Shed(outcome) => {
                            format!("refuse {} ({})", ask.0, outcome.cause.name())
                        }
                        Reply::Done(_) => format!("done {}", ask.0),
                    };
                    self.log.push(text);
                }
                Effect::Silent(ask) => self.log.push(format!("silent {}", ask.0)),
                Effect::Close(ask) => self.log.push(format!("close {}", ask.0)),
                Effect::DrawNumbers | Effect::Notice(_) => {}
            }
        }
    }

    pub(crate) fn answer_read(&mut self, read: Read) {
        let found = match read {
            Read::Key(key) | Read::Confirm { key, .. } | Read::AnyDay(key) => {
                self.rows.get(&key).map(|found| self.read_of(found))
            }
            Read::Id(id) => {
                let found = self.rows.values().find(|found| found.row.id == id);
                found.map(|found| self.read_of(found))
            }
        };
        self.engine.handle(self.now, Event::RowRead { read, found: Ok(found.map(Box::new)) });
    }

    /// As both back ends read it: with whether a claim on it is to be released.
    fn read_of(&self, found: &Found) -> Found {
        let undone = |taker: &Found| {
            let on_it = taker.claim.is_some_and(|claim| {
                claim.original == found.row.id && claim.status == ClaimStatus::Stands
            });
            on_it
                && taker.obligation.as_ref().is_some_and(|known| {
                    matches!(known.status, ObligationStatus::Owed | ObligationStatus::Marked)
                })
        };
        let claim_undone = found.claim_undone || self.rows.values().any(undone);
        Found { claim_undone, ..found.clone() }
    }

    /// The original of that name, as the edge finds it.
    fn original(
        &mut self,
        named: Named,
        kinds: &[Kind],
    ) -> Result<Option<Box<OriginalFound>>, ReadFailed> {
        if std::mem::take(&mut self.original_fails) {
            return Err(ReadFailed);
        }
        let is_it = |row: &Row| match named {
            Named::Trace { batch, stan } => {
                kinds.contains(&row.kind) && row.stan == stan && row.key.batch() == batch
            }
            Named::Number(id) => row.id == id,
            Named::Authorisation { .. } => kinds.contains(&row.kind),
        };
        let found = self.rows.values().find(|found| is_it(&found.row));
        let found = found.map(|found| self.read_of(found));
        let (settled, days_old) = (self.settled, self.days_old);
        Ok(found.map(|found| {
            let authorisation = Some(*b"123456");
            let date = Some(1127);
            let translated = self.translated.clone();
            Box::new(OriginalFound {
                found,
                same_domain: !self.other_domain,
                settled,
                refunded: self.refunded,
                days_old,
                authorisation,
                date,
                also_named: self.also_named,
                translated,
            })
        }))
    }

    /// As both back ends apply a claim with its intent (M11).
    fn claim(&mut self, claim: ClaimIntent) -> Option<Persisted> {
        let own = self.rows.get(&claim.row.key).cloned().map(Box::new);
        let original = self.rows.get_mut(&claim.key)?;
        let row = &mut original.row;
        let free = row.id == claim.original
            && row.version == claim.version
            && row.state == RowState::Approved
            && row.claiming.is_none();
        if own.is_some() || !free {
            return Some(Persisted::Lost(own));
        }
        row.version += 1;
        row.claiming = Some(claim.row.id);
        let held = Claim {
            original: claim.original,
            key: claim.key,
            day: claim.day,
            amount: claim.amount,
            status: ClaimStatus::Open,
        };
        let row = Row { day: Day(1), ..claim.row };
        let found = Found {
            row,
            obligation: None,
            claim: Some(held),
            claim_undone: false,
            within_horizon: true,
        };
        self.rows.insert(found.row.key, found);
        None
    }

    /// As both back ends end a claim with its outcome (M11).
    fn end_claim(&mut self, taker: TxnId, end: switch_core::ClaimEnd) {
        let held = self.rows.values_mut().find(|found| found.row.id == taker);
        let Some(claim) = held.and_then(|found| found.claim.as_mut()) else { return };
        if claim.status != end.from {
            return;
        }
        claim.status = end.to;
        if let Some(original) = self.rows.get_mut(&end.key) {
            let row = &mut original.row;
            row.version += 1;
            row.claimed += end.taken;
            row.claiming = row.claiming.filter(|open| *open != taker);
        }
    }

    pub(crate) fn apply(&mut self, what: Record) -> Persisted {
        match self.write(what) {
            Persisted::Lost(Some(found)) => Persisted::Lost(Some(Box::new(self.read_of(&found)))),
            other => other,
        }
    }

    fn write(&mut self, what: Record) -> Persisted {
        let commit = Commit { day: Day(1), since: self.now.mono };
        match what {
            Record::Intent(row) => {
                if let Some(found) = self.rows.get(&row.key) {
                    return Persisted::Lost(Some(Box::new(found.clone())));
                }
                let row = Row { day: Day(1), ..*row };
                let found = Found {
                    row,
                    obligation: None,
                    claim: None,
                    claim_undone: false,
                    within_horizon: true,
                };
                self.rows.insert(found.row.key, found);
            }
            Record::Claim(claim) => {
                if let Some(result) = self.claim(*claim) {
                    return result;
                }
            }
            Record::Change(change) => {
                let Some(found) = self.rows.get_mut(&change.row.key) else {
                    return Persisted::Lost(None);
                };
                if found.row.version + 1 != change.row.version {
                    return Persisted::Lost(Some(Box::new(found.clone())));
                }
                let (claimed, claiming) = (found.row.claimed, found.row.claiming);
                found.row = Row { claimed, claiming, ..change.row };
                let taker = found.row.id;
                if let Some(write) = change.obligation {
                    let known = found.obligation.as_ref();
                    found.obligation = Some(Obligation {
                        id: found.row.id,
                        status: write.status,
                        cause: write.cause,
                        owner: found.row.node,
                        attempts: known
                            .map_or(0, |known| known.attempts)
                            .max(write.said.map_or(0, |said| said.attempts)),
                        answered: write
                            .said
                            .and_then(|said| said.answered)
                            .or_else(|| known.and_then(|known| known.answered)),
                        opened: known.map_or(write.at, |known| known.opened),
                        due: write.due,
                        parked: false,
                    });
                }
                if let Some(end) = change.claim {
                    self.end_claim(taker, end);
                }
            }
            Record::Progress(progress) => {
                let Some(found) = self.rows.get_mut(&progress.key) else {
                    return Persisted::Lost(None);
                };
                let owed = |known: &&mut Obligation| known.status == ObligationStatus::Owed;
                let Some(known) = found.obligation.as_mut().filter(owed) else {
                    return Persisted::Lost(Some(Box::new(found.clone())));
                };
                known.attempts = progress.attempts;
                known.parked = progress.parked;
            }
            Record::Case(_) | Record::Note(_) => {}
        }
        Persisted::Applied(commit)
    }

    pub(crate) fn asked(&self, ask: u64) -> Asked {
        Asked {
            ask: AskId(ask),
            listener: Arc::from("pos"),
            deadline: self.now.mono.plus(Duration::from_secs(50)),
            grace: Duration::from_secs(60),
        }
    }

    pub(crate) fn request(&self, ask: u64) -> Request {
        Request {
            asked: self.asked(ask),
            key: self.focus,
            kind: kind_of(self.focus),
            digest: Digest([9; 16]),
            refusal: None,
            issuer: Some(Arc::from(ISSUER)),
            original: None,
            takes_partial: false,
            merchant: Bytes::from_static(b"M"),
            terminal: Bytes::from_static(b"T"),
            stan: self.stan(),
            amount: 100,
            currency: *b"156",
            card: Card::default(),
            carried: Bytes::new(),
        }
    }

    pub(crate) fn buy(&mut self, ask: u64) {
        let request = self.request(ask);
        self.tell(Event::Request(Box::new(request)));
    }

    pub(crate) fn reverse(&mut self, ask: u64, amount: i64) {
        let request = ReversalRequest {
            asked: self.asked(ask),
            key: self.focus,
            kind: kind_of(self.focus),
            rrn: None,
            merchant: Bytes::from_static(b"M"),
            terminal: Bytes::from_static(b"T"),
            stan: self.stan(),
            amount: Some(amount),
            currency: *b"156",
            card: Card::default(),
            settled: false,
            carried: Bytes::new(),
        };
        self.tell(Event::Reversal(Box::new(request)));
    }

    fn stan(&self) -> u32 {
        let bytes = self.focus.0;
        u32::from_be_bytes([0, bytes[11], bytes[12], bytes[13]])
    }

    /// Looks for the originals that wait.
    pub(crate) fn find_originals(&mut self) {
        self.hold_originals = false;
        for (key, named, kinds) in std::mem::take(&mut self.originals) {
            let original = self.original(named, &kinds);
            self.tell(Event::OriginalRead { key, original });
        }
    }

    /// A request of the focus about another: `named`, of these kinds, taking `takes` of it.
    pub(crate) fn about(
        &self,
        ask: u64,
        amount: i64,
        named: Named,
        kinds: &[Kind],
        takes: Takes,
    ) -> Request {
        let days = (takes == Takes::Part).then_some(30);
        let original = ClaimAsk {
            named,
            kinds: kinds.into(),
            takes,
            days,
            authorisation: None,
            date: None,
            rrn: None,
            trace: None,
        };
        Request { amount, original: Some(Box::new(original)), ..self.request(ask) }
    }

    /// The same, and it is asked.
    pub(crate) fn ask_about(
        &mut self,
        ask: u64,
        amount: i64,
        named: Named,
        kinds: &[Kind],
        takes: Takes,
    ) {
        let request = self.about(ask, amount, named, kinds, takes);
        self.tell(Event::Request(Box::new(request)));
    }

    /// The number of the transaction under test.
    pub(crate) fn id(&self) -> TxnId {
        self.rows.get(&self.focus).map_or(TxnId(1), |found| found.row.id)
    }

    pub(crate) fn written(&mut self) {
        let id = self.id();
        self.tell(Event::Written { id, link: LINK });
    }

    pub(crate) fn answer(&self, code: &str) -> IssuerAnswer {
        IssuerAnswer {
            issuer: Arc::from(ISSUER),
            matched: Matched::Number(self.id()),
            to_reversal: false,
            code: Code::new(code).expect("code"),
            class: class(code),
            amount: None,
            currency: Some(*b"156"),
            card_hash: None,
            terminal: None,
            matches_terminal: false,
            merchant: None,
            answer: Bytes::new(),
        }
    }

    pub(crate) fn answered(&mut self, code: &str) {
        let answer = self.answer(code);
        self.tell(Event::Answer(Box::new(answer)));
    }

    pub(crate) fn reversal_answered(&mut self, code: &str) {
        let answer = IssuerAnswer { to_reversal: true, ..self.answer(code) };
        self.tell(Event::Answer(Box::new(answer)));
    }

    pub(crate) fn reversal_written(&mut self) {
        let id = self.id();
        self.tell(Event::ReversalWritten { id, link: LINK });
    }

    pub(crate) fn taken(&mut self, ask: u64) {
        self.tell(Event::ReplyWritten { ask: AskId(ask), key: self.focus });
    }

    pub(crate) fn dropped(&mut self, ask: u64) {
        self.tell(Event::ReplyDropped { ask: AskId(ask), key: self.focus });
    }

    pub(crate) fn gone(&mut self, ask: u64) {
        self.tell(Event::TerminalGone { ask: AskId(ask), key: self.focus });
    }

    /// The state in memory, or of the row.
    pub(crate) fn state(&self) -> String {
        let memory = self.engine.state(self.focus).map(|state| format!("{state:?}"));
        let row = || {
            self.rows
                .get(&self.focus)
                .map_or_else(|| "-".to_owned(), |found| format!("({})", found.row.state.name()))
        };
        memory.unwrap_or_else(row)
    }

    /// The duty to reverse it, as the store has it.
    pub(crate) fn obligation(&self) -> Option<&Obligation> {
        self.rows.get(&self.focus).and_then(|found| found.obligation.as_ref())
    }

    pub(crate) fn owed(&self) -> String {
        let known = self.obligation();
        known.map_or_else(|| "-".to_owned(), |known| format!("{:?}", known.status))
    }
}

/// The case that a record opens.
fn case_of(what: &Record) -> Option<CaseKind> {
    match what {
        Record::Change(change) => change.case.as_ref().map(|case| case.kind),
        Record::Case(case) => Some(case.kind),
        Record::Intent(_) | Record::Claim(_) | Record::Progress(_) | Record::Note(_) => None,
    }
}

fn describe(what: &Record) -> Option<String> {
    Some(match what {
        Record::Intent(row) => format!("insert {}", row.state.name()),
        Record::Claim(claim) => format!("claim {}", claim.amount),
        Record::Change(change) => {
            let mut text = format!("change to {}", change.row.state.name());
            if let Some(write) = change.obligation {
                text += &format!(", {:?}", write.status);
            }
            if let Some(end) = change.claim {
                text += &format!(", claim {}", end.to.name());
            }
            text
        }
        Record::Progress(_) => "progress".to_owned(),
        Record::Case(_) => "case".to_owned(),
        Record::Note(note) => format!("note {:?}", note.kind),
    })
}

/// The kind that an identity ends in.
fn kind_of(key: Key) -> Kind {
    Kind::from_number(key.0[14]).expect("a kind")
}
