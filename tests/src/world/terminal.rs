//! Terminals: they sell, wait, repeat, reverse, lose power, come back late or never; their journal is the ledger T.

use iso8583::Kind;
use switch_core::Key;

use super::{
    coverage::Sit,
    edge,
    event::{Ev, Proc, ReplyMsg, TermMsg, Timer},
    ledger::{Belief, Sale},
    network::Conn,
    options::{Fault, MS, SEC},
    state::World,
};

#[derive(Debug)]
pub(super) struct Terminal {
    next_stan: u32,
    pub(super) left: u64,
    /// The sale that it works on.
    pub(super) current: Option<usize>,
    /// Its line; the newest.
    conn: Option<usize>,
    pub(super) off: bool,
    pub(super) gone: bool,
    /// Resolved sales whose identities may come again.
    old: Vec<usize>,
    /// It repeats when it hears nothing, before it reverses.
    repeats: bool,
}

impl Terminal {
    pub(super) fn new(number: usize, sales: u64) -> Self {
        Self {
            next_stan: number as u32 * 1000 + 1,
            left: sales,
            current: None,
            conn: None,
            off: false,
            gone: false,
            old: Vec::new(),
            repeats: number.is_multiple_of(2),
        }
    }
}

impl World {
    pub(super) fn next_sale(&mut self, terminal: usize) {
        let t = &mut self.terminals[terminal];
        if t.off || t.gone || t.current.is_some() || self.healing || t.left == 0 {
            return;
        }
        t.left -= 1;
        let reused = self.reused(terminal);
        let sale = self.new_sale(terminal, reused);
        self.terminals[terminal].current = Some(sale);
        self.totals.sales += 1;
        if reused.is_none() && self.rng.chance(self.opts.rate(Fault::Stranger)) {
            return self.name_another(sale);
        }
        self.send(sale, false, false);
        self.plan_life(sale);
    }

    /// Reverses a sale that it never made, and names another terminal's transaction.
    fn name_another(&mut self, sale: usize) {
        let terminal = self.ledgers.sales[sale].terminal;
        let other = self
            .ledgers
            .sales
            .iter()
            .filter(|other| other.terminal != terminal)
            .find_map(|other| other.answer.and_then(|answer| answer.rrn));
        self.ledgers.sales[sale].names_other = other.is_some();
        if other.is_some() {
            self.hit(Sit::StrangerNames);
        }
        self.send_naming(sale, true, false, other);
        self.next_turn(sale, 20 * SEC);
    }

    /// A sale whose identity comes again: the last one by a fault, one of a former day as its numbers come round.
    fn reused(&mut self, terminal: usize) -> Option<usize> {
        let old = &self.terminals[terminal].old;
        let last = *old.last()?;
        // numbers come round after so long that nothing of the former sale is open any more
        let gone = |sale: &usize| {
            let sale = &self.ledgers.sales[*sale];
            !self.store.within_horizon(sale.day, self.now)
                && self.store.read_key(sale.key, self.now).is_none()
                && !self.store.is_open(sale.key, self.now)
        };
        let former: Vec<usize> = old.iter().copied().filter(gone).collect();
        if !former.is_empty() && self.opts.has(Fault::ShortOverlap) && self.rng.chance(500) {
            let sale = self.rng.pick(&former);
            self.terminals[terminal].old.retain(|old| *old != sale);
            return Some(sale);
        }
        self.rng.chance(self.opts.rate(Fault::StanReuse)).then_some(last)
    }

    fn new_sale(&mut self, terminal: usize, reused: Option<usize>) -> usize {
        let t = &mut self.terminals[terminal];
        let stan = t.next_stan;
        t.next_stan += 1;
        let kind = if self.rng.chance(80) { Kind::BalanceEnquiry } else { Kind::Purchase };
        let number = self.ledgers.sales.len();
        let (mut kind, mut stan) = (kind, stan);
        let mut price = 1_000 + number as i64 * 7;
        if let Some(old) = reused {
            let old = &self.ledgers.sales[old];
            (kind, stan) = (old.kind, old.stan);
            if !self.store.within_horizon(old.day, self.now) && self.rng.chance(500) {
                price = old.amount;
            }
        }
        let amount = if kind == Kind::Purchase { price } else { 0 };
        let issuer = self.rng.below(self.issuers.len() as u64) as usize;
        self.ledgers.sales.push(Sale {
            terminal,
            issuer,
            key: Key::new(edge::terminal_key(terminal), 1, stan, kind),
            stan,
            kind,
            amount,
            card: self.rng.below(200) as u8,
            takes_partial: self.rng.chance(500),
            day: self.store.today,
            belief: Belief::Unknown,
            sent: 0,
            answered: 0,
            answer: None,
            asked_reversal: false,
            reuse: reused.is_some(),
            names_other: false,
            vanished: false,
            turn: 0,
            tries: 0,
        });
        number
    }

    /// What will happen to this sale beside its answer.
    fn plan_life(&mut self, sale: usize) {
        self.terminal_wait(sale, 60 * SEC, Timer::GiveUp);
        for (fault, what, most) in [
            (Fault::Repeat, Timer::Copy, 50 * SEC),
            (Fault::Repeat, Timer::Copy, 3 * SEC),
            (Fault::TwoLines, Timer::SecondLine, 50 * MS),
            (Fault::ReverseEarly, Timer::Reverse, 3 * SEC),
            (Fault::PowerCycle, Timer::PowerOff, 2 * SEC),
            (Fault::HangUp, Timer::HangUp, 1_500 * MS),
            (Fault::Vanish, Timer::Vanish, 3 * SEC),
        ] {
            if self.rng.chance(self.opts.rate(fault)) {
                // most of it happens in the few milliseconds that matter
                let scale = self.rng.pick(&[1, 10, 300]);
                let after = self.rng.range(1, (most / scale).max(2));
                self.terminal_wait(sale, after, what);
            }
        }
        if let Some(conn) = self.terminals[self.ledgers.sales[sale].terminal].conn {
            if self.rng.chance(self.opts.rate(Fault::TerminalStall)) {
                let until = self.now + self.rng.range(1, 80) * SEC;
                let takes = self.rng.chance(300);
                let c: &mut Conn = &mut self.conns[conn];
                c.down.stalled_until = until;
                c.down.takes = takes;
                self.agenda.add(until + 1, Ev::ConnUnstall(conn));
            }
            if self.rng.chance(self.opts.rate(Fault::LostTail)) {
                let after = self.rng.range(1, 40) * MS;
                self.agenda.add(self.now + after, Ev::ConnReset(conn));
            }
        }
    }

    fn terminal_wait(&mut self, sale: usize, after: u64, what: Timer) {
        let turn = self.ledgers.sales[sale].turn;
        self.agenda.add(self.now + after, Ev::Timer { sale, turn, what });
    }

    /// Sends the request or its reversal, on the line of the terminal or on a new one.
    pub(super) fn send(&mut self, sale: usize, reversal: bool, new_line: bool) {
        let names = self.ledgers.sales[sale].answer.and_then(|answer| answer.rrn);
        self.send_naming(sale, reversal, new_line, names);
    }

    fn send_naming(
        &mut self,
        sale: usize,
        reversal: bool,
        new_line: bool,
        names: Option<switch_core::TxnId>,
    ) {
        let s = &mut self.ledgers.sales[sale];
        let terminal = s.terminal;
        if reversal {
            s.asked_reversal = true;
            self.totals.terminal_reversals += 1;
        } else {
            s.sent += 1;
            if s.sent > 1 {
                self.totals.repeats += 1;
            }
        }
        let open = self.terminals[terminal].conn.filter(|conn| !new_line && self.is_open(*conn));
        let conn = open.or_else(|| self.dial(terminal));
        let Some(conn) = conn else { return };
        if !new_line {
            self.terminals[terminal].conn = Some(conn);
        }
        self.trace.line(self.now, || {
            let what = if reversal { "reversal of sale" } else { "sale" };
            format!("terminal {terminal} sends {what} {sale} on conn {conn}")
        });
        if !reversal && !self.healing && self.rng.chance(self.opts.rate(Fault::TerminalStall) / 2) {
            self.conns[conn].up.stalled_until = self.now + self.rng.range(1, 4_000) * MS;
        }
        self.conn_up(conn, TermMsg { sale, reversal, names });
    }

    fn is_open(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.t_open && self.nodes[c.node].life == c.life
    }

    /// A new connection to a node that accepts.
    fn dial(&mut self, terminal: usize) -> Option<usize> {
        let open: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.nodes[*node].engine.is_some() && self.nodes[*node].accepting)
            .collect();
        (!open.is_empty()).then(|| {
            let node = self.rng.pick(&open);
            self.open_conn(terminal, node)
        })
    }

    pub(super) fn terminal_timer(&mut self, sale: usize, turn: u32, what: Timer) {
        let s = &self.ledgers.sales[sale];
        let terminal = s.terminal;
        let t = &self.terminals[terminal];
        if s.turn != turn || t.gone || (t.off && what != Timer::ComeBack) {
            return;
        }
        match what {
            // a copy may come long after the answer
            Timer::Copy => {
                let other = self.rng.chance(300);
                if self.may_repeat(sale) {
                    self.send(sale, false, other);
                }
            }
            Timer::SecondLine => self.send(sale, false, true),
            Timer::Reverse => {
                let other = self.rng.chance(500);
                self.send(sale, true, other);
                self.next_turn(sale, 30 * SEC);
            }
            Timer::HangUp => {
                if let Some(conn) = self.terminals[terminal].conn {
                    self.conn_hang_up(conn);
                }
                let back = self.rng.pick(&[100 * MS, 2 * SEC, 20 * SEC, 70 * SEC]);
                self.next_turn(sale, back);
            }
            Timer::PowerOff => self.power_off(sale),
            Timer::Vanish => self.vanish(sale),
            Timer::GiveUp | Timer::ComeBack => self.give_up(sale),
        }
    }

    /// From now on only this timer counts.
    fn next_turn(&mut self, sale: usize, after: u64) {
        self.ledgers.sales[sale].turn += 1;
        self.terminal_wait(sale, after, Timer::GiveUp);
    }

    /// Nothing was heard: repeat or reverse.
    fn give_up(&mut self, sale: usize) {
        if self.ledgers.sales[sale].belief != Belief::Unknown && !self.awaits_reversal(sale) {
            return;
        }
        let terminal = self.ledgers.sales[sale].terminal;
        self.terminals[terminal].off = false;
        let s = &mut self.ledgers.sales[sale];
        s.tries += 1;
        let (tries, asked) = (s.tries, s.asked_reversal);
        let late =
            !self.healing && tries == 1 && self.rng.chance(self.opts.rate(Fault::ComeBackLate));
        if late {
            // beyond the repeat window
            let after = self.rng.range(120, 900) * SEC;
            return self.next_turn(sale, after);
        }
        let repeats = self.terminals[terminal].repeats || self.opts.has(Fault::Repeater);
        let reverse = asked || !repeats || tries > 3 || !self.may_repeat(sale);
        let other = self.rng.chance(300);
        self.send(sale, reverse, other);
        let wait = if tries % 4 == 3 { 120 } else { 20 + 20 * u64::from(tries % 3) };
        self.next_turn(sale, wait * SEC);
    }

    /// Beyond its horizon a copy would be a new request: no honest terminal sends it then.
    fn may_repeat(&self, sale: usize) -> bool {
        self.store.within_horizon(self.ledgers.sales[sale].day, self.now + 200 * SEC)
    }

    fn awaits_reversal(&self, sale: usize) -> bool {
        let s = &self.ledgers.sales[sale];
        s.asked_reversal && s.belief != Belief::Reversed
    }

    fn power_off(&mut self, sale: usize) {
        let terminal = self.ledgers.sales[sale].terminal;
        self.hit(Sit::PowerCycle);
        self.terminals[terminal].off = true;
        if let Some(conn) = self.terminals[terminal].conn.take() {
            self.conns[conn].t_open = false;
            if self.rng.chance(500) {
                // nobody says good-bye: the node's keepalive finds out
                self.conns[conn].up.void = true;
                let (node, life) = (self.conns[conn].node, self.conns[conn].life);
                let after = self.rng.range(20, 90) * SEC;
                self.agenda
                    .add(self.now + after, Ev::Proc { node, life, what: Proc::ConnEnd(conn) });
            } else {
                self.conn_reset(conn);
            }
        }
        self.ledgers.sales[sale].turn += 1;
        let after = self.rng.range(3, 80) * SEC;
        self.agenda.add(self.now + after, Ev::Boot(terminal));
    }

    pub(super) fn boot(&mut self, terminal: usize) {
        self.terminals[terminal].off = false;
        match self.terminals[terminal].current {
            Some(sale) => self.next_turn(sale, 10 * MS),
            None => self.agenda.add(self.now + SEC, Ev::NextSale(terminal)),
        }
    }

    fn vanish(&mut self, sale: usize) {
        let terminal = self.ledgers.sales[sale].terminal;
        self.hit(Sit::VanishedForGood);
        self.terminals[terminal].gone = true;
        self.ledgers.sales[sale].vanished = true;
        self.trace.line(self.now, || format!("terminal {terminal} vanishes"));
        if let Some(conn) = self.terminals[terminal].conn.take() {
            if self.rng.chance(500) {
                self.conn_hang_up(conn);
            } else {
                self.conns[conn].t_open = false;
                self.conn_reset(conn);
            }
        }
    }

    /// An answer arrives at a terminal.
    pub(super) fn reply_arrives(&mut self, conn: usize, n: u32, reply: ReplyMsg) {
        let c = &mut self.conns[conn];
        if !c.down.arrives(n) || !c.t_open {
            self.totals.lost_replies += 1;
            if reply.approved {
                self.hit(Sit::WrittenNeverRead);
            }
            return;
        }
        let terminal = c.terminal;
        self.check_delivered(conn, terminal, &reply);
        let sale = reply.sale;
        self.trace.line(self.now, || {
            let what = if reply.reversal { "reversal" } else { "sale" };
            format!(
                "terminal {terminal} reads {} for {what} {sale} rrn {:?}",
                reply.code, reply.rrn
            )
        });
        if reply.reversal {
            self.reversal_answered(sale, &reply);
            return;
        }
        let s = &mut self.ledgers.sales[sale];
        s.answered += 1;
        if s.asked_reversal || s.belief != Belief::Unknown {
            return;
        }
        // refusals that are given without knowing the identity say nothing of copies before (M15, M16)
        let guess = matches!(reply.code.as_str(), "91" | "94" | "96");
        if guess && s.sent > s.answered {
            return;
        }
        s.belief = if reply.approved { Belief::Approved(reply) } else { Belief::Declined };
        let approved = reply.approved && s.kind == Kind::Purchase;
        if approved && !self.healing && self.rng.chance(self.opts.rate(Fault::ReverseAfter)) {
            self.hit(Sit::ReversedAfterApproval);
            let after = self.rng.pick(&[10 * MS, SEC, 20 * SEC]);
            self.ledgers.sales[sale].asked_reversal = true;
            self.next_turn(sale, after);
            return;
        }
        self.resolved(sale);
    }

    fn reversal_answered(&mut self, sale: usize, reply: &ReplyMsg) {
        let s = &mut self.ledgers.sales[sale];
        match reply.code.as_str() {
            "00" => s.belief = Belief::Reversed,
            // another sale stands under the identity: nothing of this one
            "64" if s.reuse => s.belief = Belief::Declined,
            "25" => s.belief = Belief::Declined,
            _ => return,
        }
        self.resolved(sale);
    }

    /// The terminal knows, and goes on with its next sale; late copies may still go out.
    fn resolved(&mut self, sale: usize) {
        let terminal = self.ledgers.sales[sale].terminal;
        if self.terminals[terminal].current != Some(sale) {
            return;
        }
        self.ledgers.sales[sale].turn += 1;
        let s = &self.ledgers.sales[sale];
        let known = s.answer.is_some() && !s.asked_reversal && !self.healing;
        if known && self.rng.chance(self.opts.rate(Fault::Repeat) / 4) {
            let after = self.rng.pick(&[20 * MS, 5 * SEC, 700 * SEC]);
            self.terminal_wait(sale, after, Timer::Copy);
        }
        let t = &mut self.terminals[terminal];
        t.current = None;
        t.old.push(sale);
        let think = self.opts.think / 2 + self.rng.below(self.opts.think);
        self.agenda.add(self.now + think, Ev::NextSale(terminal));
    }

    /// The terminal sees the end of its connection.
    pub(super) fn conn_closed_at_terminal(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        if !c.t_open {
            return;
        }
        c.t_open = false;
        let terminal = c.terminal;
        if let Some(sale) = self.terminals[terminal].current
            && self.terminals[terminal].conn == Some(conn)
            && self.rng.chance(500)
        {
            // an impatient one acts at once, others wait for their time-out
            let after = self.rng.pick(&[50 * MS, 2 * SEC, 30 * SEC]);
            self.next_turn(sale, after);
        }
    }
}
