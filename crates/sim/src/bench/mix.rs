//! Mix files: what a load is made of, and how terminals misbehave.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cards::is_prefix;
use super::kinds::{Day, Kinds};
use crate::duration;

/// What a load is made of. Every key has a default; unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Terminals; by default one a connection.
    pub terminals: Option<usize>,
    /// The first terminal's number (41), eight digits.
    pub first_terminal: u32,
    /// The merchant (42) of all terminals.
    pub merchant: String,
    /// Cards.
    pub cards: usize,
    /// What card numbers begin with; used in turn.
    pub card_prefixes: Vec<String>,
    /// Currency (49).
    pub currency: String,
    /// How long a terminal waits for an answer.
    #[serde(deserialize_with = "time", serialize_with = "told")]
    pub timeout: Duration,
    /// How often a reversal is tried in a row; then it stays pending before the next sale.
    pub reversal_tries: u32,
    /// Pause between a terminal's transactions in a closed loop.
    #[serde(deserialize_with = "time", serialize_with = "told")]
    pub think: Duration,
    /// How long a connection lives.
    pub connection: Keep,
    /// Whether terminals take partial approvals.
    pub partial: bool,
    /// What part of the requests are balance enquiries; only without `kinds`.
    pub balance_enquiries: f64,
    /// What foreign card numbers begin with, in the totals of a settlement.
    pub foreign_prefixes: Vec<String>,
    /// Weights of the kinds of transaction.
    pub kinds: Kinds,
    /// Terminals live days, if it is there.
    pub day: Option<Day>,
    /// Weights of the ways to read a card.
    pub entry: Entry,
    /// Amounts.
    pub amounts: Amounts,
    /// Misbehaviour.
    pub faults: Faults,
}

/// How long a terminal's connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// As long as the load.
    #[default]
    Kept,
    /// One transaction; the next connection is made at once, and waits for the next.
    PerTransaction,
}

/// Weights of the ways to read a card (22).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// Chip, with field 55 and a PIN.
    pub chip: u32,
    /// Contactless chip, with field 55.
    pub contactless: u32,
    /// Magnetic stripe, with a PIN.
    pub magnetic: u32,
    /// Typed in.
    pub manual: u32,
}

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amounts {
    /// Least.
    pub least: i64,
    /// Most.
    pub most: i64,
    /// Amounts are multiples of it; 100 keeps clear of the behaviours by amount.
    pub step: i64,
    /// Amounts with these last two digits instead, each with its probability.
    pub endings: Vec<(u8, f64)>,
}

/// Probabilities of misbehaviour, each a part of the sales.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Sent again after its answer; the two answers must be alike.
    pub repeat: f64,
    /// Sent twice at once.
    pub double: f64,
    /// Waits only `patience`, then sends it again.
    pub impatient: f64,
    /// Waits only `patience`, then reverses.
    pub give_up: f64,
    /// How long those two wait.
    #[serde(deserialize_with = "time", serialize_with = "told")]
    pub patience: Duration,
    /// An approval is reversed.
    pub reverse: f64,
    /// The connection is closed once the request is sent; after `away` the terminal comes back and reverses.
    pub vanish: f64,
    /// As `vanish`, but it comes back and sends the request again.
    pub vanish_repeat: f64,
    /// How long a vanished terminal stays away.
    #[serde(deserialize_with = "time", serialize_with = "told")]
    pub away: Duration,
    /// Vanishes and never comes back.
    pub lost: f64,
    /// The reversal is sent before its original.
    pub reverse_first: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            terminals: None,
            first_terminal: 10_000_001,
            merchant: "898000000000001".to_owned(),
            cards: 10_000,
            card_prefixes: vec!["62".to_owned(), "81".to_owned()],
            currency: "156".to_owned(),
            timeout: Duration::from_secs(60),
            reversal_tries: 3,
            think: Duration::ZERO,
            connection: Keep::Kept,
            partial: false,
            balance_enquiries: 0.0,
            foreign_prefixes: Vec::new(),
            kinds: Kinds::default(),
            day: None,
            entry: Entry::default(),
            amounts: Amounts::default(),
            faults: Faults::default(),
        }
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self { chip: 60, contactless: 25, magnetic: 12, manual: 3 }
    }
}

impl Default for Amounts {
    fn default() -> Self {
        Self { least: 100, most: 100_000, step: 100, endings: Vec::new() }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            repeat: 0.0,
            double: 0.0,
            impatient: 0.0,
            give_up: 0.0,
            patience: Duration::from_millis(500),
            reverse: 0.0,
            vanish: 0.0,
            vanish_repeat: 0.0,
            away: Duration::from_secs(2),
            lost: 0.0,
            reverse_first: 0.0,
        }
    }
}

/// As [`time`] reads it.
fn told<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{}ms", duration.as_millis()))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(&text).map_err(serde::de::Error::custom)
}

/// A mix file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MixError {
    /// It cannot be read.
    #[error("mix {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It is no TOML or JSON of the expected keys.
    #[error("mix {path}: {fault}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place, key and what was expected.
        fault: String,
    },
    /// Values that are out of their range: key and what was expected, one a line.
    #[error("mix {path}: {faults}", path = path.display(), faults = faults.join("\n"))]
    Values {
        /// The file.
        path: PathBuf,
        /// All faults.
        faults: Vec<String>,
    },
}

impl Mix {
    /// Reads a mix file: JSON if its name ends so, else TOML.
    ///
    /// # Errors
    /// The file cannot be read, or has faults: all values out of their range are named at once.
    pub fn load(path: &Path) -> Result<Self, MixError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| MixError::Read { path: path.to_owned(), source })?;
        let syntax = |fault| MixError::Syntax { path: path.to_owned(), fault };
        let mix: Self = if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(|error| syntax(error.to_string()))?
        } else {
            toml::from_str(&text).map_err(|error| syntax(error.to_string()))?
        };
        mix.checked(path)
    }

    /// Reads a mix from TOML text.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str) -> Result<Self, MixError> {
        let path = Path::new("mix");
        let mix: Self = toml::from_str(text).map_err(|error| MixError::Syntax {
            path: path.to_owned(),
            fault: error.to_string(),
        })?;
        mix.checked(path)
    }

    fn checked(self, path: &Path) -> Result<Self, MixError> {
        let faults = self.faults_found();
        if faults.is_empty() {
            Ok(self)
        } else {
            Err(MixError::Values { path: path.to_owned(), faults })
        }
    }

    fn faults_found(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |good: bool, fault: &str| {
            if !good {
                found.push(fault.to_owned());
            }
        };
        let part = |probability: f64| (0.0..=1.0).contains(&probability);
        check(self.terminals != Some(0), "terminals: expected a number from 1");
        let last = u64::from(self.first_terminal)
            + u64::try_from(self.terminals.unwrap_or(1)).unwrap_or(u64::MAX);
        check(
            self.first_terminal >= 1 && last <= 100_000_000,
            "first_terminal: expected a number of eight digits with room for all terminals",
        );
        let merchant = self.merchant.is_ascii() && (1..=15).contains(&self.merchant.len());
        check(merchant, "merchant: expected 1 to 15 ASCII characters");
        check((1..=1_000_000).contains(&self.cards), "cards: expected a number from 1 to 1000000");
        check(
            !self.card_prefixes.is_empty() && self.card_prefixes.iter().all(|text| is_prefix(text)),
            "card_prefixes: expected texts of 1 to 11 digits, at least one",
        );
        let digits = self.currency.bytes().all(|byte| byte.is_ascii_digit());
        check(digits && self.currency.len() == 3, "currency: expected three digits");
        check(!self.timeout.is_zero(), "timeout: expected more than 0");
        check(self.reversal_tries >= 1, "reversal_tries: expected a number from 1");
        check(part(self.balance_enquiries), "balance_enquiries: expected a number from 0 to 1");
        check(
            self.kinds.is_sound() && (self.kinds.is_empty() || self.balance_enquiries == 0.0),
            "kinds: expected weights of kinds of transaction by their names, one above 0, and no balance_enquiries",
        );
        let foreign = self.foreign_prefixes.iter().all(|text| is_prefix(text));
        check(foreign, "foreign_prefixes: expected texts of 1 to 11 digits");
        let day = self.day.as_ref();
        check(
            day.is_none_or(|day| day.days >= 1 && part(day.planted)),
            "day: expected days from 1, and planted from 0 to 1",
        );
        let entry = self.entry;
        check(
            entry.chip + entry.contactless + entry.magnetic + entry.manual > 0,
            "entry: expected a weight above 0",
        );
        let amounts = &self.amounts;
        let range = 0 < amounts.least && amounts.least <= amounts.most;
        check(range && amounts.most < 1_000_000_000_000, "amounts: expected 0 < least <= most");
        check(amounts.step >= 1, "amounts.step: expected a number from 1");
        let endings = amounts.endings.iter().all(|(ending, p)| *ending < 100 && part(*p));
        let sum: f64 = amounts.endings.iter().map(|(_, probability)| probability).sum();
        check(
            endings && sum <= 1.0,
            "amounts.endings: expected [[two digits, probability], ...], in all at most 1",
        );
        let faults = self.faults.all();
        check(
            faults.iter().all(|probability| part(*probability))
                && faults.iter().sum::<f64>() <= 1.0,
            "faults: expected numbers from 0 to 1, in all at most 1",
        );
        found
    }
}

impl Faults {
    pub(super) const fn all(&self) -> [f64; 9] {
        [
            self.repeat,
            self.double,
            self.impatient,
            self.give_up,
            self.reverse,
            self.vanish,
            self.vanish_repeat,
            self.lost,
            self.reverse_first,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_over_its_defaults() {
        let mix = Mix::from_toml(
            "cards = 5\ntimeout = \"3s\"\n[amounts]\nendings = [[90, 0.1]]\n[faults]\nvanish = 0.2",
        )
        .expect("a mix");
        assert_eq!((mix.cards, mix.timeout), (5, Duration::from_secs(3)));
        assert_eq!((mix.amounts.step, mix.faults.vanish), (100, 0.2));
        assert_eq!(Mix::from_toml("").expect("empty"), Mix::default());
    }

    #[test]
    fn what_card_numbers_begin_with_is_1_to_11_digits() {
        for (prefixes, good) in [
            (r#"["6"]"#, true),
            (r#"["62", "12345678901"]"#, true),
            (r#"["62", ""]"#, false),
            (r#"["123456789012"]"#, false),
            (r#"["+62"]"#, false),
        ] {
            for key in ["card_prefixes", "foreign_prefixes"] {
                let mix = Mix::from_toml(&format!("{key} = {prefixes}"));
                assert_eq!(mix.is_ok(), good, "{key} = {prefixes}");
            }
        }
        let mix = Mix { card_prefixes: vec!["12345678901".to_owned()], ..Mix::default() };
        let cards = super::super::card_numbers(&mix).expect("card numbers");
        assert!(cards.iter().all(|pan| pan.expose().len() == 16));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = "cards = 0\ncurrency = \"RMB\"\n[amounts]\nleast = 0\n[faults]\nlost = 0.6\nvanish = 0.6";
        let Err(MixError::Values { faults, .. }) = Mix::from_toml(text) else {
            panic!("faults were expected");
        };
        let keys: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(keys, ["cards", "currency", "amounts", "faults"]);
        for text in ["card = 1", "timeout = \"soon\"", "[faults]\nlose = 1", "timeout = 3"] {
            assert!(matches!(Mix::from_toml(text), Err(MixError::Syntax { .. })), "{text}");
        }
    }
}
