//! `cargo xtask test`: everything that proves this repository, in one command.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use interlock_tests::postgres;

use crate::tidy;

/// What came of the tests.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    broken: Vec<&'static str>,
}

/// Runs every step, and goes on after one that fails; true if none did.
///
/// # Errors
/// Postgres is missing and cannot be installed.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
pub(crate) fn run(top: &Path, ci: bool) -> anyhow::Result<bool> {
    install_postgres()?;
    let mut tally = Tally::default();
    step(&mut tally, "format", || cargo(top, &["fmt", "--all", "--check"], &[]));
    step(&mut tally, "tidy", || {
        let report = tidy::check(top)?;
        for fault in &report.faults {
            println!("{fault}");
        }
        Ok(report.faults.is_empty())
    });
    step(&mut tally, "clippy", || {
        let arguments = ["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo(top, &arguments, &[])
    });
    step(&mut tally, "documentation", || {
        let arguments = ["doc", "-q", "--workspace", "--no-deps", "--document-private-items"];
        cargo(top, &arguments, &[("RUSTDOCFLAGS", "-D warnings")])
    });
    let mut counts = (0, 0);
    step(&mut tally, "tests", || {
        counts = cargo_test(top)?;
        Ok(counts.1 == 0)
    });
    tally.passed += counts.0;
    tally.failed += counts.1;
    crate::proof::steps(top, |name, run| step(&mut tally, name, run));
    let good = tally.broken.is_empty();
    if !good {
        println!("failed: {}", tally.broken.join(", "));
    }
    if ci || good {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    Ok(good)
}

/// Runs one step, says how long it took, and counts it.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
fn step(tally: &mut Tally, name: &'static str, run: impl FnOnce() -> anyhow::Result<bool>) {
    println!("── {name}");
    let start = Instant::now();
    let good = run().unwrap_or_else(|error| {
        println!("{error:#}");
        false
    });
    println!(
        "── {name}: {} in {:.0} s",
        if good { "good" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    );
    if good {
        tally.passed += 1;
    } else {
        tally.failed += 1;
        tally.broken.push(name);
    }
}

/// Runs cargo; true if it succeeded.
pub(crate) fn cargo(
    top: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> anyhow::Result<bool> {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(top)
        .status()
        .with_context(|| format!("cargo {}", arguments.join(" ")))?;
    Ok(status.success())
}

/// Runs all tests and passes their output on; gives how many passed and failed.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
fn cargo_test(top: &Path) -> anyhow::Result<(u64, u64)> {
    let mut child = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--no-fail-fast"])
        .current_dir(top)
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo test")?;
    let output = child.stdout.take().context("the output of cargo test")?;
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some((good, bad)) = result_of(&line) {
            passed += good;
            failed += bad;
        } else {
            println!("{line}");
        }
    }
    if !child.wait()?.success() && failed == 0 {
        failed = 1; // a test binary that did not build or that died
    }
    Ok((passed, failed))
}

/// The counts of a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
fn result_of(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?;
    let count = |what: &str| {
        let (before, _) = rest.split_once(what)?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    };
    Some((count(" passed")?, count(" failed")?))
}

/// Makes sure that Postgres is there; as root it is installed from the distribution.
#[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
fn install_postgres() -> anyhow::Result<()> {
    if postgres::binaries().is_some() {
        return Ok(());
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if !root {
        bail!("Postgres is needed by the tests: sudo apt-get install postgresql");
    }
    println!("── installing Postgres");
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .context("apt-get")
    };
    apt(&["update", "-qq"])?;
    apt(&["install", "-y", "-qq", "--no-install-recommends", "postgresql"])?;
    match postgres::binaries() {
        Some(_) => Ok(()),
        None => bail!("Postgres could not be installed: apt-get install postgresql"),
    }
}

#[cfg(test)]
mod tests {
    use super::result_of;

    #[test]
    fn the_counts_of_a_result_line_are_read() {
        let line = "test result: ok. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(result_of(line), Some((12, 3)));
        assert_eq!(result_of("test a ... ok"), None);
    }
}
