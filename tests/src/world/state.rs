//! The world: its parts, its clock, and the loop that takes one event after another.

use std::time::Duration;

use iso8583::Code;
use switch_core::{
    Day, Engine, EngineConfig, Epoch, Event, Instant, IssuerName, IssuerPolicy, NodeNo, Now,
    ReversalSchedule, Wall,
};

use super::{
    coverage::Coverage,
    edge,
    event::{Agenda, Ev, Proc, Trouble},
    issuer::Issuer,
    ledger::{IssuerLedger, Ledgers},
    link::Link,
    network::Conn,
    node::Node,
    options::{Fault, MS, Options, SEC},
    report::Totals,
    rng::{Rng, splitmix},
    store::{FenceRow, Store},
    terminal::Terminal,
    trace::Trace,
};

/// A broken invariant, by its identifier.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    pub(super) what: String,
}

/// The wall clock when a world begins: 2026-03-01T12:00:00Z.
const BASE: i64 = 1_772_366_400_000_000;

pub(super) struct World {
    pub(super) now: u64,
    pub(super) agenda: Agenda,
    pub(super) rng: Rng,
    pub(super) opts: Options,
    pub(super) healing: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) store: Store,
    pub(super) issuers: Vec<Issuer>,
    pub(super) terminals: Vec<Terminal>,
    pub(super) conns: Vec<Conn>,
    pub(super) links: Vec<Link>,
    pub(super) ledgers: Ledgers,
    pub(super) cover: Coverage,
    pub(super) totals: Totals,
    pub(super) trace: Trace,
    pub(super) hash: u64,
    pub(super) violation: Option<Violation>,
    pub(super) next_ask: u64,
    pub(super) bug: Option<super::run::Bug>,
}

impl World {
    pub(super) fn new(opts: Options, tracing: bool) -> Self {
        let nodes = opts.nodes;
        let store = Store {
            today: Day(1),
            fence: vec![[FenceRow { day: Day(1), ..FenceRow::default() }; 2]; nodes],
            next_number: if opts.has(Fault::NumberWrap) { 7_999_970 } else { 4_000_001 },
            ..Store::default()
        };
        let ledgers = Ledgers {
            issuers: (0..opts.issuers).map(|_| IssuerLedger::default()).collect(),
            unknown: vec![std::collections::BTreeMap::new(); nodes],
            ..Ledgers::default()
        };
        let terminals =
            (0..opts.terminals).map(|t| Terminal::new(t, opts.sales)).collect::<Vec<_>>();
        let mut world = Self {
            now: 0,
            agenda: Agenda::default(),
            rng: Rng::new(opts.seed),
            healing: false,
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            store,
            issuers: (0..opts.issuers).map(Issuer::named).collect(),
            terminals,
            conns: Vec::new(),
            links: Vec::new(),
            ledgers,
            cover: Coverage::default(),
            totals: Totals::default(),
            trace: Trace::new(tracing),
            hash: 0,
            violation: None,
            next_ask: 0,
            opts,
            bug: None,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.agenda.add(0, Ev::Start(node));
        }
        for terminal in 0..self.terminals.len() {
            let at = SEC + self.rng.below(10 * SEC);
            self.agenda.add(at, Ev::NextSale(terminal));
        }
        let span = (60 + self.opts.sales * (2 + self.opts.think / SEC)).min(400) * SEC;
        for (fault, trouble) in [
            (Fault::CrashAtTime, Trouble::Crash),
            (Fault::Pause, Trouble::Pause),
            (Fault::Drain, Trouble::Drain),
            (Fault::StoreStall, Trouble::StoreStall),
            (Fault::StoreDown, Trouble::StoreDown),
            (Fault::LinkReset, Trouble::LinkReset),
            (Fault::LinkStall, Trouble::LinkStall),
            (Fault::LinkHalfOpen, Trouble::LinkHalfOpen),
            (Fault::IssuerRestart, Trouble::IssuerRestart),
            (Fault::WallJump, Trouble::WallJump),
            (Fault::Reload, Trouble::Reload),
            (Fault::Settle, Trouble::Settle),
            (Fault::SignOff, Trouble::SignOff),
        ] {
            for _ in 0..self.opts.rate(fault) {
                let at = SEC + self.rng.below(span);
                self.agenda.add(at, Ev::Trouble(trouble));
            }
        }
        if self.opts.has(Fault::CutOver) {
            let early = self.opts.has(Fault::ShortOverlap);
            let at = SEC + self.rng.below(if early { 40 * SEC } else { span / 2 });
            self.agenda.add(at, Ev::Trouble(Trouble::CutOver));
        }
    }

    /// Takes the next event; false at the end of the world.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, seq, ev)) = self.agenda.pop() else {
            return false;
        };
        self.now = self.now.max(at);
        self.hash = splitmix(self.hash ^ at ^ (seq << 40));
        self.totals.events += 1;
        self.dispatch(ev);
        true
    }

    fn dispatch(&mut self, ev: Ev) {
        match ev {
            Ev::NextSale(terminal) => self.next_sale(terminal),
            Ev::Claim { terminal, original } => self.begin_sale(terminal, Some(original)),
            Ev::ReverseClaimed(sale) => self.reverse_claimed(sale),
            Ev::Timer { sale, turn, what } => self.terminal_timer(sale, turn, what),
            Ev::Boot(terminal) => self.boot(terminal),
            Ev::Reply { conn, n, reply } => self.reply_arrives(conn, n, reply),
            Ev::ConnClosed(conn) => self.conn_closed_at_terminal(conn),
            Ev::ConnUnstall(conn) => self.conn_unstall(conn),
            Ev::ConnReset(conn) => self.conn_reset(conn),
            Ev::AtIssuer { link, n, msg } => self.at_issuer(link, n, msg),
            Ev::Process { issuer, link, msg } => self.issuer_request(issuer, link, msg, true),
            Ev::IssuerSend { link, answer, wander } => self.issuer_send(link, answer, wander),
            Ev::LinkUnstall(link) => self.link_unstall(link),
            Ev::LinkDead(link) => self.link_reset(link),
            Ev::Proc { node, life, what } => self.proc(node, life, what),
            Ev::Start(node) => self.start(node),
            Ev::Wake { node, life } => self.wake(node, life),
            Ev::TakeOver { by, of, seen } => self.take_over(by, of, seen),
            Ev::Begin(statement) => self.statement_begin(statement),
            Ev::Commit(statement) => self.statement_commit(statement),
            Ev::Read { node, life, read } => self.read_row(node, life, read),
            Ev::Find { node, life, key, named, kinds } => {
                self.find_original(node, life, key, named, kinds);
            }
            Ev::Draw { node, life } => self.draw_numbers(node, life),
            Ev::TryOps => self.try_ops(),
            Ev::Trouble(trouble) => self.trouble(trouble),
            Ev::Heal => self.heal(),
        }
    }

    /// Something inside a process: gone with it, or kept until it wakes.
    fn proc(&mut self, node: usize, life: u32, what: Proc) {
        let state = &mut self.nodes[node];
        if state.life != life || state.engine.is_none() {
            return;
        }
        if state.paused {
            state.deferred.push(what);
            return;
        }
        self.process(node, what);
    }

    /// Plans something inside the process that now lives at `node`.
    pub(super) fn plan(&mut self, node: usize, after: u64, what: Proc) {
        let life = self.nodes[node].life;
        self.agenda.add(self.now + after, Ev::Proc { node, life, what });
    }

    /// An event for the engine, after a hop between tasks.
    pub(super) fn tell(&mut self, node: usize, after: u64, event: Event) {
        self.plan(node, after, Proc::Engine(Box::new(event)));
    }

    /// The clocks of a node.
    pub(super) fn clocks(&self, node: usize) -> Now {
        let wall = BASE + (self.now / 1000) as i64 + self.nodes[node].wall;
        Now { mono: Instant(self.now), wall: Wall(wall) }
    }

    /// Notes a broken invariant; the first one counts.
    pub(super) fn broken(&mut self, rule: &'static str, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.trace.line(self.now, || format!("BROKEN {rule}: {what}"));
            self.violation = Some(Violation { rule, what });
        }
    }

    /// A short delay between two tasks of one process.
    pub(super) fn hop(&mut self) -> u64 {
        let slow = self.opts.rate(Fault::SlowEffects);
        if !self.healing && self.rng.chance(slow / 10) {
            self.rng.range(1, 400) * MS
        } else {
            self.rng.range(5, 300) * 1000
        }
    }

    /// The name of an issuer.
    pub(super) fn issuer_name(&self, issuer: usize) -> IssuerName {
        self.issuers[issuer].name(issuer)
    }

    /// Whether this issuer takes a repeated advice for the same.
    pub(super) fn repeats_advices(&self, issuer: usize) -> bool {
        !(self.opts.has(Fault::OneCopy) && issuer + 1 == self.issuers.len())
    }

    pub(super) fn engine_config(&self, node: usize, epoch: i32) -> EngineConfig {
        let code = |text: &str| Code::new(text).unwrap_or(Code::APPROVED);
        let known = if self.nodes[node].one_issuer { 1 } else { self.issuers.len() };
        let issuers = (0..known)
            .map(|issuer| IssuerPolicy {
                name: self.issuer_name(issuer),
                timeout: Duration::from_nanos(self.opts.timeout),
                max_in_flight: self.opts.max_in_flight,
                unknown_codes: vec![code("68"), code("98")],
                refusals: edge::refusals(),
                reversal: ReversalSchedule {
                    first: Duration::from_secs(2),
                    factor: 2.0,
                    longest: Duration::from_nanos(self.opts.longest),
                    attempts: self.opts.attempts,
                    max_in_flight: 100,
                    final_codes: vec![code("00"), code("25")],
                },
                repeats_advices: self.repeats_advices(issuer),
            })
            .collect();
        EngineConfig {
            node: NodeNo(node as i32 + 1),
            epoch: Epoch(epoch),
            issuers,
            max_store_lag: self.opts.max_lag,
            max_finished: self.opts.max_finished,
            // never longer than the overlap
            repeat_window: Duration::from_nanos(self.opts.overlap / 2)
                .min(Duration::from_secs(600)),
            max_shed: if self.opts.has(Fault::SmallShedMemory) { 3 } else { 1_000 },
            hash_seed: epoch.unsigned_abs().into(),
            #[cfg(feature = "bugs")]
            bug: self.bug,
            ..EngineConfig::default()
        }
    }

    pub(super) fn new_engine(&self, node: usize, epoch: i32) -> Engine {
        Engine::new(self.engine_config(node, epoch))
    }
}
