//! What a simulated terminal writes into its ledger.

use super::{Answer, Terminal};
use crate::bench::floor::Floor;
use crate::bench::stats::Live;
use crate::ledger::{Line, Role};

impl Terminal {
    pub(super) fn believe(&self, floor: &Floor, approved: bool, answer: &Answer) {
        if approved {
            let kind = self.sale.kind.name();
            floor.stats.borrow_mut().approved(kind, !floor.mix.kinds.is_empty());
            Live::add(&floor.live.approved);
            let amount = i64::try_from(answer.amount).unwrap_or(i64::MAX);
            let mut line = self.line(floor, "approved", answer.code.as_str());
            line.amount = amount;
            line.approval = answer.approval.as_str().into();
            floor.journal.borrow_mut().append(&line);
        } else {
            floor.stats.borrow_mut().declined += 1;
            Live::add(&floor.live.declined);
            self.journal(floor, "declined", answer.code.as_str());
        }
    }

    pub(super) fn journal(&self, floor: &Floor, event: &'static str, code: &str) {
        let mut journal = floor.journal.borrow_mut();
        if journal.is_kept() {
            journal.append(&self.line(floor, event, code));
        }
    }

    pub(super) fn line<'a>(&'a self, floor: &'a Floor, event: &'a str, code: &'a str) -> Line<'a> {
        let blanks = &self.sale.blanks;
        let batch = floor.dialect.elements().batch.map(|_| format!("{:06}", blanks.batch));
        Line {
            rrn: self.sale.rrn.as_str().into(),
            stan: format!("{:06}", blanks.stan).into(),
            terminal: format!("{:08}", blanks.terminal).into(),
            merchant: floor.mix.merchant.as_str().into(),
            amount: i64::try_from(blanks.amount).unwrap_or(i64::MAX),
            currency: floor.mix.currency.as_str().into(),
            pan_hash: floor.cards.get(self.sale.card).map_or("", |card| &card.hash).into(),
            kind: self.sale.kind.name().into(),
            code: code.into(),
            batch: batch.unwrap_or_default().into(),
            original: self.origin.map_or_else(String::new, |origin| origin.rrn.to_string()).into(),
            difference: self.origin.map_or(0, |origin| origin.difference),
            copy: self.sale.copies,
            ..Line::new(Role::Terminal, event)
        }
    }
}
