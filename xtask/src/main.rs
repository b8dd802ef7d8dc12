//! Repository chores: test, simulate, chaos, tidy.

mod tidy;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Repository chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks what no compiler does: floors, file sizes, migrations, documents
    Tidy,
}

#[expect(clippy::print_stderr, reason = "a chore speaks on the terminal")]
fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::Tidy => run_tidy(),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is untidy.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
fn run_tidy() -> anyhow::Result<ExitCode> {
    let report = tidy::check(&top()?)?;
    for fault in &report.faults {
        println!("{fault}");
    }
    println!("tidy: {}, {} faults", report.summary, report.faults.len());
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The top of the repository.
fn top() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).context("xtask stands in the repository")
}
