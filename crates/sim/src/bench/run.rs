//! A bench from its start to its summary.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use iso8583::{Kind, ValueError};
use jiff::Timestamp;
use tokio::task::LocalSet;
use tokio::time::{interval, sleep};

use super::alarm::Alarm;
use super::cards::Card;
use super::connection::Connection;
use super::floor::Floor;
use super::pacer::{Pacer, Phase};
use super::requests::Requests;
use super::series::{Second, Series, points};
use super::stats::{Live, Stats};
use super::summary::{Cost, Percentiles, Summary};
use super::terminal::Terminal;
use super::watch::{Sample, Samples, Watch};
use super::{Arrivals, BenchOptions, Pace, Progress};
use crate::ledger::{LedgerError, LedgerWriter};
use crate::random::mix;

/// Why a bench cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No connection came about.
    #[error("cannot connect to {target} within {patience:?}")]
    Connect {
        /// The address.
        target: String,
        /// How long it was tried.
        patience: Duration,
    },
    /// There must be at least one connection, and not more than terminals.
    #[error(
        "{connections} connections cannot carry {terminals} terminals: at least one on each is needed"
    )]
    Connections {
        /// Asked for.
        connections: usize,
        /// Of the mix.
        terminals: usize,
    },
    /// The mix asks for what the dialect has not.
    #[error("the dialect {dialect} has no {kind}")]
    Kind {
        /// The dialect.
        dialect: String,
        /// The kind.
        kind: &'static str,
    },
    /// A card number cannot be made.
    #[error("cards: {0}")]
    Card(#[from] ValueError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The runtime cannot be made.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

const CONNECT: Duration = Duration::from_secs(10);
/// Sales that are due within so long of each other may be handed out together.
const HAND_OUT: Duration = Duration::from_micros(200);
/// Microseconds by which one in a hundred requests may be late by the load's own fault.
const TOLERATED: u64 = 2_000;
/// The part of its thread that the load may use.
const BUSY: f64 = 0.95;
/// Of a shorter run the share of the processor says nothing: a handful of sales ends within one turn of the thread.
const JUDGED_FROM: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(20);
/// Progress is told, and terminals try again, once in so many ticks.
const TOLD: u32 = 10;

/// Runs a load on the calling thread until it is over, and tells its progress five times a second. `live` counts for
/// others to read meanwhile.
///
/// # Errors
/// The options contradict each other, the ledger cannot be used, or nobody listens at the target.
pub fn run(
    options: &BenchOptions,
    live: &Arc<Live>,
    progress: impl FnMut(&Progress),
) -> Result<Summary, BenchError> {
    let terminals = options.mix.terminals.unwrap_or(options.connections);
    if options.connections == 0 || terminals < options.connections {
        return Err(BenchError::Connections { connections: options.connections, terminals });
    }
    let kinds = options.mix.kinds.all().chain(options.mix.day.iter().map(|_| Kind::Settlement));
    for kind in kinds {
        if options.dialect.row(kind).is_none() {
            let dialect = options.dialect.name().to_owned();
            return Err(BenchError::Kind { dialect, kind: kind.name() });
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let floor = Rc::new(floor(options, terminals, live)?);
    let local = LocalSet::new();
    let ended = local.block_on(&runtime, drive(&floor, options, progress));
    drop(local);
    floor.journal.borrow_mut().flush()?;
    Ok(summarize(&floor, options, ended?))
}

/// What keeps the identities of a run apart from others: the clock's seconds, unless it is given.
fn run_number(options: &BenchOptions) -> u32 {
    let seconds = Timestamp::now().as_second().rem_euclid(999_999) + 1;
    options.run.unwrap_or_else(|| u32::try_from(seconds).unwrap_or(1))
}

fn floor(options: &BenchOptions, terminals: usize, live: &Arc<Live>) -> Result<Floor, BenchError> {
    let dialect = Arc::clone(&options.dialect);
    let framing = options.framing.unwrap_or_else(|| dialect.framing());
    let run = run_number(options);
    let cards = (0..options.mix.cards).map(|index| Card::new(&options.mix, index, options.seed));
    // Without a batch, only the STAN keeps runs apart.
    let first_stan = match dialect.elements().batch {
        Some(_) => 0,
        None => u32::try_from(mix(&[u64::from(run)]) % 999_999).unwrap_or(0),
    };
    Ok(Floor {
        requests: RefCell::new(Requests::new(Arc::clone(&dialect), framing, &options.mix)),
        dialect,
        framing,
        cards: cards.collect::<Result<_, _>>()?,
        mix: options.mix.clone(),
        journal: RefCell::new(LedgerWriter::open(options.ledger.as_deref())?),
        stats: RefCell::new(Stats::new(Instant::now())),
        live: Arc::clone(live),
        pacer: Pacer::new(&options.pace, options.seed, options.connections, options.sales),
        clock: Cell::new(clock()),
        batch: run % 1_000_000,
        first_stan,
        living: Cell::new(terminals),
        terminals,
        connections: options.connections,
        seed: options.seed,
    })
}

/// `MMDDhhmmss` of now.
fn clock() -> u64 {
    Timestamp::now().strftime("%m%d%H%M%S").to_string().parse().unwrap_or(0)
}

/// What was measured beside the statistics.
struct Measured {
    length: Duration,
    /// Processor time of this thread.
    cpu: Duration,
    series: Vec<Second>,
    samples: Samples,
}

/// Connects, loads, heals.
async fn drive(
    floor: &Rc<Floor>,
    options: &BenchOptions,
    mut progress: impl FnMut(&Progress),
) -> Result<Measured, BenchError> {
    let now = Instant::now();
    let mut connections: Vec<Vec<Terminal>> = Vec::new();
    connections.resize_with(floor.connections, Vec::new);
    for index in 0..floor.terminals {
        let number = floor.mix.first_terminal + u32::try_from(index).unwrap_or(0);
        if let Some(terminals) = connections.get_mut(index % floor.connections) {
            terminals.push(Terminal::new(floor, number, now));
        }
    }
    for (index, terminals) in connections.into_iter().enumerate() {
        let (floor, target) = (Rc::clone(floor), options.target.clone());
        tokio::task::spawn_local(Connection { floor, index, target, terminals }.run());
    }
    connect(floor, options).await?;
    let start = Instant::now();
    let mut told = Told { floor, start, since: start, answered: 0 };
    floor.stats.borrow_mut().since = start;
    floor.pacer.set_phase(Phase::Load);
    let handing = Rc::clone(floor);
    floor.pacer.begin(start);
    let alarm = Alarm::new()?;
    let pacing = tokio::task::spawn_local(async move {
        let mut now = Instant::now();
        while let Some(next) = handing.pacer.hand_out(now) {
            alarm.until(next.max(now + HAND_OUT)).await?;
            now = Instant::now();
        }
        io::Result::Ok(())
    });
    let mut series = Series::new(start);
    let mut watch = Watch::start(options.watched.clone());
    let mut cpu = processor_time();
    let mut warm = options.warm_up.is_zero();
    let mut ticks = interval(TICK);
    let mut tick = 0_u32;
    while start.elapsed() < options.duration && !options.stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = options.stop.cancelled() => {}
        }
        tick += 1;
        keep_house(floor, tick)?;
        if !warm && start.elapsed() >= options.warm_up {
            warm = true;
            cpu = processor_time();
            *floor.stats.borrow_mut() = Stats::new(Instant::now());
            series = Series::new(Instant::now());
            let _of_warm_up =
                std::mem::replace(&mut watch, Watch::start(options.watched.clone())).end();
            (told.since, told.answered) = (Instant::now(), 0);
        }
        if series.is_due(Instant::now()) {
            series.tick(&mut floor.stats.borrow_mut(), Instant::now());
        }
        if tick.is_multiple_of(TOLD) {
            progress(&told.tell(false));
        }
        if floor.pacer.is_done() || floor.living.get() == 0 {
            break;
        }
    }
    pacing.abort();
    let length = floor.stats.borrow().since.elapsed();
    let cpu = processor_time().saturating_sub(cpu);
    series.end(&mut floor.stats.borrow_mut(), Instant::now());
    let measured = Measured { length, cpu, series: series.seconds, samples: watch.end() };
    heal(floor, options, |_| progress(&told.tell(true))).await?;
    Ok(measured)
}

/// Waits until all connections are up, or some after a while.
async fn connect(floor: &Floor, options: &BenchOptions) -> Result<(), BenchError> {
    let start = Instant::now();
    let wanted = u64::try_from(floor.connections).unwrap_or(u64::MAX);
    loop {
        let connected = floor.live.connected.load(Ordering::Relaxed);
        let waited = start.elapsed() >= CONNECT || options.stop.is_cancelled();
        if connected >= wanted || (waited && connected > 0) {
            return Ok(());
        }
        if waited {
            return Err(BenchError::Connect { target: options.target.clone(), patience: CONNECT });
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// No new sales: terminals wait for their last answers, and reverse until they know.
async fn heal(
    floor: &Floor,
    options: &BenchOptions,
    mut progress: impl FnMut(()),
) -> Result<(), BenchError> {
    let start = Instant::now();
    floor.pacer.set_phase(Phase::Healing);
    // Every connection counts its terminals before it is believed that all know.
    let mut tick = 0_u32;
    loop {
        sleep(TICK).await;
        tick += 1;
        keep_house(floor, tick)?;
        if tick.is_multiple_of(TOLD) {
            floor.pacer.wake_all();
            progress(());
        }
        if (tick > 5 && floor.pacer.unsettled() == 0) || start.elapsed() >= options.healing {
            return Ok(());
        }
    }
}

fn keep_house(floor: &Floor, tick: u32) -> Result<(), BenchError> {
    floor.journal.borrow_mut().flush()?;
    if tick.is_multiple_of(TOLD) {
        floor.clock.set(clock());
    }
    Ok(())
}

/// Makes reports of progress.
struct Told<'a> {
    floor: &'a Floor,
    start: Instant,
    since: Instant,
    answered: u64,
}

impl Told<'_> {
    fn tell(&mut self, healing: bool) -> Progress {
        let stats = self.floor.stats.borrow();
        let connected = self.floor.live.connected.load(Ordering::Relaxed);
        let seconds = self.since.elapsed().as_secs_f64().max(0.001);
        let rate = per_second(stats.answered.saturating_sub(self.answered), seconds);
        (self.since, self.answered) = (Instant::now(), stats.answered);
        Progress {
            elapsed: self.start.elapsed(),
            healing,
            connected: usize::try_from(connected).unwrap_or(0),
            answered: stats.answered,
            approved: stats.approved,
            rate,
            p50: Duration::from_micros(stats.recent.value_at_quantile(0.5)),
            p99: Duration::from_micros(stats.recent.value_at_quantile(0.99)),
            refusals: (stats.codes.iter().filter(|(code, _)| code.to_string() != "00"))
                .map(|(code, count)| (code.to_string(), *count))
                .collect(),
            errors: stats.errors.values().sum(),
            unknown: self.floor.pacer.unsettled(),
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
}

/// What this thread has used of its processor, as the kernel counts it.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn summarize(floor: &Floor, options: &BenchOptions, of: Measured) -> Summary {
    let Measured { length: measured, cpu, series, samples } = of;
    let stats = floor.stats.borrow();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let answered = f64::from(u32::try_from(stats.answered.max(1)).unwrap_or(u32::MAX));
    let busy = cpu.as_secs_f64() / measured.as_secs_f64().max(0.001);
    let own = Percentiles::of(&stats.own);
    let long_enough = measured >= JUDGED_FROM;
    let reasons =
        own_faults(&own, &Percentiles::of(&stats.latency), if long_enough { busy } else { 0.0 });
    Summary {
        target: options.target.clone(),
        dialect: floor.dialect.name().to_owned(),
        pace: match &options.pace {
            Pace::Closed => "closed loop".to_owned(),
            Pace::Open(rates, Arrivals::Constant) => format!("{rates} a second"),
            Pace::Open(rates, Arrivals::Poisson) => format!("{rates} a second, at random"),
        },
        connections: floor.connections,
        terminals: floor.terminals,
        seed: floor.seed,
        run: floor.batch,
        seconds: measured.as_secs_f64(),
        sent: stats.sent,
        answered: stats.answered,
        approved: stats.approved,
        declined: stats.declined,
        rate: per_second(stats.answered, measured.as_secs_f64().max(0.001)),
        latency: Percentiles::of(&stats.latency),
        service: Percentiles::of(&stats.service),
        lateness: Percentiles::of(&stats.lateness),
        codes: stats.codes.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
        errors: stats.errors.clone(),
        faults: stats.faults.clone(),
        events: stats.events.clone(),
        kinds: stats.kinds.clone(),
        never_begun: count(floor.pacer.backlog()),
        unknown: count(floor.pacer.unsettled()),
        own_cpu: cpu.as_secs_f64() * 1_000_000.0 / answered,
        own_busy: busy,
        own_lateness: own,
        valid: reasons.is_empty(),
        invalid_reasons: reasons,
        series,
        points: points(&stats.latency),
        watched: samples
            .into_iter()
            .filter_map(|(name, samples)| Some((name, cost(samples, answered)?)))
            .collect(),
    }
}

fn cost(samples: Vec<Sample>, answered: f64) -> Option<Cost> {
    let (first, last) = (samples.first()?, samples.last()?);
    Some(Cost {
        cpu_per_request: (last.cpu - first.cpu) * 1_000_000.0 / answered,
        memory: last.memory,
        memory_most: samples.iter().map(|sample| sample.memory).max()?,
        samples,
    })
}

/// Why the figures say more of the load than of its target, if so.
fn own_faults(own: &Percentiles, latency: &Percentiles, busy: f64) -> Vec<String> {
    let mut reasons = Vec::new();
    if own.p99 > TOLERATED && own.p99 * 4 > latency.p99 {
        reasons.push(format!(
            "the load itself fell behind: one in a hundred requests was sent {:.1} ms or more after it was due, though a \
             terminal was free",
            Duration::from_micros(own.p99).as_secs_f64() * 1_000.0
        ));
    }
    if busy > BUSY {
        reasons.push(format!(
            "the load used {:.0} % of its thread: a faster target would not show",
            busy * 100.0
        ));
    }
    reasons
}
