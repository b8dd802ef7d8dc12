//! `interlock check`: validates a configuration without binding a port.

use std::process::ExitCode;

use crate::{cli::ConfigFile, config::Config};

/// Checks the file, and says what it holds.
#[expect(clippy::print_stdout, reason = "the result of the command goes to standard output")]
pub(crate) fn run(options: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = Config::load(&options.config)?;
    let settings = &config.settings;
    println!(
        "{}: good: {} listeners, {} issuers, {} routes, {} merchants",
        config.file.display(),
        settings.listener.0.len(),
        settings.issuer.0.len(),
        settings.route.0.len(),
        settings.merchant.0.len(),
    );
    Ok(ExitCode::SUCCESS)
}
