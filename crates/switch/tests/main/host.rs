//! A small issuer's host, as tests want it: it answers with what a test's function says.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use iso8583::{Dialect, Message};
use link::{Deframer, Framed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::broadcast,
};
use tokio_util::sync::CancellationToken;

/// What the host does with a message.
pub(crate) enum Deed {
    /// Sends these frames.
    Answer(Vec<Message>),
    /// Sends these frames once the token is cancelled.
    AnswerWhen(CancellationToken, Vec<Message>),
    /// Sends bytes as they are.
    Raw(Vec<u8>),
    /// Sends these frames and closes the connection.
    Last(Vec<Message>),
    /// Closes the connection.
    HangUp,
    /// Reads nothing more, and closes nothing.
    Freeze,
}

type Conduct = Box<dyn Fn(&Message) -> Deed + Send>;

struct Shared {
    dialect: Dialect,
    seen: Mutex<Vec<Message>>,
    conduct: Mutex<Conduct>,
    network: Mutex<Conduct>,
    connections: AtomicUsize,
    /// What it sends unasked, on every connection.
    unasked: broadcast::Sender<Message>,
}

/// A host that keeps all that it was sent, but for the network management that it answers.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
    ending: CancellationToken,
}

/// The answer that approves a message.
pub(crate) fn approval(request: &Message) -> Message {
    let mut answer = Message::new(request.mti().response());
    if let Some(header) = request.header() {
        answer.set_header(*header);
    }
    for number in [2, 3, 4, 7, 11, 12, 13, 25, 32, 37, 41, 42, 49, 70] {
        if request.has(number) {
            answer.copy(number, request);
        }
    }
    let is_1993 = request.mti().version() == 1;
    answer.set_text(39, if is_1993 { "000" } else { "00" });
    if request.mti().class() == 2 {
        answer.set_text(38, "A12345");
    }
    answer
}

impl Host {
    /// A host that approves everything. Its sockets take little that it has not read.
    pub(crate) fn start() -> Self {
        Self::speaking("iso87-ascii")
    }

    /// The same in another shipped dialect.
    pub(crate) fn speaking(dialect: &str) -> Self {
        Self::of(Dialect::shipped(dialect).expect("shipped"))
    }

    /// The same in any dialect.
    pub(crate) fn of(dialect: Dialect) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(64).expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            dialect,
            seen: Mutex::default(),
            conduct: Mutex::new(Box::new(|message| Deed::Answer(vec![approval(message)]))),
            network: Mutex::new(Box::new(|message| Deed::Answer(vec![approval(message)]))),
            connections: AtomicUsize::new(0),
            unasked: broadcast::Sender::new(16),
        });
        let own = Arc::clone(&shared);
        let ending = CancellationToken::new();
        let ended = ending.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::Relaxed);
                let (own, ended) = (Arc::clone(&own), ended.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(stream, own) => {}
                        () = ended.cancelled() => {}
                    }
                });
            }
        });
        Self { address, shared, task, ending }
    }

    /// From now on it does what `conduct` says with all but network management.
    pub(crate) fn conduct(&self, conduct: impl Fn(&Message) -> Deed + Send + 'static) {
        *self.shared.conduct.lock().expect("no panic") = Box::new(conduct);
    }

    /// From now on it does what `conduct` says with network management.
    pub(crate) fn conduct_network(&self, conduct: impl Fn(&Message) -> Deed + Send + 'static) {
        *self.shared.network.lock().expect("no panic") = Box::new(conduct);
    }

    /// Sends a message of its own on every connection.
    pub(crate) fn say(&self, message: Message) {
        let _ = self.shared.unasked.send(message);
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// From now on it approves, transactions only after `delay`.
    pub(crate) fn approve_after(&self, delay: Duration) {
        self.conduct(move |message| {
            if message.mti().class() == 2 {
                std::thread::sleep(delay);
            }
            Deed::Answer(vec![approval(message)])
        });
    }

    /// From now on it approves, transactions only when the token that it gives back is cancelled.
    pub(crate) fn approve_when_told(&self) -> CancellationToken {
        let told = CancellationToken::new();
        let given = told.clone();
        self.conduct(move |message| {
            let answer = vec![approval(message)];
            match message.mti().class() {
                2 => Deed::AnswerWhen(told.clone(), answer),
                _ => Deed::Answer(answer),
            }
        });
        given
    }

    /// Closes its port and all connections.
    pub(crate) fn stop(&self) {
        self.task.abort();
        self.ending.cancel();
    }

    /// What came, by message type.
    pub(crate) fn seen(&self, mti: &str) -> Vec<Message> {
        let seen = self.shared.seen.lock().expect("no panic");
        seen.iter().filter(|message| message.mti().as_str() == mti).cloned().collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut deframer = Deframer::new(shared.dialect.framing(), 9_999);
    let mut buffer = vec![0; 4_096];
    let mut unasked = shared.unasked.subscribe();
    loop {
        let count = tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(count @ 1..) => count,
                _ => return,
            },
            Ok(message) = unasked.recv() => {
                let bytes = encoded(&shared.dialect, vec![message]);
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                continue;
            }
        };
        deframer.push(&buffer[..count]);
        while let Ok(Some(Framed::Frame(frame))) = deframer.take() {
            let bytes = match deed(frame, &shared) {
                Deed::Answer(messages) => encoded(&shared.dialect, messages),
                Deed::AnswerWhen(told, messages) => {
                    told.cancelled().await;
                    encoded(&shared.dialect, messages)
                }
                Deed::Last(messages) => {
                    let bytes = encoded(&shared.dialect, messages);
                    let _ = stream.write_all(&bytes).await;
                    return;
                }
                Deed::Raw(bytes) => bytes,
                Deed::HangUp => return,
                Deed::Freeze => std::future::pending().await,
            };
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

fn encoded(dialect: &Dialect, messages: Vec<Message>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for message in messages {
        message.encode_framed(dialect, &mut bytes).expect("encodes");
    }
    bytes.to_vec()
}

fn deed(frame: Bytes, shared: &Shared) -> Deed {
    let message =
        Message::decode(&shared.dialect, frame).expect("the switch writes sound messages");
    if message.mti().class() == 8 && message.mti().is_request() {
        return shared.network.lock().expect("no panic")(&message);
    }
    shared.seen.lock().expect("no panic").push(message.clone());
    if !message.mti().is_request() {
        return Deed::Answer(Vec::new());
    }
    shared.conduct.lock().expect("no panic")(&message)
}
