//! What a terminal asks of a sale that was made: voids, refunds, completions, tips; most of it right, some of it wrong.

use iso8583::{Kind, Takes};
use switch_core::{ClaimAsk, Named, TxnId};

use super::{
    edge,
    event::Ev,
    ledger::{Belief, Sale},
    options::{Fault, MS, SEC},
    state::World,
    trade::{self, Naming},
};

/// A terminal looks at so many sales of late.
const LATE: usize = 16;

/// What a claim is to be.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) amount: i64,
    pub(super) card: u8,
    pub(super) issuer: usize,
    pub(super) about: Box<ClaimAsk>,
    pub(super) original: usize,
}

impl World {
    /// What this terminal asks next, and of which sale; nothing if there is none to ask about.
    pub(super) fn plan_claim(&mut self, terminal: usize, of: Option<usize>) -> Option<Plan> {
        let wrong = self.rng.chance(self.opts.rate(Fault::WrongClaim));
        let original = of.or_else(|| self.pick_original(terminal, wrong))?;
        let sale = &self.ledgers.sales[original];
        let kinds: Vec<Kind> = trade::about(sale.kind)
            .iter()
            .copied()
            .filter(|kind| {
                sale.terminal == terminal
                    || trade::rule(*kind).is_some_and(|rule| rule.naming != Naming::Trace)
            })
            .collect();
        let odd = wrong && self.rng.chance(150);
        let kind = match kinds.as_slice() {
            [] if wrong => Kind::Refund,
            [] => return None,
            _ if odd => Kind::Refund,
            some => self.rng.pick(some),
        };
        let plan = self.plan_of(kind, original)?;
        let plan = if wrong { self.made_wrong(plan) } else { plan };
        self.storm(terminal, original);
        if self.rng.chance(self.opts.rate(Fault::ReverseClaimed)) {
            let after = self.rng.pick(&[MS, 20 * MS, SEC, 20 * SEC]);
            self.agenda.add(self.now + after, Ev::ReverseClaimed(original));
        }
        Some(plan)
    }

    /// A sale of late that this terminal could ask something of; where it is wrong, any.
    fn pick_original(&mut self, terminal: usize, wrong: bool) -> Option<usize> {
        let made = self.ledgers.sales.len();
        for _ in 0..6 {
            let back = self.rng.below(LATE as u64) as usize + 1;
            let Some(at) = made.checked_sub(back) else { continue };
            let sale = &self.ledgers.sales[at];
            let own = edge::merchant(sale.terminal) == edge::merchant(terminal);
            let known = sale.answer.is_some_and(|answer| answer.approved);
            let stands = known && (sale.terminal != terminal || !sale.asked_reversal);
            let right = own && stands && !trade::about(sale.kind).is_empty();
            if right || (wrong && sale.answer.is_some()) {
                return Some(at);
            }
        }
        None
    }

    fn plan_of(&mut self, kind: Kind, original: usize) -> Option<Plan> {
        let rule = trade::rule(kind)?;
        let left = self.left(original);
        let sale = &self.ledgers.sales[original];
        let whole = if left > 0 { left } else { sale.amount.max(1) };
        let code = sale.answer.map_or([b' '; 6], |answer| edge::authorisation(answer.auth));
        let named = match rule.naming {
            Naming::Trace => Named::Trace { batch: sale.key.batch(), stan: sale.stan },
            Naming::Number => Named::Number(sale.answer.and_then(|answer| answer.rrn)?),
            Naming::Authorisation => {
                Named::Authorisation { card: [sale.card; 16], code, date: None }
            }
        };
        let (card, issuer) = (sale.card, sale.issuer);
        let known = sale.answer.is_some_and(|answer| answer.auth > 0);
        let says = known && rule.naming == Naming::Trace && self.rng.chance(500);
        let amount = match rule.takes {
            Takes::Equal => whole,
            Takes::Part => {
                let part = self.rng.pick(&[1, 2, 2, 3, 5]);
                (whole / part).max(1)
            }
            Takes::Whole { percent } | Takes::Total { percent } => {
                let share = self.rng.range(80, u64::from(percent)) as i64;
                (whole * share / 100).max(1)
            }
            Takes::Nothing => 0,
        };
        let about = Box::new(ClaimAsk {
            named,
            kinds: rule.kinds.into(),
            takes: rule.takes,
            days: rule.by_age.then_some(self.opts.days),
            authorisation: says.then_some(code),
            date: None,
            rrn: None,
            trace: None,
        });
        Some(Plan { kind, amount, card, issuer, about, original })
    }

    /// One thing of it is wrong.
    fn made_wrong(&mut self, mut plan: Plan) -> Plan {
        match self.rng.below(7) {
            0 => plan.amount = plan.amount * 2 + 1,
            1 => plan.amount += 1,
            2 => plan.card = 255,
            3 => plan.about.authorisation = Some(*b"999999"),
            4 => {
                plan.about.named = match plan.about.named {
                    Named::Trace { batch, stan } => Named::Trace { batch, stan: stan + 500 },
                    Named::Number(id) => Named::Number(TxnId(id.0 + 900_000)),
                    Named::Authorisation { card, .. } => {
                        Named::Authorisation { card, code: *b"999999", date: None }
                    }
                }
            }
            5 => {
                // whatever it is, by its number
                let number = self.ledgers.sales[plan.original].answer.and_then(|known| known.rrn);
                if let Some(number) = number {
                    plan.about.named = Named::Number(number);
                }
            }
            _ => {}
        }
        if !trade::has_amount(plan.kind) {
            plan.amount = 0;
        }
        plan
    }

    /// Another terminal asks something of the same sale, at the same time.
    fn storm(&mut self, terminal: usize, original: usize) {
        if !self.rng.chance(self.opts.rate(Fault::ClaimStorm)) {
            return;
        }
        let idle: Vec<usize> = (0..self.terminals.len())
            .filter(|other| {
                let t = &self.terminals[*other];
                *other != terminal && !t.off && !t.gone && t.current.is_none() && t.left > 0
            })
            .collect();
        if !idle.is_empty() {
            let other = self.rng.pick(&idle);
            let scale = self.rng.pick(&[MS, 30 * MS, 3 * SEC]);
            let after = self.rng.below(scale);
            self.agenda.add(self.now + after, Ev::Claim { terminal: other, original });
        }
    }

    /// What is left of a sale, as its merchant knows.
    pub(super) fn left(&self, sale: usize) -> i64 {
        let sale = &self.ledgers.sales[sale];
        let mut left = match sale.belief {
            Belief::Approved(reply) => reply.amount,
            Belief::Unknown | Belief::Declined | Belief::Reversed => return 0,
        };
        for claim in sale.claims.iter().map(|claim| &self.ledgers.sales[*claim]) {
            let stands = matches!(claim.belief, Belief::Approved(_));
            let takes = claim.about.as_ref().map(|about| about.takes);
            match takes {
                Some(takes) if stands => {
                    left -= trade::taken(takes, i64::MAX / 200, left, claim.amount).unwrap_or(0);
                }
                Some(_) | None => {}
            }
        }
        left
    }

    /// A terminal reverses a sale about which another message is under way, or was.
    pub(super) fn reverse_claimed(&mut self, sale: usize) {
        let s = &self.ledgers.sales[sale];
        let t = &self.terminals[s.terminal];
        let idle = !t.off && !t.gone && !self.healing;
        // its identity is its own: nothing later was made under it
        let own = self.ledgers.sales.iter().rposition(|other| other.key == s.key) == Some(sale);
        if idle && trade::is_reversed(s.kind) && s.answer.is_some() && own {
            self.send(sale, true, true);
        }
    }

    /// The batch of one terminal is closed: its transactions are settled.
    pub(super) fn settle_batch(&mut self) {
        let terminal = self.rng.below(self.terminals.len() as u64) as usize;
        let text = edge::terminal_id(terminal);
        let settled: Vec<TxnId> = (self.store.rows.values())
            .filter(|row| row.terminal == text && !row.state.is_in_flight())
            .map(|row| row.id)
            .collect();
        self.store.settled.extend(settled);
    }
}

/// Whether the terminals' and the switch's word on a sale may differ: it was reversed while others claimed it, and who came
/// first nobody can say.
pub(super) fn is_contested(sale: &Sale) -> bool {
    sale.asked_reversal && !sale.claims.is_empty()
}
