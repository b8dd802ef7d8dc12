//! One node of the switch in this process: its start-up order, its signals, its end.

use std::net::SocketAddr;

use admin::{Admin, Condition, Phase, Serving, Told};
use anyhow::{Context, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use sd_notify::NotifyState;
use switch::{Running, Switch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, runtime::DataPath};

/// A node that serves.
pub(crate) struct Node {
    config: Config,
    running: Running,
    phase: watch::Sender<Phase>,
    admin: Serving,
    admin_stop: CancellationToken,
    data_path: DataPath,
    /// Where HTTP is served.
    pub(crate) admin_address: SocketAddr,
}

impl Node {
    /// Starts a node: once this returns it accepts traffic. The ports are bound before anything is written.
    ///
    /// # Errors
    /// The key is missing, a port is taken, or the store refuses.
    pub(crate) async fn start(config: Config, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let key = config.key_file();
        if !key.exists() {
            let key = key.display();
            let message = format!("{key} does not exist: make it with `interlock keys init {key}`");
            return Err(config.fault("card_data.key_file", message).into());
        }
        let settings = config.runtime().context("a dialect was not loaded")?;
        switch::describe();
        let port = admin::Port::bind(&config.settings.admin.0.listen.to_string()).await?;
        let admin_address = port.address;
        let data_path = DataPath::start(settings.node.threads)?;
        let starting = data_path.handle().spawn(Switch::start(settings));
        let running = starting.await.context("the start of the switch")??;
        let (phase, phases) = watch::channel(Phase::Ready);
        let admin_stop = CancellationToken::new();
        let watch = running.watch();
        let condition = Condition::new(move || Told {
            hindrance: watch.hindrance(),
            day: watch.day().map(switch::date),
        });
        let admin = Admin {
            condition,
            store: running.watch().store().clone(),
            metrics,
            phase: phases,
            node: config.settings.node.0.id.0.clone(),
            version: env!("CARGO_PKG_VERSION"),
        }
        .serve(port, admin_stop.clone());
        Ok(Self { config, running, phase, admin, admin_stop, data_path, admin_address })
    }

    /// The address of each listener, by name.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.running.addresses().iter().map(|(name, address)| (&**name, *address))
    }

    /// The store, for reading.
    pub(crate) fn store(&self) -> store::Store {
        self.running.watch().store().clone()
    }

    /// Serves until it is told to stop, then drains.
    ///
    /// # Errors
    /// The node ended by a fault.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut reload = signal(SignalKind::hangup())?;
        let listeners: Vec<String> =
            self.addresses().map(|(name, address)| format!("{name}={address}")).collect();
        let (listeners, admin) = (listeners.join(" "), self.admin_address);
        tracing::info!(%listeners, %admin, "ready");
        tell(&[NotifyState::Ready]);
        loop {
            tokio::select! {
                ended = self.running.ended() => {
                    self.phase.send_replace(Phase::Draining);
                    ended?;
                    bail!("the node ended by itself");
                }
                _ = reload.recv() => self.reload(),
                () = signals.stop() => break,
            }
        }
        tokio::select! {
            ended = self.drain() => ended,
            () = signals.stop() => bail!("told to stop again: ended before the drain was over"),
        }
    }

    /// Takes new settings, or keeps the old ones and says why.
    fn reload(&mut self) {
        let file = self.config.file.display().to_string();
        let config = match Config::load(&self.config.file) {
            Ok(config) => config,
            Err(faults) => {
                for fault in faults.to_string().lines() {
                    tracing::error!("{fault}");
                }
                tracing::error!(file, "not reloaded: the old settings stay");
                return;
            }
        };
        let Some(settings) = config.runtime() else { return };
        match self.running.reload(settings) {
            Ok(()) => {
                self.config = config;
                tracing::info!(file, "reloaded");
            }
            Err(error) => tracing::error!(file, %error, "not reloaded: the old settings stay"),
        }
    }

    /// Stops: accepts nothing new, ends what is in flight, and then the admin server.
    ///
    /// # Errors
    /// The node ended by a fault meanwhile.
    pub(crate) async fn drain(self) -> anyhow::Result<()> {
        self.phase.send_replace(Phase::Draining);
        tell(&[NotifyState::Stopping]);
        let drained = self.running.drain().await;
        self.admin_stop.cancel();
        // A scrape that hangs shall not hold the process.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.admin.ended()).await;
        let _ = tokio::task::spawn_blocking(|| self.data_path.end()).await;
        drained?;
        tracing::info!("drained");
        Ok(())
    }
}

/// How this process is told to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for them from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or Ctrl-C.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells systemd, where it started this process.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
