//! What is wrong with a configuration: every fault of a file, each with its place.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One fault: where it stands, which key it concerns, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file, if it is another than the configuration: a dialect's.
    pub(crate) file: Option<PathBuf>,
    /// The environment variable that set the value, if the file did not.
    pub(crate) variable: Option<String>,
    /// The line of the file, counted from 1, where there is one.
    pub(crate) line: Option<usize>,
    /// The key, such as `listener[0].listen`; empty if the file as a whole is meant.
    pub(crate) key: String,
    /// What was found and what was expected.
    pub(crate) message: String,
}

/// All faults of one file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    file: PathBuf,
    list: Vec<Fault>,
}

impl Faults {
    /// The faults of `file`, sorted by place.
    pub(crate) fn new(file: &Path, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| (fault.file.clone(), fault.line.is_none(), fault.line));
        list.dedup();
        Self { file: file.to_owned(), list }
    }

    /// One fault of `file`, without a line; an empty `key` means the file as a whole.
    pub(crate) fn one(file: &Path, key: &str, message: String) -> Self {
        let key = key.to_owned();
        Self::new(file, vec![Fault { file: None, variable: None, line: None, key, message }])
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", fault.file.as_ref().unwrap_or(&self.file).display())?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            if let Some(variable) = &fault.variable {
                write!(f, " (environment {variable})")?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
