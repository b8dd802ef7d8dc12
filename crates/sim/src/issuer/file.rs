//! Script files: what may stand in them, and every fault at once.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iso8583::{Code, Kind};
use serde::Deserialize;

use super::action::{Action, Altered, Outcome, Posting, Reply};
use super::rule::{On, Rule};
use super::script::Script;
use crate::duration;

/// A script file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("script {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It is no TOML or JSON of the expected keys.
    #[error("script {path}: {fault}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place, key and what was expected.
        fault: String,
    },
    /// Values that are out of their range: key and what was expected, one a line.
    #[error("script {path}: {faults}", path = path.display(), faults = faults.join("\n"))]
    Values {
        /// The file.
        path: PathBuf,
        /// All faults.
        faults: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    #[serde(default)]
    seed: u64,
    balance: Option<i64>,
    reversed_already: Option<String>,
    hold_expires: Option<String>,
    completion_percent: Option<u16>,
    /// Whether the behaviours by amount follow the rules.
    #[serde(default)]
    by_amount: bool,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    name: Option<String>,
    on: Option<OnName>,
    amount: Option<(i64, i64)>,
    ending: Option<(i64, i64)>,
    card_prefix: Option<String>,
    terminal: Option<String>,
    from: Option<String>,
    until: Option<String>,
    copies: Option<u32>,
    probability: Option<f64>,
    every: Option<u64>,
    limit: Option<u64>,
    #[serde(rename = "do")]
    what: Do,
    code: Option<String>,
    percent: Option<u8>,
    #[serde(rename = "for")]
    how_long: Option<String>,
    posting: Option<PostingName>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct OnName(On);

impl TryFrom<String> for OnName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        On::from_name(&name).map(Self).ok_or_else(|| {
            format!(
                "`{name}` is neither a kind, as `purchase` or `refund`, nor one of `request`, `advice`, `voids`, \
                 `follow-up`, `reversal`, `network`, `any`"
            )
        })
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum PostingName {
    Now,
    Then,
    Never,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Do {
    Approve,
    Decline,
    Partial,
    Delay,
    Late,
    Silent,
    Twice,
    WrongStan,
    WrongRrn,
    WrongAmount,
    WrongCurrency,
    WrongCard,
    WrongTerminal,
    Malformed,
    HangUp,
    StopReading,
    Refuse,
}

pub(super) fn load(path: &Path) -> Result<Script, ScriptError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
    if path.extension().is_some_and(|extension| extension == "json") {
        let file = serde_json::from_str(&text).map_err(|error| syntax(path, &error))?;
        return check(path, file);
    }
    from_toml(path, &text)
}

pub(super) fn from_toml(path: &Path, text: &str) -> Result<Script, ScriptError> {
    check(path, toml::from_str(text).map_err(|error| syntax(path, &error))?)
}

fn syntax(path: &Path, error: &dyn fmt::Display) -> ScriptError {
    ScriptError::Syntax { path: path.to_owned(), fault: error.to_string() }
}

fn check(path: &Path, file: ScriptFile) -> Result<Script, ScriptError> {
    let mut faults = Faults::default();
    let plain = Script::approving();
    if file.balance.is_some_and(|balance| balance < 0) {
        faults.add("balance", "a number of minor units, not below 0");
    }
    let reversed_already = faults.code("reversed_already", file.reversed_already.as_deref());
    let hold_expires = faults.duration("hold_expires", file.hold_expires.as_deref());
    if file.completion_percent.is_some_and(|percent| !(100..=1000).contains(&percent)) {
        faults.add("completion_percent", "a number from 100 to 1000");
    }
    let mut rules = Vec::new();
    for (number, rule) in (1_u32..).zip(file.rules) {
        faults.place = rule.name.clone().unwrap_or_else(|| format!("rule {number}"));
        rules.push(read_rule(&mut faults, rule));
    }
    if file.by_amount {
        rules.extend(super::amounts::rules());
    }
    if !faults.all.is_empty() {
        return Err(ScriptError::Values { path: path.to_owned(), faults: faults.all });
    }
    Ok(Script {
        seed: file.seed,
        balance: file.balance.unwrap_or(plain.balance),
        reversed_already: reversed_already.unwrap_or(plain.reversed_already),
        hold_expires: hold_expires.unwrap_or(plain.hold_expires),
        completion_percent: file.completion_percent.unwrap_or(plain.completion_percent),
        rules,
    })
}

fn read_rule(faults: &mut Faults, file: RuleFile) -> Rule {
    let action = read_action(faults, &file);
    if file.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
        faults.add("probability", "a number from 0 to 1");
    }
    if file.every == Some(0) {
        faults.add("every", "a number from 1");
    }
    if file.ending.is_some_and(|(modulo, rest)| modulo < 1 || !(0..modulo).contains(&rest)) {
        faults.add("ending", "[modulo, remainder], the remainder less than the modulo");
    }
    if file.amount.is_some_and(|(low, high)| low > high) {
        faults.add("amount", "[least, most], in minor units");
    }
    let from = faults.duration("from", file.from.as_deref());
    let until = faults.duration("until", file.until.as_deref());
    let period = (from.is_some() || until.is_some())
        .then(|| (from.unwrap_or(Duration::ZERO), until.unwrap_or(Duration::MAX)));
    Rule {
        on: file.on.map_or(On::Kind(Kind::Purchase), |on| on.0),
        amount: file.amount.map(|(low, high)| RangeInclusive::new(low, high)),
        ending: file.ending,
        card_prefix: file.card_prefix.unwrap_or_default(),
        terminal: file.terminal,
        period,
        copies: file.copies,
        probability: file.probability,
        every: file.every,
        limit: file.limit,
        ..Rule::new(faults.place.clone(), action)
    }
}

fn read_action(faults: &mut Faults, file: &RuleFile) -> Action {
    let how_long = faults.duration("for", file.how_long.as_deref());
    let code = faults.code("code", file.code.as_deref());
    let altered = |name, altered| Action::replying(name, Reply::Altered(altered));
    let mut action = match file.what {
        Do::Approve => Action::APPROVE,
        Do::Decline => Action::decline(faults.needed("code", code, Code::APPROVED)),
        Do::Partial => {
            let percent = file.percent.unwrap_or(50);
            if !(1..=99).contains(&percent) {
                faults.add("percent", "a number from 1 to 99");
            }
            Action { name: "partial", outcome: Outcome::Partial(percent), ..Action::APPROVE }
        }
        Do::Delay => {
            let how_long = faults.needed("for", how_long, Duration::ZERO);
            return posted(file, Action::after("delay", how_long));
        }
        Do::Late => {
            return posted(
                file,
                Action::after("late", how_long.unwrap_or(Duration::from_secs(20))),
            );
        }
        Do::Silent => Action::replying("silent", Reply::Nothing),
        Do::Twice => {
            let gap = how_long.unwrap_or_default();
            return posted(file, Action::replying("twice", Reply::Twice(gap)));
        }
        Do::WrongStan => altered("wrong-stan", Altered::Stan),
        Do::WrongRrn => altered("wrong-rrn", Altered::Rrn),
        Do::WrongAmount => altered("wrong-amount", Altered::Amount),
        Do::WrongCurrency => altered("wrong-currency", Altered::Currency),
        Do::WrongCard => altered("wrong-card", Altered::Card),
        Do::WrongTerminal => altered("wrong-terminal", Altered::Terminal),
        Do::Malformed => Action::replying("malformed", Reply::Malformed),
        Do::HangUp => Action::replying("hang-up", Reply::HangUp),
        Do::StopReading => {
            let how_long = faults.needed("for", how_long, Duration::ZERO);
            return posted(file, Action::replying("stop-reading", Reply::StopReading(how_long)));
        }
        Do::Refuse => {
            let how_long = faults.needed("for", how_long, Duration::ZERO);
            return posted(file, Action::replying("refuse", Reply::Refuse(how_long)));
        }
    };
    action.after = how_long.unwrap_or_default();
    posted(file, action)
}

const fn posted(file: &RuleFile, action: Action) -> Action {
    let posting = match file.posting {
        None | Some(PostingName::Now) => Posting::Now,
        Some(PostingName::Then) => Posting::Then,
        Some(PostingName::Never) => Posting::Never,
    };
    Action { posting, ..action }
}

/// The faults found so far, each with its place.
#[derive(Default)]
struct Faults {
    place: String,
    all: Vec<String>,
}

impl Faults {
    fn add(&mut self, key: &str, expected: &str) {
        let of = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) };
        let place = format!("{of}{key}: expected ");
        if !self.all.iter().any(|fault| fault.starts_with(&place)) {
            self.all.push(place + expected);
        }
    }

    fn needed<T>(&mut self, key: &str, value: Option<T>, otherwise: T) -> T {
        value.unwrap_or_else(|| {
            self.add(key, "a value, which this `do` needs");
            otherwise
        })
    }

    fn duration(&mut self, key: &str, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        duration::parse(text).map_err(|_| self.add(key, "a duration as `500ms` or `15s`")).ok()
    }

    fn code(&mut self, key: &str, text: Option<&str>) -> Option<Code> {
        let text = text?;
        Code::new(text).map_err(|_| self.add(key, "a response code as `51`")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_rules_in_order() {
        let script = Script::from_toml(
            r#"
            seed = 7
            reversed_already = "25"
            hold_expires = "7d"
            [[rule]]
            ending = [100, 51]
            do = "decline"
            code = "51"
            [[rule]]
            name = "stragglers"
            probability = 0.05
            from = "5s"
            do = "late"
            for = "60s"
            posting = "then"
            [[rule]]
            on = "offline-refund"
            copies = 1
            do = "silent"
            "#,
        )
        .expect("a script");
        assert_eq!((script.seed, script.reversed_already.as_str()), (7, "25"));
        let names: Vec<_> = script.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["rule 1", "stragglers", "rule 3"]);
        assert_eq!(script.rules[1].action.after, Duration::from_secs(60));
        assert_eq!(script.rules[1].action.posting, Posting::Then);
        assert_eq!(script.rules[2].on, On::Kind(Kind::OfflineRefund));
        assert_eq!(script.hold_expires, Duration::from_secs(7 * 86_400));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = "balance = -1\nhold_expires = \"soon\"\n[[rule]]\ndo = \"decline\"\nprobability = 2.0\n\
                    [[rule]]\nname = \"x\"\ndo = \"delay\"\nfor = \"soon\"\nevery = 0";
        let Err(ScriptError::Values { faults, .. }) = Script::from_toml(text) else {
            panic!("faults were expected");
        };
        let places: Vec<_> =
            faults.iter().filter_map(|fault| fault.split(": expected").next()).collect();
        let expected = [
            "balance",
            "hold_expires",
            "rule 1: code",
            "rule 1: probability",
            "x: for",
            "x: every",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn unknown_keys_and_words_are_refused() {
        for text in [
            "sed = 1",
            "[[rule]]\ndo = \"vanish\"",
            "[[rule]]\non = \"purchase\"",
            "x",
            "[[rule]]\ndo = \"twice\"\non = \"tips\"",
        ] {
            assert!(matches!(Script::from_toml(text), Err(ScriptError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn json_is_read_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s.json");
        std::fs::write(&path, r#"{"by_amount":true,"rule":[{"do":"twice"}]}"#).expect("written");
        let script = Script::load(&path).expect("a script");
        assert_eq!(script.rules.len(), 1 + Script::by_amount().rules.len());
        assert!(matches!(Script::load(&dir.path().join("no")), Err(ScriptError::Read { .. })));
    }
}
