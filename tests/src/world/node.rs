//! One process: an engine, its asks, its lanes; started, stopped, killed between any two effects.

use std::collections::BTreeMap;

use iso8583::Cause;
use switch_core::{AskId, Day, Engine, Event, Instant, Key, LinkId, Read, Record, RecordId, TxnId};

use super::{
    coverage::Sit,
    event::{Ev, Proc, TermMsg},
    options::{Fault, MS, SEC},
    oracle::Verdict,
    state::World,
    store::Op,
};

/// A message of a terminal that the process holds until it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) conn: usize,
    pub(super) msg: TermMsg,
    pub(super) deadline: u64,
    /// Cause of the row that stood under its identity when it was read.
    pub(super) stands: Option<Cause>,
    /// Its connection ended before.
    pub(super) gone: bool,
    /// Its answer was handed to the connection's writer.
    pub(super) handed: bool,
}

/// What a writer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LaneState {
    #[default]
    Idle,
    Busy(u64),
    /// Its connection broke: it commits an update of its own fence row on a new one (I21).
    Reconnecting,
}

/// One writer.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) queue: Vec<(RecordId, Record)>,
    /// What the statement under way holds.
    pub(super) sent: Vec<(RecordId, Option<(TxnId, Key)>)>,
    pub(super) state: LaneState,
    /// Reads that wait for the fenced connection.
    pub(super) confirms: Vec<Read>,
}

#[derive(Default)]
pub(super) struct Node {
    /// Counts the processes.
    pub(super) life: u32,
    pub(super) engine: Option<Box<Engine>>,
    pub(super) epoch: i32,
    pub(super) paused: bool,
    pub(super) deferred: Vec<Proc>,
    pub(super) accepting: bool,
    pub(super) draining: Option<u64>,
    pub(super) asks: BTreeMap<AskId, Ask>,
    /// What must come of the request whose original is just being told.
    pub(super) verdict: Option<(Key, Verdict)>,
    pub(super) lanes: [Lane; 2],
    pub(super) day: Day,
    pub(super) store_down: bool,
    pub(super) links: Vec<usize>,
    /// Microseconds that its wall clock is off.
    pub(super) wall: i64,
    /// Its configuration names the first issuer only.
    pub(super) one_issuer: bool,
    /// This life has another key for card numbers.
    pub(super) other_key: bool,
    timer_at: Option<u64>,
    /// The process dies before its so-manyth effect.
    effects_left: Option<u64>,
    crashes_left: u16,
    lives: u32,
    recovering: bool,
}

impl Node {
    /// Whether it still loads what its earlier life left open.
    pub(super) const fn is_recovering(&self) -> bool {
        self.recovering
    }
}

impl World {
    /// The process starts: its lease, then its new epoch, which waits for what its former life left open.
    pub(super) fn start(&mut self, node: usize) {
        let n = &self.nodes[node];
        if n.engine.is_some() {
            return;
        }
        let life = n.life;
        if !self.store.ops.iter().any(|op| matches!(op, Op::Start { node: of, .. } if *of == node))
        {
            self.store.ops.push(Op::Start { node, life });
        }
        self.agenda.add(self.now + 5 * MS, Ev::TryOps);
    }

    /// The epoch is raised: the engine is made, and what is open is loaded.
    pub(super) fn started(&mut self, node: usize, life: u32) {
        if self.nodes[node].life != life || self.nodes[node].engine.is_some() {
            return;
        }
        let epoch = self.raise_epoch(node);
        let engine = self.new_engine(node, epoch);
        let early = self.opts.has(Fault::EarlyTraffic);
        let crash = self.opts.rate(Fault::CrashAtEffect);
        let day = self.store.today;
        let n = &mut self.nodes[node];
        n.epoch = epoch;
        n.day = day;
        n.engine = Some(Box::new(engine));
        n.lives += 1;
        if n.lives == 1 {
            n.crashes_left = crash;
        }
        n.accepting = early;
        n.recovering = true;
        let other_key = !self.healing && self.rng.chance(self.opts.rate(Fault::OtherKey));
        self.nodes[node].other_key = other_key;
        let crashes = !self.healing && self.nodes[node].crashes_left > 0;
        let crash_soon = self.rng.chance(self.opts.rate(Fault::CrashInRecovery));
        let most = if crash_soon && self.nodes[node].lives > 1 { 12 } else { 500 };
        let at = self.rng.range(1, most);
        self.nodes[node].effects_left = crashes.then_some(at);
        self.trace.line(self.now, || format!("node {node} starts, epoch {epoch}"));
        for issuer in 0..self.issuers.len() {
            for _ in 0..self.opts.links {
                let after = self.rng.range(1, 300) * MS;
                self.plan(node, after, Proc::Connect { issuer });
            }
        }
        let list = self.to_recover(node, epoch);
        self.plan(node, 2 * MS, Proc::Recover(list));
        // a node of the version before lives beside it
        let old = !self.healing && self.rng.chance(self.opts.rate(Fault::OldNode));
        if !old {
            self.feed(node, Event::ReadsNew(true));
        }
    }

    /// The process ends, now.
    pub(super) fn crash(&mut self, node: usize, why: &str) {
        if self.nodes[node].engine.is_none() {
            return;
        }
        self.trace.line(self.now, || format!("node {node} dies: {why}"));
        self.note_lost_node(node);
        self.cover_crash(node);
        let n = &mut self.nodes[node];
        let life = n.life;
        n.life += 1;
        n.engine = None;
        n.paused = false;
        n.deferred.clear();
        n.accepting = false;
        n.draining = None;
        n.asks.clear();
        n.lanes = Default::default();
        n.store_down = false;
        n.timer_at = None;
        n.recovering = false;
        let mut links = std::mem::take(&mut n.links);
        let own = |l: &super::link::Link| l.node == node && l.life == life && l.n_open && l.off;
        links.extend((0..self.links.len()).filter(|link| own(&self.links[*link])));
        self.ledgers.unknown[node].clear();
        self.store.statements.retain(|_, statement| {
            let own = statement.node == node && statement.life == life;
            statement.orphan |= own;
            !(own && statement.refused)
        });
        for link in links {
            self.links[link].n_open = false;
            if self.rng.chance(300) {
                self.link_reset(link);
            }
            self.links[link].i_open = false;
        }
        for conn in 0..self.conns.len() {
            let c = &self.conns[conn];
            if c.node == node && c.life == life && c.n_open {
                self.conn_reset(conn);
                self.conns[conn].n_open = false;
            }
        }
        self.plan_restart(node);
    }

    fn plan_restart(&mut self, node: usize) {
        let long = self.rng.chance(self.opts.rate(Fault::LongDown)) && !self.healing;
        let wait =
            if long { self.rng.range(15, 90) * SEC } else { self.rng.range(200, 3_000) * MS };
        self.agenda.add(self.now + wait, Ev::Start(node));
        self.watch_for_take_over(node);
    }

    /// The other node sees the beat stand still.
    pub(super) fn watch_for_take_over(&mut self, node: usize) {
        if self.nodes.len() == 2 {
            let (by, seen) = (1 - node, self.store.fence[node][0].epoch);
            let at = self.now + 15 * SEC + self.rng.below(2 * SEC);
            self.agenda.add(at, Ev::TakeOver { by, of: node, seen });
        }
    }

    pub(super) fn wake(&mut self, node: usize, life: u32) {
        let n = &mut self.nodes[node];
        if n.life != life || !n.paused {
            return;
        }
        n.paused = false;
        let deferred = std::mem::take(&mut n.deferred);
        self.trace.line(self.now, || format!("node {node} wakes"));
        for what in deferred {
            self.plan(node, 0, what);
        }
    }

    /// Does something inside the process.
    pub(super) fn process(&mut self, node: usize, what: Proc) {
        match what {
            Proc::Engine(event) => self.feed(node, *event),
            Proc::Timer(at) => self.timer(node, at),
            Proc::Original { key, original, verdict } => {
                self.original_read(node, key, original, verdict);
            }
            Proc::Frame { conn, n, msg } => self.frame_arrives(node, conn, n, msg),
            Proc::ConnEnd(conn) => self.conn_ends_at_node(node, conn),
            Proc::ReplyDeadline(conn) => self.conn_flush(conn),
            Proc::ConnWrite { ask, reply } => self.write_reply(node, ask, *reply),
            Proc::LinkSend { link, out } => self.link_send(link, *out),
            Proc::LinkUp(link) => {
                let issuer = self.issuer_name(self.links[link].issuer);
                if self.links[link].n_open && !self.links[link].off {
                    self.feed(node, Event::LinkUp { issuer, link: LinkId(link as u64) });
                }
            }
            Proc::Signed { link, on } => self.link_signed(node, link, on),
            Proc::LinkEnd(link) => self.link_end(link),
            Proc::LinkExpire(link) => self.link_flush(link),
            Proc::Connect { issuer } => self.connect(node, issuer),
            Proc::Answer { link, n, answer } => self.answer_arrives(node, link, n, answer),
            Proc::Results { lane, statement, results } => {
                self.lane_results(node, lane, statement, results);
            }
            Proc::Fenced { lane } => {
                self.hit(Sit::FencedNodeEnds);
                self.totals.fenced += 1;
                let why = format!("fenced on lane {lane}");
                self.crash(node, &why);
            }
            Proc::OtherDay { lane, statement } => self.lane_other_day(node, lane, statement),
            Proc::Unknown { lane, statement } => self.lane_unknown(node, lane, statement),
            Proc::LaneBack(lane) => self.lane_back(node, lane),
            Proc::Recover(list) => self.recover_chunk(node, list),
            Proc::StoreBack => self.store_back(node),
            Proc::Crash => {
                self.totals.crashes += 1;
                self.crash(node, "killed");
            }
            Proc::Drain => self.drain(node),
            Proc::DrainPoll => self.drain_poll(node),
        }
    }

    /// Gives the engine an event, and does all that it asks for.
    pub(super) fn feed(&mut self, node: usize, event: Event) {
        let now = self.clocks(node);
        self.note_told(node, &event);
        self.trace.line(self.now, || format!("node {node} <- {}", super::show::event(&event)));
        if let Some(engine) = self.nodes[node].engine.as_mut() {
            engine.handle(now, event);
        }
        self.perform_all(node);
    }

    fn timer(&mut self, node: usize, at: u64) {
        if self.nodes[node].timer_at != Some(at) {
            return;
        }
        self.nodes[node].timer_at = None;
        let now = self.clocks(node);
        if let Some(engine) = self.nodes[node].engine.as_mut() {
            engine.handle_timeout(now);
        }
        self.perform_all(node);
    }

    pub(super) fn perform_all(&mut self, node: usize) {
        loop {
            let n = &mut self.nodes[node];
            let Some(effect) = n.engine.as_mut().and_then(|engine| engine.poll_effect()) else {
                break;
            };
            if let Some(left) = n.effects_left.as_mut().filter(|_| !self.healing) {
                *left -= 1;
                if *left == 0 {
                    n.crashes_left -= 1;
                    self.totals.crashes += 1;
                    let why = format!("killed before {}", super::show::effect(&effect));
                    self.crash(node, &why);
                    return;
                }
            }
            self.perform(node, effect);
            if self.nodes[node].engine.is_none() {
                return;
            }
        }
        self.kick(node, 0);
        self.kick(node, 1);
        self.set_timer(node);
        self.check_bounds(node);
    }

    fn set_timer(&mut self, node: usize) {
        let n = &self.nodes[node];
        let Some(Instant(due)) = n.engine.as_ref().and_then(|engine| engine.poll_timeout()) else {
            return;
        };
        let at = due.max(self.now);
        if n.timer_at.is_some_and(|set| set <= at + MS && set >= self.now) {
            return;
        }
        let at = at + self.rng.below(MS / 4);
        self.nodes[node].timer_at = Some(at);
        let after = at - self.now;
        self.plan(node, after, Proc::Timer(at));
    }

    fn recover_chunk(&mut self, node: usize, mut list: Vec<TxnId>) {
        if self.now < self.store.down_until {
            let after = self.store.down_until - self.now + MS;
            self.plan(node, after, Proc::Recover(list));
            return;
        }
        let size = self.rng.range(1, 6) as usize;
        let rest = list.split_off(size.min(list.len()));
        for id in list {
            if let Some(found) =
                self.store.recovered(id, switch_core::NodeNo(node as i32 + 1), self.now)
            {
                self.totals.recovered += 1;
                self.note_recovered(id, node);
                self.feed(node, Event::Recovered(found));
                if self.nodes[node].engine.is_none() {
                    return;
                }
            }
        }
        if rest.is_empty() {
            self.nodes[node].recovering = false;
            self.nodes[node].accepting = self.nodes[node].draining.is_none();
        } else {
            let after = self.rng.range(1, 20) * MS;
            self.plan(node, after, Proc::Recover(rest));
        }
    }

    /// Accepts no more, waits for what is in flight, then concludes it as on silence, and exits.
    fn drain(&mut self, node: usize) {
        if self.nodes[node].draining.is_some() {
            return;
        }
        self.trace.line(self.now, || format!("node {node} drains"));
        self.nodes[node].accepting = false;
        let over = self.now + self.rng.range(0, 20) * SEC;
        self.nodes[node].draining = Some(over);
        self.feed(node, Event::Stopping);
        self.plan(node, 50 * MS, Proc::DrainPoll);
    }

    fn drain_poll(&mut self, node: usize) {
        let Some(over) = self.nodes[node].draining else { return };
        let idle = self.nodes[node].engine.as_ref().is_some_and(|engine| engine.is_idle());
        if idle {
            self.hit(Sit::DrainedInPeace);
            self.crash(node, "drained");
            return;
        }
        if self.now >= over + 30 * SEC {
            self.crash(node, "drain given up");
            return;
        }
        if self.now >= over && over > 0 {
            self.hit(Sit::DrainConcludes);
            self.note_lost_node(node);
            self.feed(node, Event::Drain);
        }
        if self.nodes[node].engine.is_some() {
            self.plan(node, 100 * MS, Proc::DrainPoll);
        }
    }

    /// The engine's view of the store's health.
    pub(super) fn store_failed(&mut self, node: usize) {
        if !self.nodes[node].store_down {
            self.nodes[node].store_down = true;
            let after = self.store.down_until.saturating_sub(self.now) + 200 * MS;
            self.plan(node, after, Proc::StoreBack);
            self.feed(node, Event::StoreDown);
        }
    }

    fn store_back(&mut self, node: usize) {
        if self.now < self.store.down_until {
            let after = self.store.down_until - self.now + 200 * MS;
            self.plan(node, after, Proc::StoreBack);
            return;
        }
        self.nodes[node].store_down = false;
        self.feed(node, Event::StoreUp);
    }

    pub(super) fn note_lost_node(&mut self, node: usize) {
        let number = switch_core::NodeNo(node as i32 + 1);
        for row in self.store.rows.values() {
            if row.node == number && row.state.is_in_flight() {
                self.ledgers.wire.entry(row.id).or_default().node_lost = true;
            }
        }
        for statement in self.store.statements.values() {
            if statement.node == node {
                for (_, record) in &statement.records {
                    if let Some(row) = record.intent() {
                        self.ledgers.wire.entry(row.id).or_default().node_lost = true;
                    }
                }
            }
        }
    }

    fn note_recovered(&mut self, id: TxnId, node: usize) {
        self.trace.line(self.now, || format!("node {node} recovers {}", id.0));
    }
}
