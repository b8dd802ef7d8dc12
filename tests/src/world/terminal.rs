//! Terminals: they sell, wait, repeat, reverse, lose power, come back late or never; their journal is the ledger T.

use iso8583::{Cause, Class};

use super::{
    claims::is_contested,
    coverage::Sit,
    edge,
    event::{Ev, Proc, ReplyMsg, TermMsg, Timer},
    ledger::Belief,
    options::{Fault, MS, SEC},
    state::World,
    trade,
};

#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) next_stan: u32,
    pub(super) left: u64,
    /// The sale that it works on.
    pub(super) current: Option<usize>,
    /// Its line; the newest.
    pub(super) conn: Option<usize>,
    pub(super) off: bool,
    pub(super) gone: bool,
    /// Resolved sales whose identities may come again.
    pub(super) old: Vec<usize>,
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
    pub(super) fn terminal_wait(&mut self, sale: usize, after: u64, what: Timer) {
        let turn = self.ledgers.sales[sale].turn;
        self.agenda.add(self.now + after, Ev::Timer { sale, turn, what });
    }

    /// Sends the request or its reversal, on the line of the terminal or on a new one.
    pub(super) fn send(&mut self, sale: usize, reversal: bool, new_line: bool) {
        let names = self.ledgers.sales[sale].answer.and_then(|answer| answer.rrn);
        self.send_naming(sale, reversal, new_line, names);
    }

    pub(super) fn send_naming(
        &mut self,
        sale: usize,
        reversal: bool,
        new_line: bool,
        names: Option<switch_core::TxnId>,
    ) {
        let s = &mut self.ledgers.sales[sale];
        let terminal = s.terminal;
        if reversal && trade::is_advice(s.kind) {
            s.vain = true;
        } else if reversal {
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
        let copy = !reversal && self.ledgers.sales[sale].sent > 1;
        let other_batch = copy && self.rng.chance(self.opts.rate(Fault::OtherBatch));
        let refused = if reversal || other_batch { None } else { self.refused(sale) };
        self.conn_up(conn, TermMsg { sale, reversal, names, other_batch, refused });
    }

    /// Why a node's edge refuses a message: its list or its routes changed, or the message is not as it was.
    fn refused(&mut self, sale: usize) -> Option<Cause> {
        if self.healing || !self.rng.chance(self.opts.rate(Fault::ListChanged)) {
            return None;
        }
        let cause = self.rng.pick(&[
            Cause::UnknownMerchant,
            Cause::UnknownTerminal,
            Cause::Format,
            Cause::NoRoute,
            Cause::NoRoute,
        ]);
        // what is about an original goes to the issuer of that
        let routed = self.ledgers.sales[sale].about.is_none();
        Some(cause).filter(|cause| routed || *cause != Cause::NoRoute)
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
    pub(super) fn next_turn(&mut self, sale: usize, after: u64) {
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
        let advice = trade::is_advice(self.ledgers.sales[sale].kind);
        // its reversal waits for the end of a claim that a person must end
        let stuck = tries > 12 && is_contested(&self.ledgers.sales[sale]);
        if stuck || (advice && (tries > 8 || !self.may_repeat(sale))) {
            // neither a copy nor a reversal helps: it is left to the settlement
            self.ledgers.sales[sale].vanished = true;
            return self.resolved(sale);
        }
        if advice && self.rng.chance(self.opts.rate(Fault::VainReversal)) {
            self.hit(Sit::AdviceReversed);
            self.send(sale, true, true);
        }
        let reverse = !advice && (asked || !repeats || tries > 3 || !self.may_repeat(sale));
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
        let guess = matches!(reply.code.as_str(), "03" | "30" | "77" | "91" | "94" | "96" | "97");
        if guess && s.sent > s.answered {
            return;
        }
        let open = matches!(edge::class(reply.code), Class::Open | Class::Own);
        if open && trade::is_reversed(s.kind) && self.opts.has(Fault::OpenCode) {
            // it takes back what its issuer may have done all the same
            let s = &mut self.ledgers.sales[sale];
            s.asked_reversal = true;
            let after = self.rng.pick(&[10 * MS, SEC]);
            return self.next_turn(sale, after);
        }
        let s = &mut self.ledgers.sales[sale];
        s.belief = if reply.approved { Belief::Approved(reply) } else { Belief::Declined };
        let approved = reply.approved && trade::is_reversed(s.kind);
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
        if s.vain {
            if reply.code.as_str() != "25" {
                self.broken("C5", || {
                    format!("the reversal of advice {sale} is answered {reply:?}")
                });
            }
            return;
        }
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
