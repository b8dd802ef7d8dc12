//! What the store costs: purchases a second with both commits, on both back ends, and the figures behind its schema.
//!
//! `cargo run --release -p interlock-benches --bin store_bench [SECONDS] [MILLIONS OF ROWS]`
//!
//! Each round has a fresh database on a server of its own with `fsync`, `synchronous_commit` and `full_page_writes` on.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

mod load;
mod schema;

use std::time::Duration;

use anyhow::{Context as _, Result};
use interlock_tests::postgres::Postgres;

/// Transactions under way at once.
const WIDTHS: [usize; 4] = [1, 64, 256, 1_024];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: u64| -> Result<u64> {
        arguments.next().map_or(Ok(default), |text| text.parse().context("a whole number"))
    };
    let (seconds, millions) = (Duration::from_secs(next(5)?), next(1)?);
    let server = Postgres::start()?;

    println!("purchases, two commits each, closed loop, {} s a line", seconds.as_secs());
    println!("store      under way   per second   p50 ms   p99 ms   a batch");
    for width in WIDTHS {
        let dir = tempfile::tempdir()?;
        let url = format!("sqlite://{}/interlock.db", dir.path().display());
        println!("sqlite     {}", load::run(&url, width, seconds).await?);
        println!("postgres   {}", load::run(&server.create_next()?, width, seconds).await?);
    }

    println!();
    println!(
        "heap-only updates after {} s at 256 under way, by fill factor of the leaf",
        seconds.as_secs()
    );
    for fill in [40, 50, 60, 100] {
        println!("{fill:>3}  {}", schema::heap_only(&server.create_next()?, fill, seconds).await?);
    }

    println!();
    println!("questions to a leaf of {millions} million rows, BRIN of 64 pages a range");
    for line in schema::questions(&server.create_next()?, millions * 1_000_000).await? {
        println!("{line}");
    }
    Ok(())
}
