//! How a sale begins: what is sold, under which identity, and what will happen to it beside its answer.

use iso8583::Kind;
use switch_core::Key;

use super::{
    claims::Plan,
    coverage::Sit,
    edge,
    event::{Ev, Timer},
    ledger::{Belief, Sale},
    network::Conn,
    options::{Fault, MS, SEC},
    state::World,
    trade,
};

impl World {
    pub(super) fn next_sale(&mut self, terminal: usize) {
        self.begin_sale(terminal, None);
    }

    /// Begins a sale, or something about the sale `of`.
    pub(super) fn begin_sale(&mut self, terminal: usize, of: Option<usize>) {
        let t = &mut self.terminals[terminal];
        if t.off || t.gone || t.current.is_some() || self.healing || t.left == 0 {
            return;
        }
        t.left -= 1;
        let reused = if of.is_some() { None } else { self.reused(terminal) };
        let claims =
            reused.is_none() && (of.is_some() || self.rng.chance(self.opts.rate(Fault::Claims)));
        let plan = if claims { self.plan_claim(terminal, of) } else { None };
        let sale = self.new_sale(terminal, reused, plan);
        self.terminals[terminal].current = Some(sale);
        self.totals.sales += 1;
        let reversed = trade::is_reversed(self.ledgers.sales[sale].kind);
        if reused.is_none() && reversed && self.rng.chance(self.opts.rate(Fault::Stranger)) {
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

    fn other_kind(&mut self) -> Kind {
        self.rng.pick(&[
            Kind::PreAuthorisation,
            Kind::PreAuthorisation,
            Kind::Instalment,
            Kind::OfflineSale,
            Kind::OfflineUpload,
        ])
    }

    fn new_sale(&mut self, terminal: usize, reused: Option<usize>, plan: Option<Plan>) -> usize {
        let t = &mut self.terminals[terminal];
        let stan = t.next_stan;
        t.next_stan += 1;
        let kind = if self.rng.chance(80) { Kind::BalanceEnquiry } else { Kind::Purchase };
        let other = plan.is_none() && self.rng.chance(self.opts.rate(Fault::OtherKinds));
        let kind = if other { self.other_kind() } else { kind };
        let number = self.ledgers.sales.len();
        let (mut kind, mut stan) = (kind, stan);
        let (mut about, mut original) = (None, None);
        let mut price = 1_000 + number as i64 * 7;
        if let Some(old) = reused {
            let old = &self.ledgers.sales[old];
            (kind, stan) = (old.kind, old.stan);
            (about, original) = (old.about.clone(), old.original);
            if !self.store.within_horizon(old.day, self.now) && self.rng.chance(500) {
                price = old.amount;
            }
        }
        let mut amount = if trade::has_amount(kind) { price } else { 0 };
        let mut issuer = self.rng.below(self.issuers.len() as u64) as usize;
        let mut card = self.rng.below(200) as u8;
        if let Some(plan) = plan {
            (kind, amount, card, issuer) = (plan.kind, plan.amount, plan.card, plan.issuer);
            (about, original) = (Some(plan.about), Some(plan.original));
        }
        if let Some(original) = original {
            self.ledgers.sales[original].claims.push(number);
        }
        self.ledgers.sales.push(Sale {
            terminal,
            issuer,
            key: Key::new(edge::terminal_key(terminal), 1, stan, kind),
            stan,
            kind,
            amount,
            card,
            takes_partial: self.rng.chance(500) && kind == Kind::Purchase,
            about,
            original,
            claims: Vec::new(),
            vain: false,
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
            let never =
                what == Timer::Reverse && !trade::is_reversed(self.ledgers.sales[sale].kind);
            if self.rng.chance(self.opts.rate(fault)) && !never {
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
