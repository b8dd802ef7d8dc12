//! The engine: takes events and the time, gives effects. What each event does stands in the file of its rule.

use crate::{
    Effect, EngineConfig, Event, Found, Instant, Key, LinkId, Notice, Now, RecordId, TxnId, Wall,
    bug::Bug,
    core::{Core, RecordFor, Timer},
    finished::Finished,
    late::LateReads,
    shed::ShedMemory,
    table::Table,
    txn::{State, Txn},
};

/// A pure state machine for all transactions of a node.
///
/// Call order: feed what happened with [`Engine::handle`]; when [`Engine::poll_timeout`] has passed, call
/// [`Engine::handle_timeout`]; after either, perform what [`Engine::poll_effect`] gives until it gives none.
#[derive(Debug)]
pub struct Engine {
    pub(crate) core: Core,
    pub(crate) txns: Table<Key, Box<Txn>>,
    pub(crate) finished: Finished,
    pub(crate) shed: ShedMemory,
    pub(crate) late: LateReads,
    /// Recovered rows that were busy when they were told.
    pub(crate) again: Vec<Found>,
}

/// Figures of the engine as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Requests whose intent was made here and whose outcome is not decided.
    pub in_flight: usize,
    /// Reversals owed by this node.
    pub reversals_owed: usize,
    /// Attempts at these, and at advices, that a link holds or whose answer is awaited.
    pub reversals_out: usize,
    /// Advices and refunds that this node must deliver (M12).
    pub advices_owed: usize,
    /// When the oldest of the reversals was first owed.
    pub oldest_owed: Option<Wall>,
    /// Records that wait for the store.
    pub records_under_way: usize,
    /// Transactions in memory.
    pub transactions: usize,
    /// Finished transactions remembered.
    pub finished: usize,
    /// Refusals remembered for what was shed.
    pub shed: usize,
    /// Timers armed.
    pub timers: usize,
}

impl Engine {
    /// An engine that knows nothing yet. Numbers are asked for at once.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let seed = config.hash_seed;
        let mut engine = Self {
            core: Core::new(config),
            txns: Table::seeded(seed),
            finished: Finished::new(seed),
            shed: ShedMemory::new(seed),
            late: LateReads::default(),
            again: Vec::new(),
        };
        engine.core.arm(Instant(0), Timer::Numbers);
        engine
    }

    /// Takes new settings: issuers' policies and bounds. What is under way goes on.
    pub fn reconfigure(&mut self, config: EngineConfig) {
        let (node, epoch) = (self.core.config.node, self.core.config.epoch);
        self.core.configure(EngineConfig { node, epoch, ..config });
        // M4: what is owed to an issuer that is configured again goes on
        let waits = |txn: &Txn| txn.owes(&self.core) && txn.duty.waits_for_issuer;
        for key in self.txns.keys_of(|txn| waits(txn)) {
            if let Some(txn) = self.txns.get_mut(&key) {
                txn.resume(&mut self.core);
            }
        }
    }

    /// Something happened. Deadlines that have passed run first (M3).
    pub fn handle(&mut self, now: Now, event: Event) {
        self.handle_timeout(now);
        match event {
            Event::Request(request) => {
                self.on_request(now, *request);
                // a block may be used up long before the timer looks
                self.want_numbers(now);
            }
            Event::Reversal(request) => self.on_reversal(now, *request),
            Event::Echo(ask) => {
                let id = self.core.spare_number(now);
                self.core.push(Effect::Reply { ask, reply: crate::Reply::Done(id) });
            }
            Event::Persisted { record, result } => self.on_persisted(now, record, result),
            Event::RowRead { read, found } => self.on_row_read(now, read, found),
            Event::OriginalRead { key, original } => self.on_original_read(now, key, original),
            Event::Written { id, link } => self.on_written(now, id, link),
            Event::NeverSent { id, why } => self.on_never_sent(now, id, why),
            Event::ReversalWritten { id, link: _ } => self.on_reversal_written(now, id),
            Event::ReversalNeverSent { id, why } => self.on_reversal_never_sent(now, id, why),
            Event::Answer(answer) => self.on_answer(now, *answer),
            Event::LinkUp { issuer, link } => self.on_link(&issuer, link, true),
            Event::LinkDown { issuer, link } => self.on_link(&issuer, link, false),
            Event::ReplyWritten { ask: _, key } => self.on_reply(now, key, true),
            Event::ReplyDropped { ask: _, key } => self.on_reply(now, key, false),
            Event::TerminalGone { ask, key } => self.on_terminal_gone(now, ask, key),
            Event::DeliveryUnknown { key: _, id, day } => self.on_delivery_unknown(now, id, day),
            Event::Numbers(block) => {
                self.core.numbers.drawn(now.mono, &block);
                self.want_numbers(now);
            }
            Event::NumbersFailed => self.core.numbers.failed(),
            Event::StoreDown => self.core.store_up = false,
            Event::StoreUp => self.on_store_up(now),
            Event::ReadsNew(all) => self.core.reads_new = all,
            Event::Recovered(found) => self.on_recovered(now, *found),
            Event::Stopping => self.core.stopping = true,
            Event::Drain => self.on_drain(now),
        }
        self.pump_all(now);
    }

    /// Runs every deadline up to `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(at, timer)) = self.core.timers.first() {
            if at > now.mono {
                break;
            }
            self.core.timers.pop_first();
            match timer {
                Timer::Answer(key) => self.on_answer_due(now, key),
                Timer::Askers(key) => self.on_askers_due(now, key),
                Timer::Duty(key) => self.on_duty_due(now, key),
                Timer::Grace(key) => self.on_grace_due(now, key),
                Timer::Retry(key) => self.on_retry(now, key),
                Timer::Follow => self.on_follow(now),
                Timer::Pace => self.on_pace_due(),
                Timer::Numbers => {
                    self.core.arm(now.mono.plus(std::time::Duration::from_secs(1)), Timer::Numbers);
                    self.want_numbers(now);
                }
                Timer::Shed => self.on_shed_due(now),
                Timer::Alone => self.core.on_alone_due(now),
                Timer::Again => self.on_again(now),
                Timer::Stray(id) => self.on_stray_due(id),
            }
        }
        self.pump_all(now);
    }

    /// What to do next; none when all is said.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.core.effects.pop_front()
    }

    /// When [`Engine::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.first().map(|(at, _)| *at)
    }

    /// Whether nothing is in flight, nobody waits, and no record is under way. Owed reversals may remain: they are
    /// durable.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.records.is_empty()
            && self.core.in_flight.is_empty()
            && self.core.awaited == 0
            && self.late.is_empty()
            && self.txns.all(|txn| txn.is_written())
    }

    /// The lowest number that is in flight here: recovery need not look below it.
    #[must_use]
    pub fn lowest_open(&self) -> Option<TxnId> {
        self.core.in_flight.first().copied()
    }

    /// Whether the newest stored numbers may be written: every live node reads them.
    #[must_use]
    pub const fn reads_new(&self) -> bool {
        self.core.reads_new
    }

    /// Figures for metrics.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            in_flight: self.core.in_flight.len(),
            reversals_owed: self.core.owed.len(),
            reversals_out: self.core.issuers.values().map(|issuer| issuer.reversals_out).sum(),
            advices_owed: self.core.advices.len(),
            oldest_owed: self.core.owed.first().map(|(opened, _)| *opened),
            records_under_way: self.core.records.len(),
            transactions: self.txns.len(),
            finished: self.finished.len(),
            shed: self.shed.len(),
            timers: self.core.timers.len(),
        }
    }

    /// What is true of the transaction with this identity, while it is in memory.
    #[must_use]
    pub fn state(&self, key: Key) -> Option<State> {
        self.txns.get(&key).map(|txn| txn.state())
    }

    /// Links that are up at an issuer.
    #[must_use]
    pub fn links_up(&self, issuer: &str) -> usize {
        self.core.issuers.get(issuer).map_or(0, |issuer| issuer.links.len())
    }

    fn on_link(&mut self, issuer: &crate::IssuerName, link: LinkId, up: bool) {
        let Some(known) = self.core.issuers.get_mut(issuer) else { return };
        if up {
            known.links.insert(link);
            self.core.pumps.insert(issuer.clone());
        } else {
            known.links.remove(&link);
        }
    }

    pub(crate) fn want_numbers(&mut self, now: Now) {
        if self.core.store_up && self.core.numbers.wants_draw(now.mono) {
            self.core.push(Effect::DrawNumbers);
        }
    }

    fn on_store_up(&mut self, now: Now) {
        self.core.store_up = true;
        self.want_numbers(now);
        self.core.arm(now.mono, Timer::Shed);
    }

    fn on_delivery_unknown(&mut self, now: Now, id: TxnId, day: crate::Day) {
        self.core.notice(Notice::DeliveryUnknown);
        self.core.note(now, id, day, crate::NoteKind::DeliveryUnknown, "");
    }

    /// Lets a transaction go on, and forgets it when nothing keeps it.
    pub(crate) fn step(&mut self, now: Now, key: Key) {
        let Some(txn) = self.txns.get_mut(&key) else { return };
        txn.settle(now, &mut self.core);
        txn.count_open(&mut self.core);
        if txn.is_quiet(&self.core) {
            self.retire(now, key);
        }
    }

    /// Forgets a transaction, but for what answers its copies.
    pub(crate) fn retire(&mut self, now: Now, key: Key) {
        let Some(mut txn) = self.txns.remove(&key) else { return };
        txn.release(&mut self.core);
        // a marked approval must be read with its mark, and one whose reversal is promised: it is not answered from memory
        let bare = !txn.is_marked() && !txn.is_promised();
        if txn.durable && !txn.row.state.is_in_flight() && bare {
            let most = self.core.config.max_finished;
            self.finished.insert(now, txn.row, txn.claim, most);
        }
    }

    /// A finished transaction comes back to memory: with its claim, which a reversal would release (M11).
    pub(crate) fn remember(&mut self, key: Key) {
        let Some((row, claim)) = self.finished.remove(key) else { return };
        let claim = claim.filter(|_| !self.core.has(Bug::ClaimForgotten));
        self.insert_txn(Txn { claim, ..Txn::new(row, true, false) });
    }

    pub(crate) fn take_record(&mut self, record: RecordId) -> Option<RecordFor> {
        self.core.records.remove(&record)
    }
}
