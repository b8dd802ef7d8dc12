//! How long the engine alone takes, under a steady load and with its memory of finished purchases full.

use anyhow::Result;
use criterion::{Criterion, Throughput};
use interlock_benches::engine::Load;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As configured by default.
const FINISHED: usize = 20_000;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let (mut approving, mut declining) = (Load::new(FINISHED, "00")?, Load::new(FINISHED, "51")?);
    let mut failed = Ok(0);
    let mut keep = |result: Result<u64>| {
        if result.is_err() {
            failed = result;
        }
    };
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(1));
    group.bench_function("purchase", |bencher| bencher.iter(|| keep(approving.purchase())));
    group.bench_function("repeat of an approval", |bencher| {
        bencher.iter(|| keep(approving.repeat()));
    });
    group.bench_function("repeat of a refusal", |bencher| {
        bencher.iter(|| keep(declining.repeat()));
    });
    group.finish();
    criterion.final_summary();
    failed.map(drop)
}
