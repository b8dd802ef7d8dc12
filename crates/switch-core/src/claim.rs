//! What a void, refund or completion may take of its original (M11): pure judgement, with the reason in words.

use std::sync::Arc;

use iso8583::{Cause, Kind, Takes};

use crate::{
    ClaimEnd, ClaimStatus, Now, ObligationStatus, ObligationWrite, OriginalFound, Request, Row,
    RowState, TxnId, bug::Bug, core::Core, txn::Txn,
};

/// How a request names its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// By batch (zero in a dialect without one) and trace number, at the same terminal (61.1 and 61.2, or 90).
    Trace {
        /// The original's batch.
        batch: u32,
        /// The original's STAN (11), as its terminal sent it.
        stan: u32,
    },
    /// By retrieval reference number (37).
    Number(TxnId),
    /// By authorisation code (38), at the same merchant with the same card.
    Authorisation {
        /// Keyed hash of the card number.
        card: [u8; 16],
        /// The code.
        code: [u8; 6],
        /// The date on which it was given (61.3): month times 100, plus day; none: any.
        date: Option<u16>,
    },
}

/// What a request asks of the transaction that it is about. Made by the edge from the dialect and the merchant's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimAsk {
    /// Which it is.
    pub named: Named,
    /// The kinds that it may be.
    pub kinds: Arc<[Kind]>,
    /// What is taken of it.
    pub takes: Takes,
    /// How many business days old it may be; none: as long as its batch is not settled; zero: neither settled nor of another
    /// day.
    pub days: Option<u16>,
    /// The authorisation code (38) that the request gives for it, if it gives one.
    pub authorisation: Option<[u8; 6]>,
    /// The date (61.3) that the request gives for it, if it gives one: month times 100, plus day.
    pub date: Option<u16>,
    /// The number (37) that the request gives for it, if it gives one and its dialect has no other use for it.
    pub rrn: Option<TxnId>,
    /// Batch and trace number (61.1 and 61.2, or 90) that the request gives for it, if it gives them.
    pub trace: Option<(u32, u32)>,
}

/// Why a request about an original is refused: the cause, and words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) words: String,
}

impl Refusal {
    fn new(cause: Cause, words: impl Into<String>) -> Self {
        Self { cause, words: words.into() }
    }
}

/// What is taken of the original, minor units; none where it is only named.
///
/// # Errors
/// Why it may not be.
pub(crate) fn judge(
    request: &Request,
    ask: &ClaimAsk,
    original: Option<&OriginalFound>,
    core: &Core,
) -> Result<Option<i64>, Refusal> {
    let Some(original) = original else {
        return Err(Refusal::new(
            Cause::OriginalNotFound,
            "there is no such transaction that it may be about",
        ));
    };
    let row = &original.found.row;
    is_theirs(request, ask, original)?;
    if ask.takes == Takes::Nothing {
        return Ok(None);
    }
    is_approved(original)?;
    if row.card.hash != request.card.hash {
        let words = format!("the card of {} is another", row.id.rrn());
        return Err(Refusal::new(Cause::OtherCard, words));
    }
    is_of_age(ask, original, core)?;
    if let Some(other) = row.claiming {
        let words = format!("{} is open on {}", other.rrn(), row.id.rrn());
        return Err(Refusal::new(Cause::ClaimOpen, words));
    }
    if original.found.claim_undone {
        let words = format!("what was taken of {} is being given back", row.id.rrn());
        return Err(Refusal::new(Cause::ClaimOpen, words));
    }
    if matches!(ask.takes, Takes::Total { .. }) && original.refunded {
        let words = format!("a part of {} was refunded", row.id.rrn());
        return Err(Refusal::new(Cause::OriginalUndone, words));
    }
    take(request, ask, row, core).map(Some)
}

/// The same merchant's, of a kind that may be asked about, and with the same authorisation code.
fn is_theirs(request: &Request, ask: &ClaimAsk, original: &OriginalFound) -> Result<(), Refusal> {
    let row = &original.found.row;
    if row.merchant != request.merchant || !original.same_domain {
        let words = format!("{} is another merchant's", row.id.rrn());
        return Err(Refusal::new(Cause::OriginalNotFound, words));
    }
    if !ask.kinds.contains(&row.kind) {
        let words = format!("{} is of kind {}", row.id.rrn(), row.kind.name());
        return Err(Refusal::new(Cause::NotSupported, words));
    }
    let differs = match (ask.authorisation, original.authorisation) {
        (Some(asked), Some(given)) => asked != given,
        (Some(_) | None, None) | (None, Some(_)) => false,
    };
    if differs {
        let words = format!("the authorisation code of {} is another", row.id.rrn());
        return Err(Refusal::new(Cause::OriginalNotFound, words));
    }
    let other_day = match (ask.date, original.date) {
        (Some(asked), Some(given)) => asked != given,
        (Some(_) | None, None) | (None, Some(_)) => false,
    };
    if other_day {
        let words = format!("{} was not made on the day that is named", row.id.rrn());
        return Err(Refusal::new(Cause::OriginalNotFound, words));
    }
    names_no_other(ask, original)
}

/// Number and trace number, where both are there, name the same transaction.
fn names_no_other(ask: &ClaimAsk, original: &OriginalFound) -> Result<(), Refusal> {
    let row = &original.found.row;
    let other = ask.rrn.filter(|rrn| *rrn != row.id).or(original.also_named);
    if let Some(other) = other {
        let words = format!("{} is named too, beside {}", other.rrn(), row.id.rrn());
        return Err(Refusal::new(Cause::OriginalNotFound, words));
    }
    if ask.trace.is_some_and(|(batch, stan)| (batch, stan) != (row.key.batch(), row.stan)) {
        let words = format!("batch or trace number of {} is another", row.id.rrn());
        return Err(Refusal::new(Cause::OriginalNotFound, words));
    }
    Ok(())
}

fn is_approved(original: &OriginalFound) -> Result<(), Refusal> {
    let row = &original.found.row;
    let marked = (original.found.obligation.as_ref())
        .is_some_and(|obligation| obligation.status == ObligationStatus::Marked);
    let promised = original.found.obligation.as_ref().is_some_and(crate::Obligation::is_promised);
    let (cause, why) = match row.state {
        RowState::Approved if promised => (Cause::OriginalUndone, "was reversed by its terminal"),
        RowState::Approved if marked => (Cause::OriginalUndone, "was not delivered, and is undone"),
        RowState::Approved => return Ok(()),
        RowState::Accepted => (Cause::ClaimOpen, "is still on its way to the issuer"),
        RowState::InFlight | RowState::InFlightReversalAsked => {
            (Cause::OriginalNotApproved, "is not answered yet")
        }
        RowState::Declined | RowState::NeverSent | RowState::Disputed => {
            (Cause::OriginalNotApproved, "was not approved")
        }
        RowState::TimedOut | RowState::Undone | RowState::ReversedBeforeArrival => {
            (Cause::OriginalUndone, "was reversed")
        }
    };
    Err(Refusal::new(cause, format!("{} {why}", row.id.rrn())))
}

fn is_of_age(ask: &ClaimAsk, original: &OriginalFound, core: &Core) -> Result<(), Refusal> {
    let row = &original.found.row;
    match ask.days {
        None | Some(0) if original.settled && !core.has(Bug::SettledVoided) => {
            let words = format!("{} is settled, use a refund", row.id.rrn());
            Err(Refusal::new(Cause::OriginalNotFound, words))
        }
        Some(0) if original.days_old > 0 => {
            let words = format!("{} is of another business day, use a refund", row.id.rrn());
            Err(Refusal::new(Cause::OriginalNotFound, words))
        }
        Some(days) if original.days_old > u32::from(days) => {
            let words = format!("{} is more than {days} days old", row.id.rrn());
            Err(Refusal::new(Cause::OriginalUndone, words))
        }
        Some(_) | None => Ok(()),
    }
}

fn take(request: &Request, ask: &ClaimAsk, row: &Row, core: &Core) -> Result<i64, Refusal> {
    let (left, amount) = (row.left(), request.amount);
    let rrn = row.id.rrn();
    if left <= 0 {
        let words = format!("nothing is left of {rrn}: it was undone or used already");
        return Err(Refusal::new(Cause::OriginalUndone, words));
    }
    if request.currency != row.currency || amount <= 0 {
        let words = format!("amount or currency is not that of {rrn}");
        return Err(Refusal::new(Cause::AmountDiffers, words));
    }
    // of what was approved, too: totals that were raised must not raise each other without end
    let base = left.min(row.approved);
    let within = |percent: u16| i128::from(amount) * 100 <= i128::from(base) * i128::from(percent);
    match ask.takes {
        Takes::Equal if amount != left => {
            let words = format!("{amount} is asked for, {left} is left of {rrn}");
            Err(Refusal::new(Cause::AmountDiffers, words))
        }
        Takes::Part if amount > left && !core.has(Bug::SumUnchecked) => {
            let words = format!("{amount} is asked for, {left} is left of {rrn}");
            Err(Refusal::new(Cause::OverLimit, words))
        }
        Takes::Whole { percent } | Takes::Total { percent } if !within(percent) => {
            let words = format!("{amount} is more than {percent} % of {base}, of {rrn}");
            Err(Refusal::new(Cause::OverLimit, words))
        }
        Takes::Equal | Takes::Part => Ok(amount),
        Takes::Whole { .. } => Ok(left),
        Takes::Total { .. } => Ok(left.saturating_sub(amount)),
        Takes::Nothing => Ok(0),
    }
}

impl Txn {
    /// What becomes of its claim with this change of its row (M11): it stands once approved; it is released when declined,
    /// never sent, or reversed for certain; that of an advice stays open until its issuer took it (M12).
    pub(crate) fn claim_end(
        &self,
        now: Now,
        row: &Row,
        obligation: Option<&ObligationWrite>,
        core: &Core,
    ) -> Option<ClaimEnd> {
        let claim = self.claim.filter(|claim| claim.status != ClaimStatus::Released)?;
        let closes = obligation.is_some_and(|write| match write.status {
            ObligationStatus::Confirmed
            | ObligationStatus::Withdrawn
            | ObligationStatus::EndedByHand => true,
            // what is denied stands at the issuer
            ObligationStatus::Marked
            | ObligationStatus::Cleared
            | ObligationStatus::Owed
            | ObligationStatus::Denied => false,
        });
        let to = match row.state {
            RowState::Approved => ClaimStatus::Stands,
            RowState::Declined | RowState::NeverSent => ClaimStatus::Released,
            RowState::TimedOut | RowState::Undone
                if closes || row.issuer.is_none() || core.has(Bug::ClaimReleasedOnSilence) =>
            {
                ClaimStatus::Released
            }
            RowState::TimedOut
            | RowState::Undone
            | RowState::InFlight
            | RowState::InFlightReversalAsked
            | RowState::ReversedBeforeArrival
            | RowState::Accepted
            | RowState::Disputed => return None,
        };
        if to == ClaimStatus::Released && core.has(Bug::ClaimNotReleased) {
            return None;
        }
        let taken = match (claim.status, to) {
            (ClaimStatus::Open, ClaimStatus::Stands) => claim.amount,
            (ClaimStatus::Stands, ClaimStatus::Released) if core.has(Bug::ClaimGivenBackTwice) => {
                claim.amount.saturating_mul(-2)
            }
            (ClaimStatus::Stands, ClaimStatus::Released) => claim.amount.saturating_neg(),
            (ClaimStatus::Open, ClaimStatus::Released) => 0,
            (ClaimStatus::Open | ClaimStatus::Stands | ClaimStatus::Released, _) => return None,
        };
        Some(ClaimEnd {
            original: claim.original,
            key: claim.key,
            day: claim.day,
            from: claim.status,
            to,
            taken,
            at: now.wall,
        })
    }
}
