//! `interlock dialect import`: a specification in the format of `iso8583_rs` becomes a dialect file.

mod import;
mod spec;

use std::{fs, io::Write, process::ExitCode};

use anyhow::{Context, bail};
use iso8583::Dialect;

use crate::{
    cli::DialectImport,
    config::{Fault, Faults},
    output::heard,
};

/// Reads the specification, checks what it makes of it, and writes that to standard output or a new file.
pub(crate) fn import(options: &DialectImport) -> anyhow::Result<ExitCode> {
    let file = &options.specification;
    let text =
        fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let specification = spec::read(&text).map_err(|faults| Faults::new(file, faults))?;
    let dialect = import::dialect(&specification, options.framing.name())
        .map_err(|faults| Faults::new(file, faults))?;
    // What was made is read as any dialect file is: a fault would be this command's own.
    Dialect::parse("imported", &dialect).context("the imported dialect")?;
    let Some(output) = &options.output else {
        heard(std::io::stdout().write_all(dialect.as_bytes()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let created = fs::OpenOptions::new().write(true).create_new(true).open(output);
    match created {
        Ok(mut created) => created.write_all(dialect.as_bytes())?,
        Err(error) => bail!("{}: cannot be made: {error}", output.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A fault of the specification.
fn fault(line: usize, key: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault {
        file: None,
        variable: None,
        line: (line > 0).then_some(line),
        key: key.into(),
        message: message.into(),
    }
}
