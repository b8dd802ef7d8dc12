//! The simulated world in a small budget; `cargo xtask simulate` runs as many seeds as it is told.

use interlock_tests::world::{Simulation, regressions};

#[test]
fn two_hundred_seeds_break_no_invariant() {
    let report = Simulation::new(0, 200).run();
    assert!(report.failures.is_empty(), "{report}");
    assert!(report.transactions() > 200 * 50, "{report}");
    assert!(report.crashes() > 200, "{report}");
}

#[test]
fn seeds_that_once_failed_fail_no_more() {
    for seed in regressions(include_str!("../regressions.txt")) {
        let report = Simulation::new(seed, seed + 1).run();
        assert!(report.failures.is_empty(), "{report}");
    }
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let simulation = Simulation::new(7, 8);
    assert_eq!(simulation.trace(7).1, simulation.trace(7).1);
}
