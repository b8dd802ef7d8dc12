//! What an issuer simulator is told at its start.

use std::path::PathBuf;
use std::sync::Arc;

use iso8583::{Dialect, Framing};

use super::Script;

/// Where an issuer simulator listens, how it speaks, and how it behaves.
#[derive(Debug, Clone)]
pub struct IssuerOptions {
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// How it speaks.
    pub dialect: Arc<Dialect>,
    /// Another framing than the dialect's.
    pub framing: Option<Framing>,
    /// How it behaves.
    pub script: Script,
    /// Its ledger. An existing one is read first: what stands in it has happened.
    pub ledger: Option<PathBuf>,
    /// Whether it is the host to which terminals speak directly: their requests have no number of their own (37 names an
    /// original), and it signs terminals in and settles their batches.
    pub acquirer: bool,
    /// What foreign card numbers begin with, in the totals of a settlement.
    pub foreign_prefixes: Vec<String>,
}

impl IssuerOptions {
    /// An issuer on a free port of the loopback that behaves by amount and keeps no ledger.
    #[must_use]
    pub fn new(dialect: Arc<Dialect>) -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            dialect,
            framing: None,
            script: Script::by_amount(),
            ledger: None,
            acquirer: false,
            foreign_prefixes: Vec::new(),
        }
    }
}
