//! How long it takes to find the issuer of a card.

use criterion::{Criterion, Throughput};
use interlock_benches::routing::{CARDS, route, table};

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let table = table();
    let mut group = criterion.benchmark_group("routing/5000 prefixes");
    group.throughput(Throughput::Elements(1));
    for (name, card) in CARDS {
        group.bench_with_input(name, card, |bencher, card| bencher.iter(|| route(&table, card)));
    }
    group.finish();
    criterion.final_summary();
}
