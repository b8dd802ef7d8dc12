//! What a kind of request says of the transaction that it is about, and what it may take of it (M11).

use super::faults::{Faults, Section, one_of};
use crate::kind::Kind;

/// How a request names its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// By batch and trace number (61.1 and 61.2, or 90), at the same terminal.
    Trace,
    /// By retrieval reference number (37).
    Number,
    /// By card, authorisation code (38) and date (61.3), at the same merchant.
    Authorisation,
}

impl NamedBy {
    const ALL: [Self; 3] = [Self::Trace, Self::Number, Self::Authorisation];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Number => "number",
            Self::Authorisation => "authorisation",
        }
    }
}

/// What a request takes of its original, by its amount (4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Takes {
    /// Its amount, which must be all that is left (void).
    Equal,
    /// Its amount, at most what is left (refund).
    Part,
    /// All that is left, for an amount of at most so many percent of it (completion).
    Whole {
        /// Of what is left.
        percent: u16,
    },
    /// Nothing: its amount becomes the original's, at most so many percent of what is left (adjustment, tip).
    Total {
        /// Of what is left.
        percent: u16,
    },
    /// Nothing: it only names it (script result).
    Nothing,
}

impl Takes {
    const NAMES: [&'static str; 5] = ["equal", "part", "whole", "total", "nothing"];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Part => "part",
            Self::Whole { .. } => "whole",
            Self::Total { .. } => "total",
            Self::Nothing => "nothing",
        }
    }
}

/// What a kind of request asks of its original: `original` in a `[[kind]]` row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRule {
    /// The kinds that it may be about.
    pub kinds: Vec<Kind>,
    /// How it names it.
    pub named_by: NamedBy,
    /// What it takes of it.
    pub takes: Takes,
    /// How many business days old the original may be, 0 for one of the same day; none: as long as its batch is open.
    pub days: Option<u16>,
}

/// Which side of a settlement's totals (48) a kind is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The cardholder pays.
    Debit,
    /// The cardholder is paid.
    Credit,
}

impl Side {
    /// The side of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "debit" => Some(Self::Debit),
            "credit" => Some(Self::Credit),
            _ => None,
        }
    }
}

/// The key `original` of a `[[kind]]` row.
pub(super) fn original(section: &mut Section, faults: &mut Faults) -> Option<OriginalRule> {
    let mut section = section.section("original", faults)?;
    let names = one_of(Kind::ALL.iter().filter(|kind| kind.is_transaction()).map(|k| k.name()));
    let expected = format!("a list with {names}");
    let kinds: Option<Vec<Kind>> = section.list("kinds", faults).and_then(|list| {
        let kind = |value: &toml::Value| {
            Kind::from_name(value.as_str()?).filter(|kind| kind.is_transaction())
        };
        let kinds: Option<Vec<Kind>> = list.iter().map(kind).collect();
        if kinds.as_ref().is_none_or(Vec::is_empty) {
            faults.add(section.key("kinds"), format!("{expected} expected"));
        }
        kinds
    });
    let ways = one_of(NamedBy::ALL.iter().map(|way| way.name()));
    let named_by = section.text("named_by", &ways, faults, |name| {
        NamedBy::ALL.into_iter().find(|way| way.name() == name)
    });
    let percent = section.number("percent", 100..=1000, faults);
    let takes = section.text("takes", &one_of(Takes::NAMES), faults, |name| match name {
        "equal" => Some(Takes::Equal),
        "part" => Some(Takes::Part),
        "whole" => Some(Takes::Whole { percent: percent.unwrap_or(100) }),
        "total" => Some(Takes::Total { percent: percent.unwrap_or(100) }),
        "nothing" => Some(Takes::Nothing),
        _ => None,
    });
    if percent.is_some() && !matches!(takes, Some(Takes::Whole { .. } | Takes::Total { .. }) | None)
    {
        faults.add(section.key("percent"), "has a meaning only with \"whole\" and \"total\"");
    }
    let days = section.number("days", 0..=366, faults);
    for (name, there) in
        [("kinds", kinds.is_some()), ("named_by", named_by.is_some()), ("takes", takes.is_some())]
    {
        if !there && !faults.0.iter().any(|fault| fault.key == section.key(name)) {
            section.missing(name, "a value", faults);
        }
    }
    section.end(faults);
    Some(OriginalRule { kinds: kinds?, named_by: named_by?, takes: takes?, days })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, SHIPPED};

    #[test]
    fn a_void_is_of_the_same_day() {
        for name in SHIPPED {
            let dialect = Dialect::shipped(name).expect("shipped");
            for kind in [Kind::Void, Kind::CompletionVoid, Kind::InstalmentVoid, Kind::PointsVoid] {
                let rule = dialect.row(kind).and_then(|row| row.original.as_ref());
                assert_eq!(rule.map(|rule| rule.days), Some(Some(0)), "{name} {}", kind.name());
            }
        }
    }

    #[test]
    fn days_are_none_to_a_year() {
        let row = |days: u16| {
            let text = format!(
                "base = \"iso87-ascii\"\n[[kind]]\nkind = \"void\"\nmti = \"0200\"\n\
                 original = {{ kinds = [\"purchase\"], named_by = \"trace\", takes = \"equal\", days = {days} }}"
            );
            Dialect::parse("x", &text)
                .map(|dialect| dialect.row(Kind::Void).and_then(|row| row.original.as_ref()?.days))
        };
        for days in [0, 1, 366] {
            assert_eq!(row(days), Ok(Some(days)));
        }
        let error = row(367).expect_err("too many").to_string();
        assert!(error.contains("original.days: a whole number from 0 to 366 expected"), "{error}");
    }
}
