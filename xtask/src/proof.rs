//! The proofs that run for as long as they are told: the simulated world, and real processes that are killed.

use std::{path::Path, process::Command};

use interlock_tests::world;

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

/// Runs the fixed budget of each proof as a step.
pub(crate) fn steps(
    top: &Path,
    mut step: impl FnMut(&'static str, &mut dyn FnMut() -> anyhow::Result<bool>),
) {
    let budget = world::Asked { seeds: Some((0, 3_000)), ..world::Asked::default() };
    step("simulated world, 3,000 seeds", &mut || Ok(world::cli(&budget)?));
    step("planted bugs are found", &mut || {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let hunt = ["test", "-q", "-p", "interlock-tests", "--features", "bugs", "--test", "main"];
        let mut command = Command::new(cargo);
        command.current_dir(top).args(hunt).args(["planted_bugs", "--", "--nocapture"]);
        Ok(command.status()?.success())
    });
}
