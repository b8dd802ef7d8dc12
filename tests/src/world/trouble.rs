//! Faults that strike at a moment, and the healing that ends them all.

use super::{
    coverage::Sit,
    event::{Ev, Proc, Trouble},
    ledger::Belief,
    options::{Fault, MS, SEC},
    state::World,
    store::{Op, is_open},
};

impl World {
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        if self.healing && trouble != Trouble::CutOver {
            return;
        }
        self.trace.line(self.now, || format!("trouble: {trouble:?}"));
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        match trouble {
            Trouble::Crash => self.plan(node, 0, Proc::Crash),
            Trouble::Pause => self.pause(node),
            Trouble::Drain => self.plan(node, 0, Proc::Drain),
            Trouble::StoreStall => {
                let scale = self.rng.pick(&[SEC, 10 * SEC, 120 * SEC]).min(self.longest_stop());
                self.store.stalled_until = self.now + self.rng.below(scale);
            }
            Trouble::StoreDown => {
                let scale = self.rng.pick(&[SEC, 10 * SEC, 60 * SEC]).min(self.longest_stop());
                self.store_goes_down(scale);
            }
            Trouble::LinkReset => self.strike_link(Self::link_reset),
            Trouble::LinkStall => self.strike_link(Self::stall_link),
            Trouble::LinkHalfOpen => self.strike_link(Self::half_open),
            Trouble::SignOff => self.strike_link(Self::sign_off),
            Trouble::IssuerRestart => {
                let issuer = self.rng.below(self.issuers.len() as u64) as usize;
                self.restart_issuer(issuer);
            }
            Trouble::WallJump => {
                let back = if self.opts.has(Fault::ShortOverlap) { 0 } else { -3_600 };
                let jump = self.rng.pick(&[back, -30, 1, 30, 700, 3_600]) * 1_000_000;
                self.nodes[node].wall += jump;
                self.hit(Sit::WallClockJumped);
            }
            Trouble::Reload => {
                let one = self.rng.chance(600);
                self.reload(node, one);
            }
            Trouble::Settle => self.settle_batch(),
            Trouble::CutOver => {
                self.store.ops.push(Op::CutOver);
                self.agenda.add(self.now, Ev::TryOps);
            }
        }
    }

    /// Other settings, without a restart; what is under way goes on.
    fn reload(&mut self, node: usize, one_issuer: bool) {
        if self.nodes[node].one_issuer != one_issuer {
            self.nodes[node].one_issuer = one_issuer;
            let config = self.engine_config(node, self.nodes[node].epoch);
            if let Some(engine) = self.nodes[node].engine.as_mut() {
                engine.reconfigure(config);
            }
            if !self.nodes[node].paused {
                self.perform_all(node);
            }
            self.hit(Sit::Reloaded);
        }
    }

    /// Nothing stands still for as long as a day's overlap takes; some worlds have a very short one.
    fn longest_stop(&self) -> u64 {
        if self.opts.has(Fault::ShortOverlap) { 20 * SEC } else { u64::MAX }
    }

    fn pause(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        if n.engine.is_none() || n.paused {
            return;
        }
        n.paused = true;
        let life = n.life;
        self.totals.pauses += 1;
        let pause = self.rng.pick(&[SEC, 6 * SEC, 20 * SEC, 60 * SEC]).min(self.longest_stop());
        let after = pause / 2 + self.rng.below(pause);
        self.agenda.add(self.now + after, Ev::Wake { node, life });
        self.note_lost_node(node);
        self.watch_for_take_over(node);
    }

    fn store_goes_down(&mut self, most: u64) {
        self.store.down_until = self.now + self.rng.below(most) + 1;
        let under_way: Vec<u64> = self.store.statements.keys().copied().collect();
        for id in under_way {
            let commits = self.rng.chance(500);
            let Some(statement) = self.store.statements.get_mut(&id) else { continue };
            if !commits {
                statement.doomed = true;
            }
            statement.mute = true;
            let (node, life, lane) = (statement.node, statement.life, statement.lane);
            let what = Proc::Unknown { lane, statement: id };
            let after = self.rng.range(1, 400) * MS;
            self.agenda.add(self.now + after, Ev::Proc { node, life, what });
        }
    }

    fn strike_link(&mut self, strike: fn(&mut Self, usize)) {
        let open: Vec<usize> =
            (0..self.links.len()).filter(|link| self.links[*link].n_open).collect();
        if !open.is_empty() {
            let link = self.rng.pick(&open);
            self.trace.line(self.now, || format!("link {link} is struck"));
            strike(self, link);
        }
    }

    /// Nothing arrives any more, and neither side is told; the echo finds out.
    fn half_open(&mut self, link: usize) {
        let l = &mut self.links[link];
        l.to.void = true;
        l.from.void = true;
        let after = self.rng.range(5, 60) * SEC;
        self.agenda.add(self.now + after, Ev::LinkDead(link));
    }

    /// The issuer signs a link off, and on again after a while.
    fn sign_off(&mut self, link: usize) {
        let node = self.links[link].node;
        let latency = self.latency();
        self.plan(node, latency, Proc::Signed { link, on: false });
        let pause = self.rng.range(1, 30) * SEC;
        self.plan(node, latency + pause, Proc::Signed { link, on: true });
    }

    fn restart_issuer(&mut self, issuer: usize) {
        self.issuers[issuer].down_until = self.now + self.rng.range(100, 20_000) * MS;
        for link in 0..self.links.len() {
            if self.links[link].issuer == issuer && self.links[link].n_open {
                self.link_reset(link);
            }
        }
    }

    /// All faults end; whoever does not know comes back.
    pub(super) fn heal(&mut self) {
        self.trace.line(self.now, || "healing".to_owned());
        self.healing = true;
        self.store.down_until = 0;
        self.store.stalled_until = 0;
        for issuer in &mut self.issuers {
            issuer.down_until = 0;
        }
        for node in 0..self.nodes.len() {
            let life = self.nodes[node].life;
            self.agenda.add(self.now, Ev::Wake { node, life });
            self.reload(node, false);
            self.nodes[node].other_key = false;
            self.feed(node, switch_core::Event::ReadsNew(true));
            self.agenda.add(self.now + 10 * MS, Ev::Start(node));
        }
        for link in 0..self.links.len() {
            let l = &self.links[link];
            if l.n_open && l.off {
                self.plan(l.node, 0, Proc::Signed { link, on: true });
            }
            let l = &self.links[link];
            if l.n_open && (l.to.void || l.to.stalled_until > self.now) {
                self.link_reset(link);
            }
        }
        for conn in 0..self.conns.len() {
            let c = &self.conns[conn];
            if c.down.stalled_until > self.now || c.up.void {
                self.conn_reset(conn);
            }
        }
        self.agenda.add(self.now + MS, Ev::TryOps);
        for terminal in 0..self.terminals.len() {
            let t = &mut self.terminals[terminal];
            t.off = false;
            t.left = 0;
            if let Some(sale) = t.current.filter(|_| !t.gone) {
                let s = &mut self.ledgers.sales[sale];
                s.turn += 1;
                s.tries = 0;
                let turn = s.turn;
                let after = self.rng.range(100, 20_000) * MS;
                let what = super::event::Timer::ComeBack;
                self.agenda.add(self.now + after, Ev::Timer { sale, turn, what });
            }
        }
    }

    /// Whether every terminal has done what it wanted.
    pub(super) fn sold_out(&self) -> bool {
        self.terminals.iter().all(|t| t.gone || (t.left == 0 && t.current.is_none()))
    }

    /// Whether nothing more will happen by itself.
    pub(super) fn is_quiet(&self) -> bool {
        self.terminals.iter().all(|t| t.gone || t.current.is_none())
            && self.agenda.messages == 0
            && self.store.statements.is_empty()
            && self.store.ops.is_empty()
            && self.nodes.iter().all(|node| {
                let engine = node.engine.as_ref().filter(|engine| engine.is_idle());
                // what a final answer overtook may still be on its way
                engine.is_some_and(|engine| engine.gauges().reversals_out == 0)
                    && !node.paused
                    && node.accepting
            })
            && !self.store.obligations.values().any(|o| is_open(o) && !self.is_parked(o.id))
            && !self.store.rows.values().any(|row| row.state.is_in_flight())
    }

    /// Why it is not quiet, for people.
    pub(super) fn unrest(&self) -> String {
        let waiting: Vec<usize> = self
            .terminals
            .iter()
            .filter(|t| !t.gone)
            .filter_map(|t| t.current)
            .filter(|sale| self.ledgers.sales[*sale].belief == Belief::Unknown)
            .collect();
        let owed: Vec<u64> =
            self.store.obligations.values().filter(|o| is_open(o)).map(|o| o.id.0).collect();
        let flying: Vec<u64> = self
            .store
            .rows
            .values()
            .filter(|row| row.state.is_in_flight())
            .map(|row| row.id.0)
            .collect();
        let idle: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| node.engine.as_ref().is_some_and(|engine| engine.is_idle()))
            .collect();
        format!(
            "sales unknown {waiting:?}, obligations open {owed:?}, rows in flight {flying:?}, engines idle {idle:?}, \
             statements {}, operations {}",
            self.store.statements.len(),
            self.store.ops.len()
        )
    }
}
