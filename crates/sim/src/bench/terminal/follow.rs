//! Which transaction a terminal makes next, and what it keeps of those that were approved.

use iso8583::Kind;

use super::{Answer, Terminal};
use crate::bench::floor::Floor;
use crate::bench::plan::Plan;
use crate::bench::till::{Done, Origin, is_notice};

/// What is drawn for one transaction.
pub(super) struct Choice {
    pub(super) kind: Kind,
    pub(super) origin: Option<Origin>,
    pub(super) card: usize,
    pub(super) amount: u64,
}

impl Terminal {
    /// A kind of the mix. Where it needs an original and there is none, it makes one.
    pub(super) fn choose(&mut self, floor: &Floor, card: usize, amount: u64) -> Choice {
        let [first, _] = &mut self.choice;
        let mut kind = floor.mix.kinds.draw(first);
        while let Some(rule) = floor.dialect.row(kind).and_then(|row| row.original.as_ref()) {
            let picked = self.till.pick(&floor.dialect, kind, self.batch, &mut self.choice);
            if let Some((origin, amount)) = picked {
                return Choice { kind, origin: Some(origin), card: origin.card, amount };
            }
            let plain =
                |kind: &&Kind| floor.dialect.row(**kind).is_some_and(|row| row.original.is_none());
            kind = rule
                .kinds
                .iter()
                .find(plain)
                .or_else(|| rule.kinds.first())
                .copied()
                .unwrap_or(kind);
            if rule.kinds.is_empty() {
                break;
            }
        }
        Choice { kind, origin: None, card, amount }
    }

    /// Keeps what was approved, for those that come after it and for the settlement.
    pub(super) fn keep(&mut self, answer: &Answer, date: Option<u64>) {
        let amount = answer.amount;
        let mut done = Done::new(self.sale.kind, self.sale.card, self.sale.blanks, amount);
        done.rrn = answer.rrn;
        done.approval = answer.approval;
        done.date = date.unwrap_or(done.date);
        done.original = self.origin;
        done.difference = self.origin.map_or(0, |origin| origin.difference);
        self.till.add(done, self.batch, self.today.is_some());
    }
}

/// How a kind can be treated: a notice is never reversed, and an enquiry is asked and forgotten.
pub(super) fn plan_of(kind: Kind, plan: Plan) -> Plan {
    match plan {
        _ if kind == Kind::BalanceEnquiry => Plan::Plain,
        Plan::GiveUp | Plan::Reverse | Plan::ReverseFirst if is_notice(kind) => Plan::Plain,
        plan => plan,
    }
}
