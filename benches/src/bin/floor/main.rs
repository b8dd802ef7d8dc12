//! The floor under every figure: a relay that does for a message only what cannot be left out, to compare the switch with.
//!
//! `cargo run --release -p interlock-benches --bin floor -- --listen ADDR --upstream ADDR [--store URL]`
//!
//! Terminals' frames go out over one connection to the issuer as they came, and its answers back. With `--store` each
//! message is committed twice in Postgres, as the switch does it: before it is forwarded and before it is answered.
//!
//! What it does not do: it decodes, checks, routes, converts and encodes nothing; it has no timeouts, reversals, copies,
//! late answers, limits, recovery, encryption, telemetry or second link. An answer finds its connection by the bytes of
//! fields 41 and 11, found by adding up widths. Whatever it cannot do ends the process or is passed over in silence.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

mod frames;
mod relay;
mod store;

use std::rc::Rc;

use anyhow::{Context as _, Result};
use clap::Parser;
use interlock_tests::postgres::Postgres;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::{LocalSet, spawn_local},
};

use crate::{relay::Relay, store::Lane};

/// Relays frames of `cup-pos` without looking into them.
#[derive(Debug, Parser)]
struct Options {
    /// Where terminals connect.
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// The issuer.
    #[arg(long, value_name = "ADDR")]
    upstream: String,
    /// A Postgres database for two commits a message, whose schema `floor` is made anew; `own` starts a server.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    LocalSet::new().run_until(run(Options::parse())).await
}

async fn run(options: Options) -> Result<()> {
    let own = options.store.as_deref().filter(|store| *store == "own");
    let own = own.map(|_| Postgres::start()).transpose()?;
    let url = match &own {
        Some(server) => Some(server.create("floor")?),
        None => options.store,
    };
    let upstream = TcpStream::connect(&options.upstream).await.context("connecting upstream")?;
    upstream.set_nodelay(true)?;
    let listener = TcpListener::bind(&options.listen).await.context("listening")?;
    let relay = Rc::new(Relay::new(url.is_some()));
    let mut tasks = Vec::new();
    if let Some(url) = &url {
        println!("{}", store::make(url).await?);
        for lane in [Lane::Intents, Lane::Outcomes] {
            let connection = store::connect(url).await?;
            tasks.push(spawn_local(store::write(Rc::clone(&relay), lane, connection)));
        }
    }
    let (from, to) = upstream.into_split();
    tasks.push(spawn_local(relay::forward(Rc::clone(&relay), to)));
    tasks.push(spawn_local(relay::answer(Rc::clone(&relay), from)));
    tasks.push(spawn_local(relay::accept(Rc::clone(&relay), listener)));
    println!("listening on {}", options.listen);
    let result = until_one_ends(tasks).await;
    println!("{}", relay.counts());
    result
}

/// Ends with the first task that ends, or when it is told to.
async fn until_one_ends(tasks: Vec<tokio::task::JoinHandle<Result<()>>>) -> Result<()> {
    let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
    for task in tasks {
        let sender = sender.clone();
        spawn_local(async move { sender.send(task.await) });
    }
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        result = ended.recv() => result.context("no task")??,
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    }
}
