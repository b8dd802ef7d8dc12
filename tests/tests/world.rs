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

/// The checks are checked: each broken engine is found within 2,000 seeds.
#[cfg(feature = "bugs")]
#[test]
fn planted_bugs_are_found() {
    use interlock_tests::world::Bug;

    let missed: Vec<Bug> = Bug::ALL
        .into_iter()
        .filter(|bug| {
            let hunt =
                Simulation { bug: Some(*bug), first_only: true, ..Simulation::new(0, 2_000) };
            let report = hunt.run();
            let found = report.failures.first().map(|failure| (failure.rule, failure.seed));
            println!("{bug:?}: {found:?} in {} seeds", report.seeds);
            found.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
