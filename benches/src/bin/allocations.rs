//! Allocations of one operation each: `cargo run --release -p interlock-benches --bin allocations`.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::{alloc::System, hint::black_box};

use anyhow::{Result, ensure};
use interlock_benches::{codec::Sample, engine::Load};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The engine's tables grow and shrink by nodes: only the mean over many says anything.
const ROUNDS: u32 = 10_000;
/// Purchases that the engine remembers, as configured by default.
const FINISHED: usize = 20_000;

fn main() -> Result<()> {
    println!("{:34} {:>12} {:>14} {:>10}", "operation", "allocations", "reallocations", "bytes");
    let (terminal, issuer) = (Sample::terminal()?, Sample::issuer()?);
    let decode = measure("decode 0200, cup-pos", || Ok(terminal.decode()?))?;
    let other = measure("decode 0200, iso87-ascii", || Ok(issuer.decode()?))?;
    measure("encode 0200, cup-pos", || Ok(terminal.encode()?))?;
    measure("decode, set 11, encode, cup-pos", || terminal.edit())?;
    let mut approving = Load::new(FINISHED, "00")?;
    measure("engine, purchase", || approving.purchase())?;
    measure("engine, repeat of an approval", || approving.repeat())?;
    let mut declining = Load::new(FINISHED, "51")?;
    measure("engine, repeat of a refusal", || declining.repeat())?;
    ensure!(decode + other == 0, "decoding a message of up to 32 fields must not allocate");
    Ok(())
}

/// Prints the mean; gives how many allocations there were in all.
fn measure<T>(name: &str, mut operation: impl FnMut() -> Result<T>) -> Result<usize> {
    let region = Region::new(MEMORY);
    for _ in 0..ROUNDS {
        black_box(operation()?);
    }
    let change = region.change();
    println!(
        "{name:34} {:>12} {:>14} {:>10}",
        mean(change.allocations),
        mean(change.reallocations),
        mean(change.bytes_allocated)
    );
    Ok(change.allocations + change.reallocations)
}

fn mean(sum: usize) -> String {
    let sum = u32::try_from(sum).unwrap_or(u32::MAX);
    format!("{:.2}", f64::from(sum) / f64::from(ROUNDS))
}
