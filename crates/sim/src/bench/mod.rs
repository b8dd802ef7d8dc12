//! Simulated terminals that put a load on a switch, check its answers and keep a ledger of what they believe.

mod alarm;
mod cards;
mod connection;
mod floor;
mod kinds;
mod messages;
mod mix;
mod options;
mod pacer;
mod patch;
mod plan;
mod rates;
mod requests;
mod run;
mod series;
mod slips;
mod stats;
mod summary;
mod terminal;
mod till;
mod watch;

pub use cards::{card_numbers, is_prefix};
pub use kinds::{Day, Kinds};
pub use mix::{Amounts, Entry, Faults, Keep, Mix, MixError};
pub use options::{BenchOptions, Pace, Progress};
pub use rates::{Arrivals, Rates, RatesError};
pub use run::{BenchError, run};
pub use series::{Point, Second};
pub use stats::Live;
pub use summary::{Cost, Percentiles, Summary};
pub use watch::{Sample, Samples, Watch, Watched, used};
