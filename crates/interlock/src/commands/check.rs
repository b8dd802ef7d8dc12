//! `interlock check`: validates a configuration without binding a port.

use std::process::ExitCode;

use crate::{
    cli::Check,
    config::{Config, reference},
    output::say,
};

/// Checks the file, and says what it holds.
pub(crate) fn run(options: &Check) -> anyhow::Result<ExitCode> {
    if options.reference {
        say(reference::markdown().trim_end())?;
    }
    let Some(file) = &options.config else { return Ok(ExitCode::SUCCESS) };
    let config = Config::load(file)?;
    let settings = &config.settings;
    say(format_args!(
        "{}: good: {} listeners, {} issuers, {} routes, {} merchants",
        config.file.display(),
        settings.listener.0.len(),
        settings.issuer.0.len(),
        settings.route.0.len(),
        settings.merchant.0.len(),
    ))?;
    Ok(ExitCode::SUCCESS)
}
