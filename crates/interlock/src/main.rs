//! The one binary: command line, configuration, telemetry, start-up order.

mod cli;
mod commands;
mod config;
mod http;
mod node;
mod output;
mod runtime;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

/// A transaction makes some twenty small pieces of memory on one thread and frees them there: a tenth less of the
/// processor's time than with the system's allocator (docs/decisions/0005).
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(cli::Cli::parse())
}
