//! What reaches the driver, and the receipts by which sockets report to it. One channel for all keeps the order in which
//! things happened to one connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant as StdInstant,
};

use bytes::Bytes;
use iso8583::{Kind, Message};
use link::{NeverSent, Receipt, Slip};
use store::StoreError;
use switch_core::{
    AskId, EngineConfig, Event, Instant, Key, LinkId, Name, Now, Reply, ReversalUnsent, Row,
    TerminalKey, TxnId, Unsent,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::{counter::Told, desk::Desk, telemetry};

/// What happened, for the driver.
#[derive(Debug)]
pub(crate) enum Input {
    /// A terminal asks. Its messages are bounded by the permits of the open asks.
    Ask(Arc<OpenAsk>, Event),
    /// An issuer answers. The permit bounds how many answers of a link wait.
    Answer(Event, OwnedSemaphorePermit),
    /// Something else for the engine.
    Event(Event),
    /// A link is signed on.
    LinkUp(Name, LinkHandle),
    /// A link is gone, after everything queued on it was reported.
    LinkDown(Name, LinkId),
    /// New settings.
    Configure(EngineConfig),
    /// The node is about to stop: from now on show whether anything is under way.
    Stopping,
    /// Take nothing new and conclude everything (M16).
    Drain,
    /// Whether a message of this terminal waits at the engine.
    Busy(TerminalKey, oneshot::Sender<bool>),
    /// Another process has this node's place: this one must end.
    Fenced(StoreError),
}

/// How everything reports to the driver. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Inputs(Arc<mpsc::UnboundedSender<Input>>);

impl Inputs {
    /// The way to the driver, and the driver's end of it.
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Arc::new(sender)), receiver)
    }

    /// Tells the driver; a driver that has ended needs to know nothing.
    pub(crate) fn send(&self, input: Input) {
        let _ = self.0.send(input);
    }

    pub(crate) fn event(&self, event: Event) {
        self.send(Input::Event(event));
    }
}

/// A terminal's message that waits for its answer.
pub(crate) struct OpenAsk {
    pub(crate) id: AskId,
    pub(crate) message: Message,
    /// What it asks for, where it is a transaction.
    pub(crate) kind: Option<Kind>,
    pub(crate) key: Option<Key>,
    pub(crate) deadline: Instant,
    pub(crate) read: Now,
    /// The port's settings when it was read.
    pub(crate) desk: Arc<Desk>,
    pub(crate) connection: mpsc::UnboundedSender<ToTerminal>,
    /// Its place among all that wait.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for OpenAsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenAsk({})", self.id.0)
    }
}

/// What a terminal's connection must do.
#[derive(Debug)]
pub(crate) enum ToTerminal {
    /// Answer.
    Reply(Box<(Arc<OpenAsk>, Reply, Slip<ReplyReceipt>)>),
    /// Answer for the counter.
    Told(Box<(Arc<OpenAsk>, Told, Slip<ReplyReceipt>)>),
    /// No answer will be given.
    Silent(AskId),
    /// No answer will be given: close.
    Close,
}

/// Reports the fate of an answer to a terminal.
#[derive(Debug)]
pub(crate) enum ReplyReceipt {
    /// An approval: the engine must know (M10).
    Approved {
        ask: AskId,
        key: Key,
        read: Instant,
        inputs: Inputs,
        /// Set when its first byte was written.
        written: Arc<AtomicBool>,
    },
    /// Any other answer to a message read then.
    Other(Instant),
    /// A zero-length frame sent back.
    KeepAlive,
}

impl Receipt for ReplyReceipt {
    fn written(self) {
        match self {
            Self::Approved { ask, key, read, inputs, written } => {
                written.store(true, Ordering::Relaxed);
                telemetry::answered(read);
                inputs.event(Event::ReplyWritten { ask, key });
            }
            Self::Other(read) => telemetry::answered(read),
            Self::KeepAlive => {}
        }
    }

    fn never_sent(self, _why: NeverSent) {
        match self {
            Self::Approved { ask, key, inputs, .. } => {
                inputs.event(Event::ReplyDropped { ask, key });
            }
            Self::Other(_) | Self::KeepAlive => {}
        }
    }
}

/// What a link to an issuer must send.
#[derive(Debug)]
pub(crate) enum ToIssuer {
    /// The request that a terminal's message becomes.
    Forward {
        ask: Arc<OpenAsk>,
        id: TxnId,
        carried: Bytes,
        not_after: StdInstant,
        slip: Slip<LinkReceipt>,
    },
    /// A reversal, or the advice itself (M12).
    Reverse { row: Box<Row>, repeat: bool, slip: Slip<LinkReceipt> },
    /// A reversal that shall go another way, since this link is mute and others are not: what the kernel still holds of its
    /// original must die first (M4).
    GoRound { slip: Slip<LinkReceipt> },
}

/// A link as the driver knows it.
#[derive(Debug, Clone)]
pub(crate) struct LinkHandle {
    pub(crate) id: LinkId,
    pub(crate) queue: mpsc::UnboundedSender<ToIssuer>,
    /// Frames that wait, requests and reversals.
    pub(crate) waiting: Arc<Waiting>,
    /// Nothing is heard on it: others go before it.
    pub(crate) mute: Arc<AtomicBool>,
}

impl LinkHandle {
    pub(crate) fn is_mute(&self) -> bool {
        self.mute.load(Ordering::Relaxed)
    }
}

/// How many frames wait on a link.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) requests: AtomicUsize,
    pub(crate) reversals: AtomicUsize,
}

/// Reports the fate of a frame to an issuer (M5).
#[derive(Debug)]
pub(crate) enum LinkReceipt {
    /// Of a request, counted as waiting where it was queued.
    Request { id: TxnId, link: LinkId, inputs: Inputs, waiting: Option<Arc<Waiting>> },
    /// Of a reversal.
    Reversal { id: TxnId, link: LinkId, inputs: Inputs, waiting: Option<Arc<Waiting>> },
    /// Of network management.
    Network,
}

impl Receipt for LinkReceipt {
    fn written(self) {
        match self {
            Self::Request { id, link, inputs, waiting } => {
                forget(waiting.as_deref().map(|waiting| &waiting.requests));
                inputs.event(Event::Written { id, link });
            }
            Self::Reversal { id, link, inputs, waiting } => {
                forget(waiting.as_deref().map(|waiting| &waiting.reversals));
                inputs.event(Event::ReversalWritten { id, link });
            }
            Self::Network => {}
        }
    }

    fn never_sent(self, why: NeverSent) {
        match self {
            Self::Request { id, link: _, inputs, waiting } => {
                forget(waiting.as_deref().map(|waiting| &waiting.requests));
                let why = match why {
                    NeverSent::TooLate => Unsent::TooLate,
                    NeverSent::QueueFull => Unsent::QueueFull,
                    NeverSent::Gone | NeverSent::Unwritable => Unsent::NoLink,
                };
                inputs.event(Event::NeverSent { id, why });
            }
            Self::Reversal { id, link: _, inputs, waiting } => {
                forget(waiting.as_deref().map(|waiting| &waiting.reversals));
                let why = match why {
                    NeverSent::Unwritable => ReversalUnsent::Unwritable,
                    NeverSent::TooLate | NeverSent::QueueFull | NeverSent::Gone => {
                        ReversalUnsent::NoLink
                    }
                };
                inputs.event(Event::ReversalNeverSent { id, why });
            }
            Self::Network => {}
        }
    }
}

fn forget(count: Option<&AtomicUsize>) {
    if let Some(count) = count {
        count.fetch_sub(1, Ordering::Relaxed);
    }
}
