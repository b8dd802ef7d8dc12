//! A few figures of this process, for a line that is looked at while it changes.

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{api::whole, figures::Figures};

/// What this process did so far. Its text form is one line.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Glance {
    /// Transactions approved.
    pub approved: u64,
    /// Refused by their issuer.
    pub declined: u64,
    /// Not answered in time.
    pub timed_out: u64,
    /// Given to no issuer.
    pub never_sent: u64,
    /// Answers given again to repeats.
    pub replayed: u64,
    /// Reversals that are owed.
    pub owed: u64,
    /// Reversals that were confirmed.
    pub reversed: u64,
    /// Half of the answers were given within so many seconds.
    pub median: Option<f64>,
}

impl Glance {
    /// The figures as they stand.
    #[must_use]
    pub fn of(metrics: &PrometheusHandle) -> Self {
        let figures = Figures::read(&metrics.render());
        let ended =
            |outcome| whole(figures.sum_where("interlock_transactions_total", "outcome", outcome));
        Self {
            approved: ended("approved"),
            declined: ended("declined"),
            timed_out: ended("timed_out"),
            never_sent: ended("never_sent"),
            replayed: whole(figures.sum_where("interlock_duplicates_total", "result", "replayed")),
            owed: whole(figures.sum("interlock_reversals_owed")),
            reversed: whole(figures.sum_where("interlock_reversals_total", "result", "confirmed")),
            median: figures.quantile("interlock_transaction_seconds", 0.5),
        }
    }
}

impl std::fmt::Display for Glance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { approved, declined, timed_out, replayed, owed, reversed, .. } = self;
        write!(
            f,
            "{approved} approved, {declined} declined, {timed_out} timed out, {replayed} given again; \
             reversals: {owed} owed, {reversed} confirmed"
        )?;
        match self.median {
            Some(seconds) => write!(f, "; median answer within {:.0} ms", seconds * 1000.0),
            None => Ok(()),
        }
    }
}
