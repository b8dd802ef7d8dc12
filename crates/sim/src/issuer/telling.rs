//! What an issuer answers, and what it writes into its ledger.

use iso8583::Code;

use super::action::Outcome;
use super::book::Book;
use super::effect::Effect;
use super::incoming::Incoming;
use crate::ledger::{Line, Role, hex};
use crate::text::Text;

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) code: Code,
    /// Approval code (38), where it is approved.
    pub(super) approval: Option<u32>,
    pub(super) rrn: Text<12>,
    pub(super) amount: i64,
    /// What the account holds, where that was asked.
    pub(super) balance: Option<i64>,
    /// A field that is not as the request has it.
    pub(super) field: Option<(u8, Text<64>)>,
}

pub(super) fn code(text: &str) -> Code {
    Code::new(text).unwrap_or(Code::APPROVED)
}

impl Book {
    /// The RRN of a request: its own, else one of ours.
    pub(super) fn number(&mut self, incoming: &Incoming) -> Text<12> {
        if incoming.numbered {
            return incoming.rrn;
        }
        self.numbers += 1;
        Text::new(&format!("{:012}", self.numbers))
    }

    pub(super) fn refusal(&mut self, incoming: &Incoming, text: &str) -> Verdict {
        let (amount, rrn) = (incoming.amount, self.number(incoming));
        Verdict { code: code(text), approval: None, rrn, amount, balance: None, field: None }
    }

    pub(super) fn verdict_of(&self, place: u32) -> Verdict {
        let entry = self.entries.at(place);
        let approval = (entry.approval > 0).then_some(entry.approval);
        // An adjustment changes what it is worth, and not what was answered.
        let partial = entry.code == code("10");
        let amount = if partial { entry.amount } else { entry.asked };
        let enquiry = entry.effect() == Some(Effect::Enquire) && approval.is_some();
        let balance = enquiry.then(|| self.accounts.of(&entry.card).available());
        Verdict { code: entry.code, approval, rrn: entry.rrn, amount, balance, field: None }
    }

    pub(super) fn write(
        &mut self,
        incoming: &Incoming,
        mut line: Line<'_>,
        verdict: Option<&Verdict>,
    ) {
        if !self.ledger.is_kept() {
            return;
        }
        line.transmitted = incoming.sent.as_str().to_owned().into();
        if let Some(verdict) = verdict {
            line.rrn = verdict.rrn.as_str().to_owned().into();
            line.code = verdict.code.as_str().to_owned().into();
            if let Some(approval) = verdict.approval {
                line.approval = format!("{approval:06}").into();
            }
        }
        self.ledger.append(&line);
    }

    /// Writes something that nobody sent.
    pub(super) fn write_of(&mut self, place: u32, event: &str) {
        let entry = *self.entries.at(place);
        self.ledger.append(&Line {
            rrn: entry.rrn.as_str().into(),
            stan: entry.stan.as_str().into(),
            terminal: entry.terminal.as_str().into(),
            merchant: entry.merchant.as_str().into(),
            amount: entry.amount,
            currency: entry.currency.as_str().into(),
            pan_hash: hex(&entry.card).into(),
            kind: entry.kind.map_or("other", iso8583::Kind::name).into(),
            batch: entry.batch.as_str().into(),
            ..Line::new(Role::Issuer, event)
        });
    }
}

pub(super) fn line<'a>(incoming: &'a Incoming, event: &'a str, amount: i64) -> Line<'a> {
    Line {
        rrn: incoming.rrn.as_str().into(),
        stan: incoming.stan.as_str().into(),
        terminal: incoming.terminal.as_str().into(),
        merchant: incoming.merchant.as_str().into(),
        amount,
        currency: incoming.currency.as_str().into(),
        pan_hash: if incoming.card == [0; 16] { "".into() } else { hex(&incoming.card).into() },
        kind: incoming.kind_name().into(),
        batch: incoming.batch.as_str().into(),
        ..Line::new(Role::Issuer, event)
    }
}

/// Code and amount of an outcome; the amount is 0 where nothing is approved.
pub(super) fn outcome_of(outcome: Outcome, asked: i64) -> (Code, i64) {
    match outcome {
        Outcome::Approve => (Code::APPROVED, asked),
        Outcome::Decline(code) => (code, 0),
        Outcome::Partial(percent) => {
            (code("10"), (asked.saturating_mul(i64::from(percent)) / 100).max(1))
        }
    }
}
