//! Writing a ledger: lines gather in memory and reach the file in one piece, before what they tell of is seen.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Line;

/// A ledger file that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("ledger {path}: {source}", path = path.display())]
pub struct LedgerError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

/// Appends lines to a ledger file, or to none.
#[derive(Debug)]
pub struct LedgerWriter {
    file: Option<(PathBuf, File)>,
    waiting: Vec<u8>,
    clock: Clock,
}

impl LedgerWriter {
    /// A writer that appends to `path`, which is created if need be; without a path it keeps nothing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: Option<&Path>) -> Result<Self, LedgerError> {
        let file = match path {
            None => None,
            Some(path) => {
                let error = |source| LedgerError { path: path.to_owned(), source };
                let mut file = OpenOptions::new()
                    .create(true)
                    .read(true)
                    .append(true)
                    .open(path)
                    .map_err(error)?;
                end_broken_line(&mut file).map_err(error)?;
                Some((path.to_owned(), file))
            }
        };
        Ok(Self { file, waiting: Vec::new(), clock: Clock::default() })
    }

    /// Whether lines are kept at all.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Adds a line to those that wait for [`flush`](Self::flush), with the time if it has none.
    pub fn append(&mut self, line: &Line<'_>) {
        if self.file.is_none() {
            return;
        }
        let start = self.waiting.len();
        let written = if line.at.is_empty() {
            let at = Cow::Borrowed(self.clock.now());
            serde_json::to_writer(&mut self.waiting, &Line { at, ..line.clone() })
        } else {
            serde_json::to_writer(&mut self.waiting, line)
        };
        match written {
            Ok(()) => self.waiting.push(b'\n'),
            Err(_) => self.waiting.truncate(start),
        }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Hands all that waits to the kernel.
    ///
    /// # Errors
    /// The file cannot be written; what waited still does.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        if let Some((path, file)) = &mut self.file
            && !self.waiting.is_empty()
        {
            file.write_all(&self.waiting)
                .map_err(|source| LedgerError { path: path.clone(), source })?;
            self.waiting.clear();
        }
        Ok(())
    }
}

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the end of a ledger is lost");
        }
    }
}

/// A process that was killed may have left half a line: a new one must not continue it.
fn end_broken_line(file: &mut File) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// The time as text; what is the same all second long is made once a second.
#[derive(Debug, Default)]
struct Clock {
    second: i64,
    text: String,
}

impl Clock {
    fn now(&mut self) -> &str {
        let now = Timestamp::now();
        let microsecond = now.subsec_microsecond();
        if now.as_second() != self.second || self.text.is_empty() {
            self.second = now.as_second();
            let whole = Timestamp::from_second(self.second).unwrap_or(now);
            self.text = whole.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
        }
        let point = self.text.len().saturating_sub(7);
        self.text.truncate(point);
        let mut unit = 100_000;
        while unit > 0 {
            let digit = u32::try_from(microsecond / unit % 10).unwrap_or(0);
            self.text.push(char::from_digit(digit, 10).unwrap_or('0'));
            unit /= 10;
        }
        self.text.push('Z');
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LedgerReader, Role};
    use super::*;

    #[test]
    fn lines_wait_for_the_flush_and_half_a_line_is_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ledger");
        std::fs::write(&path, b"{\"half").expect("written");
        let mut writer = LedgerWriter::open(Some(&path)).expect("opened");
        writer.append(&Line { amount: 5, ..Line::new(Role::Terminal, "sent") });
        assert_eq!(std::fs::read(&path).expect("read"), b"{\"half\n");
        writer.flush().expect("flushed");
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        LedgerReader::open(&path).expect("opened").for_each(
            |line| {
                assert_eq!((line.amount, &*line.event), (5, "sent"));
                times.push(line.at.into_owned());
            },
            |fault| bad.push(fault.line),
        );
        assert_eq!((times.len(), bad), (1, vec![1]));
        times[0].parse::<Timestamp>().expect("RFC 3339");
        assert_eq!(times[0].len(), "2026-11-23T09:00:00.000000Z".len());
    }
}
