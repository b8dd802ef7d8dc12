//! The links to one issuer: each endpoint's connections, kept up with back-off and jitter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use backon::{BackoffBuilder, ExponentialBuilder};
use keystore::CardKeys;
use link::{Tuning, connect};
use metrics::Histogram;
use switch_core::LinkId;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Bounds, IssuerSettings, ReconnectSettings},
    desk::Directory,
    input::Inputs,
    issuer_link::{IssuerLink, LinkEnd},
    pacer::Pacer,
    telemetry,
};

/// What the links of one issuer share.
pub(crate) struct Host {
    pub(crate) settings: ArcSwap<IssuerSettings>,
    pub(crate) directory: ArcSwap<Directory>,
    pub(crate) keys: Arc<CardKeys>,
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) inputs: Inputs,
    pub(crate) pacer: Pacer,
    /// How long its answers take.
    pub(crate) seconds: Histogram,
    /// Numbers links, over all issuers.
    pub(crate) numbers: Arc<AtomicU64>,
    /// Links end: everything in flight is concluded.
    pub(crate) ending: CancellationToken,
}

/// Keeps all connections to an issuer up, each in a task of `links`.
pub(crate) fn keep_up(host: &Arc<Host>, links: &TaskTracker) {
    let settings = host.settings.load_full();
    for endpoint in &settings.endpoints {
        telemetry::link_known(&settings.name, endpoint);
        for _ in 0..settings.connections {
            let (host, endpoint) = (Arc::clone(host), endpoint.clone());
            links.spawn(async move {
                let ending = host.ending.clone();
                tokio::select! {
                    () = keep_one_up(&host, &endpoint) => {}
                    () = ending.cancelled() => {}
                }
            });
        }
    }
}

/// Longer and longer waits, with jitter so that many links do not come back at once.
fn waits(settings: &ReconnectSettings) -> impl Iterator<Item = Duration> + use<> {
    #[expect(clippy::cast_possible_truncation, reason = "a factor needs no more digits")]
    let factor = settings.factor as f32;
    ExponentialBuilder::new()
        .with_min_delay(settings.first)
        .with_factor(factor)
        .with_max_delay(settings.longest)
        .with_jitter()
        .without_max_times()
        .build()
}

/// A line must have lived so long before the waits between its connections start anew: a host that answers each sign-on and
/// then closes is not called without end at the shortest.
const LIVED: Duration = Duration::from_secs(10);

/// Whether the waits start anew after a line that the issuer had `proven` and that `lived` so long.
fn starts_anew(proven: bool, lived: Duration) -> bool {
    proven && lived >= LIVED
}

async fn keep_one_up(host: &Arc<Host>, endpoint: &str) {
    let mut delays = waits(&host.settings.load().reconnect);
    let mut warned = false;
    let mut suspect = false;
    loop {
        let settings = host.settings.load_full();
        let tuning =
            Tuning { send_buffer: Some(host.bounds.link_send_buffer), ..Tuning::default() };
        match connect(endpoint, host.bounds.network_patience, tuning).await {
            Ok(stream) => {
                let id = LinkId(host.numbers.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                let end = match IssuerLink::new(Arc::clone(host), id, stream, endpoint, suspect) {
                    Ok(link) => link.run().await,
                    Err(error) => {
                        LinkEnd { proven: false, mute: suspect, reason: error.to_string() }
                    }
                };
                if starts_anew(end.proven, begun.elapsed()) {
                    delays = waits(&settings.reconnect);
                }
                tracing::info!(
                    issuer = %settings.name, endpoint, link = id.0, reason = end.reason,
                    "link to issuer ended"
                );
                warned &= !end.proven;
                suspect = end.mute;
            }
            Err(error) if !warned => {
                tracing::warn!(issuer = %settings.name, endpoint, %error, "cannot connect to issuer");
                warned = true;
            }
            Err(error) => {
                tracing::debug!(issuer = %settings.name, endpoint, %error, "cannot connect to issuer");
            }
        }
        tokio::time::sleep(delays.next().unwrap_or(settings.reconnect.longest)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_lived_starts_the_waits_anew() {
        for (proven, seconds, anew) in
            [(true, 0, false), (true, 9, false), (true, 10, true), (false, 60, false)]
        {
            assert_eq!(starts_anew(proven, Duration::from_secs(seconds)), anew);
        }
    }
}
