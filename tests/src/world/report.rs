//! The totals of a range of seeds, and how they are printed.

use std::fmt;

use super::coverage::{Coverage, SITUATIONS};

macro_rules! totals {
    ($($field:ident = $name:literal;)*) => {
        /// What happened, in figures.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Totals { $(pub(super) $field: u64,)* }

        impl Totals {
            pub(super) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field),)*]
            }
        }
    };
}

totals! {
    events = "events";
    sales = "sales";
    transactions = "transactions";
    crashes = "crashes";
    pauses = "pauses";
    repeats = "repeats";
    terminal_reversals = "terminal reversals";
    silences = "silences";
    late_answers = "late answers";
    owed = "reversals owed";
    reversals = "reversals sent";
    repeated_reversals = "reversals repeated";
    confirmed = "reversals confirmed";
    undelivered = "answers undelivered";
    lost_replies = "answers written, never read";
    take_overs = "take-overs";
    fenced = "fenced";
    cut_overs = "cut-overs";
    unknown = "unknown commits";
    recovered = "recovered";
    batches = "batches";
    records = "records";
    notices = "notices";
    exempt = "exempt (delivery unknown, terminal gone)";
}

/// A seed that broke an invariant.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The identifier of the invariant.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
    /// The options that the seed expands into.
    pub options: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}: {}\n  {}", self.seed, self.rule, self.what, self.options)
    }
}

/// The result of a range of seeds.
#[derive(Debug, Default)]
pub struct Report {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that broke an invariant.
    pub failures: Vec<Failure>,
    pub(super) totals: Totals,
    pub(super) cover: Coverage,
}

impl Report {
    /// Rows that became durable.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.totals.transactions
    }

    /// Processes killed.
    #[must_use]
    pub const fn crashes(&self) -> u64 {
        self.totals.crashes
    }

    /// Named situations that were never reached.
    #[must_use]
    pub fn never_reached(&self) -> Vec<&'static str> {
        self.cover.missing()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.failures.extend(other.failures);
        self.totals.add(&other.totals);
        self.cover.add(&other.cover);
    }

    /// How often each situation was reached, as lines.
    #[must_use]
    pub fn coverage(&self) -> String {
        let mut lines: Vec<String> = SITUATIONS
            .iter()
            .zip(&self.cover.0)
            .map(|(name, n)| format!("  {n:>9}  {name}"))
            .collect();
        lines.push(String::new());
        lines.join("\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} seeds", self.seeds)?;
        for (name, figure) in self.totals.figures() {
            writeln!(f, "  {figure:>9}  {name}")?;
        }
        let missing = self.never_reached();
        writeln!(
            f,
            "{} of {} situations reached",
            SITUATIONS.len() - missing.len(),
            SITUATIONS.len()
        )?;
        for name in missing {
            writeln!(f, "  never: {name}")?;
        }
        for failure in self.failures.iter().take(10) {
            writeln!(f, "{failure}")?;
        }
        write!(f, "{} seeds failed", self.failures.len())
    }
}
