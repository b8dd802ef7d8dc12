//! A settlement's totals (48): what the terminal counts, what the switch counts, and whether they agree.

use std::collections::BTreeSet;

use switch_core::Kind;

/// Amounts of one side, minor units, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Minor units.
    pub amount: i64,
    /// Transactions.
    pub count: u32,
}

impl Sum {
    /// The largest that field 48 can hold.
    const MOST: Self = Self { amount: 999_999_999_999, count: 999 };

    fn add(&mut self, other: Self) {
        self.amount = self.amount.saturating_add(other.amount);
        self.count = self.count.saturating_add(other.count);
    }

    /// As field 48 can hold it.
    fn held(self) -> Self {
        let amount = self.amount.clamp(0, Self::MOST.amount);
        Self { amount, count: self.count.min(Self::MOST.count) }
    }
}

/// The totals of domestic or of foreign cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Group {
    /// What cardholders pay.
    pub debit: Sum,
    /// What cardholders are paid.
    pub credit: Sum,
}

impl Group {
    fn agrees(self, other: Self) -> bool {
        self.debit.held() == other.debit.held() && self.credit.held() == other.credit.held()
    }
}

/// Which side of the totals a transaction counts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalSide {
    /// The cardholder pays.
    Debit,
    /// The cardholder is paid.
    Credit,
}

/// How transactions are counted: by the dialect's kinds and the configured issuers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Kinds that count as debits.
    pub debit: Vec<Kind>,
    /// Kinds that count as credits.
    pub credit: Vec<Kind>,
    /// Issuers of foreign cards.
    pub foreign: BTreeSet<String>,
}

impl Rules {
    /// The side of a kind; none where it does not count.
    #[must_use]
    pub fn side(&self, kind: Kind) -> Option<TotalSide> {
        if self.debit.contains(&kind) {
            Some(TotalSide::Debit)
        } else {
            self.credit.contains(&kind).then_some(TotalSide::Credit)
        }
    }
}

/// The totals of a settlement, domestic and foreign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Of cards of domestic issuers.
    pub domestic: Group,
    /// Of cards of foreign issuers.
    pub foreign: Group,
}

/// What the comparison of a group's totals came to: the last digit of each group in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// Both sides have the same.
    Balanced,
    /// They differ.
    Unbalanced,
    /// Nothing was compared.
    Error,
}

impl Balance {
    /// The digit in field 48.
    #[must_use]
    pub const fn digit(self) -> char {
        match self {
            Self::Balanced => '1',
            Self::Unbalanced => '2',
            Self::Error => '3',
        }
    }
}

/// Digits of field 48: two groups of debit amount n12 and count n3, credit amount and count, and a result.
const DIGITS: usize = 62;

impl Totals {
    /// Adds transactions of a kind and an issuer.
    pub fn add(&mut self, rules: &Rules, kind: Kind, issuer: Option<&str>, sum: Sum) {
        let foreign = issuer.is_some_and(|issuer| rules.foreign.contains(issuer));
        let group = if foreign { &mut self.foreign } else { &mut self.domestic };
        match rules.side(kind) {
            Some(TotalSide::Debit) => group.debit.add(sum),
            Some(TotalSide::Credit) => group.credit.add(sum),
            None => {}
        }
    }

    /// The totals of a field 48; none where it is not one.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.len() != DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let sum = |at: usize| {
            let amount = digits.get(at..at + 12)?.parse().ok()?;
            Some(Sum { amount, count: digits.get(at + 12..at + 15)?.parse().ok()? })
        };
        let group = |at: usize| Some(Group { debit: sum(at)?, credit: sum(at + 15)? });
        Some(Self { domestic: group(0)?, foreign: group(31)? })
    }

    /// A field 48 with these results.
    #[must_use]
    pub fn field(&self, [domestic, foreign]: [Balance; 2]) -> String {
        let group = |group: Group, result: Balance| {
            let (debit, credit) = (group.debit.held(), group.credit.held());
            let (a, b, c, d) = (debit.amount, debit.count, credit.amount, credit.count);
            format!("{a:012}{b:03}{c:012}{d:03}{}", result.digit())
        };
        group(self.domestic, domestic) + &group(self.foreign, foreign)
    }

    /// Whether each group agrees with another's.
    #[must_use]
    pub fn compare(&self, other: &Self) -> [Balance; 2] {
        let balance = |same| if same { Balance::Balanced } else { Balance::Unbalanced };
        [balance(self.domestic.agrees(other.domestic)), balance(self.foreign.agrees(other.foreign))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a real terminal was answered.
    const SAMPLE: &str = "00000000001101100000000000200210000000000000000000000000000001";

    #[test]
    fn the_sample_reads_and_writes() {
        let totals = Totals::parse(SAMPLE).expect("62 digits");
        assert_eq!(totals.domestic.debit, Sum { amount: 11, count: 11 });
        assert_eq!(totals.domestic.credit, Sum { amount: 2, count: 2 });
        assert_eq!(totals.foreign, Group::default());
        assert_eq!(totals.field([Balance::Balanced; 2]), SAMPLE);
        assert_eq!(Totals::parse(&SAMPLE.replacen('0', "", 1)), None);
        assert_eq!(Totals::parse(&SAMPLE.replace('2', "x")), None);
    }

    #[test]
    fn kinds_and_issuers_say_where_a_transaction_counts() {
        let rules = Rules {
            debit: vec![Kind::Purchase],
            credit: vec![Kind::Void],
            foreign: ["visa".to_owned()].into(),
        };
        let mut totals = Totals::default();
        let one = |amount| Sum { amount, count: 1 };
        totals.add(&rules, Kind::Purchase, Some("bank"), one(500));
        totals.add(&rules, Kind::Purchase, Some("visa"), one(70));
        totals.add(&rules, Kind::Void, Some("visa"), one(7));
        totals.add(&rules, Kind::PreAuthorisation, None, one(1_000));
        assert_eq!(totals.domestic, Group { debit: one(500), credit: Sum::default() });
        assert_eq!(totals.foreign, Group { debit: one(70), credit: one(7) });
        let mut other = totals;
        assert_eq!(totals.compare(&other), [Balance::Balanced; 2]);
        other.foreign.credit.amount = 8;
        assert_eq!(totals.compare(&other), [Balance::Balanced, Balance::Unbalanced]);
    }

    #[test]
    fn what_a_field_cannot_hold_is_cut_at_its_largest() {
        let mut totals = Totals::default();
        totals.domestic.debit = Sum { amount: i64::MAX, count: 1_000_000 };
        totals.domestic.credit.amount = -5;
        let field = totals.field([Balance::Error; 2]);
        assert_eq!(field.len(), DIGITS);
        assert!(field.starts_with("9999999999999990000000000000003"));
    }
}
