//! The session of one link to an issuer: sign-on, the echo that tests an idle line, and when the line counts as down.

use std::{collections::VecDeque, time::Duration};

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
}

/// A network management message (0800).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkMessage {
    /// Begins the session (70 = 001).
    SignOn,
    /// Tests the line (70 = 301).
    Echo,
}

/// Something happened on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent {
    /// A message came, of any kind but an answer to a network management message.
    Heard,
    /// Our last message of that kind was answered.
    Answered {
        /// Which.
        message: NetworkMessage,
        /// Whether the answer's code approves.
        approved: bool,
    },
}

/// What the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEffect {
    /// Send the message.
    Send(NetworkMessage),
    /// Requests may be sent from now on.
    Up,
    /// The issuer answered: the next reconnect waits no longer than the first.
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

/// What is true of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SigningOn { until: Instant },
    Up { heard: Instant },
    AwaitingEcho { until: Instant, missed: u32 },
    Down,
}

/// A pure state machine for one connection to an issuer, from connected to closed. Call order as for the engine.
#[derive(Debug)]
pub struct Session {
    policy: SessionPolicy,
    state: State,
    effects: VecDeque<SessionEffect>,
}

impl Session {
    /// The session of a link that has just been connected.
    #[must_use]
    pub fn new(policy: SessionPolicy, now: Instant) -> Self {
        let mut session =
            Self { policy, state: State::Up { heard: now }, effects: VecDeque::new() };
        if policy.sign_on {
            session.state = State::SigningOn { until: now.plus(policy.patience) };
            session.effects.push_back(SessionEffect::Send(NetworkMessage::SignOn));
        } else {
            session.effects.push_back(SessionEffect::Up);
        }
        session
    }

    /// Whether requests may be sent.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::AwaitingEcho { .. })
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, event: SessionEvent) {
        self.handle_timeout(now);
        let answered = match event {
            SessionEvent::Heard => None,
            SessionEvent::Answered { message, approved } => Some((message, approved)),
        };
        self.state = match (self.state, answered) {
            (State::SigningOn { .. }, Some((NetworkMessage::SignOn, true))) => {
                self.effects.extend([SessionEffect::Up, SessionEffect::Proven]);
                State::Up { heard: now }
            }
            (State::SigningOn { .. }, Some((NetworkMessage::SignOn, false))) => {
                self.down(DownReason::SignOnRefused)
            }
            // An issuer that talks before it has signed us on proves nothing.
            (
                state @ State::SigningOn { .. },
                None | Some((NetworkMessage::Echo, true | false)),
            ) => state,
            // An echo proves the line, whatever its code.
            (
                State::Up { .. } | State::AwaitingEcho { .. },
                Some((NetworkMessage::Echo, true | false)),
            ) => {
                self.effects.push_back(SessionEffect::Proven);
                State::Up { heard: now }
            }
            // So does any other message.
            (
                State::Up { .. } | State::AwaitingEcho { .. },
                None | Some((NetworkMessage::SignOn, true | false)),
            ) => State::Up { heard: now },
            (State::Down, _) => State::Down,
        };
    }

    /// Runs what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.state = match self.state {
            State::SigningOn { .. } => self.down(DownReason::SignOnUnanswered),
            State::Up { .. } => self.echo(now, 0),
            State::AwaitingEcho { missed, .. } if missed + 1 < self.policy.misses => {
                self.echo(now, missed + 1)
            }
            State::AwaitingEcho { .. } => self.down(DownReason::EchoUnanswered),
            State::Down => State::Down,
        };
    }

    /// What to do next; none when all is said.
    pub fn poll_effect(&mut self) -> Option<SessionEffect> {
        self.effects.pop_front()
    }

    /// When [`Session::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::SigningOn { until } | State::AwaitingEcho { until, .. } => Some(until),
            State::Up { heard } => Some(heard.plus(self.policy.echo_interval)),
            State::Down => None,
        }
    }

    fn echo(&mut self, now: Instant, missed: u32) -> State {
        self.effects.push_back(SessionEffect::Send(NetworkMessage::Echo));
        State::AwaitingEcho { until: now.plus(self.policy.patience), missed }
    }

    fn down(&mut self, reason: DownReason) -> State {
        self.effects.push_back(SessionEffect::Down(reason));
        State::Down
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
    };

    /// What happens at a second of the session's life.
    enum At {
        Event(u64, SessionEvent),
        Time(u64),
    }

    fn check(policy: SessionPolicy, script: &[At], expected: &[SessionEffect], up: bool) {
        let second = |s: u64| Instant(s * 1_000_000_000);
        let mut session = Session::new(policy, second(0));
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
        use SessionEffect::{Down, Proven, Send, Up};
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
            &[Time(30), Time(35), Event(36, SessionEvent::Heard), Time(65), Time(66)],
            &[Up, Send(Echo), Send(Echo), Send(Echo)],
            true,
        );
        check(
            policy,
            &[Time(30), Time(35), Time(40), Time(100)],
            &[Up, Send(Echo), Send(Echo), Down(DownReason::EchoUnanswered)],
            false,
        );
    }
}
