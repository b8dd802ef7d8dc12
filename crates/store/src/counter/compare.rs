//! The upload of a batch that did not balance, line by line against what the switch holds.

use std::collections::{BTreeMap, BTreeSet};

use switch_core::{CaseKind, Kind, RowState, TxnId};

switch_core::numbered! {
    /// Which message brought a line. The number is stored: it never changes.
    pub enum Source {
        /// A list of online transactions.
        List = 1;
        /// One notice or offline transaction.
        Detail = 2;
        /// The certificate of one transaction of a chip card.
        Chip = 3;
    }
}

/// One transaction as the terminal has it, without its card number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which message brought it.
    pub source: Source,
    /// The terminal's STAN (11).
    pub trace: u32,
    /// What it is, where the message says.
    pub kind: Option<Kind>,
    /// Minor units.
    pub amount: i64,
    /// Keyed hash of the card number.
    pub card_hash: [u8; 16],
    /// First six digits of the card number.
    pub first6: [u8; 6],
    /// Last four digits of the card number.
    pub last4: [u8; 4],
}

/// One transaction of the covered batches as the switch has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldRow {
    pub(crate) id: TxnId,
    pub(crate) batch: u32,
    pub(crate) trace: u32,
    pub(crate) kind: Kind,
    pub(crate) state: RowState,
    /// Its reversal is owed, or will be unless the terminal comes back.
    pub(crate) undoing: bool,
    pub(crate) amount: i64,
    pub(crate) card_hash: [u8; 16],
}

/// How a row stands in the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Counted,
    Reversed,
    Nothing,
}

impl HeldRow {
    const fn standing(&self) -> Standing {
        if super::is_counted(self.state) {
            return if self.undoing { Standing::Reversed } else { Standing::Counted };
        }
        match self.state {
            RowState::TimedOut | RowState::Undone | RowState::ReversedBeforeArrival => {
                Standing::Reversed
            }
            RowState::InFlight
            | RowState::InFlightReversalAsked
            | RowState::Approved
            | RowState::Accepted
            | RowState::Disputed
            | RowState::Declined
            | RowState::NeverSent => Standing::Nothing,
        }
    }

    fn is_of(&self, line: &Line) -> bool {
        self.trace == line.trace
            && self.card_hash == line.card_hash
            && line.kind.is_none_or(|kind| kind == self.kind)
    }
}

/// A difference: the case that it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: CaseKind,
    /// None where the switch has no such transaction.
    pub(crate) id: Option<TxnId>,
    pub(crate) detail: String,
}

/// What differs, in the order of trace numbers. `batch` is the one that the lines were uploaded for; `rows` are of all
/// batches that its settlement covered, and count in its totals.
pub(crate) fn compare(
    terminal: &str,
    batch: u32,
    lines: &[Line],
    rows: &[HeldRow],
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut taken = BTreeSet::new();
    let mut of_trace: BTreeMap<u32, Vec<&HeldRow>> = BTreeMap::new();
    for row in rows {
        of_trace.entry(row.trace).or_default().push(row);
    }
    for line in distinct(lines) {
        let rows = of_trace.get(&line.trace).map_or(&[][..], Vec::as_slice);
        let free = |standing| {
            let rows = rows.iter().filter(|row| row.is_of(line) && row.standing() == standing);
            rows.filter(|row| !taken.contains(&row.id)).collect::<Vec<_>>()
        };
        let counted = free(Standing::Counted);
        // Of several, the one that agrees.
        let same = counted.iter().find(|row| row.amount == line.amount);
        let detail = |batch: u32, held: &str| {
            let Line { trace, amount, .. } = line;
            format!(
                "terminal {terminal} batch {batch:06} trace {trace:06}: terminal {amount}{held}"
            )
        };
        if let Some(row) = same.or_else(|| counted.first()) {
            taken.insert(row.id);
            if row.amount != line.amount {
                differences.push(Difference {
                    kind: CaseKind::AmountsDiffer,
                    id: Some(row.id),
                    detail: detail(row.batch, &format!(", switch {}", row.amount)),
                });
            }
        } else if let Some(row) = free(Standing::Reversed).first() {
            taken.insert(row.id);
            differences.push(Difference {
                kind: CaseKind::ReversedHere,
                id: Some(row.id),
                detail: detail(
                    row.batch,
                    &format!(", switch {}: {}", row.amount, row.state.name()),
                ),
            });
        } else {
            differences.push(Difference {
                kind: CaseKind::TerminalOnly,
                id: None,
                detail: detail(batch, ", switch nothing"),
            });
        }
    }
    let missing = rows.iter().filter(|row| row.standing() == Standing::Counted);
    differences.extend(missing.filter(|row| !taken.contains(&row.id)).map(|row| {
        let HeldRow { batch, trace, amount, .. } = row;
        Difference {
            kind: CaseKind::SwitchOnly,
            id: Some(row.id),
            detail: format!(
                "terminal {terminal} batch {batch:06} trace {trace:06}: terminal nothing, switch {amount}"
            ),
        }
    }));
    differences
}

/// The lines without the certificates of transactions that came as lines of their own too.
fn distinct(lines: &[Line]) -> impl Iterator<Item = &Line> {
    let own: BTreeSet<u32> =
        (lines.iter()).filter(|line| line.source != Source::Chip).map(|line| line.trace).collect();
    lines.iter().filter(move |line| line.source != Source::Chip || !own.contains(&line.trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: Source, trace: u32, amount: i64) -> Line {
        Line {
            source,
            trace,
            kind: None,
            amount,
            card_hash: [7; 16],
            first6: *b"621234",
            last4: *b"1232",
        }
    }

    fn row(trace: u32, amount: i64, state: RowState) -> HeldRow {
        HeldRow {
            id: TxnId(trace.into()),
            batch: 7,
            trace,
            kind: Kind::Purchase,
            state,
            undoing: false,
            amount,
            card_hash: [7; 16],
        }
    }

    fn check(lines: &[Line], rows: &[HeldRow], expected: &[(CaseKind, Option<u64>)]) {
        let found = compare("12345678", 7, lines, rows);
        let found: Vec<_> = found.iter().map(|d| (d.kind, d.id.map(|id| id.0))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_difference_has_its_name() {
        use RowState::{Approved, Declined, TimedOut, Undone};
        let list = |trace, amount| line(Source::List, trace, amount);
        let rows = [row(1, 100, Approved), row(2, 200, Approved), row(3, 300, Undone)];
        check(&[list(1, 100), list(2, 200)], &rows, &[]);
        check(&[list(1, 101), list(2, 200)], &rows, &[(CaseKind::AmountsDiffer, Some(1))]);
        check(&[list(1, 100)], &rows, &[(CaseKind::SwitchOnly, Some(2))]);
        check(
            &[list(1, 100), list(2, 200), list(3, 300), list(9, 900)],
            &rows,
            &[(CaseKind::ReversedHere, Some(3)), (CaseKind::TerminalOnly, None)],
        );
        check(&[list(4, 4)], &[row(4, 4, TimedOut)], &[(CaseKind::ReversedHere, Some(4))]);
        check(&[list(4, 4)], &[row(4, 4, Declined)], &[(CaseKind::TerminalOnly, None)]);
        let marked = HeldRow { undoing: true, ..row(5, 5, Approved) };
        check(&[], std::slice::from_ref(&marked), &[]);
        check(&[list(5, 5)], &[marked], &[(CaseKind::ReversedHere, Some(5))]);
    }

    #[test]
    fn the_same_trace_number_is_told_apart_by_card_kind_and_amount() {
        let other = Line { card_hash: [8; 16], ..line(Source::List, 1, 100) };
        check(
            &[other],
            &[row(1, 100, RowState::Approved)],
            &[(CaseKind::TerminalOnly, None), (CaseKind::SwitchOnly, Some(1))],
        );
        let second = HeldRow { id: TxnId(50), ..row(1, 200, RowState::Approved) };
        let rows = [row(1, 100, RowState::Approved), second];
        check(&[line(Source::List, 1, 200), line(Source::List, 1, 100)], &rows, &[]);
        let void = Line { kind: Some(Kind::Void), ..line(Source::Detail, 1, 100) };
        check(
            &[void],
            &[row(1, 100, RowState::Approved)],
            &[(CaseKind::TerminalOnly, None), (CaseKind::SwitchOnly, Some(1))],
        );
    }

    #[test]
    fn a_chips_certificate_is_a_line_only_where_there_is_no_other() {
        let rows = [row(1, 100, RowState::Approved)];
        check(&[line(Source::Chip, 1, 100)], &rows, &[]);
        check(&[line(Source::List, 1, 100), line(Source::Chip, 1, 100)], &rows, &[]);
    }

    #[test]
    fn a_detail_names_amounts_and_no_card() {
        let rows = [row(42, 100, RowState::Approved)];
        let found = compare("12345678", 7, &[line(Source::List, 42, 101)], &rows);
        let text = "terminal 12345678 batch 000007 trace 000042: terminal 101, switch 100";
        assert_eq!(found.first().map(|d| d.detail.as_str()), Some(text));
    }
}
