//! The kinds as terminals and issuers know them: what each is about, what it takes of it, and what it does to a card.

use iso8583::{Kind, Takes};

/// How a request of some kind names its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Trace,
    Number,
    Authorisation,
}

/// What a request of some kind asks of its original.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) kinds: &'static [Kind],
    pub(super) takes: Takes,
    pub(super) naming: Naming,
    /// Some business days old at most; else as long as its batch is open.
    pub(super) by_age: bool,
}

/// What a transaction does to a card: money taken, and money held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Effect {
    pub(super) debit: i64,
    pub(super) hold: i64,
}

/// The terminal and the switch reverse it when nobody knows what became of it.
pub(super) const fn is_reversed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Purchase
            | Kind::Void
            | Kind::PreAuthorisation
            | Kind::PreAuthorisationVoid
            | Kind::Completion
            | Kind::CompletionVoid
            | Kind::Instalment
            | Kind::InstalmentVoid
    )
}

/// It is told until its issuer has taken it.
pub(super) const fn is_advice(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Refund
            | Kind::CompletionAdvice
            | Kind::OfflineSale
            | Kind::OfflineUpload
            | Kind::Adjustment
            | Kind::Tip
            | Kind::ScriptResult
    )
}

/// Its amount counts.
pub(super) const fn has_amount(kind: Kind) -> bool {
    !matches!(kind, Kind::BalanceEnquiry | Kind::ScriptResult)
}

pub(super) const fn rule(kind: Kind) -> Option<Rule> {
    let (kinds, takes, naming, by_age): (&'static [Kind], Takes, Naming, bool) = match kind {
        Kind::Void => (&[Kind::Purchase], Takes::Equal, Naming::Trace, false),
        Kind::InstalmentVoid => (&[Kind::Instalment], Takes::Equal, Naming::Trace, false),
        Kind::CompletionVoid => (&[Kind::Completion], Takes::Equal, Naming::Trace, false),
        Kind::PreAuthorisationVoid => {
            (&[Kind::PreAuthorisation], Takes::Equal, Naming::Authorisation, true)
        }
        Kind::Completion | Kind::CompletionAdvice => {
            (&[Kind::PreAuthorisation], Takes::Whole { percent: 115 }, Naming::Authorisation, true)
        }
        Kind::Refund => (REFUNDED, Takes::Part, Naming::Number, true),
        Kind::Tip => (
            &[Kind::Purchase, Kind::OfflineSale],
            Takes::Total { percent: 120 },
            Naming::Trace,
            false,
        ),
        Kind::Adjustment => {
            (&[Kind::OfflineSale], Takes::Total { percent: 100 }, Naming::Trace, false)
        }
        Kind::ScriptResult => {
            (&[Kind::Purchase, Kind::PreAuthorisation], Takes::Nothing, Naming::Trace, false)
        }
        _ => return None,
    };
    Some(Rule { kinds, takes, naming, by_age })
}

const REFUNDED: &[Kind] = &[
    Kind::Purchase,
    Kind::Completion,
    Kind::CompletionAdvice,
    Kind::OfflineSale,
    Kind::OfflineUpload,
];

/// The kinds that may be about one of this kind.
pub(super) const fn about(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Purchase => &[Kind::Void, Kind::Refund, Kind::Tip, Kind::Void, Kind::ScriptResult],
        Kind::Instalment => &[Kind::InstalmentVoid],
        Kind::PreAuthorisation => {
            &[Kind::Completion, Kind::PreAuthorisationVoid, Kind::CompletionAdvice]
        }
        Kind::Completion => &[Kind::CompletionVoid, Kind::Refund],
        Kind::OfflineSale => &[Kind::Adjustment, Kind::Tip, Kind::Refund],
        Kind::CompletionAdvice | Kind::OfflineUpload => &[Kind::Refund],
        _ => &[],
    }
}

/// The effect of one of this kind, for `amount`, which takes `taken` of its original.
pub(super) const fn effect(kind: Kind, amount: i64, taken: i64) -> Effect {
    match kind {
        Kind::Purchase | Kind::Instalment | Kind::OfflineSale | Kind::OfflineUpload => {
            Effect { debit: amount, hold: 0 }
        }
        Kind::PreAuthorisation => Effect { debit: 0, hold: amount },
        Kind::PreAuthorisationVoid => Effect { debit: 0, hold: -taken },
        Kind::Completion | Kind::CompletionAdvice => Effect { debit: amount, hold: -taken },
        Kind::Void
        | Kind::InstalmentVoid
        | Kind::CompletionVoid
        | Kind::Refund
        | Kind::Tip
        | Kind::Adjustment => Effect { debit: -taken, hold: 0 },
        _ => Effect { debit: 0, hold: 0 },
    }
}

/// What is taken of an original of which so much was approved and is left; none if that may not be.
pub(super) fn taken(takes: Takes, approved: i64, left: i64, amount: i64) -> Option<i64> {
    let within = |percent: u16| amount * 100 <= left.min(approved) * i64::from(percent);
    match takes {
        Takes::Nothing => Some(0),
        _ if left <= 0 || amount <= 0 => None,
        Takes::Equal => (amount == left).then_some(amount),
        Takes::Part => (amount <= left).then_some(amount),
        Takes::Whole { percent } => within(percent).then_some(left),
        Takes::Total { percent } => within(percent).then_some(left - amount),
    }
}
