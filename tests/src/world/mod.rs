//! The engine in a simulated world: terminals, a network, issuers, a store, crashes and clocks, all from one seed.
//!
//! The world plays everything around [`switch_core::Engine`] and keeps three ledgers that share no logic with it. Checks
//! that read only the ledgers hold them against the invariants I1 to I23 and C1 to C6 after each event, and compare all
//! three when the faults are over.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "simulated figures are small"
)]

mod acquirer;
mod check_claims;
mod check_store;
mod check_wire;
mod claims;
mod cli;
mod coverage;
mod edge;
mod effects;
mod event;
mod issuer;
mod issuer_claims;
mod lanes;
mod ledger;
mod link;
mod network;
mod node;
mod options;
mod oracle;
mod quiet;
mod report;
mod rng;
mod run;
mod sale;
mod show;
mod state;
mod store;
mod terminal;
mod trace;
mod trade;
mod trouble;

pub use cli::{Asked, cli, regressions, seeds};
pub use report::{Failure, Report};
pub use run::{Bug, Simulation};
