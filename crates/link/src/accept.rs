//! The accept loop: a cap on connections, and patience where the process has no room for another.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{Tuning, tune};

/// Accepts connections, never more than its cap at a time.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    room: Arc<Semaphore>,
    tuning: Tuning,
}

/// A connection, and its place under the cap, which is free again once `place` is dropped.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, tuned.
    pub stream: TcpStream,
    /// Whence.
    pub peer: SocketAddr,
    /// Its place under the cap.
    pub place: OwnedSemaphorePermit,
}

/// How long accepting pauses when the process or the machine has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

impl Acceptor {
    /// Accepts from `listener` while fewer than `max_connections` are open; the others wait in the kernel's backlog.
    #[must_use]
    pub fn new(listener: TcpListener, max_connections: usize, tuning: Tuning) -> Self {
        let room = max_connections.min(Semaphore::MAX_PERMITS);
        Self { listener, room: Arc::new(Semaphore::new(room)), tuning }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection. A connection that broke while it was accepted is passed over; where there is no room for
    /// another (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), accepting pauses. May be cancelled.
    pub async fn accept(&self) -> Accepted {
        loop {
            let Ok(place) = Arc::clone(&self.room).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => match tune(&stream, self.tuning) {
                    Ok(()) => return Accepted { stream, peer, place },
                    Err(error) => tracing::debug!(%error, "connection broke while accepted"),
                },
                Err(error) if passing(&error) => {
                    tracing::debug!(%error, "connection broke while accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "no room to accept a connection, accepting pauses");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether an error of accept speaks of the one connection only.
fn passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
