//! Simulated terminals that put a load on a switch, check its answers and keep a ledger of what they believe.

mod cards;
mod connection;
mod floor;
mod mix;
mod options;
mod pacer;
mod patch;
mod plan;
mod requests;
mod run;
mod stats;
mod summary;
mod terminal;

pub use cards::card_numbers;
pub use mix::{Amounts, Entry, Faults, Mix, MixError};
pub use options::{BenchOptions, Pace, Progress};
pub use run::{BenchError, run};
pub use stats::Live;
pub use summary::{Percentiles, Summary};
