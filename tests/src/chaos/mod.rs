//! Chaos: real processes, real stores, SIGKILL, and faults on every connection; then the three ledgers are compared.

mod canary;
mod dice;
mod files;
mod process;
mod proxy;
mod run;

pub use process::Process;
pub use run::{Backend, ChaosOptions, ChaosReport, run, run_dir};
