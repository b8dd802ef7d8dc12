//! What a response code (39) means: to the switch, to people, and to the question "may I swipe again?".

use super::faults::{Faults, Section, one_of};
use crate::code::Code;

/// Class of a response code: what it says about the money (M12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The issuer posted the whole amount.
    Approved,
    /// The issuer posted a part of the amount.
    Partial,
    /// A refusal: the issuer posted nothing.
    Final,
    /// Declined, by a code that does not rule out a posting: it withdraws no reversal, and a terminal's reversal is owed.
    Open,
    /// Nobody knows: the same as silence (M3). A code that the dialect does not list is of this class.
    Unknown,
    /// A code that the switch itself gives to terminals. From an issuer it counts as open.
    Own,
}

impl Class {
    /// All classes.
    pub const ALL: &'static [Self] =
        &[Self::Approved, Self::Partial, Self::Final, Self::Open, Self::Unknown, Self::Own];

    /// The name in dialect files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Partial => "partial",
            Self::Final => "final",
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Own => "own",
        }
    }

    /// The class of this name. Files of earlier versions say refused or action for final, retryable or fault for open.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "refused" | "action" => Some(Self::Final),
            "retryable" | "fault" => Some(Self::Open),
            name => Self::ALL.iter().copied().find(|class| class.name() == name),
        }
    }

    /// Approved, in whole or in part.
    #[must_use]
    pub const fn approves(self) -> bool {
        matches!(self, Self::Approved | Self::Partial)
    }
}

/// The answer to "may I swipe again?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, as a new sale.
    Now,
    /// After a while.
    Later,
    /// With other data: another PIN, another amount.
    OtherData,
    /// With another card.
    OtherCard,
    /// Not at all.
    Never,
    /// When the reversal is through.
    WaitForReversal,
}

impl Retry {
    /// All verdicts.
    pub const ALL: &'static [Self] = &[
        Self::Now,
        Self::Later,
        Self::OtherData,
        Self::OtherCard,
        Self::Never,
        Self::WaitForReversal,
    ];

    /// The name in dialect files and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Later => "later",
            Self::OtherData => "other-data",
            Self::OtherCard => "other-card",
            Self::Never => "never",
            Self::WaitForReversal => "wait-for-reversal",
        }
    }
}

/// One row of `[codes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// What it says about the transaction.
    pub class: Class,
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
    /// Whether to try again.
    pub retry: Retry,
    /// In a later version of the standard, the codes of the 1987 version that it stands for; it becomes the
    /// first of them. A code of the 1987 version has none.
    pub iso87: Vec<Code>,
    /// The code that a terminal of this dialect gets in its place, where its own would be taken for a refusal.
    pub told: Option<Code>,
}

/// `iso87 = ["92", "15"]`
fn iso87(row: &mut Section, faults: &mut Faults) -> Vec<Code> {
    let Some(list) = row.list("iso87", faults) else { return Vec::new() };
    let codes: Option<Vec<Code>> =
        list.iter().map(|value| Code::new(value.as_str()?).ok()).collect();
    codes.filter(|codes| !codes.is_empty()).unwrap_or_else(|| {
        faults.add(row.key("iso87"), "a list of response codes expected");
        Vec::new()
    })
}

/// The section `[codes]`, sorted by code.
pub(super) fn meanings(section: Option<Section>, faults: &mut Faults) -> Vec<(Code, Meaning)> {
    let classes = one_of(Class::ALL.iter().map(|class| class.name()));
    let verdicts = one_of(Retry::ALL.iter().map(|retry| retry.name()));
    let mut meanings = Vec::new();
    let rows = section.map(|section| section.sections(faults)).unwrap_or_default();
    for (name, mut row) in rows {
        for (key, expected) in
            [("class", &*classes), ("en", "a text"), ("zh", "a text"), ("retry", &*verdicts)]
        {
            if !row.has(key) {
                row.missing(key, expected, faults);
            }
        }
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let class = row.text("class", &classes, faults, Class::from_name);
        let en = row.text("en", "a text", faults, text);
        let zh = row.text("zh", "a text", faults, text);
        let retry = row.text("retry", &verdicts, faults, |name| {
            Retry::ALL.iter().copied().find(|retry| retry.name() == name)
        });
        let iso87 = iso87(&mut row, faults);
        let told = row.text("told", "a response code", faults, |text| Code::new(text).ok());
        let code = Code::new(&name);
        if let Err(error) = code {
            faults.add(format!("codes.{name}"), error.to_string());
        }
        if let (Ok(code), Some(class), Some(en), Some(zh), Some(retry)) =
            (code, class, en, zh, retry)
        {
            meanings.push((code, Meaning { class, en, zh, retry, iso87, told }));
        }
        row.end(faults);
    }
    meanings.sort_by_key(|row| row.0);
    meanings
}
