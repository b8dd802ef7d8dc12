//! The readable timeline of one seed.

use super::options::MS;

/// Lines are made only where someone reads them.
#[derive(Debug, Default)]
pub(super) struct Trace {
    on: bool,
    pub(super) lines: Vec<String>,
}

impl Trace {
    pub(super) fn new(on: bool) -> Self {
        Self { on, lines: Vec::new() }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn line(&mut self, at: u64, what: impl FnOnce() -> String) {
        if self.on {
            let what = what();
            self.lines.push(format!("{:>8}.{:06} {what}", at / (1000 * MS), at / 1000 % 1_000_000));
        }
    }
}
