//! How a sale begins: what is sold, under which identity, and what will happen to it beside its answer.

use iso8583::Kind;
use switch_core::Key;

use super::{
    coverage::Sit,
    edge,
    event::{Ev, Timer},
    ledger::{Belief, Sale},
    network::Conn,
    options::{Fault, MS, SEC},
    state::World,
};

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
}
