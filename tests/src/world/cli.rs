//! `cargo xtask simulate`: arguments in, report out.

use std::{
    io::{self, Write},
    path::Path,
    time::Instant,
};

use super::run::Simulation;

/// What `cargo xtask simulate` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `--seeds A..B`.
    pub seeds: Option<(u64, u64)>,
    /// `--seed N`.
    pub seed: Option<u64>,
    /// `--trace`: the timeline of `seed`.
    pub trace: bool,
    /// `--coverage`: how often each situation was reached.
    pub coverage: bool,
    /// Where failing seeds are noted; nothing is noted without it.
    pub regressions: Option<std::path::PathBuf>,
    /// `--threads N`; 2 without it.
    pub threads: Option<usize>,
}

/// The seeds of `A..B`.
///
/// # Errors
/// `text` is not of that form, or holds no seed.
pub fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text}: seeds are written A..B, with A below B");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let from = from.parse().map_err(|_| wrong())?;
    let to = to.parse().map_err(|_| wrong())?;
    if from < to { Ok((from, to)) } else { Err(wrong()) }
}

/// Runs what was asked for and prints to standard output; true if no invariant broke.
///
/// # Errors
/// Output or the file of regressions cannot be written.
pub fn cli(asked: &Asked) -> io::Result<bool> {
    let out = &mut io::stdout().lock();
    if let Some(seed) = asked.seed {
        return one(out, seed, asked.trace);
    }
    let (from, to) = asked.seeds.unwrap_or((0, 3_000));
    let began = Instant::now();
    let mut simulation = Simulation::new(from, to);
    simulation.threads = asked.threads.unwrap_or(2).max(1);
    let report = simulation.run();
    writeln!(out, "{report}")?;
    if asked.coverage {
        write!(out, "{}", report.coverage())?;
    }
    writeln!(out, "{:.1} s", began.elapsed().as_secs_f64())?;
    if let Some(path) = &asked.regressions {
        note(path, &report.failures)?;
    }
    let judged = report.seeds >= 20_000;
    Ok(report.failures.is_empty() && (!judged || report.never_reached().is_empty()))
}

fn one(out: &mut impl Write, seed: u64, trace: bool) -> io::Result<bool> {
    let simulation = Simulation::new(seed, seed + 1);
    let (report, lines) = simulation.trace(seed);
    if trace {
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
    for failure in &report.failures {
        writeln!(out, "{failure}")?;
    }
    Ok(report.failures.is_empty())
}

/// Adds failing seeds that are not noted yet, with their options.
fn note(path: &Path, failures: &[super::report::Failure]) -> io::Result<()> {
    let known = std::fs::read_to_string(path).unwrap_or_default();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    for failure in failures {
        if !known.lines().any(|line| first_word(line) == Some(failure.seed)) {
            writeln!(file, "{} {} {}", failure.seed, failure.rule, failure.options)?;
        }
    }
    Ok(())
}

fn first_word(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

/// The seeds of a file of regressions: the first word of each line that is no comment.
#[must_use]
pub fn regressions(text: &str) -> Vec<u64> {
    text.lines().filter_map(first_word).collect()
}
