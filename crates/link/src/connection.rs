//! One framed connection, owned by one task: what it reads, what it writes, and when it ends.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use iso8583::Framing;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep_until},
};

use crate::{
    Deframer, FrameError, Framed, Outbox, Outgoing, ProxyError, Receipt, outbox::sooner, proxied,
    reset,
};

/// The bounds of a connection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest frame, in bytes without its length header.
    pub max_frame: usize,
    /// Without a byte from the peer for so long, it is closed.
    pub idle: Option<Duration>,
    /// A frame must be complete so long after its first byte.
    pub frame: Duration,
    /// More keep-alives within a second close it.
    pub keepalives: u32,
    /// With more bytes waiting to be written, it is closed.
    pub outbound: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 4_096,
            idle: Some(Duration::from_secs(180)),
            frame: Duration::from_secs(5),
            keepalives: 10,
            outbound: 64 * 1024,
        }
    }
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A frame, without its length header.
    Frame(Bytes),
    /// A zero-length frame.
    KeepAlive,
}

/// What is done with what the peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is read, and taken at once.
    Taken,
    /// It is read, up to a bound, and left: the peer is held back, and its end is still seen. No patience of ours ends.
    Left,
}

/// Why a connection is over. Nothing more is read from it or written to it.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer closed its side.
    #[error("end of stream")]
    Closed,
    /// It broke.
    #[error("connection broken")]
    Broken(#[source] io::Error),
    /// Nothing came for too long.
    #[error("idle for too long")]
    Idle,
    /// A frame was begun and not finished in time.
    #[error("a frame was not finished in time")]
    Unfinished,
    /// What came cannot be cut into frames.
    #[error("broken framing")]
    Framing(#[from] FrameError),
    /// It does not begin with the PROXY header that the listener asks for.
    #[error("broken PROXY header")]
    Proxy(#[from] ProxyError),
    /// Too many keep-alives.
    #[error("too many keep-alives")]
    Flooded,
    /// The peer does not read what it asked for.
    #[error("too much waits to be written")]
    Overfull,
}

/// A framed connection. See the crate's documentation.
#[derive(Debug)]
pub struct Connection<R: Receipt> {
    stream: TcpStream,
    deframer: Deframer,
    outbox: Outbox<R>,
    limits: Limits,
    /// The peer, or its client where a PROXY header told one.
    peer: SocketAddr,
    awaits_proxy: bool,
    last_read: Instant,
    /// Since when a frame is unfinished.
    begun: Option<Instant>,
    /// Since when bytes wait without the kernel taking one.
    stuck: Option<Instant>,
    keepalives: (Instant, u32),
    /// Whether the last wait was not for what is taken.
    held_back: bool,
    timer: Pin<Box<Sleep>>,
}

/// Most bytes read at once, and so the most that a connection holds beside one unfinished frame.
const READ: usize = 16 * 1024;

thread_local! {
    /// Where bytes land before they are copied into frames: connections that wait need no buffer of their own.
    static LANDING: RefCell<Box<[u8; READ]>> = RefCell::new(Box::new([0; READ]));
}

impl<R: Receipt> Connection<R> {
    /// A connection over `stream`.
    ///
    /// # Errors
    /// The peer is gone already.
    pub fn new(stream: TcpStream, framing: Framing, limits: Limits) -> io::Result<Self> {
        let now = Instant::now();
        let peer = stream.peer_addr()?;
        let first = now + limits.idle.unwrap_or(limits.frame);
        Ok(Self {
            stream,
            deframer: Deframer::new(framing, limits.max_frame),
            outbox: Outbox::default(),
            limits,
            peer,
            awaits_proxy: false,
            last_read: now,
            begun: None,
            stuck: None,
            keepalives: (now, 0),
            held_back: false,
            timer: Box::pin(sleep_until(first.into())),
        })
    }

    /// Expects a PROXY header before the first frame.
    #[must_use]
    pub const fn behind_proxy(mut self) -> Self {
        self.awaits_proxy = true;
        // The header is bound by the same patience as a frame.
        self.begun = Some(self.last_read);
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What waits to be written.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox<R> {
        &self.outbox
    }

    /// Since when bytes wait without the kernel taking one: the peer does not read.
    #[must_use]
    pub const fn stuck_since(&self) -> Option<Instant> {
        self.stuck
    }

    /// When the last byte came.
    #[must_use]
    pub const fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Waits until something was read, all was written or a limit is reached, and writes what can be written meanwhile.
    /// May be cancelled: nothing is lost.
    ///
    /// # Errors
    /// The connection is over. Frames that came before can still be taken.
    pub async fn ready(&mut self, reading: Reading) -> Result<(), Ended> {
        let taken = reading == Reading::Taken;
        if taken && self.held_back {
            // The time in which we did not take anything is not the peer's.
            self.last_read = Instant::now();
            self.begun = self.begun.map(|_| self.last_read);
        }
        self.held_back = !taken;
        poll_fn(|cx| self.poll(cx, reading)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<Result<(), Ended>> {
        let fill = match reading {
            Reading::Taken => true,
            Reading::Left => self.deframer.unfinished() < READ,
        };
        if fill && let Poll::Ready(filled) = self.fill(cx) {
            return Poll::Ready(filled);
        }
        let read = reading == Reading::Taken;
        let waited = !self.outbox.is_empty();
        while !self.outbox.is_empty() {
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else { break };
            ready.map_err(Ended::Broken)?;
            self.flush()?;
        }
        if waited && self.outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let Some(deadline) = self.deadline(read) else { return Poll::Pending };
            // The timer may ring too early, never too late: most deadlines only ever move away.
            if self.timer.deadline() > deadline.into() {
                self.timer.as_mut().reset(deadline.into());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            self.outbox.expire(now);
            if let Some(ended) = self.overdue(now, read) {
                return Poll::Ready(Err(ended));
            }
            if let Some(deadline) = self.deadline(read) {
                self.timer.as_mut().reset(deadline.into());
            }
        }
    }

    fn deadline(&self, read: bool) -> Option<Instant> {
        let idle = self.limits.idle.filter(|_| read).map(|idle| self.last_read + idle);
        let frame = self.begun.filter(|_| read).map(|begun| begun + self.limits.frame);
        // One tick later, because what is due exactly now is not late.
        let tick = Duration::from_millis(1);
        let outbox = self.outbox.next_deadline().map(|limit| limit + tick);
        sooner(sooner(idle, frame), outbox)
    }

    fn overdue(&self, now: Instant, read: bool) -> Option<Ended> {
        if !read {
            return None;
        }
        if self.begun.is_some_and(|begun| now >= begun + self.limits.frame) {
            return Some(Ended::Unfinished);
        }
        let idle = self.limits.idle.is_some_and(|idle| now >= self.last_read + idle);
        idle.then_some(Ended::Idle)
    }

    /// Reads once, when something is there. A read that does not fill the landing emptied the socket: the runtime then
    /// waits for the next readiness without asking the kernel once more.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let read = LANDING.with_borrow_mut(|landing| {
            let mut buffer = ReadBuf::new(landing.as_mut_slice());
            let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            let bytes = buffer.filled_mut();
            self.deframer.push(bytes);
            // Card data does not stay behind.
            bytes.fill(0);
            polled.map_ok(|()| buffer.filled().len())
        });
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Ended::Closed)),
            Poll::Ready(Ok(_)) => {
                self.last_read = Instant::now();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Ended::Broken(error))),
        }
    }

    /// The next thing that came, if it is complete.
    ///
    /// # Errors
    /// The connection must be closed: what came breaks the framing or a limit.
    pub fn take(&mut self) -> Result<Option<Incoming>, Ended> {
        if self.awaits_proxy && !self.take_proxy()? {
            return Ok(None);
        }
        let incoming = self.deframer.take()?;
        self.begun = match (&incoming, self.deframer.unfinished()) {
            (_, 0) => None,
            (Some(_), _) => Some(self.last_read),
            (None, _) => self.begun.or(Some(self.last_read)),
        };
        match incoming {
            None => Ok(None),
            Some(Framed::Frame(frame)) => Ok(Some(Incoming::Frame(frame))),
            Some(Framed::KeepAlive) => {
                self.count_keepalive()?;
                Ok(Some(Incoming::KeepAlive))
            }
        }
    }

    fn take_proxy(&mut self) -> Result<bool, Ended> {
        let Some((length, client)) = proxied(self.deframer.peek())? else {
            return Ok(false);
        };
        self.deframer.skip(length);
        self.awaits_proxy = false;
        self.begun = None;
        self.peer = client.unwrap_or(self.peer);
        Ok(true)
    }

    fn count_keepalive(&mut self) -> Result<(), Ended> {
        let (since, count) = &mut self.keepalives;
        if self.last_read.duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (self.last_read, 0);
        }
        *count += 1;
        if *count > self.limits.keepalives { Err(Ended::Flooded) } else { Ok(()) }
    }

    /// Queues a frame, with its length header. It is written by [`flush`](Self::flush) or [`ready`](Self::ready).
    pub fn queue(&mut self, frame: Outgoing<R>) {
        self.outbox.push(frame);
    }

    /// Writes what the kernel takes at once.
    ///
    /// # Errors
    /// The connection is over: it broke, or more waits to be written than its limit.
    pub fn flush(&mut self) -> Result<(), Ended> {
        if self.outbox.is_empty() {
            self.stuck = None;
            return Ok(());
        }
        let stream = &self.stream;
        let taken = self.outbox.flush(Instant::now, |slices| match slices {
            [one] => stream.try_write(one),
            several => stream.try_write_vectored(several),
        });
        let taken = taken.map_err(Ended::Broken)?;
        if self.outbox.is_empty() {
            self.stuck = None;
        } else if taken > 0 || self.stuck.is_none() {
            self.stuck = Some(Instant::now());
        }
        if self.outbox.bytes() > self.limits.outbound {
            return Err(Ended::Overfull);
        }
        Ok(())
    }

    /// Writes nothing more of what waits; the slips say so. The kernel still delivers what it has taken.
    pub fn drop_waiting(&mut self) {
        self.outbox = Outbox::default();
    }

    /// Drops of what waits the frames that have not been begun, but those whose receipt `stays`; their slips say so.
    pub fn withdraw(&mut self, stays: impl Fn(&R) -> bool) {
        self.outbox.withdraw(stays);
    }

    /// Ends it so that bytes which the peer does not have yet are thrown away: nothing more is written, the slips of what
    /// waits say so, and when it is dropped the peer gets a reset.
    pub fn abandon(&mut self) {
        self.drop_waiting();
        reset(&self.stream);
    }
}
