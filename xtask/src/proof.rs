//! The proofs that run for as long as they are told: the simulated world, and real processes that are killed.

use std::path::{Path, PathBuf};

use interlock_tests::{
    chaos::{self, Backend, ChaosOptions},
    world,
};

use crate::test::cargo;

/// Runs the engine in a simulated world, a seed a world
///
/// Example: `cargo xtask simulate --seeds 0..3000`; `cargo xtask simulate --seed 17 --trace`
#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Seeds from A to before B
    #[arg(long, value_name = "A..B", value_parser = world::seeds, conflicts_with = "seed")]
    seeds: Option<(u64, u64)>,
    /// One seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Prints the timeline of that seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Prints how often each rare situation was reached
    #[arg(long)]
    coverage: bool,
    /// How many worlds run at a time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Simulate {
    /// Runs it; true if no invariant broke. Seeds that failed are noted in `tests/regressions.txt`.
    pub(crate) fn run(self, top: &Path) -> anyhow::Result<bool> {
        let asked = world::Asked {
            seeds: self.seeds,
            seed: self.seed,
            trace: self.trace,
            coverage: self.coverage,
            regressions: Some(top.join("tests/regressions.txt")),
            threads: self.threads,
        };
        Ok(world::cli(&asked)?)
    }
}

/// Seeds of `cargo xtask test`: enough for the judgement that every rare situation was reached.
const BUDGET: (u64, u64) = (0, 20_000);

/// Kills real processes under load, with faults on every connection, and compares the three ledgers
///
/// Example: `cargo xtask chaos --store sqlite --sales 2000 --kills 30`
#[derive(Debug, clap::Args)]
pub(crate) struct Chaos {
    /// Only this store; both by default
    #[arg(long, value_name = "sqlite|postgres", value_parser = backend)]
    store: Option<Backend>,
    /// Sales at least
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    sales: u64,
    /// SIGKILLs of the daemon
    #[arg(long, value_name = "N", default_value_t = 30)]
    kills: u32,
    /// Repeats the choices of a run, not its timing
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often each kind of fault must have happened
    #[arg(long, value_name = "N", default_value_t = 20)]
    least: u64,
    /// The program to test; without it one is built
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

fn backend(text: &str) -> Result<Backend, String> {
    match text {
        "sqlite" => Ok(Backend::Sqlite),
        "postgres" => Ok(Backend::Postgres),
        _ => Err("sqlite or postgres".to_owned()),
    }
}

impl Chaos {
    /// Runs it; true if nothing was found.
    pub(crate) fn run(&self, top: &Path) -> anyhow::Result<bool> {
        if self.program.is_none()
            && !cargo(top, &["build", "-q", "--release", "-p", "interlock"], &[])?
        {
            return Ok(false);
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top.join("target"), PathBuf::from);
        let backends = match self.store {
            Some(one) => vec![one],
            None => vec![Backend::Sqlite, Backend::Postgres],
        };
        for backend in backends {
            let program = self.program.clone();
            let interlock = program.unwrap_or_else(|| target.join("release/interlock"));
            if !self.prove(&target, interlock, backend)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs it on one store, again with twice the sales where a kind of fault happened too seldom; true if that was enough.
    #[expect(clippy::print_stdout, reason = "a chore speaks on the terminal")]
    fn prove(&self, target: &Path, interlock: PathBuf, backend: Backend) -> anyhow::Result<bool> {
        let mut options = ChaosOptions {
            interlock,
            backend,
            sales: self.sales,
            kills: self.kills,
            seed: self.seed,
            dir: PathBuf::new(),
        };
        for _ in 0..3 {
            options.dir = chaos::run_dir(target, backend, options.seed);
            let ChaosOptions { sales, kills, seed, .. } = options;
            println!("chaos: {backend:?}, {sales} sales, {kills} kills, seed {seed}");
            let report = chaos::run(&options)?;
            println!("{}", report.text());
            std::fs::remove_dir_all(&options.dir)?;
            let Some((kind, count)) = report.scarce(self.least) else { return Ok(true) };
            println!("{kind} happened only {count} times: again, with more sales");
            options.sales *= 2;
            options.seed += 1;
        }
        Ok(false)
    }
}

/// Runs the fixed budget of each proof as a step.
pub(crate) fn steps(
    top: &Path,
    mut step: impl FnMut(&'static str, &mut dyn FnMut() -> anyhow::Result<bool>),
) {
    step("simulated world", &mut || {
        let asked = world::Asked { seeds: Some(BUDGET), coverage: true, ..world::Asked::default() };
        Ok(world::cli(&asked)?)
    });
    step("planted bugs are found", &mut || {
        let test = ["test", "-q", "-p", "interlock-tests", "--features", "bugs", "--test", "main"];
        cargo(top, &[&test[..], &["planted_bugs", "--", "--nocapture"]].concat(), &[])
    });
    step("chaos", &mut || {
        let chaos =
            Chaos { store: None, sales: 2_000, kills: 30, seed: 1, least: 20, program: None };
        chaos.run(top)
    });
}
