//! Starting a node, in order: store, lease, driver, recovery, ports, links; and stopping it in the other.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;
use iso8583::Code;
use keystore::CardKeys;
use store::{Lane, Lease, Outage, Store, StoreConfig, StoreError, Writer};
use switch_core::{EngineConfig, Event, IssuerPolicy, Name, ReversalSchedule};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    batches::{self, Batches},
    card_key::{self, OtherKey},
    clock,
    config::{IssuerSettings, Settings},
    counter::{Clerk, Counter, Parameters, ParametersError, Waiting},
    day_clock::{DayWatch, day_time},
    desk::{Desk, Directory},
    driver::{Driver, Fatal, Shown, Wiring},
    housekeeping::{self, Keeper},
    input::{Input, Inputs},
    issuer_links::{Host, keep_up},
    listener::{Bound, Port, bind},
    pacer::Pacer,
    reader::read_rows,
    recovery,
    running::{Parts, Running},
    telemetry,
};

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key that protects card data is not there, or is none.
    #[error("card_data.key_file")]
    Key(#[source] keystore::KeyFileError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key is not that of the database.
    #[error("card_data.key_file")]
    OtherKey(#[from] OtherKey),
    /// The clock's day is so far ahead that a person must say whether it is right.
    #[error("{0}")]
    Day(String),
    /// What terminals fetch cannot be used.
    #[error("parameters.dir")]
    Parameters(#[from] ParametersError),
    /// A port cannot be listened on.
    #[error("listener {listener:?}: cannot listen on {address}")]
    Listen {
        /// Which.
        listener: Name,
        /// Its address as configured.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The switch of this process.
#[derive(Debug, Clone, Copy)]
pub struct Switch;

impl Switch {
    /// Starts a node: once this returns, its ports accept and what its earlier lives left is being conducted to its end.
    ///
    /// # Errors
    /// The key file, the store or a port cannot be had. Nothing was left running.
    pub async fn start(settings: Settings) -> Result<Running, StartError> {
        let keys = CardKeys::load(&settings.card_data.key_file).map_err(StartError::Key)?;
        let keys = Arc::new(keys);
        let (inputs, from_all) = Inputs::channel();
        let stopping = CancellationToken::new();
        let ending = CancellationToken::new();
        let directory = Arc::new(Directory::new(&settings));
        let parameters = parameters(&settings)?;
        let batches = Arc::new(Batches::default());
        let (counter, waiting) = Counter::channel(&inputs);
        let behind = Behind { directory: &directory, keys: &keys, batches: &batches, parameters };
        // Ports are bound first, so that a wrong address costs nothing; they accept last.
        let ports = ports(&settings, &behind, &inputs, &counter, &stopping);
        let mut bound = Vec::new();
        for (listener, port) in settings.listeners.iter().zip(&ports) {
            bound.push(bind(listener, Arc::clone(port)).await?);
        }
        let store = open_store(&settings).await?;
        let shown = Arc::new(Shown::default());
        let (lease, days) = take_place(&settings, &store, &keys, &shown).await?;
        let shared = Arc::new(ArcSwap::from(Arc::clone(&directory)));
        let wired = (from_all, Arc::clone(&shown));
        let (driver, numbers) =
            drive(&settings, &store, &lease, &inputs, wired, Arc::clone(&shared));

        let newest = open_counter(&store, &batches, &inputs, waiting).await?;
        let hosts = hosts(&settings, &directory, &keys, &inputs, &ending);
        let links = TaskTracker::new();
        for host in &hosts {
            keep_up(host, &links);
        }
        let keeper = Keeper {
            store: store.clone(),
            lease: lease.clone(),
            inputs: inputs.clone(),
            shown: Arc::clone(&shown),
        };
        tell_reads(&store, &inputs);
        // Before the recovery, which may take longer than others wait for a silent node.
        let (beaten, beats) = watch::channel(());
        let beating = tokio::spawn(keeper.clone().beat(ending.clone(), beaten));
        if let Err(error) = recovery::recover_all(&store, &lease, &inputs, &shown).await {
            ending.cancel();
            return Err(error.into());
        }
        let caring = tokio::spawn(keeper.care(stopping.clone(), ending.clone(), beats, days));
        let keeping =
            tokio::spawn(batches::keep(batches.clone(), store.clone(), newest, ending.clone()));
        // Without numbers every sale would be refused.
        let _ = tokio::time::timeout(NUMBERS_PATIENCE, numbers).await;
        let connections = TaskTracker::new();
        let addresses = addresses(&settings, &bound);
        for port in bound {
            tokio::spawn(port.serve(connections.clone()));
        }
        let parts = Parts {
            settings,
            keys,
            batches,
            directory: shared,
            store,
            inputs,
            stopping,
            ending,
            ports,
            hosts,
            connections,
            links,
            driver,
            keeper: [beating, caring, keeping],
            shown,
        };
        Ok(Running::new(parts, addresses))
    }
}

/// Reads what terminals' batches are, and lets the counter work; gives the newest change that was read.
async fn open_counter(
    store: &Store,
    batches: &Arc<Batches>,
    inputs: &Inputs,
    waiting: Waiting,
) -> Result<u64, StoreError> {
    let newest = batches.load(store).await?;
    let (store, batches, inputs) = (store.clone(), Arc::clone(batches), inputs.clone());
    let outage = Arc::new(Outage::new("terminals"));
    Clerk { store, batches, inputs, outage }.start(waiting);
    Ok(newest)
}

/// One process serves an embedded database, and reads its own numbers. On a server the beats of the other nodes tell it.
fn tell_reads(store: &Store, inputs: &Inputs) {
    if let Store::Sqlite(_) = store {
        inputs.event(Event::ReadsNew(true));
    }
}

/// Takes the lease, unless the key or the business day stands against it; gives the watch over the clock.
async fn take_place(
    settings: &Settings,
    store: &Store,
    keys: &CardKeys,
    shown: &Shown,
) -> Result<(Lease, DayWatch), StartError> {
    let file = &settings.card_data.key_file;
    card_key::look(store, file, keys).await?;
    // The first day of a new database is the server's.
    let wall = day_time(store).await?;
    let lease = store.lease(&settings.node.id, &housekeeping::process(), wall).await?;
    tracing::info!(node = settings.node.id, epoch = lease.epoch.0, "lease taken");
    card_key::keep(store, file, keys).await?;
    let mut days = DayWatch::default();
    match housekeeping::keep_days(store, &mut days, shown).await? {
        Some(waits) => Err(StartError::Day(waits)),
        None => Ok((lease, days)),
    }
}

/// A store that this version can work with.
async fn open_store(settings: &Settings) -> Result<Store, StoreError> {
    let store = Store::open(&store_config(settings)).await?;
    if settings.store.migrate {
        store.migrate().await?;
    }
    store.check_version().await?;
    Ok(store)
}

type Driven = (JoinHandle<Result<(), Fatal>>, oneshot::Receiver<()>);

/// Starts the driver with its writers, its reader and its numbers; the last is told when the first numbers are there.
fn drive(
    settings: &Settings,
    store: &Store,
    lease: &Lease,
    inputs: &Inputs,
    (from_all, shown): (mpsc::UnboundedReceiver<Input>, Arc<Shown>),
    directory: Arc<ArcSwap<Directory>>,
) -> Driven {
    let (reports_in, reports) = mpsc::unbounded_channel();
    let writer = |lane| Writer::spawn(store, lease, lane, reports_in.clone(), clock::mono);
    let (reads, reads_out) = mpsc::unbounded_channel();
    let (draws, draws_out) = mpsc::unbounded_channel();
    let wiring = Wiring {
        inputs: inputs.clone(),
        from_all,
        reports,
        intents: writer(Lane::Intents),
        outcomes: writer(Lane::Outcomes),
        reads,
        draws,
        shown,
        link_queue: settings.bounds.link_queue,
    };
    drop(reports_in);
    let mut engine = engine_config(settings);
    (engine.node, engine.epoch) = (lease.node, lease.epoch);
    engine.hash_seed = RandomState::new().hash_one(lease.epoch);
    let driver = tokio::spawn(Driver::new(engine, wiring).run());
    tokio::spawn(read_rows(store.clone(), directory, reads_out, inputs.clone()));
    let (numbers_in, numbers) = oneshot::channel();
    let draws = housekeeping::draw_numbers(store.clone(), draws_out, inputs.clone(), numbers_in);
    tokio::spawn(draws);
    (driver, numbers)
}

/// How long ports stay closed while no numbers can be drawn.
const NUMBERS_PATIENCE: Duration = Duration::from_secs(2);

fn addresses(settings: &Settings, bound: &[Bound]) -> Vec<(Name, SocketAddr)> {
    let names = settings.listeners.iter().map(|listener| listener.name.clone());
    names.zip(bound.iter().map(|bound| bound.address)).collect()
}

fn ports(
    settings: &Settings,
    behind: &Behind<'_>,
    inputs: &Inputs,
    counter: &Counter,
    stopping: &CancellationToken,
) -> Vec<Arc<Port>> {
    let asks = Arc::new(Semaphore::new(settings.bounds.asks));
    let numbers = Arc::new(AtomicU64::new(1));
    let bounds = Arc::new(settings.bounds.clone());
    desks(settings, behind)
        .into_iter()
        .map(|desk| {
            Arc::new(Port {
                name: desk.listener.name.clone(),
                desk: ArcSwap::from_pointee(desk),
                bounds: Arc::clone(&bounds),
                inputs: inputs.clone(),
                counter: counter.clone(),
                asks: Arc::clone(&asks),
                numbers: Arc::clone(&numbers),
                stopping: stopping.clone(),
            })
        })
        .collect()
}

/// What all desks share.
pub(crate) struct Behind<'a> {
    pub(crate) directory: &'a Arc<Directory>,
    pub(crate) keys: &'a Arc<CardKeys>,
    pub(crate) batches: &'a Arc<Batches>,
    pub(crate) parameters: Option<Arc<Parameters>>,
}

/// The files that terminals fetch, read anew.
pub(crate) fn parameters(settings: &Settings) -> Result<Option<Arc<Parameters>>, ParametersError> {
    let dialects: Vec<_> = settings.listeners.iter().map(|listener| &*listener.dialect).collect();
    let load = |dir| Parameters::load(dir, &dialects).map(Arc::new);
    settings.parameters.as_deref().map(load).transpose()
}

/// What stands behind each port, in the order of the settings.
pub(crate) fn desks(settings: &Settings, behind: &Behind<'_>) -> Vec<Desk> {
    let desk = |listener: &crate::config::ListenerSettings| Desk {
        listener: listener.clone(),
        directory: Arc::clone(behind.directory),
        keys: Arc::clone(behind.keys),
        batches: Arc::clone(behind.batches),
        parameters: behind.parameters.clone(),
    };
    settings.listeners.iter().map(desk).collect()
}

fn hosts(
    settings: &Settings,
    directory: &Arc<Directory>,
    keys: &Arc<CardKeys>,
    inputs: &Inputs,
    ending: &CancellationToken,
) -> Vec<Arc<Host>> {
    // Number 0 stands for no link.
    let numbers = Arc::new(AtomicU64::new(1));
    let host = |issuer: &IssuerSettings| {
        Arc::new(Host {
            settings: ArcSwap::from_pointee(issuer.clone()),
            directory: ArcSwap::from(Arc::clone(directory)),
            keys: Arc::clone(keys),
            bounds: Arc::new(settings.bounds.clone()),
            inputs: inputs.clone(),
            pacer: Pacer::default(),
            seconds: telemetry::issuer_seconds(&issuer.name),
            numbers: Arc::clone(&numbers),
            ending: ending.clone(),
        })
    };
    settings.issuers.iter().map(host).collect()
}

fn store_config(settings: &Settings) -> StoreConfig {
    let day = &settings.day;
    let mut config = StoreConfig::new(settings.store.url.clone());
    config.connections = settings.store.connections;
    config.day.zone.clone_from(&day.zone_name);
    config.day.cutover = format!("{:02}:{:02}", day.cutover.hour(), day.cutover.minute());
    config.day.overlap = day.overlap;
    config
}

/// What the engine must know of the settings; the node's number and epoch come from its lease.
pub(crate) fn engine_config(settings: &Settings) -> EngineConfig {
    let policy = |issuer: &IssuerSettings| IssuerPolicy {
        name: issuer.name.clone(),
        timeout: issuer.timeout,
        max_in_flight: issuer.max_in_flight,
        unknown_codes: issuer.unknown_codes.clone(),
        refusals: refusals(issuer),
        reversal: ReversalSchedule {
            first: issuer.reversal.first,
            factor: issuer.reversal.factor,
            longest: issuer.reversal.longest,
            attempts: issuer.reversal.attempts,
            max_in_flight: issuer.reversal.max_in_flight,
            final_codes: issuer.reversal.final_codes.clone(),
        },
        repeats_advices: issuer.idempotent_advices,
    };
    EngineConfig {
        repeat_window: settings.day.repeat_window,
        issuers: settings.issuers.iter().map(policy).collect(),
        ..EngineConfig::default()
    }
}

/// Codes that are surely refusals of an issuer: those of its dialect but for what its settings call unknown.
fn refusals(issuer: &IssuerSettings) -> Vec<Code> {
    let mut codes = issuer.dialect.refusals();
    codes.retain(|code| !issuer.unknown_codes.contains(code));
    codes
}
