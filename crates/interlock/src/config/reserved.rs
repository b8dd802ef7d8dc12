//! Keys that belong to a later version: refused by name, so that nobody believes that they work.

use ::config::Value;

use super::{
    section::{Absent, Line, Take},
    source::Source,
};

/// A key whose form comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved;

impl Take for Reserved {
    fn take(source: &Source, key: &str, value: Option<&Value>, _absent: Absent) -> Self {
        if value.is_some() {
            source.fault(key, "not supported in this version; expected no such key");
        }
        Self
    }

    fn describe(_key: &str, _meaning: &str, _absent: Absent, _lines: &mut Vec<Line>) {}
}
