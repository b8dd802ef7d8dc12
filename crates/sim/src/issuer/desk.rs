//! Where a message is dealt with: the script says how, the book says what, and the answer is put together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::action::{Action, Outcome, Posting};
use super::book::{Book, now};
use super::host::Host;
use super::incoming::Incoming;
use super::rule::Probe;
use super::script::{Director, Script};
use super::telling::Verdict;
use crate::ledger::LedgerError;
use crate::random::mix_bytes;

/// Book and script, behind one lock: messages are dealt with one at a time, as by a host with one ledger.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) book: Book,
    director: Director,
    /// Where terminals speak to it directly.
    host: Option<Host>,
    started: Instant,
    received: u64,
    shown: BTreeMap<&'static str, u64>,
}

/// What is to be done with a message.
pub(super) struct Decision {
    pub(super) action: Action,
    /// The answer, unless it is to be found when it is due.
    pub(super) verdict: Option<Verdict>,
}

impl Desk {
    pub(super) fn new(book: Book, script: Script, host: Option<Host>) -> Self {
        Self {
            book,
            director: Director::new(script),
            host,
            started: Instant::now(),
            received: 0,
            shown: BTreeMap::new(),
        }
    }

    pub(super) fn set_script(&mut self, script: Script) {
        self.book.holds = script.holds();
        self.director = Director::new(script);
    }

    /// Releases holds whose time is over.
    pub(super) fn expire(&mut self) -> Result<(), LedgerError> {
        self.book.expire(now());
        self.book.flush()
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn shown(&self) -> &BTreeMap<&'static str, u64> {
        &self.shown
    }

    pub(super) fn rule_hits(&self) -> Vec<(String, u64)> {
        self.director.hits().map(|(name, hits)| (name.to_owned(), hits)).collect()
    }

    pub(super) fn flush(&mut self) -> Result<(), LedgerError> {
        self.book.flush()
    }

    /// Decides on a message, and posts what is to be posted now.
    pub(super) fn decide(&mut self, incoming: &Incoming) -> Decision {
        self.received += 1;
        // Copies of what is about the line are not counted: each is drawn for anew.
        let seed = if incoming.is_network() {
            self.received << 1
        } else {
            u64::from(incoming.is_reversal())
        };
        let probe = Probe {
            kind: incoming.kind,
            amount: incoming.amount,
            card: incoming.pan.as_ref().map_or("", |pan| pan.expose()),
            terminal: incoming.terminal.as_str(),
            identity: mix_bytes(seed, incoming.key.as_str().as_bytes()),
            copy: self.book.copies(incoming),
            elapsed: self.started.elapsed(),
        };
        let action = self.director.decide(&probe);
        if action.name != Action::APPROVE.name {
            *self.shown.entry(action.name).or_default() += 1;
            self.book.misbehave(incoming, action.name);
        }
        if incoming.is_network() {
            return Decision { verdict: Some(self.manage(incoming, action.outcome)), action };
        }
        let verdict = match action.posting {
            Posting::Now => Some(self.post(incoming, &action, false)),
            Posting::Then => {
                self.book.receive(incoming);
                None
            }
            Posting::Never => {
                self.book.receive(incoming);
                Some(self.book.pretend(incoming, action.outcome))
            }
        };
        Decision { action, verdict }
    }

    /// Posts a message; `noted` if its arrival was noted before.
    pub(super) fn post(&mut self, incoming: &Incoming, action: &Action, noted: bool) -> Verdict {
        match (incoming.is_reversal(), action.outcome) {
            (true, Outcome::Decline(_)) => {
                if !noted {
                    self.book.receive(incoming);
                }
                self.book.pretend(incoming, action.outcome)
            }
            (true, Outcome::Approve | Outcome::Partial(_)) => {
                let again = self.director.script().reversed_already;
                self.book.reversal(incoming, again, noted)
            }
            (false, outcome) => {
                if let Some(refusal) = self.host.as_mut().and_then(|host| host.admit(incoming)) {
                    return self.book.refusal(incoming, refusal);
                }
                self.book.request(incoming, outcome, noted)
            }
        }
    }

    /// Answers what is about the line or a terminal's day.
    fn manage(&mut self, incoming: &Incoming, outcome: Outcome) -> Verdict {
        let verdict = self.book.pretend(incoming, outcome);
        match &mut self.host {
            Some(host) if outcome == Outcome::Approve => {
                host.manage(incoming, &mut self.book, verdict)
            }
            Some(_) | None => verdict,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
