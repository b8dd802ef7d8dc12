//! The one binary: command line, configuration, telemetry, start-up order.

mod cli;
mod commands;
mod config;
mod http;
mod node;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(cli::Cli::parse())
}
