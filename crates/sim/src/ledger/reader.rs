//! Reading a ledger line by line: a bad line is told with its place, and the rest is still read.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{LedgerError, Line};

/// A line of a ledger file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{path}:{line}: {fault}", path = path.display())]
pub struct BadLine {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: String,
}

/// The lines of a ledger file. Empty ones are passed over.
#[derive(Debug)]
pub struct LedgerReader {
    path: PathBuf,
    lines: BufReader<File>,
    number: u64,
    bytes: Vec<u8>,
    ended: bool,
}

impl LedgerReader {
    /// Opens a ledger file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let file =
            File::open(path).map_err(|source| LedgerError { path: path.to_owned(), source })?;
        let lines = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), lines, number: 0, bytes: Vec::new(), ended: false })
    }

    /// The number of the line read last, counted from 1.
    #[must_use]
    pub const fn line_number(&self) -> u64 {
        self.number
    }

    /// Gives each line to `take`, and each bad one to `bad`.
    pub fn for_each(&mut self, mut take: impl FnMut(Line<'_>), mut bad: impl FnMut(BadLine)) {
        while let Some(read) = self.read() {
            match read.and_then(|()| self.parse()) {
                Ok(line) => take(line),
                Err(fault) => bad(fault),
            }
        }
    }

    /// Reads the next line that is not empty into `bytes`.
    fn read(&mut self) -> Option<Result<(), BadLine>> {
        while !self.ended {
            self.bytes.clear();
            self.number += 1;
            match self.lines.read_until(b'\n', &mut self.bytes) {
                Ok(0) => self.ended = true,
                Ok(_) if self.bytes.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(())),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.fault(&error)));
                }
            }
        }
        None
    }

    fn parse(&self) -> Result<Line<'_>, BadLine> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.fault(&io::Error::from(error)))
    }

    fn fault(&self, error: &io::Error) -> BadLine {
        BadLine { path: self.path.clone(), line: self.number, fault: error.to_string() }
    }
}
