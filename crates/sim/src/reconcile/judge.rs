//! The judgement of one transaction: what its three records say, held against the rules of money.

use super::issuers::Posting;
use super::kinds::{adjusts, direction, has_effect};
use super::report::DifferenceKind as Kind;
use super::row::{ReversalState, SwitchRow, SwitchState};
use super::terminals::{Belief, Request};

/// One transaction as far as the three sides know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) terminal: Option<&'a Request>,
    pub(super) switch: Option<&'a SwitchRow>,
    pub(super) issuer: Option<&'a Posting>,
    /// Whether there is a switch at all between the two.
    pub(super) through_switch: bool,
}

/// What a judgement finds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Differences, each with what the sides say.
    pub(super) differences: Vec<(Kind, String)>,
    /// Charged and approved, and the terminal never came back to learn it.
    pub(super) delivery_unknown: bool,
}

impl Findings {
    fn add(&mut self, kind: Kind, detail: String) {
        self.differences.push((kind, detail));
    }
}

/// Judges one transaction.
pub(super) fn judge(case: Case<'_>) -> Findings {
    let mut findings = Findings::default();
    if let Some(posting) = case.issuer {
        judge_posting(case, posting, &mut findings);
    }
    if let Some(row) = case.switch {
        judge_row(case, row, &mut findings);
    }
    judge_belief(case, &mut findings);
    if let (Some(request), Some(posting)) = (case.terminal, case.issuer)
        && request.currency != posting.currency
        && !request.currency.is_empty()
        && !posting.currency.is_empty()
    {
        let detail = format!("terminal {}, issuer {}", request.currency, posting.currency);
        findings.add(Kind::CurrencyDiffers, detail);
    }
    findings
}

fn judge_posting(case: Case<'_>, posting: &Posting, findings: &mut Findings) {
    if posting.charged_again > 0 {
        let detail = format!("{} charges while one was in effect", posting.charged_again);
        findings.add(Kind::ChargedTwice, detail);
    }
    if posting.duplicates > 0 {
        findings
            .add(Kind::ForwardedTwice, format!("{} copies reached the issuer", posting.duplicates));
    }
    if posting.reused {
        findings.add(Kind::RrnUsedTwice, "the issuer has it for several terminals".to_owned());
    }
    if posting.net < 0 && !adjusts(kind_of(case)) {
        findings.add(
            Kind::ReversedWithoutCause,
            format!("more was reversed than charged: {}", posting.net),
        );
    }
    match case.switch {
        None if case.through_switch => {
            let what = if posting.arrived { "a request" } else { "a reversal" };
            findings.add(Kind::ForwardedWithoutRow, format!("{what}, net {}", posting.net));
        }
        Some(row)
            if posting.reversals > 0 && !row.reversal.is_some_and(ReversalState::may_be_sent) =>
        {
            findings.add(
                Kind::ReversedWithoutCause,
                format!("the switch has it {} and owes no reversal", row.state.name()),
            );
        }
        Some(_) | None => {}
    }
}

fn judge_row(case: Case<'_>, row: &SwitchRow, findings: &mut Findings) {
    match row.reversal {
        Some(state @ (ReversalState::Owed | ReversalState::Marked | ReversalState::Denied)) => {
            findings.add(Kind::ReversalOpen, format!("its reversal is {}", state.name()));
        }
        Some(
            ReversalState::Cleared
            | ReversalState::Confirmed
            | ReversalState::Withdrawn
            | ReversalState::EndedByHand,
        )
        | None => {}
    }
    if row.state == SwitchState::InFlight {
        findings.add(Kind::OutcomeOpen, "the switch has no outcome".to_owned());
    }
    match row.state {
        SwitchState::Accepted => {
            findings.add(Kind::DeliveryOpen, "its issuer has not answered it".to_owned());
        }
        SwitchState::Disputed => {
            findings.add(Kind::AdviceRefused, "its terminal was told 00".to_owned());
        }
        _ => {}
    }
    let Some(request) = case.terminal else {
        let charged = case.issuer.is_some_and(Posting::stands);
        if charged || row.state.is_approval() {
            findings.add(Kind::NotSent, "no terminal says that it sent it".to_owned());
        }
        return;
    };
    if request.asked != row.amount && row.state != SwitchState::ReversedBeforeArrival {
        let detail = format!("terminal asked for {}, switch has {}", request.asked, row.amount);
        findings.add(Kind::AmountDiffers, detail);
    }
    if request.currency.as_str() != row.currency && !request.currency.is_empty() {
        let detail = format!("terminal {}, switch {}", request.currency, row.currency);
        findings.add(Kind::CurrencyDiffers, detail);
    }
    let approved = row.state.is_approval();
    let agrees = match request.belief {
        Belief::Approved => approved,
        Belief::Declined | Belief::Reversed => !approved,
        Belief::Unknown => true,
    };
    if !agrees {
        let detail = format!("terminal {}, switch {}", request.belief.name(), row.state.name());
        findings.add(Kind::StateDiffers, detail);
    }
}

fn judge_belief(case: Case<'_>, findings: &mut Findings) {
    let stands = case.issuer.is_some_and(Posting::stands);
    let net = case.issuer.map_or(0, |posting| posting.net);
    let approved_by_switch = case.switch.is_some_and(|row| row.state.is_approval());
    let belief = case.terminal.map(|request| request.belief);
    if let Some(request) = case.terminal.filter(|request| !request.other_rrn.is_empty()) {
        let detail = format!("answers with {} and {}", request.rrn, request.other_rrn);
        findings.add(Kind::AnswersDiffer, detail);
    }
    match (case.terminal, belief) {
        (Some(request), Some(Belief::Approved)) => judge_approval(case, request, findings),
        (_, Some(Belief::Unknown)) if stands && (approved_by_switch || !case.through_switch) => {
            findings.delivery_unknown = true;
        }
        _ if stands && has_effect(kind_of(case)) => {
            let detail = format!(
                "{} {net}, terminal {}, switch {}",
                if direction(kind_of(case)) < 0 { "paid back" } else { "charged" },
                belief.map_or("knows nothing of it", Belief::name),
                case.switch.map_or("has no row", |row| row.state.name()),
            );
            findings.add(Kind::ChargedWithoutApproval, detail);
        }
        (_, Some(Belief::Unknown))
            if case.switch.is_some_and(|row| row.state == SwitchState::Approved)
                && has_effect(kind_of(case)) =>
        {
            findings.add(Kind::ApprovedWithoutCharge, "approved in the switch alone".to_owned());
        }
        _ => {}
    }
}

fn judge_approval(case: Case<'_>, request: &Request, findings: &mut Findings) {
    if case.through_switch && case.switch.is_none() {
        let detail = format!("the switch has no row of RRN {}", request.rrn);
        findings.add(Kind::ApprovedWithoutRow, detail);
    }
    judge_original(case, request, findings);
    if !has_effect(kind_of(case)) {
        return;
    }
    let state = case.switch.map(|row| row.state);
    if !case.issuer.is_some_and(Posting::stands) {
        // What is not delivered, or was refused, is named already.
        if matches!(state, Some(SwitchState::Accepted | SwitchState::Disputed)) {
            return;
        }
        let reversals = case.issuer.map_or(0, |posting| posting.reversals);
        let detail = match case.issuer {
            None => "the issuer knows nothing of it".to_owned(),
            Some(_) if reversals > 0 => "the issuer has reversed it".to_owned(),
            Some(_) => "the issuer has not charged it".to_owned(),
        };
        findings.add(Kind::ApprovedWithoutCharge, detail);
        return;
    }
    if state == Some(SwitchState::Disputed) {
        findings.add(Kind::StateDiffers, "refused, and posted by the issuer".to_owned());
    }
    let net = case.issuer.map_or(0, |posting| posting.net);
    let of_switch = case.switch.map_or(request.approved, SwitchRow::told);
    if net != request.worth() || of_switch != request.approved {
        let switch = if case.switch.is_some() { format!("{of_switch}") } else { "-".to_owned() };
        let detail = format!("terminal {}, switch {switch}, issuer {net}", request.worth());
        findings.add(Kind::AmountDiffers, detail);
    }
}

/// All who name an original must name the same.
fn judge_original(case: Case<'_>, request: &Request, findings: &mut Findings) {
    let of_issuer = case.issuer.map(|posting| posting.original).unwrap_or_default();
    let of_switch = case.switch.map_or("", |row| row.original.as_str());
    let mut named = [request.original.as_str(), of_switch, of_issuer.as_str()];
    named.sort_unstable();
    let mut named = named.into_iter().filter(|rrn| !rrn.is_empty());
    if let (Some(first), Some(last)) = (named.next(), named.next_back())
        && first != last
    {
        let Request { original, .. } = request;
        let detail = format!("terminal {original}, switch {of_switch}, issuer {of_issuer}");
        findings.add(Kind::OriginalDiffers, detail);
    }
}

/// The name of its kind, by whoever knows.
pub(super) fn kind_of(case: Case<'_>) -> &str {
    let of_terminal = case.terminal.map(|request| request.kind.as_str());
    let of_issuer = case.issuer.map(|posting| posting.kind.as_str());
    let of_issuer = of_issuer.filter(|kind| !kind.is_empty());
    let known = case.switch.map(|row| row.kind.as_str()).or(of_terminal).or(of_issuer);
    known.unwrap_or("purchase")
}
