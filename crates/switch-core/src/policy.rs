//! What the engine must know of the configuration.

use std::time::Duration;

use iso8583::Code;

use crate::{Epoch, IssuerName, NodeNo};

/// The engine's settings. `Default` gives the documented values for one unnamed node without issuers.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// This node.
    pub node: NodeNo,
    /// This life of it.
    pub epoch: Epoch,
    /// Within it an equal copy gets the stored answer (M6).
    pub repeat_window: Duration,
    /// The issuers.
    pub issuers: Vec<IssuerPolicy>,
    /// Most records that may wait for the store before new work is shed (M16).
    pub max_store_lag: usize,
    /// Most refusals kept in memory for what was shed (M15, M16).
    pub max_shed: usize,
    /// Most finished transactions kept in memory to answer copies without reading the store.
    pub max_finished: usize,
    /// How often another node's transaction is read while a copy waits for it (M6).
    pub follow_every: Duration,
    /// Most reads a second by RRN for answers that match nothing open (M9).
    pub late_reads_per_second: u32,
    /// Seeds the hash of the tables, which are keyed by what terminals send: let nobody outside know it.
    pub hash_seed: u64,
    /// How it is broken on purpose.
    #[cfg(feature = "bugs")]
    pub bug: Option<crate::Bug>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            node: NodeNo(1),
            epoch: Epoch(1),
            repeat_window: Duration::from_secs(600),
            issuers: Vec::new(),
            max_store_lag: 20_000,
            max_shed: 100_000,
            max_finished: 20_000,
            follow_every: Duration::from_millis(250),
            late_reads_per_second: 200,
            hash_seed: 0,
            #[cfg(feature = "bugs")]
            bug: None,
        }
    }
}

/// What the engine must know of one issuer.
#[derive(Debug, Clone)]
pub struct IssuerPolicy {
    /// Its configured name.
    pub name: IssuerName,
    /// How long an answer may take, from the write (M3).
    pub timeout: Duration,
    /// Most requests in flight (M16).
    pub max_in_flight: usize,
    /// Codes that count as silence (M3), whatever their class is.
    pub unknown_codes: Vec<Code>,
    /// Codes, in the form of the 1987 version, that are surely refusals of this issuer (M8): a transaction that was declined
    /// with another one is reversed when its terminal asks for it.
    pub refusals: Vec<Code>,
    /// Its reversals (M4), and the advices that it is owed (M12).
    pub reversal: ReversalSchedule,
    /// Whether it takes a repeated advice for the same (M12): if not, it gets one copy, then a case is opened.
    pub repeats_advices: bool,
}

/// When reversals are repeated, and when they are done (M4).
#[derive(Debug, Clone)]
pub struct ReversalSchedule {
    /// The wait before the second attempt.
    pub first: Duration,
    /// Each further wait is so many times longer.
    pub factor: f64,
    /// No wait is longer.
    pub longest: Duration,
    /// After so many written attempts a case opens, and attempts go on at `longest`.
    pub attempts: u32,
    /// Most reversals in flight.
    pub max_in_flight: usize,
    /// Codes that end it.
    pub final_codes: Vec<Code>,
}
