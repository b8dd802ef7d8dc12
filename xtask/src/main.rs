//! Repository chores: test, simulate, chaos, tidy.

mod proof;
mod test;
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
    /// Formats, lints, documents, tests and proves everything, on a Postgres of its own
    Test {
        /// Ends with the count of tests, good or bad
        #[arg(long)]
        ci: bool,
    },
    /// Runs the engine in a simulated world, a seed a world
    Simulate(proof::Simulate),
    Chaos(proof::Chaos),
    /// Checks what no compiler does: floors, file sizes, migrations, documents
    Tidy,
}

#[expect(clippy::print_stderr, reason = "a chore speaks on the terminal")]
fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::Test { ci } => top().and_then(|top| test::run(&top, ci)).map(status),
        Chore::Chaos(asked) => top().and_then(|top| asked.run(&top)).map(status),
        Chore::Simulate(asked) => top().and_then(|top| asked.run(&top)).map(status),
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

fn status(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what is untidy.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
fn run_tidy() -> anyhow::Result<ExitCode> {
    let report = tidy::check(&top()?)?;
    for fault in &report.faults {
        println!("{fault}");
    }
    println!("tidy: {}, {} faults", report.summary, report.faults.len());
    Ok(status(report.faults.is_empty()))
}

/// The top of the repository.
fn top() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).context("xtask stands in the repository")
}
