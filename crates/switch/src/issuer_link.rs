//! One link to an issuer, from connected to closed: sign-on and echo, requests and reversals out, answers in.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as StdInstant},
};

use bytes::Bytes;
use iso8583::{Cause, Class, Code, Kind, Message, NetworkRequest, OnSilence};
use link::{Connection, Ended, Incoming, Limits, NeverSent, Outgoing, Reading, Slip};
use switch_core::{
    Event, Exchange, Instant, IssuerAnswer, LinkId, Matched, Name, NetworkMessage, Session,
    SessionEffect, SessionEvent, SessionPolicy, TxnId,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
};

use crate::{
    clock,
    config::IssuerSettings,
    input::{Input, LinkHandle, LinkReceipt, OpenAsk, ToIssuer, Waiting},
    issuer::{self, FromIssuer},
    issuer_links::Host,
    telemetry, warnings,
};

/// Echoes that may stay unanswered in a row before the line counts as down.
const MISSES: u32 = 2;
/// Requests whose sending time is remembered, for metrics.
const MOST_TIMED: usize = 10_000;

/// How a link ended.
pub(crate) struct LinkEnd {
    /// The issuer answered on it.
    pub(crate) proven: bool,
    /// Nothing was heard on it at the end.
    pub(crate) mute: bool,
    pub(crate) reason: String,
}

/// What requests may expect of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was never signed on.
    New,
    Up,
    /// The issuer signed off.
    SignedOff,
}

pub(crate) struct IssuerLink {
    host: Arc<Host>,
    id: LinkId,
    endpoint: String,
    connection: Connection<LinkReceipt>,
    session: Session,
    queue: mpsc::UnboundedReceiver<ToIssuer>,
    handle: LinkHandle,
    /// Frames that wait for their turn, where the issuer is paced.
    paced: VecDeque<Outgoing<LinkReceipt>>,
    /// When the next turn is.
    next_turn: Option<StdInstant>,
    /// Places for answers that wait for the engine.
    answers: Arc<Semaphore>,
    /// The trace numbers of our last sign-on and echo.
    asked: BTreeMap<u32, NetworkMessage>,
    last_stan: u32,
    /// When requests were queued, by STAN.
    queued_at: BTreeMap<u32, Instant>,
    standing: Standing,
    proven: bool,
}

impl IssuerLink {
    pub(crate) fn new(
        host: Arc<Host>,
        id: LinkId,
        stream: TcpStream,
        endpoint: &str,
        suspect: bool,
    ) -> io::Result<Self> {
        let settings = host.settings.load();
        let limits = Limits {
            max_frame: host.bounds.link_frame,
            idle: None,
            frame: host.bounds.frame,
            keepalives: u32::MAX,
            outbound: usize::MAX,
        };
        let policy = SessionPolicy {
            sign_on: settings.sign_on,
            echo_interval: settings.echo_interval,
            patience: host.bounds.network_patience,
            misses: MISSES,
            silence: host.bounds.link_silence,
            probe: host.bounds.link_probe,
            timeout: settings.timeout,
            // An issuer that signed off had a reason that lasts: it is asked as seldom as a host that is gone.
            sign_on_again: settings.reconnect.longest,
        };
        let connection = Connection::new(stream, settings.framing, limits)?;
        drop(settings);
        let (sender, queue) = mpsc::unbounded_channel();
        let answers = Arc::new(Semaphore::new(host.bounds.link_answers));
        Ok(Self {
            id,
            endpoint: endpoint.to_owned(),
            connection,
            session: Session::new(policy, clock::mono(), suspect),
            queue,
            handle: LinkHandle {
                id,
                queue: sender,
                waiting: Arc::new(Waiting::default()),
                mute: Arc::new(AtomicBool::new(false)),
            },
            paced: VecDeque::new(),
            next_turn: None,
            answers,
            asked: BTreeMap::new(),
            last_stan: 0,
            queued_at: BTreeMap::new(),
            standing: Standing::New,
            proven: false,
            host,
        })
    }

    /// Serves the link to its end.
    pub(crate) async fn run(mut self) -> LinkEnd {
        let reason = loop {
            if let Err(reason) = self.turn().await {
                break reason;
            }
        };
        LinkEnd {
            proven: self.proven,
            mute: self.session.is_mute() || self.handle.is_mute(),
            reason,
        }
    }

    async fn turn(&mut self) -> Result<(), String> {
        while self.answers.available_permits() > 0 {
            match self.connection.take().map_err(|ended| describe(&ended))? {
                Some(Incoming::Frame(frame)) => self.on_frame(frame),
                Some(Incoming::KeepAlive) => {
                    self.session.handle(clock::mono(), SessionEvent::Heard);
                }
                None => break,
            }
        }
        // After what came: it may have signed us on.
        while let Some(effect) = self.session.poll_effect() {
            self.on_session(effect)?;
        }
        self.pace();
        self.connection.flush().map_err(|ended| describe(&ended))?;
        let room = self.answers.available_permits() > 0;
        let reading = if room { Reading::Taken } else { Reading::Left };
        let wake = self.wake();
        let answers = Arc::clone(&self.answers);
        tokio::select! {
            biased;
            ready = self.connection.ready(reading) => ready.map_err(|ended| describe(&ended))?,
            _room = answers.acquire(), if !room => {}
            command = self.queue.recv() => {
                if let Some(command) = command {
                    self.on_command(command)?;
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
        }
        // An issuer that sends without a pause still gets its requests.
        while let Ok(command) = self.queue.try_recv() {
            self.on_command(command)?;
        }
        self.session.handle_timeout(clock::mono());
        self.reset_if_stalled()
    }

    /// When to look again though nothing happens.
    fn wake(&self) -> StdInstant {
        let session = self.session.poll_timeout().map(clock::std);
        let stalled = self.connection.stuck_since().map(|since| since + self.host.bounds.stalled);
        let far = StdInstant::now() + Duration::from_secs(60);
        [session, stalled, self.next_turn].into_iter().flatten().fold(far, StdInstant::min)
    }

    /// M4: a reversal may not wait behind a stalled connection, and what the kernel still holds of the original must die
    /// before the reversal goes another way.
    fn reset_if_stalled(&self) -> Result<(), String> {
        let limit = self.host.bounds.stalled;
        let stalled = self.connection.stuck_since().is_some_and(|since| since.elapsed() >= limit);
        let reversals = self.handle.waiting.reversals.load(Ordering::Relaxed) > 0;
        if stalled && reversals {
            Err("stalled with a reversal waiting".to_owned())
        } else {
            Ok(())
        }
    }

    fn on_session(&mut self, effect: SessionEffect) -> Result<(), String> {
        match effect {
            SessionEffect::Send(what) => self.send_network(what),
            SessionEffect::Up => {
                self.on_up();
                Ok(())
            }
            SessionEffect::SignedOff => {
                self.on_signed_off();
                Ok(())
            }
            SessionEffect::Mute => {
                self.set_mute(true);
                Ok(())
            }
            SessionEffect::Speaks => {
                self.set_mute(false);
                Ok(())
            }
            SessionEffect::Proven => {
                self.proven = true;
                Ok(())
            }
            SessionEffect::Down(reason) => Err(reason.name().to_owned()),
        }
    }

    fn on_up(&mut self) {
        let name = self.host.settings.load().name.clone();
        self.leave_standing(&name);
        self.standing = Standing::Up;
        telemetry::link_up(&name, &self.endpoint, true);
        tracing::info!(
            issuer = %name, endpoint = self.endpoint, link = self.id.0, "link to issuer up"
        );
        self.host.inputs.send(Input::LinkUp(name, self.handle.clone()));
    }

    /// Nothing but network management goes out until one side signs on: what waits was never sent (M5).
    fn on_signed_off(&mut self) {
        let name = self.host.settings.load().name.clone();
        tracing::warn!(
            issuer = %name, endpoint = self.endpoint, link = self.id.0,
            "the issuer signed off: no request goes to this link until it signs on again"
        );
        let stays = |receipt: &LinkReceipt| matches!(receipt, LinkReceipt::Network);
        self.paced.retain(|frame| frame.slip.receipt().is_some_and(stays));
        self.connection.withdraw(stays);
        while self.queue.try_recv().is_ok() {}
        self.leave_standing(&name);
        self.standing = Standing::SignedOff;
        telemetry::link_signed_off(&name, &self.endpoint, true);
    }

    /// Takes back what was said of the link.
    fn leave_standing(&mut self, name: &Name) {
        match std::mem::replace(&mut self.standing, Standing::New) {
            Standing::New => {}
            Standing::Up => {
                telemetry::link_up(name, &self.endpoint, false);
                self.host.inputs.send(Input::LinkDown(name.clone(), self.id));
            }
            Standing::SignedOff => telemetry::link_signed_off(name, &self.endpoint, false),
        }
    }

    fn set_mute(&self, mute: bool) {
        if self.handle.mute.swap(mute, Ordering::Relaxed) == mute {
            return;
        }
        let name = self.host.settings.load().name.clone();
        telemetry::link_mute(&name, &self.endpoint, mute);
        if mute {
            tracing::warn!(
                issuer = %name, endpoint = self.endpoint, link = self.id.0,
                "nothing is heard on a link to the issuer: others go before it"
            );
        } else {
            tracing::info!(
                issuer = %name, endpoint = self.endpoint, link = self.id.0,
                "the link to the issuer speaks again"
            );
        }
    }

    fn send_network(&mut self, what: NetworkMessage) -> Result<(), String> {
        self.last_stan = self.last_stan % 999_999 + 1;
        self.asked.retain(|_, asked| *asked != what);
        self.asked.insert(self.last_stan, what);
        let settings = self.host.settings.load_full();
        let directory = self.host.directory.load_full();
        let wall = clock::now().wall;
        let message = issuer::network(&settings, &directory, what, self.last_stan, wall);
        let message = message.ok_or("its dialect has no such network management message")?;
        let bytes = message
            .to_frame(&settings.dialect, settings.framing)
            .map_err(|error| format!("network management cannot be written: {error}"))?;
        self.queue_frame(bytes, Slip::new(LinkReceipt::Network), None);
        Ok(())
    }

    fn on_command(&mut self, command: ToIssuer) -> Result<(), String> {
        // Queued before the driver knew: its slip says that it was never sent.
        if self.standing == Standing::SignedOff {
            return Ok(());
        }
        match command {
            ToIssuer::GoRound { slip } if self.handle.is_mute() => {
                slip.never_sent(NeverSent::Gone);
                return Err("mute while its reversals go another way".to_owned());
            }
            // It spoke meanwhile: the reversal comes again.
            ToIssuer::GoRound { slip } => slip.never_sent(NeverSent::Gone),
            ToIssuer::Forward { ask, id, carried, not_after, slip } => {
                self.forward(&ask, id, &carried, not_after, slip);
            }
            ToIssuer::Reverse { row, repeat, slip } => {
                let settings = self.host.settings.load_full();
                let keys = &self.host.keys;
                let message = match row.kind.on_silence() {
                    OnSilence::Deliver => issuer::advice(&settings, keys, &row, repeat),
                    OnSilence::Reverse | OnSilence::Nothing => {
                        issuer::reversal(&settings, keys, &row, repeat)
                    }
                };
                self.queue_message(message, row.id, slip, None);
            }
        }
        Ok(())
    }

    fn forward(
        &mut self,
        ask: &OpenAsk,
        id: TxnId,
        carried: &[u8],
        not_after: StdInstant,
        slip: Slip<LinkReceipt>,
    ) {
        let settings = self.host.settings.load_full();
        let directory = &ask.desk.directory;
        let message = ask.kind.and_then(|kind| {
            issuer::request(&settings, directory, kind, id, &ask.message, carried)
        });
        self.queue_message(message, id, slip, Some(not_after));
        self.queued_at.insert(id.stan(), clock::mono());
        if self.queued_at.len() > MOST_TIMED {
            self.queued_at.pop_first();
        }
    }

    /// Queues a message, or says that it was never sent.
    fn queue_message(
        &mut self,
        message: Option<Message>,
        id: TxnId,
        slip: Slip<LinkReceipt>,
        not_after: Option<StdInstant>,
    ) {
        let settings = self.host.settings.load();
        let Some(message) = message else {
            tracing::error!(issuer = %settings.name, rrn = id.rrn(), "no message can be made of it");
            return slip.never_sent(NeverSent::Unwritable);
        };
        match message.to_frame(&settings.dialect, settings.framing) {
            Ok(bytes) => {
                drop(settings);
                self.queue_frame(bytes, slip, not_after);
            }
            Err(error) => {
                tracing::error!(issuer = %settings.name, rrn = id.rrn(), %error, "cannot be written");
                slip.never_sent(NeverSent::Unwritable);
            }
        }
    }

    fn queue_frame(
        &mut self,
        bytes: Bytes,
        slip: Slip<LinkReceipt>,
        not_after: Option<StdInstant>,
    ) {
        self.paced.push_back(Outgoing { bytes, slip, not_after });
    }

    /// Moves what has its turn to the socket.
    fn pace(&mut self) {
        self.next_turn = None;
        let per_second = self.host.settings.load().max_per_second;
        while let Some(frame) = self.paced.pop_front() {
            let now = StdInstant::now();
            if frame.not_after.is_some_and(|limit| limit < now) {
                frame.slip.never_sent(NeverSent::TooLate);
                continue;
            }
            if let Err(wait) = self.host.pacer.take(clock::of(now), per_second) {
                self.next_turn = Some(now + wait);
                self.paced.push_front(frame);
                return;
            }
            if let Some(exchange) = frame.slip.receipt().and_then(exchange_of) {
                self.session.handle(clock::of(now), SessionEvent::Asked(exchange));
            }
            self.connection.queue(frame);
        }
    }

    fn on_frame(&mut self, frame: Bytes) {
        let now = clock::mono();
        let settings = self.host.settings.load_full();
        let message = match Message::decode(&settings.dialect, frame) {
            Ok(message) => message,
            Err(error) => {
                let kind = error.kind.name();
                telemetry::issuer_stray(&settings.name, "unreadable");
                if let Some(times) = self.warns(&settings.name, kind) {
                    tracing::warn!(
                        issuer = %settings.name, endpoint = self.endpoint, link = self.id.0, kind,
                        field = error.field, offset = error.offset, times,
                        "a message of the issuer cannot be read"
                    );
                }
                return;
            }
        };
        let mut event = SessionEvent::Heard;
        match issuer::read(&settings, &self.host.keys, &message) {
            FromIssuer::Answer(answer) => {
                if answer.class == Class::Unknown {
                    self.warn_of_code(&settings, &message);
                }
                event = self.on_answer(now, answer);
            }
            FromIssuer::Rejected(answer) => {
                if let Some(times) = self.warns(&settings.name, "rejected") {
                    tracing::warn!(
                        issuer = %settings.name, endpoint = self.endpoint, link = self.id.0,
                        code = answer.code.as_str(), times,
                        "the issuer rejects a request: what became of it is unknown"
                    );
                }
                self.acknowledge(&message);
                event = self.on_answer(now, answer);
            }
            FromIssuer::Network(stan, approved) => match self.asked.remove(&stan) {
                Some(asked) => {
                    if !approved && asked == NetworkMessage::SignOn {
                        self.warn_of_sign_on(&settings, &message);
                    }
                    event = SessionEvent::Answered { message: asked, approved };
                }
                None => telemetry::issuer_stray(&settings.name, "network"),
            },
            FromIssuer::Asked(what) => {
                self.answer_network(&message, what);
                event = match what {
                    NetworkRequest::SignOn => SessionEvent::SignedOn,
                    NetworkRequest::SignOff => SessionEvent::SignedOff,
                    NetworkRequest::Echo
                    | NetworkRequest::CutOver
                    | NetworkRequest::KeyChange
                    | NetworkRequest::Unknown => SessionEvent::Heard,
                };
            }
            FromIssuer::Stray(reason) => {
                telemetry::issuer_stray(&settings.name, reason);
                if let Some(times) = self.warns(&settings.name, reason) {
                    tracing::warn!(
                        issuer = %settings.name, endpoint = self.endpoint, link = self.id.0,
                        mti = %message.mti(), reason = stray(reason), times,
                        "a message of the issuer is dropped"
                    );
                }
            }
        }
        self.session.handle(now, event);
    }

    /// How many times a warning about this line stands for, if it is to be logged now.
    fn warns(&self, issuer: &Name, reason: &'static str) -> Option<u64> {
        warnings::due(&format!("{issuer} {}", self.endpoint), reason)
    }

    /// A code that the dialect does not list counts as silence (M12): somebody must say what it means.
    fn warn_of_code(&self, settings: &IssuerSettings, message: &Message) {
        let Some(code) = message.code() else { return };
        if settings.dialect.meaning(code).is_none()
            && let Some(times) = self.warns(&settings.name, "code")
        {
            tracing::warn!(
                issuer = %settings.name, endpoint = self.endpoint, link = self.id.0,
                code = code.as_str(), dialect = settings.dialect.name(), times,
                "the issuer answers with a code that its dialect does not list"
            );
        }
    }

    fn warn_of_sign_on(&self, settings: &IssuerSettings, message: &Message) {
        let code = message.code().map(|code| code.to_string());
        if let Some(times) = self.warns(&settings.name, "sign-on") {
            tracing::warn!(
                issuer = %settings.name, endpoint = self.endpoint, link = self.id.0, code, times,
                "the issuer refuses the sign-on"
            );
        }
    }

    fn on_answer(&mut self, now: Instant, answer: Box<IssuerAnswer>) -> SessionEvent {
        // A busy line may never need an echo.
        self.proven = true;
        let exchange = answered(&answer);
        if !exchange.reversal
            && let Some(at) = self.queued_at.remove(&exchange.stan)
        {
            self.host.seconds.record(now.since(at));
        }
        if let Ok(place) = Arc::clone(&self.answers).try_acquire_owned() {
            self.host.inputs.send(Input::Answer(Event::Answer(answer), place));
        }
        SessionEvent::Served(exchange)
    }

    /// Answers an administrative message (0620) that it was read.
    fn acknowledge(&mut self, request: &Message) {
        let settings = self.host.settings.load_full();
        let code = settings.dialect.code_for(Cause::Done);
        self.reply(&settings, request, &[7, 11, 37, 41, 42], code);
    }

    /// Answers a message of the issuer's own with a code, repeating elements of it.
    fn reply(&mut self, settings: &IssuerSettings, request: &Message, echoed: &[u8], code: Code) {
        let dialect = &settings.dialect;
        let mut answer = Message::new(request.mti().response());
        for &number in echoed {
            if request.has(number) {
                answer.copy(number, request);
            }
        }
        answer.set_text(39, code.as_str());
        match answer.to_frame(dialect, settings.framing) {
            Ok(bytes) => self.queue_frame(bytes, Slip::new(LinkReceipt::Network), None),
            Err(error) => tracing::debug!(issuer = %settings.name, %error, "not answered"),
        }
    }

    /// The issuer tests the line, signs on or off from its side, or tells of its day. What we do not do is refused: an issuer
    /// that believed us would change a key that we do not have.
    fn answer_network(&mut self, request: &Message, what: NetworkRequest) {
        let settings = self.host.settings.load_full();
        telemetry::issuer_network(&settings.name, what.name());
        let (issuer, link, endpoint) = (&settings.name, self.id.0, &*self.endpoint);
        let done = match what {
            NetworkRequest::Echo | NetworkRequest::SignOn | NetworkRequest::SignOff => true,
            NetworkRequest::CutOver => {
                tracing::info!(
                    %issuer, link, endpoint, "the issuer's business day changes; ours does not move"
                );
                true
            }
            NetworkRequest::KeyChange => {
                tracing::warn!(
                    %issuer, link, endpoint, "a key change of the issuer was refused: this link has no keys"
                );
                false
            }
            NetworkRequest::Unknown => {
                tracing::warn!(
                    %issuer, link, endpoint,
                    "a network management message of the issuer was refused: its code is not in the dialect"
                );
                false
            }
        };
        let dialect = &settings.dialect;
        let row = dialect.kind_of(request).or_else(|| dialect.row(Kind::Echo));
        let code = if done {
            dialect.done_code(request.mti())
        } else {
            dialect.code_for(Cause::NotSupported)
        };
        self.reply(&settings, request, row.map_or(&[][..], |row| &row.echoed), code);
    }
}

/// Why a message of an issuer is dropped, in words.
fn stray(reason: &str) -> &'static str {
    match reason {
        "request" => "it is a request that no issuer sends",
        "stan" => "its trace number (11) is missing, or not that of the transaction that it names",
        "rrn" => "it does not repeat our retrieval reference number (37): see match in the dialect",
        "terminal" => "it does not name the terminal (41): see match in the dialect",
        "transmission time" => {
            "it does not repeat the transmission time (7): see match in the dialect"
        }
        "code" => "it has no response code (39)",
        _ => "it answers nothing of ours",
    }
}

impl Drop for IssuerLink {
    /// Whatever ended it, a panic included: everything queued is told of first, then that the link is down.
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.try_recv().is_ok() {}
        self.paced.clear();
        // Where the node stops in good order the kernel may deliver what it has.
        if self.host.ending.is_cancelled() {
            self.connection.drop_waiting();
        } else {
            self.connection.abandon();
        }
        let name = self.host.settings.load().name.clone();
        if self.handle.is_mute() {
            telemetry::link_mute(&name, &self.endpoint, false);
        }
        self.leave_standing(&name);
    }
}

/// The exchange that a frame begins.
fn exchange_of(receipt: &LinkReceipt) -> Option<Exchange> {
    match receipt {
        LinkReceipt::Request { id, .. } => Some(Exchange { stan: id.stan(), reversal: false }),
        LinkReceipt::Reversal { id, .. } => Some(Exchange { stan: id.stan(), reversal: true }),
        LinkReceipt::Network => None,
    }
}

/// The exchange that an answer ends. An advice goes out as a reversal does, and its answer is one to a request.
fn answered(answer: &IssuerAnswer) -> Exchange {
    let stan = match answer.matched {
        Matched::Number(id) => id.stan(),
        Matched::Trace { stan, sent: _ } => stan,
    };
    Exchange { stan, reversal: answer.to_reversal }
}

fn describe(ended: &Ended) -> String {
    match ended {
        Ended::Broken(error) => format!("connection broken: {error}"),
        Ended::Framing(error) => format!("broken framing: {error}"),
        other => other.to_string(),
    }
}
