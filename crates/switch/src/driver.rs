//! The one task that owns the engine: takes everything that waits, tells the engine, and performs what it gives.
//!
//! All effects of a round are drained before the next, so that its records reach the writers together and are committed
//! together (STORE: group commit). Nothing here waits for anything but the next event.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use link::Slip;
use store::{Lane, Report, StoreError, WriterHandle};
use switch_core::{
    AskId, Day, Effect, Engine, EngineConfig, Event, Gauges, Instant, Key, Now, Read, Record,
    Reply, TxnId,
};
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep_until},
};

use crate::{
    clock,
    input::{Input, Inputs, OpenAsk, ReplyReceipt, ToTerminal},
    originals::Lookup,
    reader::Question,
    router::Router,
    telemetry::{self, Tally},
};

/// Why the process must end.
#[derive(Debug, thiserror::Error)]
#[error("the store refuses this node's {what} from now on")]
pub struct Fatal {
    what: &'static str,
    #[source]
    source: StoreError,
}

/// What the driver shows to others.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// The lowest number in flight; 0 for none.
    pub(crate) lowest_open: AtomicU64,
    /// Whether the store answers.
    pub(crate) store_up: AtomicBool,
    /// Links that are up, over all issuers.
    pub(crate) links_up: AtomicUsize,
    /// Whether, since it was asked for, nothing is in flight, nobody waits and no record is under way.
    pub(crate) idle: AtomicBool,
    gauges: Mutex<Gauges>,
    day: Mutex<ShownDay>,
}

/// The business day, and what is wrong with it or its clock.
#[derive(Debug, Clone, Default)]
struct ShownDay {
    current: Option<Day>,
    trouble: Option<String>,
}

impl Shown {
    /// The engine's figures after its last round.
    pub(crate) fn gauges(&self) -> Gauges {
        *self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the keeper of days found. A day that is not known stays what it was.
    pub(crate) fn set_day(&self, current: Option<Day>, trouble: Option<String>) {
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        *day = ShownDay { current: current.or(day.current), trouble };
    }

    /// The current business day.
    pub(crate) fn day(&self) -> Option<Day> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner).current
    }

    /// Why this node shall get no traffic, for people.
    pub(crate) fn hindrance(&self) -> Option<String> {
        if !self.store_up.load(Ordering::Relaxed) {
            return Some("the store is down".to_owned());
        }
        self.day.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

/// The driver's ends of its channels.
pub(crate) struct Wiring {
    pub(crate) inputs: Inputs,
    pub(crate) from_all: mpsc::UnboundedReceiver<Input>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) intents: WriterHandle,
    pub(crate) outcomes: WriterHandle,
    pub(crate) reads: mpsc::UnboundedSender<Question>,
    pub(crate) draws: mpsc::UnboundedSender<()>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) link_queue: usize,
}

pub(crate) struct Driver {
    engine: Engine,
    wiring: Wiring,
    router: Router,
    asks: HashMap<AskId, Arc<OpenAsk>>,
    /// Asks whose terminal is gone, with their deadlines: a request may still be forwarded until then.
    gone: VecDeque<(Instant, AskId)>,
    /// Which lane a row to be confirmed belongs to.
    confirms: BTreeMap<Key, bool>,
    /// Lanes that do not work.
    down: BTreeSet<Lane>,
    draining: bool,
    /// Whether somebody waits until nothing is under way.
    show_idle: bool,
    /// When the figures are next given to the recorder.
    figures_due: Instant,
    tally: Tally,
}

/// Most events handled before the effects are performed. All of a round share one reading of the clock, taken once they
/// have all happened.
const ROUND: usize = 1_024;

impl Driver {
    pub(crate) fn new(config: EngineConfig, wiring: Wiring) -> Self {
        let router = Router::new(wiring.inputs.clone(), wiring.link_queue);
        Self {
            engine: Engine::new(config),
            wiring,
            router,
            asks: HashMap::new(),
            gone: VecDeque::new(),
            confirms: BTreeMap::new(),
            down: BTreeSet::new(),
            draining: false,
            show_idle: false,
            figures_due: Instant(0),
            tally: Tally::default(),
        }
    }

    /// Runs until the drain is over.
    ///
    /// # Errors
    /// The store refuses this node: the process must end.
    pub(crate) async fn run(mut self) -> Result<(), Fatal> {
        let mut inputs = Vec::with_capacity(ROUND);
        let mut reports = Vec::with_capacity(ROUND);
        let mut timer = Box::pin(sleep_until(clock::std(clock::mono()).into()));
        loop {
            self.perform();
            if self.draining && self.engine.is_idle() {
                break;
            }
            self.arm(&mut timer);
            tokio::select! {
                _ = self.wiring.from_all.recv_many(&mut inputs, ROUND) => {}
                _ = self.wiring.reports.recv_many(&mut reports, ROUND) => {}
                () = &mut timer => {}
            }
            // What else waits comes along.
            while inputs.len() < ROUND
                && let Ok(input) = self.wiring.from_all.try_recv()
            {
                inputs.push(input);
            }
            while reports.len() < ROUND
                && let Ok(report) = self.wiring.reports.try_recv()
            {
                reports.push(report);
            }
            // Deadlines run before messages (M3).
            let now = clock::now();
            self.engine.handle_timeout(now);
            for report in reports.drain(..) {
                self.on_report(now, report)?;
            }
            for input in inputs.drain(..) {
                self.on_input(now, input)?;
            }
        }
        let Wiring { intents, outcomes, .. } = self.wiring;
        intents.finish().await;
        outcomes.finish().await;
        Ok(())
    }

    fn arm(&self, timer: &mut Pin<Box<Sleep>>) {
        // At least once a second, for the figures.
        let second = clock::mono().plus(Duration::from_secs(1));
        let next = self.engine.poll_timeout().map_or(second, |next| next.min(second));
        timer.as_mut().reset(clock::std(next).into());
    }

    fn on_report(&mut self, now: Now, report: Report) -> Result<(), Fatal> {
        match report {
            Report::Persisted(record, result) => {
                self.engine.handle(now, Event::Persisted { record, result });
            }
            Report::Confirmed(key, found) => {
                let intents = self.confirms.remove(&key).unwrap_or_default();
                let read = Read::Confirm { key, intents };
                self.engine.handle(now, Event::RowRead { read, found: Ok(found) });
            }
            Report::Down(lane) => {
                if self.down.insert(lane) && self.down.len() == 1 {
                    tracing::error!(lane = lane.name(), "the store is down");
                    self.engine.handle(now, Event::StoreDown);
                }
            }
            Report::Up(lane) => {
                if self.down.remove(&lane) && self.down.is_empty() {
                    tracing::info!("the store is up");
                    self.engine.handle(now, Event::StoreUp);
                }
            }
            Report::Fatal(lane, source) => return Err(Fatal { what: lane.name(), source }),
        }
        Ok(())
    }

    fn on_input(&mut self, now: Now, input: Input) -> Result<(), Fatal> {
        match input {
            Input::Ask(ask, event) => {
                self.asks.insert(ask.id, ask);
                self.engine.handle(now, event);
            }
            Input::Answer(event, place) => {
                self.engine.handle(now, event);
                drop(place);
            }
            Input::Event(event) => {
                if let Event::TerminalGone { ask, .. } = &event
                    && let Some(open) = self.asks.get(ask)
                {
                    self.gone.push_back((open.deadline, *ask));
                }
                self.engine.handle(now, event);
            }
            Input::LinkUp(issuer, link) => {
                let id = link.id;
                self.router.add(&issuer, link);
                self.engine.handle(now, Event::LinkUp { issuer, link: id });
            }
            Input::LinkDown(issuer, link) => {
                self.router.remove(&issuer, link);
                self.engine.handle(now, Event::LinkDown { issuer, link });
            }
            Input::Configure(config) => self.engine.reconfigure(config),
            Input::Stopping => {
                self.show_idle = true;
                self.engine.handle(now, Event::Stopping);
            }
            Input::Drain => {
                self.draining = true;
                self.engine.handle(now, Event::Drain);
            }
            Input::Busy(terminal, tell) => {
                let _ = tell.send(self.engine.is_open(terminal));
            }
            Input::Fenced(source) => return Err(Fatal { what: "beat", source }),
        }
        Ok(())
    }

    /// Performs everything that the engine wants done.
    fn perform(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.one(effect);
        }
        let now = clock::mono();
        while let Some(&(deadline, ask)) = self.gone.front()
            && deadline < now
        {
            self.gone.pop_front();
            self.asks.remove(&ask);
        }
        let shown = &self.wiring.shown;
        let lowest = self.engine.lowest_open().map_or(0, |id| id.0);
        shown.lowest_open.store(lowest, Ordering::Relaxed);
        shown.store_up.store(self.down.is_empty(), Ordering::Relaxed);
        shown.links_up.store(self.router.links_up(), Ordering::Relaxed);
        // Asked of every transaction in memory, of which there may be many: only where somebody waits for it.
        shown.idle.store(self.show_idle && self.engine.is_idle(), Ordering::Relaxed);
        let gauges = self.engine.gauges();
        if now >= self.figures_due {
            self.figures_due = now.plus(Duration::from_secs(1));
            let wall = clock::now().wall;
            let oldest = gauges.oldest_owed.map(|opened| wall.since(opened));
            telemetry::gauges(&gauges, oldest.unwrap_or_default());
        }
        *shown.gauges.lock().unwrap_or_else(PoisonError::into_inner) = gauges;
    }

    fn one(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { record, what } => {
                let lane = match &what {
                    Record::Intent(_) | Record::Claim(_) => &self.wiring.intents,
                    Record::Change(_) | Record::Progress(_) | Record::Case(_) | Record::Note(_) => {
                        &self.wiring.outcomes
                    }
                };
                lane.send(record, what);
            }
            Effect::Read(Read::Confirm { key, intents }) => {
                self.confirms.insert(key, intents);
                let lane = if intents { &self.wiring.intents } else { &self.wiring.outcomes };
                lane.confirm(key);
            }
            Effect::Read(read @ (Read::Key(_) | Read::AnyDay(_) | Read::Id(_))) => {
                let _ = self.wiring.reads.send(Question::Row(read));
            }
            Effect::FindOriginal { key, named, kinds, ask, merchant } => {
                let Some(ask) = ask.and_then(|ask| self.asks.get(&ask)) else {
                    // nobody waits for it any more
                    let original = Err(switch_core::ReadFailed);
                    return self.engine.handle(clock::now(), Event::OriginalRead { key, original });
                };
                let ask = Arc::clone(ask);
                let lookup = Lookup { key, named, kinds, merchant, ask };
                let _ = self.wiring.reads.send(Question::Original(lookup));
            }
            Effect::Forward(forward) => {
                let ask = self.asks.get(&forward.ask).map(Arc::clone);
                self.router.forward(forward, ask);
            }
            Effect::Reverse(reversal) => self.router.reverse(reversal),
            Effect::Reply { ask, reply } => self.reply(ask, reply),
            Effect::Silent(ask) => {
                if let Some(open) = self.asks.remove(&ask) {
                    let _ = open.connection.send(ToTerminal::Silent(ask));
                }
            }
            Effect::Close(ask) => {
                if let Some(open) = self.asks.remove(&ask) {
                    let _ = open.connection.send(ToTerminal::Close);
                }
            }
            Effect::DrawNumbers => {
                let _ = self.wiring.draws.send(());
            }
            Effect::Notice(notice) => {
                self.tally.count(&notice);
                crate::journal::note(&notice);
            }
        }
    }

    /// A reply that cannot be handed over reports itself as dropped, with its slip.
    fn reply(&mut self, ask: AskId, reply: Reply) {
        let Some(open) = self.asks.remove(&ask) else { return };
        let read = open.read.mono;
        let receipt = match &reply {
            Reply::Approved { durable: _, outcome } => ReplyReceipt::Approved {
                ask,
                key: outcome.key,
                read,
                inputs: self.wiring.inputs.clone(),
                written: Arc::new(AtomicBool::new(false)),
            },
            Reply::Refused(_) | Reply::Shed(_) | Reply::Done(_) => ReplyReceipt::Other(read),
        };
        let connection = open.connection.clone();
        let reply = ToTerminal::Reply(Box::new((open, reply, Slip::new(receipt))));
        let _ = connection.send(reply);
    }
}

/// What is in flight at the node, for `Running`.
pub(crate) fn lowest_open(shown: &Shown) -> Option<TxnId> {
    let lowest = shown.lowest_open.load(Ordering::Relaxed);
    (lowest > 0).then_some(TxnId(lowest))
}
