//! The simulators against each other, and ledgers with planted differences.

mod behaviours;
mod figures;
mod floor;
mod reconcile;
mod restart;
