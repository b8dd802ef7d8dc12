//! The command line: every command with its options and an example.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// An acquirer-side ISO 8583 transaction switch.
#[derive(Debug, Parser)]
#[command(name = "interlock", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks a configuration file, its dialects and routes, without binding a port
    #[command(after_help = "Example:\n  interlock check --config /etc/interlock/interlock.toml")]
    Check(Check),
}

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "reference")]
    pub(crate) config: Option<PathBuf>,
    /// Prints every key with its default and meaning, as a table
    #[arg(long)]
    pub(crate) reference: bool,
}

/// The configuration file of a command that needs one.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}
