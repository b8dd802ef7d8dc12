//! Standard output of a command.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Writes a line. That nobody reads it any more (`| head`) is no error.
///
/// # Errors
/// It cannot be written: the disk is full.
pub(crate) fn say(line: impl Display) -> io::Result<()> {
    heard(writeln!(io::stdout().lock(), "{line}"))
}

/// What is left of the result of a write, once a closed pipe is none.
///
/// # Errors
/// Every other error.
pub(crate) fn heard(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}
