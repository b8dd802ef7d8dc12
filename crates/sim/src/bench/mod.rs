//! Simulated terminals that put a load on a switch, check its answers and keep a ledger of what they believe.

mod mix;
mod options;

pub use mix::{Amounts, Entry, Faults, Mix, MixError};
pub use options::{BenchOptions, Pace, Progress};
