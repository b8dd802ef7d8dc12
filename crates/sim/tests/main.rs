//! The simulators against each other, and ledgers with planted differences.

mod reconcile;
