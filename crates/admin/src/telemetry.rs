//! The recorder of metrics, with buckets around our time-outs.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, dense where answers should be and where time-outs are.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0,
    40.0, 50.0, 60.0,
];

/// Seconds of a commit.
const COMMIT: &[f64] =
    &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Records in a batch.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Installs the recorder of this process. Call once, before anything counts.
///
/// # Errors
/// There is one already.
pub fn install() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("commit_seconds".to_owned()), COMMIT)?
        .set_buckets_for_metric(Matcher::Suffix("batch_size".to_owned()), BATCH)?
        .install_recorder()?;
    metrics::describe_gauge!(
        "interlock_cases_open",
        "Cases that nobody has resolved, of all nodes"
    );
    metrics::gauge!("interlock_cases_open").set(0.0);
    Ok(handle)
}
