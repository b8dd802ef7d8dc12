//! Reading a dialect's TOML so that all of its faults are found at once, each with its key.

use std::fmt;

use toml::{Table, Value};

/// One fault of a dialect file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, with dots between its parts; empty for the file as a whole.
    pub key: String,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// All faults of a dialect file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialectError {
    /// The dialect's name.
    pub name: String,
    /// Its faults, in the order in which they were found; one at least.
    pub faults: Vec<Fault>,
}

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dialect {}:", self.name)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for DialectError {}

/// Collects faults.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { key: key.into(), message: message.into() });
    }

    fn found(&mut self, key: &str, expected: &str, value: &Value) {
        self.add(key, format!("{expected} expected, found {}", describe(value)));
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Datetime(date) => date.to_string(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// A table from which each key is taken once; what is left at the end was not known.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    table: Table,
}

impl Section {
    pub(super) fn new(path: impl Into<String>, table: Table) -> Self {
        Self { path: path.into(), table }
    }

    /// The key of the section itself.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A text, converted; a fault and nothing if it is of another type or `convert` refuses it.
    pub(super) fn text<T>(
        &mut self,
        name: &str,
        expected: &str,
        faults: &mut Faults,
        convert: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.table.remove(name)?;
        let converted = value.as_str().and_then(convert);
        if converted.is_none() {
            faults.found(&self.key(name), expected, &value);
        }
        converted
    }

    /// A text, or a list of texts, each converted.
    pub(super) fn texts<T>(
        &mut self,
        name: &str,
        expected: &str,
        faults: &mut Faults,
        convert: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.table.remove(name)?;
        let one = |value: &Value| value.as_str().and_then(&convert);
        let converted = match &value {
            Value::Array(list) => list.iter().map(one).collect(),
            other => one(other).map(|one| vec![one]),
        };
        if converted.is_none() {
            faults.found(&self.key(name), expected, &value);
        }
        converted
    }

    /// A whole number from `range`.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u16>,
        faults: &mut Faults,
    ) -> Option<u16> {
        let value = self.table.remove(name)?;
        let number = value.as_integer().and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            faults.found(&self.key(name), &expected, &value);
        }
        number
    }

    pub(super) fn flag(&mut self, name: &str, faults: &mut Faults) -> Option<bool> {
        let value = self.table.remove(name)?;
        if value.as_bool().is_none() {
            faults.found(&self.key(name), "true or false", &value);
        }
        value.as_bool()
    }

    /// A list of field numbers.
    pub(super) fn field_numbers(&mut self, name: &str, faults: &mut Faults) -> Option<Vec<u8>> {
        let value = self.table.remove(name)?;
        let one = |value: &Value| {
            let number = u8::try_from(value.as_integer()?).ok()?;
            (2..=128).contains(&number).then_some(number)
        };
        let numbers = value.as_array().and_then(|list| list.iter().map(one).collect());
        if numbers.is_none() {
            faults.found(&self.key(name), "a list of field numbers from 2 to 128", &value);
        }
        numbers
    }

    pub(super) fn list(&mut self, name: &str, faults: &mut Faults) -> Option<Vec<Value>> {
        match self.table.remove(name)? {
            Value::Array(list) => Some(list),
            other => {
                faults.found(&self.key(name), "a list", &other);
                None
            }
        }
    }

    pub(super) fn section(&mut self, name: &str, faults: &mut Faults) -> Option<Self> {
        match self.table.remove(name)? {
            Value::Table(table) => Some(Self::new(self.key(name), table)),
            other => {
                faults.found(&self.key(name), "a table", &other);
                None
            }
        }
    }

    /// All entries that are left, each to be a table.
    pub(super) fn sections(self, faults: &mut Faults) -> Vec<(String, Self)> {
        let mut sections = Vec::new();
        for (name, value) in self.table.clone() {
            match value {
                Value::Table(table) => {
                    let section = Self::new(self.key(&name), table);
                    sections.push((name, section));
                }
                other => faults.found(&self.key(&name), "a table", &other),
            }
        }
        sections
    }

    pub(super) fn missing(&self, name: &str, expected: &str, faults: &mut Faults) {
        faults.add(self.key(name), format!("{expected} expected, found nothing"));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The key is no longer looked for: what is left is unknown.
    pub(super) fn end(self, faults: &mut Faults) {
        for name in self.table.keys() {
            faults.add(self.key(name), "not a key that is known here");
        }
    }
}

/// "one of a, b, c" for a closed list of names.
pub(super) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    format!("one of {}", names.join(", "))
}
