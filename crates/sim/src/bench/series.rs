//! A run second by second, and the whole distribution of its latencies: what a report plots.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::stats::Stats;
use super::summary::Percentiles;

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Its end, seconds since figures count.
    pub at: f64,
    /// Requests sent, without copies.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Of them approved.
    pub approved: u64,
    /// Of them declined.
    pub declined: u64,
    /// What went wrong.
    pub errors: u64,
    /// Answers by response code (39).
    pub codes: BTreeMap<String, u64>,
    /// Latency of what was answered in it, microseconds.
    pub latency: Percentiles,
}

/// One point of the distribution: so many per cent of the requests took at most so long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Per cent.
    pub percentile: f64,
    /// Microseconds.
    pub latency: u64,
}

/// Makes seconds of what has been counted since the one before.
#[derive(Debug)]
pub(super) struct Series {
    since: Instant,
    before: Counts,
    pub(super) seconds: Vec<Second>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    sent: u64,
    answered: u64,
    approved: u64,
    declined: u64,
    errors: u64,
    codes: BTreeMap<String, u64>,
}

impl Counts {
    fn of(stats: &Stats) -> Self {
        Self {
            sent: stats.sent,
            answered: stats.answered,
            approved: stats.approved,
            declined: stats.declined,
            errors: stats.errors.values().sum(),
            codes: stats.codes.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
        }
    }
}

impl Series {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, before: Counts::default(), seconds: Vec::new() }
    }

    /// Whether a second is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let last = self.seconds.last().map_or(0.0, |second| second.at);
        now.duration_since(self.since).as_secs_f64() >= last.floor() + 1.0
    }

    /// The load is over: the part of a second that is left, if it is long enough to say something.
    pub(super) fn end(&mut self, stats: &mut Stats, now: Instant) {
        let last = self.seconds.last().map_or(0.0, |second| second.at);
        if self.seconds.is_empty() || now.duration_since(self.since).as_secs_f64() - last >= 0.1 {
            self.tick(stats, now);
        }
    }

    /// A second is over.
    pub(super) fn tick(&mut self, stats: &mut Stats, now: Instant) {
        let (counts, before) = (Counts::of(stats), &self.before);
        let of_second = |code: &String, count: &u64| {
            let count = count - before.codes.get(code).copied().unwrap_or(0);
            (count > 0).then(|| (code.clone(), count))
        };
        self.seconds.push(Second {
            at: now.duration_since(self.since).as_secs_f64(),
            sent: counts.sent - before.sent,
            answered: counts.answered - before.answered,
            approved: counts.approved - before.approved,
            declined: counts.declined - before.declined,
            errors: counts.errors - before.errors,
            codes: counts.codes.iter().filter_map(|(code, n)| of_second(code, n)).collect(),
            latency: Percentiles::of(&stats.recent),
        });
        stats.recent.reset();
        self.before = counts;
    }
}

/// The distribution at percentiles that lie closer together towards the end: half, three quarters, and so on.
pub(super) fn points(histogram: &Histogram<u64>) -> Vec<Point> {
    const STEPS_A_HALVING: u32 = 4;
    if histogram.is_empty() {
        return Vec::new();
    }
    (0..=16 * STEPS_A_HALVING)
        .map(|step| 1.0 - 0.5_f64.powf(f64::from(step) / f64::from(STEPS_A_HALVING)))
        .map(|part| Point { percentile: part * 100.0, latency: histogram.value_at_quantile(part) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_hold_what_is_new_in_them() {
        let start = Instant::now();
        let mut stats = Stats::new(start);
        let mut series = Series::new(start);
        stats.answered(Duration::from_millis(5), Duration::from_millis(4), "00");
        series.tick(&mut stats, start + Duration::from_secs(1));
        stats.answered(Duration::from_millis(50), Duration::from_millis(4), "51");
        stats.answered(Duration::from_millis(50), Duration::from_millis(4), "51");
        series.tick(&mut stats, start + Duration::from_secs(2));
        let [first, second] = &series.seconds[..] else { panic!("two") };
        assert_eq!((first.answered, second.answered), (1, 2));
        assert_eq!(first.codes, BTreeMap::from([("00".to_owned(), 1)]));
        assert_eq!(second.codes, BTreeMap::from([("51".to_owned(), 2)]));
        assert!(first.latency.p50 < 6_000 && second.latency.p50 > 49_000);
        let points = points(&stats.latency);
        assert!(points.is_sorted_by_key(|point| point.latency));
        assert_eq!(points.first().map(|point| point.percentile), Some(0.0));
    }
}
