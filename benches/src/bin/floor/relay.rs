//! Frames from many connections into one and answers back: as few system calls as the load allows, one thread.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io::ErrorKind,
    mem,
    rc::Rc,
};

use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    task::spawn_local,
};

use crate::{
    frames::{self, Name},
    store::{Intent, Key, Outcome},
};

const TERMINAL_ROOM: usize = 4 << 10;
const UPSTREAM_ROOM: usize = 256 << 10;

/// What waits for a task that takes all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Waiting<T> {
    items: RefCell<T>,
    any: Cell<bool>,
    news: Notify,
}

impl<T: Default> Waiting<T> {
    fn add(&self, put: impl FnOnce(&mut T)) {
        put(&mut self.items.borrow_mut());
        if !self.any.replace(true) {
            self.news.notify_one();
        }
    }

    pub(crate) async fn take(&self) -> T {
        self.news.notified().await;
        self.any.set(false);
        mem::take(&mut self.items.borrow_mut())
    }
}

/// A terminal's connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: TcpStream,
    number: u32,
    out: RefCell<BytesMut>,
    /// It stands in the list of those that have something to be written, or waits until it can be written to.
    listed: Cell<bool>,
}

#[derive(Debug)]
struct Open {
    client: Rc<Client>,
    key: Key,
}

#[derive(Debug, Default)]
pub(crate) struct Relay {
    durable: bool,
    open: RefCell<HashMap<Name, Open>>,
    upstream: Waiting<BytesMut>,
    to_write: RefCell<Vec<Rc<Client>>>,
    pub(crate) intents: Waiting<Vec<Intent>>,
    pub(crate) outcomes: Waiting<Vec<Outcome>>,
    connections: Cell<u32>,
    requests: Cell<i64>,
    strays: Cell<u64>,
    pub(crate) batches: Cell<u64>,
}

impl Relay {
    pub(crate) fn new(durable: bool) -> Self {
        Self { durable, ..Self::default() }
    }

    fn request(&self, client: &Rc<Client>, frame: &[u8]) -> Result<()> {
        let name = frames::name(frame).context("a request without fields 11 and 41")?;
        let id = self.requests.get() + 1;
        self.requests.set(id);
        let key = Key::new(&name, client.number);
        self.open.borrow_mut().insert(name, Open { client: Rc::clone(client), key });
        if self.durable {
            let frame = Bytes::copy_from_slice(frame);
            self.intents.add(|intents| intents.push(Intent { id, key, frame }));
        } else {
            self.forward(frame);
        }
        Ok(())
    }

    /// Queues a request for the issuer.
    pub(crate) fn forward(&self, frame: &[u8]) {
        self.upstream.add(|out| out.extend_from_slice(frame));
    }

    fn answer(&self, frame: &[u8]) {
        let open = frames::name(frame).and_then(|name| self.open.borrow_mut().remove(&name));
        let Some(Open { client, key }) = open else {
            self.strays.set(self.strays.get() + 1);
            return;
        };
        if self.durable {
            let frame = Bytes::copy_from_slice(frame);
            self.outcomes.add(|outcomes| outcomes.push(Outcome { key, frame, client }));
        } else {
            self.give(&client, frame);
        }
    }

    /// Puts an answer to those that go out at the next `flush`.
    pub(crate) fn give(&self, client: &Rc<Client>, frame: &[u8]) {
        client.out.borrow_mut().extend_from_slice(frame);
        if !client.listed.replace(true) {
            self.to_write.borrow_mut().push(Rc::clone(client));
        }
    }

    pub(crate) fn flush(&self) {
        for client in self.to_write.borrow_mut().drain(..) {
            if client.write() {
                client.listed.set(false);
            } else {
                spawn_local(async move {
                    while client.socket.writable().await.is_ok() && !client.write() {}
                    client.listed.set(false);
                });
            }
        }
    }

    pub(crate) fn counts(&self) -> String {
        format!(
            "{} requests, {} answers that belong to none, {} commits",
            self.requests.get(),
            self.strays.get(),
            self.batches.get()
        )
    }
}

impl Client {
    /// Whether nothing is left to be written.
    fn write(&self) -> bool {
        let mut out = self.out.borrow_mut();
        while !out.is_empty() {
            match self.socket.try_write(&out) {
                Ok(written) => out.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => out.clear(),
            }
        }
        out.clear();
        true
    }
}

/// Calls `each` with every whole frame and leaves the rest.
fn frames_of(buffer: &mut BytesMut, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut rest: &[u8] = buffer;
    while let Some((frame, after)) =
        frames::first(rest).and_then(|length| rest.split_at_checked(length))
    {
        each(frame)?;
        rest = after;
    }
    let done = buffer.len() - rest.len();
    buffer.advance(done);
    Ok(())
}

pub(crate) async fn accept(relay: Rc<Relay>, listener: TcpListener) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let number = relay.connections.get() + 1;
        relay.connections.set(number);
        let (out, listed) = (RefCell::default(), Cell::new(false));
        spawn_local(terminal(Rc::clone(&relay), Rc::new(Client { socket, number, out, listed })));
    }
}

async fn terminal(relay: Rc<Relay>, client: Rc<Client>) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(TERMINAL_ROOM);
    loop {
        client.socket.readable().await?;
        buffer.reserve(TERMINAL_ROOM);
        match client.socket.try_read_buf(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => frames_of(&mut buffer, |frame| relay.request(&client, frame))?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes to the issuer whatever waits.
pub(crate) async fn forward(relay: Rc<Relay>, mut to: OwnedWriteHalf) -> Result<()> {
    loop {
        let out = relay.upstream.take().await;
        to.write_all(&out).await.context("writing to the issuer")?;
    }
}

/// Reads the issuer's answers.
pub(crate) async fn answer(relay: Rc<Relay>, mut from: OwnedReadHalf) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(UPSTREAM_ROOM);
    loop {
        buffer.reserve(UPSTREAM_ROOM / 2);
        let read = from.read_buf(&mut buffer).await.context("reading from the issuer")?;
        anyhow::ensure!(read > 0, "the issuer has closed the connection");
        frames_of(&mut buffer, |frame| {
            relay.answer(frame);
            Ok(())
        })?;
        relay.flush();
    }
}
