//! What a comparison found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::ledger::BadLine;

/// Rows of a table that are shown to people; all of them are in the JSON form.
const SHOWN: usize = 50;

/// What can be wrong between ledgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// More than one charge in effect for one request.
    ChargedTwice,
    /// Copies of one request reached an issuer.
    ForwardedTwice,
    /// Charged, and the terminal has no approval.
    ChargedWithoutApproval,
    /// Approved, and nothing is charged.
    ApprovedWithoutCharge,
    /// Amounts differ.
    AmountDiffers,
    /// Currencies differ.
    CurrencyDiffers,
    /// Cards differ.
    CardDiffers,
    /// An issuer got a message of which the switch has no row.
    ForwardedWithoutRow,
    /// A terminal has an approval of which the switch has no row.
    ApprovedWithoutRow,
    /// An issuer got a reversal that nothing made owed.
    ReversedWithoutCause,
    /// A reversal is still owed, or marked.
    ReversalOpen,
    /// The switch has no outcome yet.
    OutcomeOpen,
    /// Terminal and switch hold different outcomes.
    StateDiffers,
    /// No terminal sent what the others have.
    NotSent,
    /// One RRN stands for two transactions.
    RrnUsedTwice,
    /// Answers to one request had different RRNs.
    AnswersDiffer,
    /// An advice that a terminal was told 00 for is not delivered yet.
    DeliveryOpen,
    /// An issuer refused an advice that a terminal was told 00 for.
    AdviceRefused,
    /// The sides say that it is about different transactions.
    OriginalDiffers,
    /// More was undone of a transaction than was done.
    OverUndone,
    /// Totals differ though no single transaction does.
    TotalsDiffer,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is wrong.
    pub kind: DifferenceKind,
    /// Retrieval reference number, where it is known.
    pub rrn: String,
    /// Terminal (41).
    pub terminal: String,
    /// Merchant (42).
    pub merchant: String,
    /// The terminal's STAN (11).
    pub stan: String,
    /// Amount, minor units.
    pub amount: i64,
    /// Currency (49).
    pub currency: String,
    /// What each side says.
    pub detail: String,
}

/// What terminals, switch and issuers hold to be taken from cards, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Net {
    /// Transactions.
    pub count: u64,
    /// By the terminals' approvals.
    pub terminal: i64,
    /// By the switch's rows.
    pub switch: i64,
    /// By the issuers' postings.
    pub issuer: i64,
    /// Of the last two, approved without the terminal knowing it.
    pub delivery_unknown: i64,
}

impl Net {
    /// Whether all three agree.
    #[must_use]
    pub const fn agrees(&self, through_switch: bool) -> bool {
        self.terminal + self.delivery_unknown == self.issuer
            && (!through_switch || self.switch == self.issuer)
    }
}

/// What a comparison of ledgers found. Its text form is for people; it serializes to JSON in full.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Whether the switch's rows took part.
    pub through_switch: bool,
    /// Transactions compared.
    pub transactions: u64,
    /// Every difference.
    pub differences: Vec<Difference>,
    /// Charged and approved, and the terminal never came back to learn it: no difference, but listed.
    pub delivery_unknown: Vec<Difference>,
    /// Lines that could not be read.
    pub bad_lines: Vec<BadLine>,
    /// Totals by issuer, currency and business day.
    pub totals: BTreeMap<String, Net>,
    /// Totals by merchant and terminal.
    pub terminals: BTreeMap<String, Net>,
    /// Cards that were compared, to the last minor unit.
    pub cards: u64,
    /// Totals of the cards that differ, by their name in ledgers.
    pub cards_that_differ: BTreeMap<String, Net>,
}

impl Report {
    /// Whether there is no difference, and every line could be read.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.bad_lines.is_empty()
    }

    /// How many differences there are of each kind.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<DifferenceKind, usize> {
        let mut kinds = BTreeMap::new();
        for difference in &self.differences {
            *kinds.entry(difference.kind).or_default() += 1;
        }
        kinds
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.pad(name.trim_matches('"'))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bad in self.bad_lines.iter().take(SHOWN) {
            writeln!(f, "bad line: {bad}")?;
        }
        listed(f, "differences", &self.differences)?;
        listed(f, "delivery unknown, terminal never back", &self.delivery_unknown)?;
        if !self.totals.is_empty() {
            writeln!(f, "{}", self.totals_table())?;
        }
        let wrong = self.terminals.iter().filter(|(_, net)| !net.agrees(self.through_switch));
        for (name, net) in wrong.take(SHOWN) {
            writeln!(f, "terminal {name}: {net:?}")?;
        }
        write!(
            f,
            "{} transactions, {} differences, {} bad lines, {} with delivery unknown",
            self.transactions,
            self.differences.len(),
            self.bad_lines.len(),
            self.delivery_unknown.len(),
        )
    }
}

impl Report {
    fn totals_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
        table.set_header([
            "issuer, currency, day",
            "count",
            "terminals",
            "unknown",
            "switch",
            "issuer",
            "",
        ]);
        for (name, net) in &self.totals {
            let mark = if net.agrees(self.through_switch) { "=" } else { "differs" };
            let switch = if self.through_switch { net.switch.to_string() } else { "-".to_owned() };
            table.add_row([
                name.clone(),
                net.count.to_string(),
                net.terminal.to_string(),
                net.delivery_unknown.to_string(),
                switch,
                net.issuer.to_string(),
                mark.to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn listed(f: &mut fmt::Formatter<'_>, title: &str, list: &[Difference]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
    table.set_header([title, "rrn", "terminal", "stan", "amount", "what they say"]);
    for difference in list.iter().take(SHOWN) {
        table.add_row([
            difference.kind.to_string(),
            difference.rrn.clone(),
            format!("{} {}", difference.merchant, difference.terminal),
            difference.stan.clone(),
            format!("{} {}", difference.amount, difference.currency),
            difference.detail.clone(),
        ]);
    }
    writeln!(f, "{table}")?;
    match list.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "and {more} more"),
    }
}
