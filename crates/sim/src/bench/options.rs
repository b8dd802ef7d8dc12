//! What a bench is told at its start, and what it tells while it runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iso8583::{Dialect, Framing};
use tokio_util::sync::CancellationToken;

use super::{Arrivals, Mix, Rates, Watched};

/// How requests follow each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// Open loop: so many requests a second, whatever the answers do. Latency counts from when a request was due.
    Open(Rates, Arrivals),
    /// Closed loop: each terminal's next request follows its last answer.
    Closed,
}

/// Where the load goes and what it is made of.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// `host:port` of the switch's listener.
    pub target: String,
    /// How the terminals speak.
    pub dialect: Arc<Dialect>,
    /// Another framing than the dialect's.
    pub framing: Option<Framing>,
    /// How requests follow each other.
    pub pace: Pace,
    /// Connections; terminals are spread over them.
    pub connections: usize,
    /// How long new requests are made.
    pub duration: Duration,
    /// Left out of the figures at the start of `duration`.
    pub warm_up: Duration,
    /// At most so many sales.
    pub sales: Option<u64>,
    /// What the load is made of.
    pub mix: Mix,
    /// The same seed makes the same requests, terminal by terminal.
    pub seed: u64,
    /// Keeps the identities of this run apart from those of others; by default it is made from the clock.
    pub run: Option<u32>,
    /// The terminals' ledger; lines are added to an existing one.
    pub ledger: Option<PathBuf>,
    /// After `duration`, terminals that do not know an outcome reverse for at most so long, until they do.
    pub healing: Duration,
    /// Processes whose cost is measured beside the load.
    pub watched: Vec<Watched>,
    /// Ends the load early, and goes on to healing.
    pub stop: CancellationToken,
}

impl BenchOptions {
    /// A closed loop of 64 connections for 30 seconds.
    #[must_use]
    pub fn new(target: String, dialect: Arc<Dialect>) -> Self {
        Self {
            target,
            dialect,
            framing: None,
            pace: Pace::Closed,
            connections: 64,
            duration: Duration::from_secs(30),
            warm_up: Duration::ZERO,
            sales: None,
            mix: Mix::default(),
            seed: 1,
            run: None,
            ledger: None,
            healing: Duration::from_secs(90),
            watched: Vec::new(),
            stop: CancellationToken::new(),
        }
    }
}

/// How far a bench has come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Whether new requests are over, and terminals only clear up.
    pub healing: bool,
    /// Connections that are up.
    pub connected: usize,
    /// Requests answered.
    pub answered: u64,
    /// Of them approved.
    pub approved: u64,
    /// Answers a second, of late.
    pub rate: f64,
    /// Median latency of the present second.
    pub p50: Duration,
    /// 99th percentile of the latency of the present second.
    pub p99: Duration,
    /// Answers that refuse, by response code (39).
    pub refusals: BTreeMap<String, u64>,
    /// Requests without an answer, wrong answers, lost connections.
    pub errors: u64,
    /// Terminals that do not know an outcome.
    pub unknown: usize,
}
