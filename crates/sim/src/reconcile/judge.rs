//! The judgement of one transaction: what its three records say, held against the rules of money.

use super::issuers::Posting;
use super::report::DifferenceKind as Kind;
use super::row::{ReversalState, SwitchRow, SwitchState};
use super::terminals::{Belief, Request, direction};

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
    if posting.net < 0 && direction(kind_of(case)) >= 0 {
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
        Some(state @ (ReversalState::Owed | ReversalState::Marked)) => {
            findings.add(Kind::ReversalOpen, format!("its reversal is {}", state.name()));
        }
        Some(ReversalState::Cleared | ReversalState::Confirmed | ReversalState::Withdrawn)
        | None => {}
    }
    if row.state == SwitchState::InFlight {
        findings.add(Kind::OutcomeOpen, "the switch has no outcome".to_owned());
    }
    let Some(request) = case.terminal else {
        let charged = case.issuer.is_some_and(|posting| posting.net != 0);
        if charged || row.state == SwitchState::Approved {
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
    let approved = row.state == SwitchState::Approved;
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
    let net = case.issuer.map_or(0, |posting| posting.net) * direction(kind_of(case));
    let approved_by_switch = case.switch.is_some_and(|row| row.state == SwitchState::Approved);
    let belief = case.terminal.map(|request| request.belief);
    if let Some(request) = case.terminal.filter(|request| !request.other_rrn.is_empty()) {
        let detail = format!("answers with {} and {}", request.rrn, request.other_rrn);
        findings.add(Kind::AnswersDiffer, detail);
    }
    match (case.terminal, belief) {
        (Some(request), Some(Belief::Approved)) => judge_approval(case, request, net, findings),
        (_, Some(Belief::Unknown)) if net > 0 && (approved_by_switch || !case.through_switch) => {
            findings.delivery_unknown = true;
        }
        _ if net > 0 => {
            let detail = format!(
                "charged {net}, terminal {}, switch {}",
                belief.map_or("knows nothing of it", Belief::name),
                case.switch.map_or("has no row", |row| row.state.name()),
            );
            findings.add(Kind::ChargedWithoutApproval, detail);
        }
        (_, Some(Belief::Unknown)) if approved_by_switch && moves(case) => {
            findings.add(Kind::ApprovedWithoutCharge, "approved in the switch alone".to_owned());
        }
        _ => {}
    }
}

fn judge_approval(case: Case<'_>, request: &Request, net: i64, findings: &mut Findings) {
    if case.through_switch && case.switch.is_none() {
        let detail = format!("the switch has no row of RRN {}", request.rrn);
        findings.add(Kind::ApprovedWithoutRow, detail);
    }
    let of_switch = case.switch.map_or(request.approved, |row| row.approved);
    if !moves(case) {
        return;
    }
    if net <= 0 {
        let reversals = case.issuer.map_or(0, |posting| posting.reversals);
        let detail = match case.issuer {
            None => "the issuer knows nothing of it".to_owned(),
            Some(_) if reversals > 0 => "the issuer has reversed it".to_owned(),
            Some(_) => "the issuer has not charged it".to_owned(),
        };
        findings.add(Kind::ApprovedWithoutCharge, detail);
    } else if net != request.approved || of_switch != request.approved {
        let switch = if case.switch.is_some() { format!("{of_switch}") } else { "-".to_owned() };
        let detail = format!("terminal {}, switch {switch}, issuer {net}", request.approved);
        findings.add(Kind::AmountDiffers, detail);
    }
}

fn kind_of(case: Case<'_>) -> &str {
    let of_terminal = case.terminal.map(|request| request.kind.as_str());
    case.switch.map(|row| row.kind.as_str()).or(of_terminal).unwrap_or("purchase")
}

fn moves(case: Case<'_>) -> bool {
    direction(kind_of(case)) != 0
}
