//! The forms in which the API gives transactions, duties, cases and notes.

use serde::Serialize;
use store::{BatchFile, CaseFile, Owed, Totals};
use switch_core::{Claim, Found, Note, Obligation, TxnId};

use crate::names;

/// A transaction.
#[derive(Debug, Serialize)]
pub(crate) struct Transaction {
    pub(crate) id: u64,
    pub(crate) rrn: String,
    /// The host's own reference (37), where it has one.
    pub(crate) host_rrn: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) amount: i64,
    pub(crate) approved: i64,
    pub(crate) currency: String,
    pub(crate) code: Option<String>,
    pub(crate) cause: &'static str,
    pub(crate) card: String,
    pub(crate) merchant: String,
    pub(crate) terminal: String,
    pub(crate) batch: String,
    pub(crate) stan: String,
    pub(crate) listener: String,
    pub(crate) issuer: Option<String>,
    pub(crate) day: String,
    pub(crate) created: String,
    pub(crate) concluded: Option<String>,
    pub(crate) node: i32,
    pub(crate) copies: u32,
    pub(crate) late: u32,
    pub(crate) reversal: Option<Reversal>,
    /// What it takes of another transaction.
    pub(crate) original: Option<Taken>,
    /// What others have taken of it, minor units.
    pub(crate) claimed: i64,
    /// Whose claim on it is open.
    pub(crate) claiming: Option<String>,
}

impl Transaction {
    pub(crate) fn of(found: &Found) -> Self {
        let row = &found.row;
        Self {
            id: row.id.0,
            rrn: row.id.rrn(),
            host_rrn: switch::host_rrn(row).map(str::to_owned),
            state: row.state.name(),
            kind: row.kind.name(),
            amount: row.amount,
            approved: row.approved,
            currency: names::text(&row.currency),
            code: row.code.map(|code| code.to_string()),
            cause: row.cause.name(),
            card: names::card(&row.card.first6, &row.card.last4),
            merchant: names::text(&row.merchant),
            terminal: names::text(&row.terminal),
            batch: format!("{:06}", row.key.batch()),
            stan: format!("{:06}", row.stan),
            listener: row.listener.to_string(),
            issuer: row.issuer.as_deref().map(str::to_owned),
            day: switch::date(row.day),
            created: names::time(row.created),
            concluded: row.concluded.map(names::time),
            node: row.node.0,
            copies: row.copies,
            late: row.late,
            reversal: found.obligation.as_ref().map(Reversal::of),
            original: found.claim.as_ref().map(|claim| Taken::of(claim.original, claim)),
            claimed: row.claimed,
            claiming: row.claiming.map(TxnId::rrn),
        }
    }
}

/// What one transaction takes of another (M11): the number is that of the other one.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) rrn: String,
    pub(crate) amount: i64,
    pub(crate) status: &'static str,
}

impl Taken {
    pub(crate) fn of(other: TxnId, claim: &Claim) -> Self {
        Self { rrn: other.rrn(), amount: claim.amount, status: claim.status.name() }
    }
}

/// The duty to reverse a transaction, or to deliver it.
#[derive(Debug, Serialize)]
pub(crate) struct Reversal {
    pub(crate) status: &'static str,
    pub(crate) cause: &'static str,
    /// Attempts that were written.
    pub(crate) attempts: u32,
    /// Code of the last answer to one of them, as 39 of the 1987 version.
    pub(crate) answered: Option<String>,
    pub(crate) opened: String,
    pub(crate) due: String,
    pub(crate) parked: bool,
    pub(crate) node: i32,
}

impl Reversal {
    pub(crate) fn of(obligation: &Obligation) -> Self {
        Self {
            status: names::status(obligation.status),
            cause: names::cause(obligation.cause),
            attempts: obligation.attempts,
            answered: obligation.answered.map(|code| code.to_string()),
            opened: names::time(obligation.opened),
            due: names::time(obligation.due),
            parked: obligation.parked,
            node: obligation.owner.0,
        }
    }
}

/// A duty to reverse with what is known of its transaction.
#[derive(Debug, Serialize)]
pub(crate) struct OwedReversal {
    pub(crate) id: u64,
    pub(crate) rrn: String,
    pub(crate) kind: &'static str,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) card: String,
    pub(crate) merchant: String,
    pub(crate) terminal: String,
    pub(crate) stan: String,
    pub(crate) issuer: Option<String>,
    pub(crate) created: String,
    #[serde(flatten)]
    pub(crate) reversal: Reversal,
}

impl OwedReversal {
    pub(crate) fn of(owed: &Owed) -> Self {
        Self {
            id: owed.obligation.id.0,
            rrn: owed.obligation.id.rrn(),
            kind: owed.kind.name(),
            amount: owed.amount,
            currency: names::text(&owed.currency),
            card: names::card(&owed.first6, &owed.last4),
            merchant: names::text(&owed.merchant),
            terminal: names::text(&owed.terminal),
            stan: format!("{:06}", owed.stan),
            issuer: owed.issuer.clone(),
            created: names::time(owed.created),
            reversal: Reversal::of(&owed.obligation),
        }
    }
}

/// A case.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) id: u64,
    pub(crate) rrn: String,
    pub(crate) kind: &'static str,
    pub(crate) opened: String,
    pub(crate) resolved: Option<String>,
    pub(crate) detail: String,
    /// Written attempts at the reversal or delivery of its transaction, where it has that duty.
    pub(crate) attempts: Option<u32>,
    /// Code of the last answer to one of them, as 39 of the 1987 version.
    pub(crate) answered: Option<String>,
}

impl Case {
    pub(crate) fn of(case: &CaseFile) -> Self {
        Self {
            id: case.id.0,
            rrn: case.id.rrn(),
            kind: case.kind.name(),
            opened: names::time(case.opened),
            resolved: case.resolved.map(names::time),
            detail: names::text(case.detail.as_bytes()),
            attempts: case.attempts,
            answered: case.answered.map(|code| code.to_string()),
        }
    }

    /// Attempts and the last answer, in words.
    pub(crate) fn attempted(&self) -> String {
        attempted(self.attempts.unwrap_or(0), self.answered.as_deref())
    }
}

/// `3 attempts, last answer 94`; nothing where there was none.
pub(crate) fn attempted(attempts: u32, answered: Option<&str>) -> String {
    let attempts = match attempts {
        0 => return String::new(),
        1 => "1 attempt".to_owned(),
        more => format!("{more} attempts"),
    };
    match answered {
        Some(code) => format!("{attempts}, last answer {code}"),
        None => format!("{attempts}, no answer"),
    }
}

/// A terminal's batch.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    pub(crate) merchant: String,
    pub(crate) terminal: String,
    pub(crate) batch: String,
    pub(crate) day: String,
    pub(crate) opened: String,
    pub(crate) closed: Option<String>,
    /// Open, balanced, unbalanced, or covered by the settlement of a later one.
    pub(crate) result: &'static str,
    pub(crate) terminal_totals: Option<BatchTotals>,
    pub(crate) switch_totals: Option<BatchTotals>,
    pub(crate) uploaded: Option<String>,
    pub(crate) cases: u32,
}

/// Totals in minor units: amounts and counts of debits and credits, of domestic and of foreign cards.
#[derive(Debug, Serialize)]
pub(crate) struct BatchTotals {
    pub(crate) domestic: GroupTotals,
    pub(crate) foreign: GroupTotals,
}

/// Totals of one group of cards.
#[derive(Debug, Serialize)]
pub(crate) struct GroupTotals {
    pub(crate) debit: i64,
    pub(crate) debits: u32,
    pub(crate) credit: i64,
    pub(crate) credits: u32,
}

impl BatchTotals {
    fn of(totals: Totals) -> Self {
        let group = |group: store::Group| GroupTotals {
            debit: group.debit.amount,
            debits: group.debit.count,
            credit: group.credit.amount,
            credits: group.credit.count,
        };
        Self { domestic: group(totals.domestic), foreign: group(totals.foreign) }
    }
}

impl Batch {
    pub(crate) fn of(batch: &BatchFile) -> Self {
        let result = match (batch.closed, batch.balanced) {
            (None, _) => "open",
            (Some(_), None) => "covered",
            (Some(_), Some(true)) => "balanced",
            (Some(_), Some(false)) => "unbalanced",
        };
        Self {
            merchant: names::text(&batch.merchant),
            terminal: names::text(&batch.terminal),
            batch: format!("{:06}", batch.number),
            day: switch::date(batch.day),
            opened: names::time(batch.opened),
            closed: batch.closed.map(names::time),
            result,
            terminal_totals: batch.totals.map(|[theirs, _]| BatchTotals::of(theirs)),
            switch_totals: batch.totals.map(|[_, ours]| BatchTotals::of(ours)),
            uploaded: batch.ended.map(names::time),
            cases: batch.cases,
        }
    }
}

/// An unusual event of a transaction.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) at: String,
    pub(crate) what: &'static str,
    pub(crate) detail: String,
}

impl Event {
    pub(crate) fn of(note: &Note) -> Self {
        Self {
            at: names::time(note.at),
            what: note.kind.name(),
            detail: names::text(note.detail.as_bytes()),
        }
    }
}
