//! A node that runs: what others may see of it, its reload, and its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use keystore::CardKeys;
use store::Store;
use switch_core::{Day, Gauges, Name};
use tokio::{
    task::{JoinError, JoinHandle},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    batches::Batches,
    config::Settings,
    counter::ParametersError,
    desk::Directory,
    driver::{Fatal, Shown},
    input::{Input, Inputs},
    issuer_links::Host,
    listener::Port,
    start::{Behind, desks, engine_config, parameters},
};

/// What a running node is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) keys: Arc<CardKeys>,
    pub(crate) batches: Arc<Batches>,
    /// Shared with those who look for originals.
    pub(crate) directory: Arc<ArcSwap<Directory>>,
    pub(crate) store: Store,
    pub(crate) inputs: Inputs,
    pub(crate) stopping: CancellationToken,
    pub(crate) ending: CancellationToken,
    pub(crate) ports: Vec<Arc<Port>>,
    pub(crate) hosts: Vec<Arc<Host>>,
    pub(crate) connections: TaskTracker,
    pub(crate) links: TaskTracker,
    pub(crate) driver: JoinHandle<Result<(), Fatal>>,
    pub(crate) keeper: [JoinHandle<()>; 3],
    pub(crate) shown: Arc<Shown>,
}

/// A node that runs. Dropping it does not stop it: call [`Running::drain`].
pub struct Running {
    parts: Parts,
    addresses: Vec<(Name, SocketAddr)>,
}

/// Why a node ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The store refuses this node.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A fault of our own.
    #[error("the driver ended by a fault of its own")]
    Fault(#[from] JoinError),
}

/// Settings that cannot be taken while the node runs. The old ones stay.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It takes a restart.
    #[error("{0} cannot change while the node runs: restart it")]
    Fixed(String),
    /// What terminals fetch cannot be used.
    #[error("parameters.dir: {0}")]
    Parameters(#[from] ParametersError),
}

/// What a node shows of itself, cheap to copy: it outlives the node.
#[derive(Clone)]
pub struct Watch {
    stopping: CancellationToken,
    shown: Arc<Shown>,
    store: Store,
}

impl Watch {
    /// Whether ports accept, the store answers, and the clock is right.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping.is_cancelled() && self.hindrance().is_none()
    }

    /// Why this node shall get no traffic though its ports accept, for people: the store is down, the clock is wrong, or the
    /// business day waits for a person.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        self.shown.hindrance()
    }

    /// The current business day.
    #[must_use]
    pub fn day(&self) -> Option<Day> {
        self.shown.day()
    }

    /// Figures of the engine.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        self.shown.gauges()
    }

    /// Links to issuers that are signed on, over all issuers.
    #[must_use]
    pub fn links_up(&self) -> usize {
        self.shown.links_up.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The store, for reading.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }
}

impl Running {
    pub(crate) const fn new(parts: Parts, addresses: Vec<(Name, SocketAddr)>) -> Self {
        Self { parts, addresses }
    }

    /// The address of each listener, by name.
    #[must_use]
    pub fn addresses(&self) -> &[(Name, SocketAddr)] {
        &self.addresses
    }

    /// What others may see.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            stopping: self.parts.stopping.clone(),
            shown: Arc::clone(&self.parts.shown),
            store: self.parts.store.clone(),
        }
    }

    /// Waits until the node has ended by itself, which it only does by a fault. May be cancelled.
    ///
    /// # Errors
    /// Always: why it ended.
    pub async fn ended(&mut self) -> Result<(), EndError> {
        let ended = (&mut self.parts.driver).await;
        self.parts.stopping.cancel();
        self.parts.ending.cancel();
        Ok(ended??)
    }

    /// Takes new routes, merchants, limits and dialects, from the next message on. Same settings: nothing changes.
    ///
    /// # Errors
    /// What is not reloaded has changed (node, store, ports, issuers' endpoints), or the files that terminals fetch cannot be
    /// used: everything stays as it was.
    pub fn reload(&mut self, settings: Settings) -> Result<(), ReloadError> {
        unchanged(&self.parts.settings, &settings)?;
        let parameters = parameters(&settings)?;
        let directory = Arc::new(Directory::new(&settings));
        self.parts.directory.store(Arc::clone(&directory));
        let (keys, batches) = (&self.parts.keys, &self.parts.batches);
        let desks = desks(&settings, &Behind { directory: &directory, keys, batches, parameters });
        for (port, desk) in self.parts.ports.iter().zip(desks) {
            port.desk.store(Arc::new(desk));
        }
        for (host, issuer) in self.parts.hosts.iter().zip(&settings.issuers) {
            host.settings.store(Arc::new(issuer.clone()));
            host.directory.store(Arc::clone(&directory));
        }
        self.parts.inputs.send(Input::Configure(engine_config(&settings)));
        self.parts.settings = settings;
        Ok(())
    }

    /// Stops: accepts nothing new, finishes what is in flight for at most `drain_timeout`, concludes the rest as on
    /// silence, and ends.
    ///
    /// # Errors
    /// The node ended by a fault meanwhile.
    pub async fn drain(mut self) -> Result<(), EndError> {
        let limit = Instant::now() + self.parts.settings.node.drain_timeout;
        tracing::info!("draining");
        self.parts.stopping.cancel();
        self.parts.inputs.send(Input::Stopping);
        self.parts.connections.close();
        // Answered or not, connections end once nothing waits on them.
        let _ = timeout_at(limit, self.parts.connections.wait()).await;
        while Instant::now() < limit && !self.is_idle() && !self.parts.driver.is_finished() {
            sleep(LOOK_EVERY).await;
        }
        self.parts.inputs.send(Input::Drain);
        let ended = self.last_commits().await;
        self.parts.ending.cancel();
        self.parts.links.close();
        let _ = timeout(LOOK_EVERY * 20, self.parts.links.wait()).await;
        // Their calls to the store are tasks of their own: what was begun is not cancelled, only no longer waited for.
        let patience = self.patience();
        let kept = async {
            for kept in &mut self.parts.keeper {
                let _ = kept.await;
            }
        };
        if timeout(patience, kept).await.is_err() {
            tracing::warn!("the store did not answer the node's last beat or batches in time");
        }
        match ended {
            Err(error) if error.is_cancelled() => Ok(()),
            ended => Ok(ended??),
        }
    }

    /// Waits for the last commits while the store works. Where it does not, nothing can be written: what is in flight stays
    /// in the database as it is, and the next start conducts it to its end (M14).
    async fn last_commits(&mut self) -> Result<Result<(), Fatal>, JoinError> {
        let begun = Instant::now();
        while begun.elapsed() < self.patience() {
            if let Ok(ended) = timeout(LOOK_EVERY, &mut self.parts.driver).await {
                return ended;
            }
        }
        tracing::error!("the store did not take what was to be written in time");
        self.parts.driver.abort();
        (&mut self.parts.driver).await
    }

    /// How long the store may still take.
    fn patience(&self) -> Duration {
        if self.parts.shown.store_up.load(std::sync::atomic::Ordering::Relaxed) {
            PATIENCE
        } else {
            PATIENCE_WHILE_DOWN
        }
    }

    fn is_idle(&self) -> bool {
        self.parts.shown.idle.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// How often the end of what is in flight is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the last commits may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once the store is known to be down.
const PATIENCE_WHILE_DOWN: Duration = Duration::from_millis(300);

/// Ports, issuers' endpoints, node and store stay as they were.
fn unchanged(old: &Settings, new: &Settings) -> Result<(), ReloadError> {
    let refuse = |what: &str| Err(ReloadError::Fixed(what.to_owned()));
    if old.node.id != new.node.id {
        return refuse("node.id");
    }
    if old.node.threads != new.node.threads {
        return refuse("node.threads");
    }
    if (&old.store.url, old.store.connections) != (&new.store.url, new.store.connections) {
        return refuse("[store]");
    }
    if (&old.day.zone_name, old.day.cutover, old.day.overlap)
        != (&new.day.zone_name, new.day.cutover, new.day.overlap)
    {
        return refuse("[day]");
    }
    if old.card_data.key_file != new.card_data.key_file {
        return refuse("card_data.key_file");
    }
    let ports = |settings: &Settings| -> Vec<_> {
        let port = |l: &crate::config::ListenerSettings| {
            (l.name.clone(), l.listen.clone(), l.domain.clone(), l.framing, l.max_connections)
        };
        settings.listeners.iter().map(port).collect()
    };
    if ports(old) != ports(new) {
        return refuse("a listener's name, listen, domain, framing or max_connections");
    }
    let hosts = |settings: &Settings| -> Vec<_> {
        let host = |i: &crate::config::IssuerSettings| {
            (i.name.clone(), i.endpoints.clone(), i.connections, i.framing)
        };
        settings.issuers.iter().map(host).collect()
    };
    if hosts(old) != hosts(new) {
        return refuse("an issuer's name, endpoints, connections or framing");
    }
    Ok(())
}
