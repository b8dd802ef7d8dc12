//! A port for terminals: accepts connections under its cap until the node stops.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use link::{Acceptor, Connection, Limits, Tuning, listen};
use switch_core::{AskId, Name};
use tokio::{net::lookup_host, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Bounds, ListenerSettings},
    connection::{SharedDesk, TerminalConnection},
    counter::Counter,
    input::Inputs,
    start::StartError,
};

/// What the connections of a port share.
pub(crate) struct Port {
    pub(crate) name: Name,
    pub(crate) desk: SharedDesk,
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) inputs: Inputs,
    pub(crate) counter: Counter,
    /// Places for messages that wait for an answer, over all ports.
    pub(crate) asks: Arc<Semaphore>,
    /// Numbers asks, over all ports.
    pub(crate) numbers: Arc<AtomicU64>,
    /// The node stops: nothing new is read.
    pub(crate) stopping: CancellationToken,
}

impl Port {
    pub(crate) fn next_ask(&self) -> AskId {
        AskId(self.numbers.fetch_add(1, Ordering::Relaxed))
    }
}

/// A bound port that does not accept yet.
pub(crate) struct Bound {
    acceptor: Acceptor,
    pub(crate) address: SocketAddr,
    port: Arc<Port>,
}

/// Kernel memory for what a terminal does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// Binds the port of a listener.
///
/// # Errors
/// Its address has no meaning here, or is in use.
pub(crate) async fn bind(
    settings: &ListenerSettings,
    port: Arc<Port>,
) -> Result<Bound, StartError> {
    let fault = |source| StartError::Listen {
        listener: settings.name.clone(),
        address: settings.listen.clone(),
        source,
    };
    let mut addresses = lookup_host(&settings.listen).await.map_err(fault)?;
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    let address = addresses.next().ok_or_else(none).map_err(fault)?;
    let socket = listen(address).map_err(fault)?;
    let tuning = Tuning { send_buffer: Some(SEND_BUFFER), ..Tuning::default() };
    let acceptor = Acceptor::new(socket, settings.max_connections, tuning);
    let address = acceptor.local_addr().map_err(fault)?;
    Ok(Bound { acceptor, address, port })
}

impl Bound {
    /// Accepts until the node stops; then the port is closed. Each connection is a task of `connections`.
    pub(crate) async fn serve(self, connections: TaskTracker) {
        let Self { acceptor, port, .. } = self;
        loop {
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                () = port.stopping.cancelled() => return,
            };
            let (limits, framing, proxied) = {
                let listener = &port.desk.load().listener;
                let limits = Limits {
                    max_frame: listener.max_frame,
                    idle: Some(listener.idle_timeout),
                    frame: port.bounds.frame,
                    keepalives: port.bounds.keepalives,
                    outbound: port.bounds.outbound,
                };
                (limits, listener.framing, listener.proxy_protocol)
            };
            let link = match Connection::new(accepted.stream, framing, limits) {
                Ok(link) if proxied => link.behind_proxy(),
                Ok(link) => link,
                Err(error) => {
                    tracing::debug!(%error, "connection broke while accepted");
                    continue;
                }
            };
            let (port, place) = (Arc::clone(&port), accepted.place);
            connections.spawn(async move {
                TerminalConnection::new(link, port).run().await;
                drop(place);
            });
        }
    }
}
