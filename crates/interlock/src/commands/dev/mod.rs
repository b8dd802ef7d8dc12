//! `interlock dev`: everything in one process, with nothing to install: SQLite, two issuers, terminals with faults.

mod place;
mod show;

use std::{process::ExitCode, sync::Arc, thread, time::Duration};

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use sim::{
    bench::{Arrivals, BenchOptions, Faults, Kinds, Live, Mix, Pace, Rates, run as run_bench},
    issuer::{Issuer, IssuerError, IssuerOptions, Script},
};
use tokio_util::sync::CancellationToken;

use self::place::Place;
use crate::{
    cli::Dev,
    commands::day,
    config::{Config, dialects},
    node::{Node, Signals},
    telemetry,
};

/// Sales a second.
const RATE: f64 = 5.0;
/// How long terminals clear up at the end.
const HEALING: Duration = Duration::from_secs(10);

/// How the simulated issuers behave: mostly well, and every kind of trouble within half a minute.
const SCRIPT: &str = r#"
[[rule]]
do = "silent"
every = 17
[[rule]]
do = "late"
for = "4s"
every = 29
[[rule]]
do = "twice"
every = 23
[[rule]]
do = "decline"
code = "51"
every = 7
[[rule]]
do = "delay"
for = "300ms"
every = 5
"#;

/// What terminals ask for, by weight: sales first of all, and now and then something about an earlier one.
const KINDS: [(&str, u32); 12] = [
    ("purchase", 80),
    ("balance-enquiry", 2),
    ("void", 4),
    ("refund", 4),
    ("pre-authorisation", 4),
    ("pre-authorisation-void", 1),
    ("completion", 2),
    ("completion-advice", 1),
    ("completion-void", 1),
    ("instalment", 2),
    ("offline-sale", 1),
    ("tip", 2),
];

/// The names of the issuers, and the port that each prefers.
const ISSUERS: [(&str, u16); 2] = [("unionpay", 9001), ("cards-intl", 9101)];

/// Starts everything, shows it, and ends it in order when told to.
pub(crate) async fn run(options: &Dev) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let place = Place::make(&options.dir)?;
    telemetry::start_in_file(&place.log())?;
    let metrics = admin::telemetry::install()?;
    let mut issuers = Vec::new();
    for (name, port) in ISSUERS {
        issuers.push((name, start_issuer(&place, name, port).await?));
    }
    let addresses: Vec<_> =
        issuers.iter().map(|(name, issuer)| (*name, issuer.local_addr())).collect();
    let text = place.configuration(&addresses)?;
    let config = Config::parse(&place.config(), &text, std::iter::empty())?;
    day::follow_clock(&config).await?;
    let node = Node::start(config, metrics.clone()).await?;
    let terminals = node.addresses().next().context("a listener")?.1;
    show::addresses(&node, terminals, &addresses, &options.dir)?;

    let stop = CancellationToken::new();
    let load = start_load(&place, &terminals.to_string(), stop.clone())?;
    let ended = watch(node, &metrics, &mut signals, &stop, load).await;
    for (_, issuer) in issuers {
        issuer.stop().await;
    }
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Shows figures until Ctrl-C, then ends the load and drains the node.
async fn watch(
    node: Node,
    metrics: &PrometheusHandle,
    signals: &mut Signals,
    stop: &CancellationToken,
    load: thread::JoinHandle<()>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = show::live(&node, metrics) => {}
        () = signals.stop() => {}
    }
    show::ending();
    stop.cancel();
    let end = async {
        // Terminals that do not know an outcome ask for its reversal first, as real ones do.
        tokio::task::spawn_blocking(move || load.join()).await?.ok();
        node.drain().await
    };
    tokio::select! {
        ended = end => ended,
        () = signals.stop() => anyhow::bail!("told to stop again: ended before the drain was over"),
    }
}

/// An issuer on its own port, or on a free one.
async fn start_issuer(place: &Place, name: &str, port: u16) -> anyhow::Result<Issuer> {
    let mut options = IssuerOptions::new(dialects::for_command("iso87-ascii")?);
    options.script = Script::from_toml(SCRIPT)?;
    options.ledger = Some(place.ledger(name));
    options.listen = format!("127.0.0.1:{port}");
    match Issuer::start(options.clone()).await {
        Err(IssuerError::Listen { .. }) => {
            "127.0.0.1:0".clone_into(&mut options.listen);
            Ok(Issuer::start(options).await?)
        }
        other => Ok(other?),
    }
}

/// Simulated terminals in a thread of their own, until `stop`.
fn start_load(
    place: &Place,
    target: &str,
    stop: CancellationToken,
) -> anyhow::Result<thread::JoinHandle<()>> {
    let mut options = BenchOptions::new(target.to_owned(), dialects::for_command("cup-pos")?);
    options.pace = Pace::Open(Rates::constant(RATE)?, Arrivals::Constant);
    options.connections = 16;
    options.duration = Duration::from_secs(365 * 24 * 60 * 60);
    options.healing = HEALING;
    options.ledger = Some(place.ledger("terminals"));
    options.stop = stop;
    options.mix = Mix {
        terminals: Some(64),
        timeout: Duration::from_secs(10),
        card_prefixes: ["62", "81", "4", "5"].map(str::to_owned).to_vec(),
        kinds: Kinds(KINDS.map(|(kind, weight)| (kind.to_owned(), weight)).into()),
        faults: Faults {
            repeat: 0.02,
            impatient: 0.02,
            give_up: 0.02,
            vanish: 0.01,
            vanish_repeat: 0.01,
            ..Faults::default()
        },
        ..Mix::default()
    };
    let load = thread::Builder::new().name("terminals".to_owned());
    Ok(load.spawn(move || {
        if let Err(error) = run_bench(&options, &Arc::new(Live::default()), |_| {}) {
            tracing::error!(%error, "the simulated terminals ended");
        }
    })?)
}
