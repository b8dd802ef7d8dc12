//! The file and the environment merged into one tree, which still knows where each value came from.

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use super::{
    fault::{Fault, Faults},
    places::Places,
};
use ::config::{Config, File, FileFormat, Map, Value, ValueKind};

/// Prefix of the variables that override keys: `INTERLOCK__STORE__URL` stands for `store.url`, and
/// `INTERLOCK__LISTENER__0__LISTEN` for `listener[0].listen`.
const PREFIX: &str = "INTERLOCK__";

/// A merged tree, with a place for the faults that are found while it is read.
pub(crate) struct Source {
    /// The tables of the file under the overrides.
    pub(crate) root: Map<String, Value>,
    places: Places,
    variables: BTreeMap<String, String>,
    faults: RefCell<Vec<Fault>>,
}

impl Source {
    /// The tree of `text`, the content of `file`, under the overrides in `environment`.
    ///
    /// # Errors
    /// The text is not TOML, or an override names a place that cannot be.
    pub(crate) fn new(
        file: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        let whole = |line, message| {
            Faults::new(
                file,
                vec![Fault { file: None, variable: None, line, key: String::new(), message }],
            )
        };
        let places = Places::of(text).map_err(|(line, message)| whole(line, message))?;
        let mut variables = BTreeMap::new();
        let mut builder = Config::builder().add_source(File::from_str(text, FileFormat::Toml));
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let key = key_of(rest);
            let value = parse_override(&value);
            builder = builder
                .set_override(&key, value)
                .map_err(|error| whole(None, format!("environment {variable}: {error}")))?;
            variables.insert(key, variable);
        }
        let merged = builder.build().map_err(|error| whole(None, error.to_string()))?;
        let ValueKind::Table(root) = merged.cache.kind else {
            return Err(whole(None, "expected tables".to_owned()));
        };
        Ok(Self { root, places, variables, faults: RefCell::default() })
    }

    /// Notes a fault of the value at `key`.
    pub(crate) fn fault(&self, key: &str, message: impl Into<String>) {
        let (line, in_file) = self.places.line(key);
        let variable = self.variable(key).or_else(|| {
            let inside = |set: &&String| !in_file && set.starts_with(key);
            self.variables.keys().find(inside).and_then(|set| self.variable(set))
        });
        let variable = variable.map(str::to_owned);
        let line = if variable.is_some() { None } else { line };
        self.faults.borrow_mut().push(Fault {
            file: None,
            variable,
            line,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Notes faults of another file that this one names.
    pub(crate) fn faults_of(&self, other: impl IntoIterator<Item = Fault>) {
        self.faults.borrow_mut().extend(other);
    }

    /// Whether `key` has a fault of its own already, so that a check that builds on it says nothing more.
    pub(crate) fn is_faulty(&self, key: &str) -> bool {
        self.faults.borrow().iter().any(|fault| fault.key == key)
    }

    /// The faults found, or nothing.
    ///
    /// # Errors
    /// There are any.
    pub(crate) fn finish(self, file: &Path) -> Result<(), Faults> {
        let list = self.faults.into_inner();
        if list.is_empty() { Ok(()) } else { Err(Faults::new(file, list)) }
    }

    /// The variable that set `key` or a part of it, if one did.
    pub(crate) fn variable(&self, key: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(set, _)| {
                key == set.as_str()
                    || key
                        .strip_prefix(set.as_str())
                        .is_some_and(|rest| rest.starts_with(['.', '[']))
            })
            .map(|(_, variable)| variable.as_str())
    }
}

/// `STORE__URL` as `store.url`, `LISTENER__0__LISTEN` as `listener[0].listen`.
fn key_of(rest: &str) -> String {
    let mut key = String::new();
    for part in rest.split("__") {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            key.push_str(&format!("[{part}]"));
        } else {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(&part.to_ascii_lowercase());
        }
    }
    key
}

/// Arrays and inline tables are read as TOML, all else stays text: each key knows how to read its own text.
fn parse_override(text: &str) -> ValueKind {
    if text.starts_with(['[', '{'])
        && let Ok(parsed) = Config::builder()
            .add_source(File::from_str(&format!("value = {text}"), FileFormat::Toml))
            .build()
        && let ValueKind::Table(mut table) = parsed.cache.kind
        && let Some(value) = table.remove("value")
    {
        return value.kind;
    }
    ValueKind::String(text.to_owned())
}
