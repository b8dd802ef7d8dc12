//! The behaviours that need no script: the last two digits of the amount choose one.

use std::time::Duration;

use iso8583::{Code, Kind};

use super::action::{Action, Altered, Outcome, Reply};
use super::rule::{On, Rule};

/// The table of `docs/simulators.md`: the last two digits of the amount, and what a purchase of it meets. The codes are
/// declines with that code.
const DECLINED: [(i64, &str); 6] =
    [(5, "05"), (14, "14"), (51, "51"), (54, "54"), (55, "55"), (61, "61")];

/// The rules of the amounts.
pub(super) fn rules() -> Vec<Rule> {
    let declines = DECLINED
        .iter()
        .filter_map(|(ending, code)| Some((*ending, Action::decline(Code::new(code).ok()?))));
    let partial = Action { name: "partial", outcome: Outcome::Partial(50), ..Action::APPROVE };
    let altered = |name, altered| Action::replying(name, Reply::Altered(altered));
    let faults = [
        (10, partial),
        (88, altered("wrong-rrn", Altered::Rrn)),
        (89, Action::replying("silent", Reply::Nothing).uncharged()),
        (90, Action::replying("silent", Reply::Nothing)),
        (91, Action::after("late", Duration::from_secs(20))),
        (92, Action::replying("twice", Reply::Twice(Duration::ZERO))),
        (93, altered("wrong-amount", Altered::Amount)),
        (94, Action::replying("hang-up", Reply::HangUp)),
        (95, altered("wrong-stan", Altered::Stan)),
        (96, Action::after("delay", Duration::from_secs(2))),
        (97, altered("wrong-terminal", Altered::Terminal)),
        (98, Action::replying("malformed", Reply::Malformed)),
    ];
    declines
        .chain(faults)
        .map(|(ending, action)| Rule {
            on: On::Kind(Kind::Purchase),
            ending: Some((100, ending)),
            ..Rule::new(format!("amount ..{ending:02}"), action)
        })
        .collect()
}
