//! What a node does beside transactions: its beat, numbers, and the care of nodes that fell silent.

use std::{sync::Arc, time::Duration};

use store::{Lease, Outage, READS, SilenceTracker, Store, StoreError};
use switch_core::Event;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    day_clock::{DayWatch, Kept, date},
    driver::{Shown, lowest_open},
    input::{Input, Inputs},
    recovery::Adoption,
};

/// Numbers drawn at once.
const BLOCK: u32 = 10_000;

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
    let outage = Outage::new("numbers");
    while draws.recv().await.is_some() {
        match store.draw_numbers(BLOCK).await {
            Ok(block) => {
                outage.over();
                inputs.event(Event::Numbers(block));
                if let Some(first) = first.take() {
                    let _ = first.send(());
                }
            }
            Err(error) => {
                outage.failed("no numbers could be drawn", &error);
                inputs.event(Event::NumbersFailed);
            }
        }
    }
}

/// How often days are looked after.
const DAYS_EVERY: u32 = 5;

/// Keeps the node's place: a beat a second, the care of nodes that fell silent, and of business days.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) inputs: Inputs,
    pub(crate) shown: Arc<Shown>,
}

impl Keeper {
    /// A beat a second until the node ends, which waits for nothing else: whose beats stop is taken over. `beaten` is told of
    /// each. A step that was begun is finished: no store call is ever cancelled.
    pub(crate) async fn beat(self, ending: CancellationToken, beaten: watch::Sender<()>) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outage = Outage::new("beat");
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ending.cancelled() => return,
            }
            match self.store.beat(&self.lease, lowest_open(&self.shown)).await {
                Ok(()) => {
                    outage.over();
                    let _ = beaten.send(());
                }
                // A lease that seems taken may be our own last connection, not dead yet: the fence decides.
                Err(error @ StoreError::Fenced { .. }) => {
                    return self.inputs.send(Input::Fenced(error));
                }
                Err(error) => outage.failed("the node's beat failed", &error),
            }
        }
    }

    /// After each beat, looks after dead nodes and days until the node stops: then what is left is another's.
    pub(crate) async fn care(
        self,
        stopping: CancellationToken,
        ending: CancellationToken,
        mut beaten: watch::Receiver<()>,
        mut days: DayWatch,
    ) {
        let mut tracker = SilenceTracker::new(self.lease.node);
        let mut adoption = Adoption::new(&self.lease);
        let mut beats = 0_u32;
        let (nodes, outage) = (Outage::new("nodes"), Outage::new("days"));
        loop {
            tokio::select! {
                told = beaten.changed() => if told.is_err() { return },
                () = stopping.cancelled() => return,
                () = ending.cancelled() => return,
            }
            match self.take_over_dead(&mut tracker, &mut adoption).await {
                Ok(()) => nodes.over(),
                Err(error) => nodes.failed("dead nodes could not be looked after", &error),
            }
            if !adoption.is_done() {
                adoption.turn(&self.store, &self.lease, &self.inputs, &self.shown).await;
            }
            beats = beats.wrapping_add(1);
            if beats.is_multiple_of(DAYS_EVERY) {
                match keep_days(&self.store, &mut days, &self.shown).await {
                    Ok(_) => outage.over(),
                    Err(error) => outage.failed("business days could not be looked after", &error),
                }
            }
        }
    }

    /// M14: a dead node's intents are timed out here, after its epoch was raised, and its reversals are sent from here.
    async fn take_over_dead(
        &self,
        tracker: &mut SilenceTracker,
        adoption: &mut Adoption,
    ) -> Result<(), StoreError> {
        let beats = self.store.beats().await?;
        self.inputs.event(Event::ReadsNew(self.store.all_read(&beats, READS)));
        for estate in beats.iter().filter_map(|beat| beat.estate_of(self.lease.node)) {
            adoption.find(estate);
        }
        for (node, seen) in tracker.observe(clock::mono(), &beats) {
            // One that fails may have happened all the same: then the next beats tell it.
            if let Some(taken) = self.store.take_over(&self.lease, node, seen).await? {
                let owed = taken.adopted.len();
                tracing::warn!(node = node.0, owed, "a silent node is taken over");
                adoption.add(taken);
            }
        }
        Ok(())
    }
}

/// One step of looking after business days; whether the clock's day is too far ahead to be taken, and what to do then.
///
/// # Errors
/// The store failed; the next step tries again.
pub(crate) async fn keep_days(
    store: &Store,
    watch: &mut DayWatch,
    shown: &Shown,
) -> Result<Option<String>, StoreError> {
    let Kept { days: kept, trouble, too_far } = watch.step(store).await?;
    let waits = trouble.clone().filter(|_| too_far);
    shown.set_day(kept.days.map(|(current, _)| current), trouble);
    if let Some(day) = kept.cut_over_to {
        tracing::info!(day = date(day), "the business day was cut over");
    }
    if kept.delivery_unknown > 0 {
        tracing::warn!(
            cases = kept.delivery_unknown,
            "approvals of the ended day whose delivery stayed unknown"
        );
    }
    for day in &kept.dropped {
        tracing::info!(day = date(*day), "an old business day was dropped");
    }
    for day in &kept.held {
        tracing::debug!(day = date(*day), "an old business day has something open and is kept");
    }
    Ok(waits)
}
