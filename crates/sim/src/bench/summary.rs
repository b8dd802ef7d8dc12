//! What a bench found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::series::{Point, Second};
use super::watch::Sample;

/// Percentiles of a time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Least.
    pub min: u64,
    /// Half are below.
    pub p50: u64,
    /// Nine in ten are below.
    pub p90: u64,
    /// 99 in a hundred are below.
    pub p99: u64,
    /// 999 in a thousand are below.
    pub p999: u64,
    /// Greatest.
    pub max: u64,
}

impl Percentiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |part| histogram.value_at_quantile(part);
        Self {
            min: histogram.min(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }
}

/// What a bench found. Its text form is for people.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Where the load went.
    pub target: String,
    /// How the terminals spoke.
    pub dialect: String,
    /// `closed`, or the rate that was asked for.
    pub pace: String,
    /// Connections.
    pub connections: usize,
    /// Terminals.
    pub terminals: usize,
    /// The seed that repeats the run.
    pub seed: u64,
    /// What keeps the run's identities apart from others'.
    pub run: u32,
    /// How long was measured, seconds.
    pub seconds: f64,
    /// Requests sent, without copies.
    pub sent: u64,
    /// Requests answered, while it was measured.
    pub answered: u64,
    /// Of them approved.
    pub approved: u64,
    /// Of them declined.
    pub declined: u64,
    /// Answers a second.
    pub rate: f64,
    /// From when a request was due to its answer, microseconds.
    pub latency: Percentiles,
    /// From when a request was sent to its answer, microseconds: what a terminal sees.
    pub service: Percentiles,
    /// From when a request was due to its sending, microseconds.
    pub lateness: Percentiles,
    /// Answers by response code (39).
    pub codes: BTreeMap<String, u64>,
    /// What went wrong, and how often.
    pub errors: BTreeMap<&'static str, u64>,
    /// Misbehaviour of terminals, and how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// What happened in terminals' days, and how often.
    pub events: BTreeMap<&'static str, u64>,
    /// Approved transactions by kind, where the mix has several.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Requests that were due and never begun: no terminal was free.
    pub never_begun: u64,
    /// Terminals that did not learn an outcome in the end.
    pub unknown: u64,
    /// Processor time of the load itself, microseconds a request.
    pub own_cpu: f64,
    /// How much of its thread the load used, 0 to 1.
    pub own_busy: f64,
    /// As `lateness`, of the requests for which a terminal was free: the load's own.
    pub own_lateness: Percentiles,
    /// Whether the figures are the target's, and not the load's own.
    pub valid: bool,
    /// Why not.
    pub invalid_reasons: Vec<String>,
    /// Second by second.
    pub series: Vec<Second>,
    /// The distribution of the latency.
    pub points: Vec<Point>,
    /// What other processes used, by name.
    pub watched: BTreeMap<String, Cost>,
}

/// What a watched process used while it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Processor time, microseconds a request.
    pub cpu_per_request: f64,
    /// Memory at the end, bytes.
    pub memory: u64,
    /// The most at any time, bytes.
    pub memory_most: u64,
    /// Once a second.
    pub samples: Vec<Sample>,
}

impl Summary {
    /// Whether no answer was wrong, and every terminal knows what became of its sales.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        const WRONG: [&str; 12] = [
            "answer to another terminal",
            "answer to nothing",
            "answers differ",
            "no RRN",
            "no response code",
            "not encoded",
            "partial approval not asked for",
            "unreadable answer",
            "wrong amount",
            "wrong currency",
            "wrong merchant",
            "wrong message type",
        ];
        self.unknown == 0 && WRONG.iter().all(|wrong| !self.errors.contains_key(wrong))
    }
}

/// A time of so many microseconds, for people.
fn people(microseconds: u64) -> String {
    let time = Duration::from_micros(microseconds).as_secs_f64();
    if time < 0.001 {
        format!("{microseconds} us")
    } else if time < 1.0 {
        format!("{:.2} ms", time * 1000.0)
    } else {
        format!("{time:.2} s")
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, p999, max] =
            [self.p50, self.p90, self.p99, self.p999, self.max].map(people);
        write!(f, "p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, dialect, pace, connections, terminals, seed, run, .. } = self;
        writeln!(
            f,
            "{dialect} to {target}, {pace}, {connections} connections, {terminals} terminals, seed {seed}, run {run}"
        )?;
        writeln!(f, "rate      {:.0} a second over {:.1} s", self.rate, self.seconds)?;
        let Self { answered, approved, declined, sent, .. } = self;
        writeln!(f, "answered  {answered} of {sent}: {approved} approved, {declined} declined")?;
        writeln!(f, "latency   {}", self.latency)?;
        writeln!(f, "service   {}", self.service)?;
        writeln!(f, "lateness  {}", self.lateness)?;
        let counted = |counts: &mut dyn Iterator<Item = (String, u64)>| {
            counts.map(|(name, count)| format!("{name}: {count}")).collect::<Vec<_>>().join(", ")
        };
        let codes = counted(&mut self.codes.iter().map(|(code, count)| (code.clone(), *count)));
        writeln!(f, "codes     {codes}")?;
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counted(&mut counts.iter().map(|(name, count)| ((*name).to_owned(), *count)))
        };
        if !self.faults.is_empty() {
            writeln!(f, "faults    {}", named(&self.faults))?;
        }
        if !self.kinds.is_empty() {
            writeln!(f, "approved  {}", named(&self.kinds))?;
        }
        if !self.events.is_empty() {
            writeln!(f, "days      {}", named(&self.events))?;
        }
        if !self.errors.is_empty() {
            writeln!(f, "errors    {}", named(&self.errors))?;
        }
        if self.never_begun > 0 {
            writeln!(f, "never begun, for want of a free terminal: {}", self.never_begun)?;
        }
        if self.unknown > 0 {
            writeln!(f, "terminals that never learned an outcome: {}", self.unknown)?;
        }
        write!(
            f,
            "own cost  {:.1} us of processor a request, {:.0} % of its thread",
            self.own_cpu,
            self.own_busy * 100.0
        )?;
        for (name, cost) in &self.watched {
            let megabytes = cost.memory / 1_000_000;
            write!(
                f,
                "\n{name:<9} {:.1} us of processor a request, {megabytes} MB",
                cost.cpu_per_request
            )?;
        }
        for reason in &self.invalid_reasons {
            write!(f, "\nINVALID   {reason}")?;
        }
        Ok(())
    }
}
