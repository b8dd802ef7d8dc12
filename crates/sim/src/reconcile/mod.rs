//! The comparison of ledgers: what terminals believe, what the switch has stored, and what issuers have posted.
//!
//! Each transaction is joined over the three by its RRN, else by merchant, terminal and STAN, and judged by the rules of
//! money alone. Everything that does not agree is named.

mod book;
mod issuers;
mod judge;
mod kinds;
mod report;
mod row;
mod taken;
mod terminals;

pub use book::{Ledgers, reconcile};
pub use report::{Difference, DifferenceKind, Net, Report};
pub use row::{ReversalState, SwitchRow, SwitchState};
