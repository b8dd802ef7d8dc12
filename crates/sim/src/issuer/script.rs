//! A script: ordered rules, of which the first that applies decides.

use std::path::Path;
use std::time::Duration;

use iso8583::Code;

use super::action::Action;
use super::file::{self, ScriptError};
use super::posting::Holds;
use super::rule::{Applied, Probe, Rule};

/// How an issuer behaves. Where no rule applies it approves what the account covers, and confirms reversals.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub(crate) seed: u64,
    /// What each account holds at first, minor units.
    pub(crate) balance: i64,
    /// Answers a reversal of what is already reversed.
    pub(crate) reversed_already: Code,
    /// How long an authorisation holds its amount.
    pub(crate) hold_expires: Duration,
    /// The most that a completion takes, hundredths of what is held.
    pub(crate) completion_percent: u16,
    pub(crate) rules: Vec<Rule>,
}

impl Script {
    /// Approves whatever an account covers.
    #[must_use]
    pub const fn approving() -> Self {
        Self {
            seed: 0,
            balance: 100_000_000_000,
            reversed_already: Code::APPROVED,
            hold_expires: Duration::from_secs(30 * 24 * 3600),
            completion_percent: 115,
            rules: Vec::new(),
        }
    }

    /// What an issuer without a script does: the last two digits of an amount choose a behaviour.
    #[must_use]
    pub fn by_amount() -> Self {
        Self { rules: super::amounts::rules(), ..Self::approving() }
    }

    pub(super) fn holds(&self) -> Holds {
        Holds {
            expire: i64::try_from(self.hold_expires.as_millis()).unwrap_or(i64::MAX),
            percent: i64::from(self.completion_percent),
        }
    }

    /// Reads a script file: JSON if its name ends so, else TOML.
    ///
    /// # Errors
    /// The file cannot be read, or has faults: all of them are named.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        file::load(path)
    }

    /// Reads a script from TOML text.
    ///
    /// # Errors
    /// The text has faults: all of them are named.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        file::from_toml(Path::new("script"), text)
    }
}

/// A script at work: it counts what its rules did.
#[derive(Debug)]
pub(crate) struct Director {
    script: Script,
    applied: Vec<Applied>,
}

impl Director {
    pub(crate) fn new(script: Script) -> Self {
        let applied = vec![Applied::default(); script.rules.len()];
        Self { script, applied }
    }

    pub(crate) const fn script(&self) -> &Script {
        &self.script
    }

    /// What to do with a message.
    pub(crate) fn decide(&mut self, probe: &Probe<'_>) -> Action {
        let seed = self.script.seed;
        for ((number, rule), applied) in (0..).zip(&self.script.rules).zip(&mut self.applied) {
            if rule.applies(probe, (seed, number), applied) {
                return rule.action.clone();
            }
        }
        Action::APPROVE
    }

    /// How often each rule applied.
    pub(crate) fn hits(&self) -> impl Iterator<Item = (&str, u64)> {
        self.script.rules.iter().zip(&self.applied).map(|(rule, a)| (rule.name.as_str(), a.hits))
    }
}
