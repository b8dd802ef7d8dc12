//! The proofs that run for as long as they are told: the simulated world, and real processes that are killed.

use std::path::Path;

/// Runs the fixed budget of each proof as a step.
pub(crate) fn steps(
    _top: &Path,
    _step: impl FnMut(&'static str, &mut dyn FnMut() -> anyhow::Result<bool>),
) {
}
