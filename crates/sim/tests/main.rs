//! The simulators against each other, and ledgers with planted differences.

mod behaviours;
mod days;
mod figures;
mod floor;
mod kinds;
mod reconcile;
mod reconcile_kinds;
mod restart;
mod rows;
