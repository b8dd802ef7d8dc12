//! One terminal connection: its messages become events, the engine's replies become bytes, and its end is told (M10).

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as StdInstant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use iso8583::{Cause, Message};
use link::{Connection, Ended, FrameError, Incoming, Outgoing, Reading, Slip};
use switch_core::{AskId, Asked, Day, Event, Key, Reply, TerminalKey, TxnId};
use tokio::sync::mpsc;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    acquirer::{Inquiry, inquire, unanswerable},
    clock,
    config::{Bounds, Keepalive},
    counter::{Errand, Told, told},
    desk::Desk,
    hold::HoldBack,
    input::{Input, OpenAsk, ReplyReceipt, ToTerminal},
    listener::Port,
    reply::{Answer, encode, response},
    telemetry, warnings,
};

/// A terminal's connection and what waits on it.
pub(crate) struct TerminalConnection {
    link: Connection<ReplyReceipt>,
    port: Arc<Port>,
    commands: mpsc::UnboundedReceiver<ToTerminal>,
    /// Cloned into each ask; keeps the channel open.
    sender: mpsc::UnboundedSender<ToTerminal>,
    /// Asks without an answer, with the identity that each is about.
    open: BTreeMap<AskId, Option<Key>>,
    /// The last approval of each terminal since its last request.
    approvals: BTreeMap<TerminalKey, Delivered>,
    unreadable: (StdInstant, u32),
    hold: HoldBack,
    /// The node stops.
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// It did not end in good order.
    broken: bool,
}

/// An approval that was handed to the kernel, or will be.
struct Delivered {
    key: Key,
    id: TxnId,
    day: Day,
    written: Arc<AtomicBool>,
}

/// Why a connection is closed by us, or the peer's end.
enum End {
    Link(Ended),
    /// Too many frames that could not be read.
    Unreadable,
    /// The engine wants it closed.
    Asked,
    /// The node stops and nothing waits.
    Drained,
}

/// Terminals of one connection whose last approval is remembered; a concentrator may have more.
const MOST_APPROVALS: usize = 1_000;

impl TerminalConnection {
    pub(crate) fn new(link: Connection<ReplyReceipt>, port: Arc<Port>) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        Self {
            link,
            commands,
            sender,
            open: BTreeMap::new(),
            approvals: BTreeMap::new(),
            unreadable: (StdInstant::now(), 0),
            hold: HoldBack::default(),
            stopping: Box::pin(port.stopping.clone().cancelled_owned()),
            broken: false,
            port,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self) {
        let _open = telemetry::Open::new(&self.port.name);
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        let why = match &end {
            End::Link(ended) => {
                self.broken = matches!(ended, Ended::Broken(_) | Ended::Overfull)
                    || !self.link.outbox().is_empty();
                tracing::debug!(peer = %self.link.peer(), reason = %ended, "connection ended");
                self.warn_of(ended);
                why(ended)
            }
            End::Unreadable => {
                tracing::info!(peer = %self.link.peer(), "closed: too many unreadable frames");
                "unreadable"
            }
            End::Asked => "refused",
            End::Drained => "drained",
        };
        telemetry::connection_ended(&self.port.name, why);
    }

    /// What cannot be cut into frames, or has no PROXY header where one is asked for, says nothing but that a person must look.
    fn warn_of(&self, ended: &Ended) {
        let reason = match ended {
            // The first letters of a PROXY header of version 1, read as a length.
            Ended::Framing(error @ FrameError::TooLong { length: 0x5052, .. }) => {
                format!("{error}; it may be a PROXY header, which needs proxy_protocol = true")
            }
            Ended::Framing(error) => error.to_string(),
            Ended::Proxy(error) => error.to_string(),
            Ended::Unfinished => ended.to_string(),
            Ended::Closed | Ended::Broken(_) | Ended::Idle | Ended::Flooded | Ended::Overfull => {
                return;
            }
        };
        let peer = warnings::peer(self.link.peer());
        if let Some(times) = warnings::due(&peer, why(ended)) {
            let framing = self.port.desk.load().listener.framing.name();
            tracing::warn!(
                listener = %self.port.name, peer, framing, reason, times,
                "a terminal's connection is closed"
            );
        }
    }

    async fn turn(&mut self) -> Result<(), End> {
        let draining = self.port.stopping.is_cancelled();
        let held = self.hold.until(StdInstant::now);
        while !draining && held.is_none() && self.has_room() {
            match self.link.take().map_err(End::Link)? {
                Some(Incoming::Frame(frame)) => self.on_frame(frame)?,
                Some(Incoming::KeepAlive) => self.on_keepalive(),
                None => break,
            }
        }
        self.link.flush().map_err(End::Link)?;
        if draining && self.open.is_empty() && self.link.outbox().is_empty() {
            return Err(End::Drained);
        }
        let taken = !draining && held.is_none() && self.has_room();
        // Also of who is held back it must be seen that it has left, or an approval would count as delivered (M10).
        let reading = if taken { Reading::Taken } else { Reading::Left };
        let all_full = !draining && held.is_none() && !taken && !self.is_crowded();
        let port = Arc::clone(&self.port);
        tokio::select! {
            biased;
            // What the terminal did is seen before anything is written to it.
            ready = self.link.ready(reading) => ready.map_err(End::Link)?,
            _room = port.asks.acquire(), if all_full => {}
            () = wait_until(held), if held.is_some() => {}
            command = self.commands.recv() => {
                if let Some(command) = command {
                    self.on_command(command)?;
                }
            }
            () = &mut self.stopping, if !draining => {}
        }
        // A terminal that sends without a pause still gets its answers.
        while let Ok(command) = self.commands.try_recv() {
            self.on_command(command)?;
        }
        Ok(())
    }

    fn bounds(&self) -> &Bounds {
        &self.port.bounds
    }

    /// Whether as many messages as one connection may have wait for an answer.
    fn is_crowded(&self) -> bool {
        self.open.len() >= self.bounds().asks_per_connection
    }

    /// Whether another message may wait for an answer.
    fn has_room(&self) -> bool {
        !self.is_crowded() && self.port.asks.available_permits() > 0
    }

    fn on_keepalive(&mut self) {
        telemetry::keepalive(&self.port.name);
        let listener = &self.port.desk.load().listener;
        if listener.keepalive == Keepalive::Echo {
            let zeros = match listener.framing {
                iso8583::Framing::Len2 => Bytes::from_static(&[0; 2]),
                iso8583::Framing::Ascii4 => Bytes::from_static(b"0000"),
            };
            let slip = Slip::new(ReplyReceipt::KeepAlive);
            self.link.queue(Outgoing { bytes: zeros, slip, not_after: None });
        }
    }

    fn on_frame(&mut self, frame: Bytes) -> Result<(), End> {
        let desk = self.port.desk.load_full();
        let length = frame.len();
        match Message::decode(&desk.listener.dialect, frame) {
            Ok(message) => self.on_message(desk, message, None),
            Err(error) => {
                let kind = error.kind.name();
                telemetry::decode_error(&self.port.name, kind);
                let peer = warnings::peer(self.link.peer());
                if let Some(times) = warnings::due(&peer, kind) {
                    // Place and kind, never a value.
                    tracing::warn!(
                        listener = %self.port.name, peer, kind, field = error.field,
                        offset = error.offset, length, times,
                        dialect = desk.listener.dialect.name(), "a frame of a terminal cannot be read"
                    );
                }
                let partial = error
                    .partial
                    .filter(|partial| unanswerable(&desk.listener.dialect, partial).is_none());
                match partial {
                    // what stands under its identity goes before the refusal (M2)
                    Some(partial) => self.on_message(desk, *partial, Some(&error.unread)),
                    None => self.on_unreadable(),
                }
            }
        }
    }

    /// Nobody can be answered. Ten a minute close the connection: one bad frame must not cut off a concentrator.
    fn on_unreadable(&mut self) -> Result<(), End> {
        let now = StdInstant::now();
        if now.duration_since(self.unreadable.0) >= Duration::from_secs(60) {
            self.unreadable = (now, 0);
        }
        self.unreadable.1 += 1;
        if self.unreadable.1 >= self.bounds().unreadable { Err(End::Unreadable) } else { Ok(()) }
    }

    /// A message; `unread`: what it lacks, where its frame did not decode.
    fn on_message(
        &mut self,
        desk: Arc<Desk>,
        message: Message,
        unread: Option<&[u8]>,
    ) -> Result<(), End> {
        let read = clock::now();
        let id = self.port.next_ask();
        let deadline = read.mono.plus(desk.listener.response_deadline);
        let listener = self.port.name.clone();
        let grace = desk.listener.undelivered_grace;
        let asked = Asked { ask: id, listener, deadline, grace };
        let (event, key) = match inquire(&desk, &message, asked, read.wall, unread) {
            Inquiry::Event(event, key) => (Asks::Engine(event), key),
            Inquiry::Look(event, key) => (Asks::Look(event), Some(key)),
            Inquiry::Errand(errand) => (Asks::Counter(errand), None),
            Inquiry::Refuse(cause) => {
                self.refuse(&desk, &message, cause);
                return Ok(());
            }
            Inquiry::Ignore(reason) => {
                telemetry::ignored(&self.port.name, reason);
                let peer = warnings::peer(self.link.peer());
                if let Some(times) = warnings::due(&peer, reason) {
                    tracing::warn!(
                        listener = %self.port.name, peer, reason = dropped(reason), times,
                        "a message of a terminal is dropped"
                    );
                }
                return if reason == "response" { Ok(()) } else { self.on_unreadable() };
            }
        };
        if let Some(key) = key {
            // A terminal that asks again has, or will reverse, what it was told (M10).
            self.approvals.remove(&key.terminal());
        }
        // Between the look at the room and now another connection may have taken it: one too many does no harm.
        let place = Arc::clone(&self.port.asks).try_acquire_owned().ok();
        let kind = match &event {
            Asks::Engine(Event::Request(request)) | Asks::Look(Event::Request(request)) => {
                Some(request.kind)
            }
            _ => None,
        };
        self.open.insert(id, key);
        let ask = OpenAsk {
            id,
            message,
            kind,
            key,
            deadline,
            read,
            desk,
            connection: self.sender.clone(),
            _place: place,
        };
        let ask = Arc::new(ask);
        match (event, key) {
            (Asks::Look(event), Some(key)) => self.port.counter.look(key.terminal(), ask, event),
            (Asks::Engine(event) | Asks::Look(event), _) => {
                self.port.inputs.send(Input::Ask(ask, event));
            }
            (Asks::Counter(errand), _) => {
                if !self.port.counter.take(Arc::clone(&ask), errand) {
                    self.open.remove(&id);
                    self.refuse(&ask.desk, &ask.message, Cause::SystemDown);
                }
            }
        }
        Ok(())
    }

    /// Answers without the engine.
    fn refuse(&mut self, desk: &Desk, request: &Message, cause: Cause) {
        let dialect = &desk.listener.dialect;
        let read = clock::now();
        let kind = dialect.kind_of(request).map_or("unknown", |row| row.kind.name());
        telemetry::concluded(&self.port.name, kind, "refused");
        let zone = desk.directory.clock.zone();
        let message = response(dialect, zone, request, read.wall, &Answer::Cause(cause));
        let slip = Slip::new(ReplyReceipt::Other(read.mono));
        self.write(desk, message, slip, None);
    }

    fn write(
        &mut self,
        desk: &Desk,
        message: Message,
        slip: Slip<ReplyReceipt>,
        not_after: Option<StdInstant>,
    ) {
        let message = desk.with_requirement(message);
        match encode(&desk.listener.dialect, desk.listener.framing, message) {
            Ok(bytes) => self.link.queue(Outgoing { bytes, slip, not_after }),
            // Dropping the slip says that it was never sent.
            Err(error) => tracing::error!(%error, "an answer cannot be written in its dialect"),
        }
    }

    fn on_command(&mut self, command: ToTerminal) -> Result<(), End> {
        match command {
            ToTerminal::Silent(ask) => {
                self.open.remove(&ask);
                Ok(())
            }
            ToTerminal::Close => Err(End::Asked),
            ToTerminal::Reply(reply) => {
                let (ask, reply, slip) = *reply;
                self.on_reply(&ask, &reply, slip);
                Ok(())
            }
            ToTerminal::Told(answer) => {
                let (ask, answer, slip) = *answer;
                self.on_told(&ask, &answer, slip);
                Ok(())
            }
        }
    }

    /// What the counter answers.
    fn on_told(&mut self, ask: &OpenAsk, answer: &Told, slip: Slip<ReplyReceipt>) {
        self.open.remove(&ask.id);
        let dialect = &ask.desk.listener.dialect;
        let zone = ask.desk.directory.clock.zone();
        let message = told(dialect, zone, &ask.message, ask.read.wall, answer);
        self.write(&ask.desk, message, slip, Some(clock::std(ask.deadline)));
    }

    fn on_reply(&mut self, ask: &OpenAsk, reply: &Reply, slip: Slip<ReplyReceipt>) {
        self.open.remove(&ask.id);
        self.hold.note(matches!(reply, Reply::Shed(_)), StdInstant::now);
        let answer = match reply {
            Reply::Approved { durable: _, outcome } => Answer::Approved(outcome),
            Reply::Refused(outcome) | Reply::Shed(outcome) => Answer::Refused(outcome),
            Reply::Done(id) => Answer::Done(*id),
        };
        if let (Some(delivered), Some(key)) = (delivered(reply, &slip), ask.key) {
            if self.approvals.len() >= MOST_APPROVALS {
                self.approvals.pop_first();
            }
            self.approvals.insert(key.terminal(), delivered);
        }
        let dialect = &ask.desk.listener.dialect;
        let zone = ask.desk.directory.clock.zone();
        let message = response(dialect, zone, &ask.message, ask.read.wall, &answer);
        self.write(&ask.desk, message, slip, Some(clock::std(ask.deadline)));
    }
}

/// Whom a message is for.
enum Asks {
    Engine(Event),
    /// The engine, once the store was asked again about its batch.
    Look(Event),
    Counter(Box<Errand>),
}

async fn wait_until(until: Option<StdInstant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until.into()).await;
    }
}

fn delivered(reply: &Reply, slip: &Slip<ReplyReceipt>) -> Option<Delivered> {
    let Reply::Approved { durable, outcome } = reply else { return None };
    let Some(ReplyReceipt::Approved { written, .. }) = slip.receipt() else { return None };
    let written = Arc::clone(written);
    Some(Delivered { key: outcome.key, id: durable.id(), day: outcome.day, written })
}

impl Drop for TerminalConnection {
    /// Whatever ended it, a panic included: nobody waits here any more.
    fn drop(&mut self) {
        // Replies that were not taken up report themselves, before the asks that have none.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let ToTerminal::Reply(reply) = command {
                self.open.remove(&reply.0.id);
            }
        }
        for (ask, key) in std::mem::take(&mut self.open) {
            if let Some(key) = key {
                self.port.inputs.event(Event::TerminalGone { ask, key });
            }
        }
        for delivered in std::mem::take(&mut self.approvals).into_values() {
            if delivered.written.load(Ordering::Relaxed) && self.broken {
                let Delivered { key, id, day, .. } = delivered;
                self.port.inputs.event(Event::DeliveryUnknown { key, id, day });
            }
        }
    }
}

/// Why a message is dropped, in words.
fn dropped(reason: &str) -> &'static str {
    match reason {
        "response" => "it is no request",
        "terminal" => "it names no terminal (41)",
        "stan" => "it has no trace number (11)",
        _ => "there is nobody to answer",
    }
}

/// The label of an end.
fn why(ended: &Ended) -> &'static str {
    match ended {
        Ended::Closed => "closed",
        Ended::Broken(_) => "broken",
        Ended::Idle => "idle",
        Ended::Unfinished => "unfinished",
        Ended::Framing(_) => "framing",
        Ended::Proxy(_) => "proxy",
        Ended::Flooded => "flooded",
        Ended::Overfull => "overfull",
    }
}

/// The desk of a port, replaced at reload.
pub(crate) type SharedDesk = ArcSwap<Desk>;
