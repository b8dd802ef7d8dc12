//! The issuer simulator at work: listens, serves connections, refuses them when its script says so.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answer::Writer;
use super::book::{Book, Postings};
use super::desk::Desk;
use super::host::Host;
use super::{IssuerOptions, Script, connection};
use crate::ledger::LedgerError;

/// Why an issuer simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What an issuer did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuerCounts {
    /// Messages of all kinds.
    pub received: u64,
    /// What was posted.
    pub postings: Postings,
    /// How often each behaviour of a script was shown, by its name.
    pub shown: BTreeMap<&'static str, u64>,
    /// How often each rule applied, in order, by its name.
    pub rules: Vec<(String, u64)>,
    /// Since the script was set.
    pub elapsed: Duration,
}

/// A running issuer simulator. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
pub(super) struct Shared {
    desk: Mutex<Desk>,
    pub(super) writer: Writer,
    refusals: mpsc::UnboundedSender<Duration>,
}

impl Shared {
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections, and refuses new ones for a while.
    pub(super) fn refuse(&self, pause: Duration) {
        // Without a listener there is nothing to close.
        let _ended = self.refusals.send(pause);
    }
}

impl Issuer {
    /// Reads the ledger, if there is one, and listens.
    ///
    /// # Errors
    /// The address or the ledger cannot be used.
    pub async fn start(options: IssuerOptions) -> Result<Self, IssuerError> {
        let (script, ledger) = (options.script, options.ledger.as_deref());
        let book = Book::open(ledger, script.balance, script.holds())?;
        let wrong = |source| IssuerError::Listen { address: options.listen.clone(), source };
        let listener = TcpListener::bind(&options.listen).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let (refusals, refused) = mpsc::unbounded_channel();
        let framing = options.framing.unwrap_or_else(|| options.dialect.framing());
        let host = options.acquirer.then(|| Host::new(options.foreign_prefixes));
        let direct = options.acquirer;
        let writer = Writer { dialect: options.dialect, framing, direct };
        let desk = Mutex::new(Desk::new(book, script, host));
        let shared = Arc::new(Shared { desk, writer, refusals });
        let stop = CancellationToken::new();
        let task = tokio::spawn(listen(Arc::clone(&shared), listener, refused, stop.clone()));
        Ok(Self { address, shared, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes another script from now on; its counts begin anew.
    pub fn set_script(&self, script: Script) {
        self.shared.desk().set_script(script);
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> IssuerCounts {
        let desk = self.shared.desk();
        IssuerCounts {
            received: desk.received(),
            postings: desk.book.postings,
            shown: desk.shown().clone(),
            rules: desk.rule_hits(),
            elapsed: desk.elapsed(),
        }
    }

    /// Closes listener and connections. Its ledger is complete then.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the issuer did not end well");
        }
        if let Err(error) = self.shared.desk().flush() {
            tracing::error!(%error, "the end of the ledger is lost");
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(
    shared: Arc<Shared>,
    mut listener: TcpListener,
    mut refused: mpsc::UnboundedReceiver<Duration>,
    stop: CancellationToken,
) {
    let Ok(address) = listener.local_addr() else { return };
    let mut connections = stop.child_token();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = seconds.tick() => {
                if let Err(error) = shared.desk().expire() {
                    tracing::error!(%error, "the end of a hold is not in the ledger");
                }
            }
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let serving = connection::serve(Arc::clone(&shared), stream);
                    let connections = connections.clone();
                    tokio::spawn(async move {
                        let ended = connections.run_until_cancelled(serving).await;
                        if let Some(Err(error)) = ended {
                            tracing::debug!(%peer, %error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(pause) = refused.recv() => {
                connections.cancel();
                drop(listener);
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                while refused.try_recv().is_ok() {}
                connections = stop.child_token();
                let Some(again) = stop.run_until_cancelled(listen_again(address)).await else {
                    return;
                };
                listener = again;
            }
        }
    }
}

/// The port is ours: whoever has it in between gives it back soon.
async fn listen_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%address, %error, "cannot listen again"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
