//! `interlock serve`: the daemon.

use std::process::ExitCode;

use crate::{
    cli::ConfigFile,
    config::{Config, LogFormat},
    node::Node,
    telemetry,
};

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn run(options: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = Config::load(&options.config)?;
    let log = &config.settings.log.0;
    let format = match log.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::start(format, &log.filter.0)?;
    let metrics = admin::telemetry::install()?;
    let node = Node::start(config, metrics).await?;
    node.run().await?;
    Ok(ExitCode::SUCCESS)
}
