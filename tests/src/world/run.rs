//! Runs one seed through its safety phase, its healing and its last recovery; and a range of seeds on all cores.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    event::Ev,
    options::{Options, SEC},
    report::{Failure, Report},
    state::World,
};

#[cfg(feature = "bugs")]
pub use switch_core::Bug;

/// A bug planted in the engine: there is none without the feature `bugs`.
#[cfg(not(feature = "bugs"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {}

/// The safety phase ends then at the latest.
const SAFETY: u64 = 1_500 * SEC;
/// All must be quiet so long after the faults end: some rounds of the longest wait.
const HEALING: u64 = 7_200 * SEC;
const MOST_EVENTS: u64 = 400_000;

/// The end of one seed.
#[derive(Debug)]
struct Outcome {
    report: Report,
    hash: u64,
    lines: Vec<String>,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// First seed.
    pub from: u64,
    /// The seed after the last.
    pub to: u64,
    /// Threads; each takes the next seed.
    pub threads: usize,
    /// Stop at the first failure.
    pub first_only: bool,
    /// A planted bug.
    pub bug: Option<Bug>,
}

impl Simulation {
    /// All seeds from `from` to before `to`, on two threads.
    #[must_use]
    pub const fn new(from: u64, to: u64) -> Self {
        Self { from, to, threads: 2, first_only: false, bug: None }
    }

    fn world(&self, seed: u64, tracing: bool) -> World {
        let mut world = World::new(Options::of(seed), tracing);
        world.bug = self.bug;
        world
    }

    fn one(&self, seed: u64, tracing: bool) -> Outcome {
        let mut world = self.world(seed, tracing);
        world.live();
        let failures = world
            .violation
            .iter()
            .map(|violation| Failure {
                seed,
                rule: violation.rule,
                what: violation.what.clone(),
                options: world.opts.to_string(),
            })
            .collect();
        let report = Report { seeds: 1, failures, totals: world.totals, cover: world.cover };
        Outcome { report, hash: world.hash, lines: world.trace.lines }
    }

    /// Runs one seed and gives its timeline too.
    #[must_use]
    pub fn trace(&self, seed: u64) -> (Report, Vec<String>) {
        let outcome = self.one(seed, true);
        let mut lines = vec![Options::of(seed).to_string()];
        lines.extend(outcome.lines);
        (outcome.report, lines)
    }

    /// Runs the range.
    #[must_use]
    pub fn run(&self) -> Report {
        let next = AtomicU64::new(self.from);
        let stop = AtomicU64::new(0);
        let work = || {
            let mut sum = Report::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.to || (self.first_only && stop.load(Ordering::Relaxed) > 0) {
                    return sum;
                }
                let outcome = self.one(seed, false);
                if !outcome.report.failures.is_empty() {
                    stop.fetch_add(1, Ordering::Relaxed);
                }
                sum.merge(outcome.report);
                // the determinism guard
                if seed.is_multiple_of(100) && self.one(seed, false).hash != outcome.hash {
                    sum.failures.push(Failure {
                        seed,
                        rule: "determinism",
                        what: "two runs of the seed differ".to_owned(),
                        options: Options::of(seed).to_string(),
                    });
                }
            }
        };
        let mut report = Report::default();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                match thread.join() {
                    Ok(part) => report.merge(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        report.failures.sort_by_key(|failure| failure.seed);
        report
    }
}

impl World {
    /// From the first event to the last check.
    fn live(&mut self) {
        let mut look = 0;
        while self.violation.is_none() && self.now < SAFETY && self.totals.events < MOST_EVENTS {
            if self.now >= look {
                look = self.now + SEC;
                if self.now > 20 * SEC && self.sold_out() {
                    break;
                }
            }
            if !self.step() {
                break;
            }
        }
        self.agenda.add(self.now, Ev::Heal);
        self.step();
        if self.settle() {
            self.check_quiet();
            if self.opts.seed.is_multiple_of(4) {
                self.recover_again();
            }
        }
    }

    /// Runs until all is quiet; false if an invariant broke on the way.
    fn settle(&mut self) -> bool {
        let (end, most) = (self.now + HEALING, self.totals.events + MOST_EVENTS);
        let mut look = 0;
        loop {
            if self.violation.is_some() {
                return false;
            }
            if self.now >= look && self.healing {
                look = self.now + SEC;
                if self.is_quiet() {
                    return true;
                }
            }
            if self.now > end || self.totals.events > most || !self.step() {
                let unrest = self.unrest();
                self.broken("I13", || format!("no quiet after healing: {unrest}"));
                return false;
            }
        }
    }

    /// I22: another crash and recovery changes nothing and sends nothing.
    fn recover_again(&mut self) {
        for terminal in &mut self.terminals {
            terminal.gone = true;
        }
        let (image, messages) = (self.image(), self.messages());
        for node in 0..self.nodes.len() {
            self.crash(node, "once more");
        }
        let until = self.now + 30 * SEC;
        while self.now < until && self.violation.is_none() && self.step() {}
        if self.settle() && (image != self.image() || messages != self.messages()) {
            self.broken("I22", || "recovery of a quiet world changed it".to_owned());
        }
    }

    fn messages(&self) -> u64 {
        self.ledgers.issuers.iter().map(|issuer| issuer.messages).sum()
    }
}
