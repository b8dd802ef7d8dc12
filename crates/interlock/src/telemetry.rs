//! Log lines on standard error.

use std::{fs::OpenOptions, io::IsTerminal, path::Path, sync::Mutex};

use anyhow::Context;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Statements of the database are asked for by name. The pool's own lines say each time, without a reason, what the store
/// says once a minute with it.
const DATABASE: &str = "sqlx=warn,sqlx_core::pool=off";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Starts the log of this process. `INTERLOCK_LOG` overrides `filter`.
///
/// # Errors
/// The directives cannot be understood, or there is a log already.
pub(crate) fn start(format: Format, filter: &str) -> anyhow::Result<()> {
    let directives = std::env::var("INTERLOCK_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::builder().parse(format!("{DATABASE},{directives}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => {
            let colours = std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(colours).with_target(false)).try_init()?;
        }
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

/// Starts the log of this process in a file, to which it is added.
///
/// # Errors
/// The file cannot be written, or there is a log already.
pub(crate) fn start_in_file(file: &Path) -> anyhow::Result<()> {
    let log = OpenOptions::new().create(true).append(true).open(file);
    let log = log.with_context(|| format!("{}: cannot be written", file.display()))?;
    let directives = std::env::var("INTERLOCK_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::builder().parse(format!("{DATABASE},{directives}"))?;
    let lines = fmt::layer().with_writer(Mutex::new(log)).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(())
}
