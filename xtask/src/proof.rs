//! The proofs that run for as long as they are told: the simulated world, and real processes that are killed.

use std::path::Path;

use interlock_tests::world;

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
}
