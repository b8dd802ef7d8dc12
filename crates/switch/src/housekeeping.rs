//! What a node does beside transactions: its beat, numbers, recovery, and the care of nodes that fell silent.

use std::{sync::Arc, time::Duration};

use store::{Estate, Lease, SilenceTracker, Store, StoreError};
use switch_core::{Epoch, Event, Found, NodeNo, TxnId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    driver::{Shown, lowest_open},
    input::{Input, Inputs},
};

/// Numbers drawn at once.
const BLOCK: u32 = 10_000;
/// Rows read at once in a recovery.
const CHUNK: u32 = 2_000;
/// What a recovery writes must not fill the store's room, or new work would be shed for it (M16): after each chunk it waits
/// until no more than a chunk is under way, but no longer than this.
const ROOM_PATIENCE: Duration = Duration::from_millis(200);

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
    shown: &Shown,
) -> Result<(), StoreError> {
    let mut after = TxnId(0);
    let mut owed = 0_usize;
    loop {
        let found = store.owed(estate.node, after, CHUNK).await?;
        owed += found.len();
        let Some(last) = hand_over(found, inputs, shown).await else { break };
        after = last;
    }
    let in_flight = recover_in_flight(store, estate, inputs, shown).await?;
    if owed + in_flight > 0 {
        tracing::info!(node = estate.node.0, owed, in_flight, "recovered");
    }
    Ok(())
}

/// Hands what was in flight in an estate to the engine; gives how much.
async fn recover_in_flight(
    store: &Store,
    estate: Estate,
    inputs: &Inputs,
    shown: &Shown,
) -> Result<usize, StoreError> {
    let mut after = TxnId(0);
    let mut count = 0;
    loop {
        let open = store.recover(estate, after, CHUNK).await?;
        count += open.len();
        let Some(last) = hand_over(open, inputs, shown).await else { return Ok(count) };
        after = last;
    }
}

/// Gives the number of the last, once the store has room again; nothing where that was all.
async fn hand_over(found: Vec<Found>, inputs: &Inputs, shown: &Shown) -> Option<TxnId> {
    let last = found.last().map(|found| found.row.id);
    let more = found.len() >= usize::try_from(CHUNK).unwrap_or(usize::MAX);
    for found in found {
        inputs.event(Event::Recovered(Box::new(found)));
    }
    if last.is_some() {
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let until = Instant::now() + ROOM_PATIENCE;
        // The driver takes what it was given, and shows what became of it, at the end of a round.
        loop {
            sleep(Duration::from_millis(2)).await;
            if shown.gauges().records_under_way <= chunk || Instant::now() > until {
                break;
            }
        }
    }
    last.filter(|_| more)
}

/// How often days are looked after.
const DAYS_EVERY: u32 = 5;

/// Keeps the node's place: a beat a second, the care of nodes that fell silent, and of business days.
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) inputs: Inputs,
    pub(crate) shown: Arc<Shown>,
}

impl Keeper {
    /// Runs until the node ends. A step that was begun is finished: no store call is ever cancelled.
    pub(crate) async fn run(self, ending: CancellationToken) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tracker = SilenceTracker::new(self.lease.node);
        let mut tick = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ending.cancelled() => return,
            }
            match self.beat(&mut tracker).await {
                Ok(()) => {}
                // A lease that seems taken may be our own last connection, not dead yet: the fence decides.
                Err(error @ StoreError::Fenced { .. }) => {
                    return self.inputs.send(Input::Fenced(error));
                }
                Err(error) => tracing::warn!(%error, "the node's beat failed"),
            }
            tick = tick.wrapping_add(1);
            if tick.is_multiple_of(DAYS_EVERY)
                && let Err(error) = keep_days(&self.store).await
            {
                tracing::warn!(%error, "business days could not be looked after");
            }
        }
    }

    async fn beat(&self, tracker: &mut SilenceTracker) -> Result<(), StoreError> {
        self.store.beat(&self.lease, lowest_open(&self.shown)).await?;
        let beats = self.store.beats().await?;
        for (node, seen) in tracker.observe(clock::mono(), &beats) {
            self.take_over(node, seen).await?;
        }
        Ok(())
    }

    /// M14: a dead node's intents are timed out here, after its epoch was raised, and its reversals are sent from here.
    async fn take_over(&self, node: NodeNo, seen: Epoch) -> Result<(), StoreError> {
        let Some(taken) = self.store.take_over(&self.lease, node, seen).await? else {
            return Ok(());
        };
        let owed = taken.adopted.len();
        tracing::warn!(node = node.0, owed, "a silent node is taken over");
        for ids in taken.adopted.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)) {
            hand_over(self.store.read_owed(ids).await?, &self.inputs, &self.shown).await;
        }
        for estate in taken.estates {
            let in_flight =
                recover_in_flight(&self.store, estate, &self.inputs, &self.shown).await?;
            tracing::info!(node = estate.node.0, in_flight, "recovered");
        }
        Ok(())
    }
}

/// One step of looking after business days.
///
/// # Errors
/// The store failed; the next step tries again.
pub(crate) async fn keep_days(store: &Store) -> Result<(), StoreError> {
    let kept = store.keep_days(clock::now().wall).await?;
    if let Some(day) = kept.cut_over_to {
        tracing::info!(day = day.0, "the business day was cut over");
    }
    if kept.delivery_unknown > 0 {
        tracing::warn!(
            cases = kept.delivery_unknown,
            "approvals of the ended day whose delivery stayed unknown"
        );
    }
    for day in &kept.dropped {
        tracing::info!(day = day.0, "an old business day was dropped");
    }
    for day in &kept.held {
        tracing::debug!(day = day.0, "an old business day has something open and is kept");
    }
    Ok(())
}
