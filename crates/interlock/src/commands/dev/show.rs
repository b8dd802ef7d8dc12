//! What `interlock dev` prints: addresses first, then the first approved purchase, then a line that lives.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use admin::Glance;
use metrics_exporter_prometheus::PrometheusHandle;
use store::{Filter, Store};
use switch_core::{Found, RowState};

use crate::{node::Node, output::say};

/// How often the line is written anew on a terminal, and into a file.
const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_FILE: Duration = Duration::from_secs(5);
/// How often the first approval is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Prints the addresses, that of the console first.
pub(super) fn addresses(
    node: &Node,
    terminals: SocketAddr,
    issuers: &[(&str, SocketAddr)],
    directory: &Path,
) -> std::io::Result<()> {
    say(format_args!(
        "http://{:<22} status page, /metrics, /api/v1",
        node.admin_address.to_string()
    ))?;
    say(format_args!("{:<29} terminals, cup-pos", terminals.to_string()))?;
    for (name, address) in issuers {
        say(format_args!("{:<29} simulated issuer {name}, iso87-ascii", address.to_string()))?;
    }
    let directory = directory.display().to_string();
    say(format_args!("{directory:<29} database, key, ledgers, log; Ctrl-C ends"))
}

/// Prints the first approved purchase, then figures, for ever.
pub(super) async fn live(node: &Node, metrics: &PrometheusHandle) {
    let start = Instant::now();
    let store = node.store();
    let known = newest_approval(&store).await.map(|found| found.row.id);
    let mut waiting = true;
    let on_terminal = std::io::stdout().is_terminal();
    let every = if on_terminal { ON_TERMINAL } else { IN_FILE };
    let mut next = start + every;
    loop {
        tokio::time::sleep(LOOK).await;
        if waiting
            && let Some(found) = newest_approval(&store).await
            && Some(found.row.id) != known
        {
            waiting = false;
            line(&approval(&found, start.elapsed()), false);
        }
        if Instant::now() >= next {
            next += every;
            let seconds = start.elapsed().as_secs();
            line(&format!("{seconds:>4} s  {}", Glance::of(metrics)), on_terminal);
        }
    }
}

/// Says that the end has begun.
pub(super) fn ending() {
    line("ending: terminals clear up, the node drains", false);
}

async fn newest_approval(store: &Store) -> Option<Found> {
    let filter = Filter { state: Some(RowState::Approved), ..Filter::default() };
    let store = store.clone();
    // A task of its own: a call of the store is never given up half-way.
    let found = tokio::spawn(async move { store.find(&filter, 1).await }).await.ok()?.ok()?;
    found.into_iter().next()
}

fn approval(found: &Found, after: Duration) -> String {
    let row = &found.row;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "approved: RRN {}, {}.{:02}, card {}******{}, terminal {}, after {:.1} s",
        row.id.rrn(),
        row.amount / 100,
        row.amount % 100,
        text(&row.card.first6),
        text(&row.card.last4),
        text(&row.terminal),
        after.as_secs_f64()
    )
}

/// Writes a line; on a terminal one that the next overwrites, if asked for.
fn line(text: &str, overwritten: bool) {
    let mut output = std::io::stdout().lock();
    let clear = if std::io::stdout().is_terminal() { "\r\x1b[K" } else { "" };
    let end = if overwritten { "" } else { "\n" };
    // Nobody reads it any more: nothing is lost.
    let _ = write!(output, "{clear}{text}{end}").and_then(|()| output.flush());
}
