//! The session of one link to an issuer: sign-on and sign-off, the echo that tests a silent line, and when the line counts as
//! mute or as down.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::Instant;

/// What a session must know of its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Whether requests may be sent only after an answered sign-on.
    pub sign_on: bool,
    /// An echo is sent when nothing was heard for so long.
    pub echo_interval: Duration,
    /// How long the answer to a sign-on or an echo may take.
    pub patience: Duration,
    /// With so many echoes unanswered in a row, the line is down; at least one.
    pub misses: u32,
    /// With an exchange open, an echo is sent when nothing was heard for so long.
    pub silence: Duration,
    /// A line on which nothing was heard for so long after an echo is mute.
    pub probe: Duration,
    /// An exchange is no longer open after so long: the issuer's `timeout`.
    pub timeout: Duration,
    /// After the issuer signed off, a sign-on of ours is tried so often.
    pub sign_on_again: Duration,
}

/// A network management message (0800).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkMessage {
    /// Begins the session (70 = 001).
    SignOn,
    /// Tests the line (70 = 301).
    Echo,
}

/// A request or a reversal whose answer is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    /// Trace number (11) towards the issuer; of a reversal, its original's.
    pub stan: u32,
    /// A reversal rather than a request.
    pub reversal: bool,
}

/// Something happened on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent {
    /// A message came, of any kind but those below.
    Heard,
    /// Our last message of that kind was answered.
    Answered {
        /// Which.
        message: NetworkMessage,
        /// Whether the answer's code approves.
        approved: bool,
    },
    /// A request or a reversal was given to the socket.
    Asked(Exchange),
    /// Its answer came.
    Served(Exchange),
    /// The issuer signed off from its side (70 = 002).
    SignedOff,
    /// The issuer signed on from its side (70 = 001).
    SignedOn,
}

/// What the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEffect {
    /// Send the message.
    Send(NetworkMessage),
    /// Requests may be sent from now on.
    Up,
    /// The issuer signed off: nothing but network management is sent until `Up`.
    SignedOff,
    /// Nothing is heard: other lines go before this one until `Speaks`.
    Mute,
    /// Something was heard again on a mute line.
    Speaks,
    /// The issuer answered a sign-on or an echo.
    Proven,
    /// Close the link and connect again after a while.
    Down(DownReason),
}

/// Why a session ended from within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// The sign-on was not answered in time.
    SignOnUnanswered,
    /// The sign-on was refused.
    SignOnRefused,
    /// Echoes were not answered.
    EchoUnanswered,
}

impl DownReason {
    /// The reason in words, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignOnUnanswered => "the sign-on was not answered",
            Self::SignOnRefused => "the sign-on was refused",
            Self::EchoUnanswered => "echoes were not answered",
        }
    }
}

/// What is true of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SigningOn {
        until: Instant,
    },
    Up {
        heard: Instant,
    },
    AwaitingEcho {
        sent: Instant,
        missed: u32,
        mute: bool,
    },
    /// `asked`: our sign-on (or echo, where we do not sign on) is out; `due`: when it is late, or when it goes out.
    SignedOff {
        due: Instant,
        asked: bool,
        missed: u32,
    },
    Down,
}

/// Most open exchanges that are remembered.
const MOST_OPEN: usize = 10_000;

/// A pure state machine for one connection to an issuer, from connected to closed. Call order as for the engine.
#[derive(Debug)]
pub struct Session {
    policy: SessionPolicy,
    state: State,
    /// Exchanges without an answer, with when they began.
    open: BTreeMap<Exchange, Instant>,
    /// Since when there is an open exchange without a break.
    open_since: Instant,
    effects: VecDeque<SessionEffect>,
}

impl Session {
    /// The session of a link that has just been connected. A `suspect` follows a line that was mute to its end: where no
    /// sign-on proves it, it counts as mute until it speaks.
    #[must_use]
    pub fn new(policy: SessionPolicy, now: Instant, suspect: bool) -> Self {
        let mut session = Self {
            policy,
            state: State::Up { heard: now },
            open: BTreeMap::new(),
            open_since: now,
            effects: VecDeque::new(),
        };
        if policy.sign_on {
            session.state = State::SigningOn { until: now.plus(policy.patience) };
            session.effects.push_back(SessionEffect::Send(NetworkMessage::SignOn));
        } else {
            session.effects.push_back(SessionEffect::Up);
            if suspect {
                session.effects.push_back(SessionEffect::Mute);
                session.state = session.echo(now, 0, true);
            }
        }
        session
    }

    /// Whether requests may be sent.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::AwaitingEcho { .. })
    }

    /// Whether nothing is heard although an echo was sent.
    #[must_use]
    pub const fn is_mute(&self) -> bool {
        matches!(self.state, State::AwaitingEcho { mute: true, .. })
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, event: SessionEvent) {
        self.handle_timeout(now);
        match event {
            SessionEvent::Asked(exchange) => self.on_asked(now, exchange),
            SessionEvent::Served(exchange) => {
                self.open.remove(&exchange);
                self.on_heard(now);
            }
            SessionEvent::Heard => self.on_heard(now),
            SessionEvent::SignedOff => self.on_signed_off(now),
            SessionEvent::SignedOn => match self.state {
                State::SignedOff { .. } => self.up(now),
                // An issuer that talks before it has signed us on proves nothing.
                State::SigningOn { .. }
                | State::Up { .. }
                | State::AwaitingEcho { .. }
                | State::Down => self.on_heard(now),
            },
            SessionEvent::Answered { message: NetworkMessage::SignOn, approved } => {
                self.on_sign_on_answered(now, approved);
            }
            SessionEvent::Answered { message: NetworkMessage::Echo, approved: true | false } => {
                // An echo proves the line, whatever its code.
                if self.is_up() {
                    self.effects.push_back(SessionEffect::Proven);
                }
                self.on_heard(now);
            }
        }
    }

    fn on_asked(&mut self, now: Instant, exchange: Exchange) {
        if self.open.is_empty() {
            self.open_since = now;
        }
        self.open.insert(exchange, now);
        if self.open.len() > MOST_OPEN {
            self.open.pop_first();
        }
    }

    /// Something came: the line speaks.
    fn on_heard(&mut self, now: Instant) {
        self.state = match self.state {
            State::AwaitingEcho { mute, .. } => {
                if mute {
                    self.effects.push_back(SessionEffect::Speaks);
                }
                State::Up { heard: now }
            }
            State::Up { .. } => State::Up { heard: now },
            State::SignedOff { .. } if !self.policy.sign_on => self.signed_off(now),
            State::SignedOff { due, asked, missed: _ } => {
                State::SignedOff { due, asked, missed: 0 }
            }
            state @ (State::SigningOn { .. } | State::Down) => state,
        };
    }

    fn on_sign_on_answered(&mut self, now: Instant, approved: bool) {
        match (self.state, approved) {
            (State::SigningOn { .. } | State::SignedOff { .. }, true) => {
                self.up(now);
                self.effects.push_back(SessionEffect::Proven);
            }
            (State::SigningOn { .. }, false) => self.down(DownReason::SignOnRefused),
            (State::SignedOff { .. }, false) => self.state = self.signed_off(now),
            (State::Up { .. } | State::AwaitingEcho { .. } | State::Down, true | false) => {
                self.on_heard(now);
            }
        }
    }

    fn on_signed_off(&mut self, now: Instant) {
        match self.state {
            State::Up { .. } | State::AwaitingEcho { .. } | State::SigningOn { .. } => {
                if self.is_mute() {
                    self.effects.push_back(SessionEffect::Speaks);
                }
                self.effects.push_back(SessionEffect::SignedOff);
                self.state = self.signed_off(now);
            }
            State::SignedOff { .. } => self.on_heard(now),
            State::Down => {}
        }
    }

    /// Runs what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        match self.state {
            State::SigningOn { .. } => self.down(DownReason::SignOnUnanswered),
            State::Up { heard } => self.on_silence(now, heard),
            State::AwaitingEcho { sent, missed, mute } => {
                if sent.plus(self.policy.patience) > now {
                    self.effects.push_back(SessionEffect::Mute);
                    self.state = State::AwaitingEcho { sent, missed, mute: true };
                } else if missed + 1 < self.policy.misses {
                    self.state = self.echo(now, missed + 1, mute);
                } else {
                    self.down(DownReason::EchoUnanswered);
                }
            }
            State::SignedOff { asked, missed, .. } => self.on_signed_off_due(now, asked, missed),
            State::Down => {}
        }
    }

    /// Nothing was heard for too long: an echo, unless what was open has only run out of time.
    fn on_silence(&mut self, now: Instant, heard: Instant) {
        let timeout = self.policy.timeout;
        self.open.retain(|_, begun| now.since(*begun) < timeout);
        if self.quiet_until(heard) <= now {
            self.state = self.echo(now, 0, false);
        }
    }

    /// An issuer that signed off is asked to sign us on from time to time; where we do not sign on, an echo shows that the
    /// line is still there.
    fn on_signed_off_due(&mut self, now: Instant, asked: bool, missed: u32) {
        let (message, reason) = if self.policy.sign_on {
            (NetworkMessage::SignOn, DownReason::SignOnUnanswered)
        } else {
            (NetworkMessage::Echo, DownReason::EchoUnanswered)
        };
        if !asked {
            self.effects.push_back(SessionEffect::Send(message));
            let due = now.plus(self.policy.patience);
            self.state = State::SignedOff { due, asked: true, missed };
        } else if missed + 1 < self.policy.misses {
            let due = now.plus(self.signed_off_wait());
            self.state = State::SignedOff { due, asked: false, missed: missed + 1 };
        } else {
            self.down(reason);
        }
    }

    /// What to do next; none when all is said.
    pub fn poll_effect(&mut self) -> Option<SessionEffect> {
        self.effects.pop_front()
    }

    /// When [`Session::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::SigningOn { until } | State::SignedOff { due: until, .. } => Some(until),
            State::AwaitingEcho { sent, mute, .. } => {
                let late = sent.plus(self.policy.patience);
                Some(if mute { late } else { late.min(sent.plus(self.policy.probe)) })
            }
            State::Up { heard } => Some(self.quiet_until(heard)),
            State::Down => None,
        }
    }

    /// When an echo is due on a line on which something was heard at `heard`: sooner while an exchange is open. Its silence
    /// counts from when it began, or a line that was idle would be tested at each request.
    fn quiet_until(&self, heard: Instant) -> Instant {
        let idle = heard.plus(self.policy.echo_interval);
        if self.open.is_empty() {
            return idle;
        }
        idle.min(heard.max(self.open_since).plus(self.policy.silence))
    }

    const fn signed_off_wait(&self) -> Duration {
        if self.policy.sign_on { self.policy.sign_on_again } else { self.policy.echo_interval }
    }

    fn signed_off(&self, now: Instant) -> State {
        State::SignedOff { due: now.plus(self.signed_off_wait()), asked: false, missed: 0 }
    }

    fn up(&mut self, now: Instant) {
        self.effects.push_back(SessionEffect::Up);
        self.open.clear();
        self.state = State::Up { heard: now };
    }

    fn echo(&mut self, now: Instant, missed: u32, mute: bool) -> State {
        self.effects.push_back(SessionEffect::Send(NetworkMessage::Echo));
        State::AwaitingEcho { sent: now, missed, mute }
    }

    fn down(&mut self, reason: DownReason) {
        self.effects.push_back(SessionEffect::Down(reason));
        self.state = State::Down;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: SessionPolicy = SessionPolicy {
        sign_on: true,
        echo_interval: Duration::from_secs(30),
        patience: Duration::from_secs(5),
        misses: 2,
        silence: Duration::from_secs(3),
        probe: Duration::from_secs(2),
        timeout: Duration::from_secs(15),
        sign_on_again: Duration::from_secs(10),
    };

    /// What happens at a second of the session's life.
    enum At {
        Event(u64, SessionEvent),
        Time(u64),
    }

    fn check(policy: SessionPolicy, script: &[At], expected: &[SessionEffect], up: bool) {
        let second = |s: u64| Instant(s * 1_000_000_000);
        let mut session = Session::new(policy, second(0), false);
        for at in script {
            match at {
                At::Event(s, event) => session.handle(second(*s), *event),
                At::Time(s) => session.handle_timeout(second(*s)),
            }
        }
        let effects: Vec<_> = std::iter::from_fn(|| session.poll_effect()).collect();
        assert_eq!(effects, expected);
        assert_eq!(session.is_up(), up);
    }

    const fn answered(message: NetworkMessage, approved: bool) -> SessionEvent {
        SessionEvent::Answered { message, approved }
    }

    #[test]
    fn sign_on_opens_the_line_or_ends_it() {
        use At::{Event, Time};
        use NetworkMessage::{Echo, SignOn};
        use SessionEffect::{Down, Proven, Send, Up};
        check(POLICY, &[], &[Send(SignOn)], false);
        check(POLICY, &[Event(1, answered(SignOn, true))], &[Send(SignOn), Up, Proven], true);
        check(
            POLICY,
            &[Event(1, answered(SignOn, false)), Event(2, SessionEvent::Heard)],
            &[Send(SignOn), Down(DownReason::SignOnRefused)],
            false,
        );
        check(
            POLICY,
            &[Event(1, SessionEvent::Heard), Event(2, answered(Echo, true)), Time(4)],
            &[Send(SignOn)],
            false,
        );
        // An answer after its time is none.
        check(
            POLICY,
            &[Event(5, answered(SignOn, true))],
            &[Send(SignOn), Down(DownReason::SignOnUnanswered)],
            false,
        );
        check(SessionPolicy { sign_on: false, ..POLICY }, &[], &[Up], true);
    }

    #[test]
    fn an_idle_line_is_tested_and_a_dead_one_ends() {
        use At::{Event, Time};
        use NetworkMessage::Echo;
        use SessionEffect::{Down, Mute, Proven, Send, Speaks, Up};
        let policy = SessionPolicy { sign_on: false, ..POLICY };
        check(policy, &[Event(20, SessionEvent::Heard), Time(49)], &[Up], true);
        check(policy, &[Time(30)], &[Up, Send(Echo)], true);
        check(
            policy,
            &[Time(30), Event(31, answered(Echo, true)), Time(60)],
            &[Up, Send(Echo), Proven],
            true,
        );
        check(
            policy,
            &[Time(30), Time(32), Time(35), Event(36, SessionEvent::Heard), Time(65), Time(66)],
            &[Up, Send(Echo), Mute, Send(Echo), Speaks, Send(Echo)],
            true,
        );
        check(
            policy,
            &[Time(30), Time(35), Time(40), Time(100)],
            &[Up, Send(Echo), Send(Echo), Down(DownReason::EchoUnanswered)],
            false,
        );
    }

    const fn exchange(stan: u32) -> Exchange {
        Exchange { stan, reversal: false }
    }

    #[test]
    fn a_line_that_is_silent_over_an_open_request_is_tested_at_once() {
        use At::{Event, Time};
        use NetworkMessage::Echo;
        use SessionEffect::{Down, Mute, Proven, Send, Speaks, Up};
        let policy = SessionPolicy { sign_on: false, ..POLICY };
        let asked = |at, stan| Event(at, SessionEvent::Asked(exchange(stan)));
        let served = |at, stan| Event(at, SessionEvent::Served(exchange(stan)));
        // Five seconds after the first request nobody answers, the line is mute; it ends as an idle one does.
        check(
            policy,
            &[asked(20, 1), Time(22), Time(23), asked(24, 2), Time(25), Time(28), Time(33)],
            &[Up, Send(Echo), Mute, Send(Echo), Down(DownReason::EchoUnanswered)],
            false,
        );
        // Silence counts from when the request began, or from what was heard last.
        check(policy, &[asked(20, 1), served(22, 1), Time(26)], &[Up], true);
        check(
            policy,
            &[asked(20, 1), asked(21, 2), served(22, 1), Time(24), Time(25)],
            &[Up, Send(Echo)],
            true,
        );
        // What ran out of time is no longer open.
        check(
            SessionPolicy { timeout: Duration::from_secs(2), ..policy },
            &[asked(20, 1), Time(23), Time(29)],
            &[Up],
            true,
        );
        // A slow host that answers echoes is not mute, and anything at all makes a mute line speak.
        check(
            policy,
            &[asked(1, 1), Time(4), Event(5, answered(Echo, true)), Time(7), Time(8)],
            &[Up, Send(Echo), Proven, Send(Echo)],
            true,
        );
        check(
            policy,
            &[asked(1, 1), Time(4), Time(6), served(7, 1), Time(20)],
            &[Up, Send(Echo), Mute, Speaks],
            true,
        );
    }

    #[test]
    fn a_line_that_follows_a_mute_one_must_speak_first() {
        let policy = SessionPolicy { sign_on: false, ..POLICY };
        let second = |s: u64| Instant(s * 1_000_000_000);
        let mut session = Session::new(policy, second(0), true);
        assert!(session.is_up() && session.is_mute());
        let effects: Vec<_> = std::iter::from_fn(|| session.poll_effect()).collect();
        let echo = SessionEffect::Send(NetworkMessage::Echo);
        assert_eq!(effects, [SessionEffect::Up, SessionEffect::Mute, echo]);
        session.handle(second(1), answered(NetworkMessage::Echo, true));
        assert!(session.is_up() && !session.is_mute());
        assert!(!Session::new(POLICY, second(0), true).is_up(), "a sign-on proves it");
    }

    #[test]
    fn an_issuer_that_signs_off_gets_nothing_until_one_side_signs_on() {
        use At::{Event, Time};
        use NetworkMessage::{Echo, SignOn};
        use SessionEffect::{Down, Mute, Proven, Send, SignedOff, Speaks, Up};
        let up = || Event(1, answered(SignOn, true));
        let off = |at| Event(at, SessionEvent::SignedOff);
        let on = |at| Event(at, SessionEvent::SignedOn);
        let begun = [Send(SignOn), Up, Proven];
        let expect = |rest: &[SessionEffect]| [&begun, rest].concat();
        check(POLICY, &[up(), off(2), off(3), Time(11)], &expect(&[SignedOff]), false);
        check(POLICY, &[up(), off(2), on(4), on(5)], &expect(&[SignedOff, Up]), true);
        // Nothing else that it says is a sign-on.
        check(
            POLICY,
            &[up(), off(2), Event(3, SessionEvent::Heard), Event(4, answered(Echo, true))],
            &expect(&[SignedOff]),
            false,
        );
        // Ours is tried after a while, and again where it is refused or not answered.
        check(
            POLICY,
            &[up(), off(2), Time(12), Event(13, answered(SignOn, true))],
            &expect(&[SignedOff, Send(SignOn), Up, Proven]),
            true,
        );
        check(
            POLICY,
            &[up(), off(2), Time(12), Event(13, answered(SignOn, false)), Time(22), Time(23)],
            &expect(&[SignedOff, Send(SignOn), Send(SignOn)]),
            false,
        );
        check(
            POLICY,
            &[up(), off(2), Time(12), Time(17), Time(27), Time(32)],
            &expect(&[SignedOff, Send(SignOn), Send(SignOn), Down(DownReason::SignOnUnanswered)]),
            false,
        );
        // Where we do not sign on, the issuer must; an echo shows that the line is there.
        let policy = SessionPolicy { sign_on: false, ..POLICY };
        check(
            policy,
            &[off(2), Time(32), Event(33, answered(Echo, true)), Time(63), Time(68), Time(98)],
            &[Up, SignedOff, Send(Echo), Send(Echo), Send(Echo)],
            false,
        );
        // A sign-off in place of the answer to ours counts too; a mute line that signs off has spoken.
        check(POLICY, &[off(2), on(3)], &[Send(SignOn), SignedOff, Up], true);
        check(
            policy,
            &[Event(1, SessionEvent::Asked(exchange(1))), Time(4), Time(6), off(7)],
            &[Up, Send(Echo), Mute, Speaks, SignedOff],
            false,
        );
    }
}
