//! The totals of a settlement (48): two groups, of domestic and of foreign cards, each with what was taken, what was paid
//! back, and a digit that says whether both sides agree.

use iso8583::Kind;

/// Which side of the totals a transaction is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Debit,
    Credit,
}

/// The side of a kind; none where it is not counted.
pub(crate) const fn side(kind: Kind) -> Option<Side> {
    match kind {
        Kind::Purchase
        | Kind::Completion
        | Kind::CompletionAdvice
        | Kind::Instalment
        | Kind::Points
        | Kind::OfflineSale
        | Kind::OfflineUpload
        | Kind::Adjustment
        | Kind::Tip => Some(Side::Debit),
        Kind::Void
        | Kind::Refund
        | Kind::CompletionVoid
        | Kind::InstalmentVoid
        | Kind::PointsVoid
        | Kind::OfflineRefund => Some(Side::Credit),
        _ => None,
    }
}

/// The result digit of a group.
pub(crate) const BALANCED: char = '1';
/// As [`BALANCED`], where nothing can be said yet.
pub(crate) const ERROR: char = '3';
/// As [`BALANCED`], where they differ.
pub(crate) const UNBALANCED: char = '2';

/// Sum and number of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    amount: i64,
    count: u32,
}

impl Sum {
    /// As the digits can hold it.
    fn held(self) -> Self {
        Self { amount: self.amount.clamp(0, 999_999_999_999), count: self.count.min(999) }
    }
}

/// The totals of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Debit and credit of domestic cards, then of foreign ones.
    groups: [[Sum; 2]; 2],
}

impl Totals {
    /// Counts one transaction.
    pub(crate) fn add(&mut self, foreign: bool, side: Side, amount: i64) {
        let [domestic, other] = &mut self.groups;
        let [debit, credit] = if foreign { other } else { domestic };
        let sum = match side {
            Side::Debit => debit,
            Side::Credit => credit,
        };
        sum.amount += amount;
        sum.count += 1;
    }

    /// What was taken less what was paid back.
    pub(crate) fn net(&self) -> i64 {
        self.groups.iter().map(|[debit, credit]| debit.amount - credit.amount).sum()
    }

    /// The 62 digits, with these result digits. What is more than they can hold is told as the most that they can.
    pub(crate) fn text(&self, results: [char; 2]) -> String {
        let group = |([debit, credit], result): (&[Sum; 2], char)| {
            let [debit, credit] = [debit, credit].map(|sum| sum.held());
            format!(
                "{:012}{:03}{:012}{:03}{result}",
                debit.amount, debit.count, credit.amount, credit.count
            )
        };
        self.groups.iter().zip(results).map(group).collect()
    }

    /// The result digits of totals that somebody else counted.
    pub(crate) fn judge(&self, theirs: &str) -> [char; 2] {
        let ours = self.text(['0'; 2]);
        let group = |from: usize| {
            let same = ours.get(from..from + 30) == theirs.get(from..from + 30);
            if same { BALANCED } else { UNBALANCED }
        };
        [group(0), group(31)]
    }
}

/// The result digits of an answer; none where they are missing.
pub(crate) fn results(text: &str) -> Option<[char; 2]> {
    Some([text.chars().nth(30)?, text.chars().nth(61)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_a_long_batch_are_the_most_that_the_digits_hold() {
        let mut totals = Totals::default();
        for _ in 0..1003 {
            totals.add(false, Side::Debit, 1_000_000_000);
            totals.add(true, Side::Credit, 1);
        }
        let text = totals.text(['0'; 2]);
        let (most, none) = ("999999999999999", "000000000000000");
        assert_eq!(text, format!("{most}{none}0{none}0000000010039990"));
    }

    #[test]
    fn totals_are_written_as_settlements_have_them() {
        let mut totals = Totals::default();
        for (foreign, side, amount) in [
            (false, Side::Debit, 5),
            (false, Side::Debit, 6),
            (false, Side::Credit, 2),
            (true, Side::Debit, 700),
            (true, Side::Debit, -100),
        ] {
            totals.add(foreign, side, amount);
        }
        let text = totals.text(['0'; 2]);
        assert_eq!(
            text,
            "0000000000110020000000000020010000000000600002000000000000000".to_owned() + "0"
        );
        assert_eq!((text.len(), totals.net()), (62, 609));
        assert_eq!(totals.judge(&text), [BALANCED; 2]);
        totals.add(true, Side::Credit, 1);
        assert_eq!(totals.judge(&text), [BALANCED, UNBALANCED]);
        assert_eq!(results(&totals.text(['1', '2'])), Some(['1', '2']));
        assert_eq!(results("1"), None);
    }
}
