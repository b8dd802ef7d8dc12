//! Framed TCP connections that count every byte the kernel took.
//!
//! A [`Connection`] is owned by one task. It takes frames out of what the peer sends, within bounds of size and time, and
//! writes the frames queued on it. Each queued frame carries a [`Slip`], which tells its owner exactly once whether a
//! byte of the frame was given to the kernel or never will be (M5, M10): also when the connection, or its task, is gone.

mod accept;
mod connection;
mod deframe;
mod outbox;
mod proxy;
mod slip;
mod socket;

pub use accept::{Accepted, Acceptor};
pub use connection::{Connection, Ended, Incoming, Limits, Reading};
pub use deframe::{Deframer, FrameError, Framed};
pub use outbox::{Outbox, Outgoing};
pub use proxy::{ProxyError, proxied};
pub use slip::{NeverSent, NoReceipt, Receipt, Slip};
pub use socket::{Tuning, connect, listen, reset, tune};
