//! Simulated issuers and terminals, their ledgers, and the comparison of ledgers.
//!
//! This crate is the independent witness of what the switch does with money: it shares the wire format with the switch
//! and nothing else, and must never import `switch-core`, `store` or `switch`.

pub mod bench;
mod duration;
pub mod issuer;
pub mod ledger;
mod random;
pub mod reconcile;
mod text;
mod totals;
