//! What is counted and measured while a bench runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::text::Text;

/// Latencies are kept from a microsecond to ten minutes, to a thousandth.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds and digits are fixed here")
}

/// Counters that others may read while a load runs.
#[derive(Debug, Default)]
pub struct Live {
    /// Connections that are up.
    pub connected: AtomicU64,
    /// Requests sent, without copies.
    pub sent: AtomicU64,
    /// Requests approved.
    pub approved: AtomicU64,
    /// Requests declined.
    pub declined: AtomicU64,
    /// Requests of which a terminal gave up waiting for the answer.
    pub unanswered: AtomicU64,
    /// Copies of requests.
    pub repeated: AtomicU64,
    /// Reversals asked for.
    pub reversals: AtomicU64,
    /// Reversals confirmed.
    pub reversed: AtomicU64,
    /// Wrong answers.
    pub wrong: AtomicU64,
}

impl Live {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Figures of one run; one thread owns them.
#[derive(Debug)]
pub(super) struct Stats {
    /// Since when figures count: the end of the warm-up.
    pub(super) since: Instant,
    pub(super) latency: Histogram<u64>,
    /// From when a request was sent, whenever it was due.
    pub(super) service: Histogram<u64>,
    /// Latency since the last second began.
    pub(super) recent: Histogram<u64>,
    pub(super) lateness: Histogram<u64>,
    /// Of it, that of requests for which a terminal was free: the load's own.
    pub(super) own: Histogram<u64>,
    pub(super) codes: BTreeMap<Text<4>, u64>,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// What happened in terminals' days.
    pub(super) events: BTreeMap<&'static str, u64>,
    /// Approved, by kind, where a mix has several.
    pub(super) kinds: BTreeMap<&'static str, u64>,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) approved: u64,
    pub(super) declined: u64,
}

impl Stats {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            latency: histogram(),
            service: histogram(),
            recent: histogram(),
            lateness: histogram(),
            own: histogram(),
            codes: BTreeMap::new(),
            errors: BTreeMap::new(),
            faults: BTreeMap::new(),
            events: BTreeMap::new(),
            kinds: BTreeMap::new(),
            sent: 0,
            answered: 0,
            approved: 0,
            declined: 0,
        }
    }

    /// An answer came so long after its request was due, and so long after it was sent.
    pub(super) fn answered(&mut self, latency: Duration, service: Duration, code: &str) {
        self.answered += 1;
        let latency = microseconds(latency);
        self.latency.saturating_record(latency);
        self.recent.saturating_record(latency);
        self.service.saturating_record(microseconds(service));
        *self.codes.entry(Text::new(code)).or_default() += 1;
    }

    pub(super) fn late(&mut self, lateness: Duration) {
        self.lateness.saturating_record(microseconds(lateness));
    }

    /// A request for which a terminal was free is sent so much later than it was due.
    pub(super) fn own_late(&mut self, lateness: Duration) {
        self.late(lateness);
        self.own.saturating_record(microseconds(lateness));
    }

    pub(super) fn error(&mut self, what: &'static str) {
        *self.errors.entry(what).or_default() += 1;
    }

    pub(super) fn event(&mut self, what: &'static str) {
        *self.events.entry(what).or_default() += 1;
    }

    /// Approved; the kind is counted if there are several.
    pub(super) fn approved(&mut self, kind: &'static str, several: bool) {
        self.approved += 1;
        if several {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    pub(super) fn fault(&mut self, what: &'static str) {
        *self.faults.entry(what).or_default() += 1;
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut stats = Stats::new(Instant::now());
        for millisecond in 1..=1000 {
            stats.answered(Duration::from_millis(millisecond), Duration::ZERO, "00");
        }
        stats.answered(Duration::from_secs(100_000), Duration::ZERO, "98");
        let at = |part| stats.latency.value_at_quantile(part);
        assert!((495_000..505_000).contains(&at(0.5)), "{}", at(0.5));
        assert!((985_000..1_000_500).contains(&at(0.99)), "{}", at(0.99));
        assert!(stats.latency.max() >= 600_000_000);
        assert_eq!(stats.codes.values().sum::<u64>(), 1001);
    }
}
