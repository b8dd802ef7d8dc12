//! `interlock decode` and `interlock encode`: one message a line, each line for itself.

use std::{
    io::{self, BufRead, BufWriter, ErrorKind, Write},
    process::ExitCode,
};

use crate::{
    cli::{Decode, Encode},
    config::dialects,
};

/// Decodes the message of the command line, or one a line from standard input.
pub(crate) fn decode(options: &Decode) -> anyhow::Result<ExitCode> {
    let dialect = dialects::for_command(&options.dialect)?;
    each_line(options.hex.as_deref(), |line| {
        if options.json {
            iso8583::decode_line(&dialect, line, options.framed, options.clear)
        } else {
            iso8583::decode_table(&dialect, line, options.framed, options.clear)
        }
    })
}

/// Encodes one message a line from standard input.
pub(crate) fn encode(options: &Encode) -> anyhow::Result<ExitCode> {
    let dialect = dialects::for_command(&options.dialect)?;
    each_line(None, |line| iso8583::encode_line(&dialect, line, options.framed))
}

/// Converts `single`, or else each line of standard input, and prints what comes of it, good or bad, in order.
fn each_line(
    single: Option<&str>,
    convert: impl Fn(&str) -> Result<String, String>,
) -> anyhow::Result<ExitCode> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut status = ExitCode::SUCCESS;
    let mut one = |line: &str| -> io::Result<()> {
        let text = convert(line).unwrap_or_else(|error| {
            status = ExitCode::FAILURE;
            error
        });
        writeln!(output, "{}", text.trim_end_matches('\n'))
    };
    let done = match single {
        Some(line) => one(line),
        None => from_input(&mut one),
    };
    match done.and_then(|()| output.flush()) {
        // The reader of our output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(status),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(status),
    }
}

/// Calls `one` with each line of standard input.
fn from_input(one: &mut impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        one(text.trim_end_matches(['\n', '\r']))?;
        line.clear();
    }
    Ok(())
}
