//! What the benchmarks do, once: the same operations are timed, counted in instructions and counted in allocations.

pub mod codec;
pub mod engine;
pub mod routing;
