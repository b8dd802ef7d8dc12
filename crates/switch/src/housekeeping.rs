//! What a node does beside transactions: its beat, numbers, recovery, and the care of nodes that fell silent.

use std::{sync::Arc, time::Duration};

use store::{Estate, Lease, SilenceTracker, Store, StoreError};
use switch_core::{Event, Found, TxnId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    driver::{Shown, lowest_open},
    input::Inputs,
};

/// Numbers drawn at once.
const BLOCK: u32 = 10_000;
/// Rows read at once in a recovery.
const CHUNK: u32 = 500;

/// How this process is named to another that asks for its node.
pub(crate) fn process() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.as_deref().map_or("this host", str::trim);
    format!("{host}, process {}", std::process::id())
}

/// Draws a block of numbers whenever the engine asks, until the driver ends. `first` is told of the first.
pub(crate) async fn draw_numbers(
    store: Store,
    mut draws: mpsc::UnboundedReceiver<()>,
    inputs: Inputs,
    first: oneshot::Sender<()>,
) {
    let mut first = Some(first);
    while draws.recv().await.is_some() {
        match store.draw_numbers(BLOCK).await {
            Ok(block) => {
                inputs.event(Event::Numbers(block));
                if let Some(first) = first.take() {
                    let _ = first.send(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no numbers could be drawn");
                inputs.event(Event::NumbersFailed);
            }
        }
    }
}

/// Hands an estate to the engine (M14): reversals owed first, then what was in flight.
///
/// # Errors
/// The store failed; recovering again changes nothing more.
pub(crate) async fn recover(
    store: &Store,
    estate: Estate,
    inputs: &Inputs,
) -> Result<(), StoreError> {
    let mut after = TxnId(0);
    let mut count = 0_usize;
    loop {
        let owed = store.owed(estate.node, after, CHUNK).await?;
        count += owed.len();
        let Some(last) = hand_over(owed, inputs) else { break };
        after = last;
    }
    let owed = count;
    after = TxnId(0);
    loop {
        let open = store.recover(estate, after, CHUNK).await?;
        count += open.len();
        let Some(last) = hand_over(open, inputs) else { break };
        after = last;
    }
    if count > 0 {
        tracing::info!(node = estate.node.0, owed, in_flight = count - owed, "recovered");
    }
    Ok(())
}

/// Gives the number of the last; nothing where that was all.
fn hand_over(found: Vec<Found>, inputs: &Inputs) -> Option<TxnId> {
    let last = found.last().map(|found| found.row.id);
    let more = found.len() >= usize::try_from(CHUNK).unwrap_or(usize::MAX);
    for found in found {
        inputs.event(Event::Recovered(Box::new(found)));
    }
    last.filter(|_| more)
}

/// Keeps the node's place: a beat a second, and what follows from others' beats.
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) inputs: Inputs,
    pub(crate) shown: Arc<Shown>,
    pub(crate) dead_after: Duration,
}

impl Keeper {
    pub(crate) async fn run(self, ending: CancellationToken) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tracker = SilenceTracker::new(self.lease.node);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ending.cancelled() => return,
            }
            if let Err(error) = self.beat(&mut tracker).await {
                tracing::warn!(%error, "the node's beat failed");
            }
        }
    }

    async fn beat(&self, tracker: &mut SilenceTracker) -> Result<(), StoreError> {
        self.store.beat(&self.lease, lowest_open(&self.shown)).await?;
        let beats = self.store.beats().await?;
        for (node, epoch) in tracker.observe(clock::mono(), &beats) {
            tracing::warn!(node = node.0, epoch = epoch.0, "node is silent");
        }
        Ok(())
    }
}
