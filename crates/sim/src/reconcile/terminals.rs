//! What terminals believe, read from their ledgers.

use std::collections::HashMap;

use super::kinds::{adjusts, direction, kind_name};
use crate::ledger::Line;
use crate::text::Text;

/// Who sent a request, as all three sides know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    pub(super) merchant: Text<15>,
    pub(super) terminal: Text<16>,
    /// Without leading zeros.
    pub(super) stan: Text<12>,
}

impl Sender {
    pub(super) fn new(merchant: &str, terminal: &str, stan: &str) -> Self {
        Self {
            merchant: Text::new(merchant.trim_end()),
            terminal: Text::new(terminal.trim_end()),
            stan: Text::new(stan.trim().trim_start_matches('0')),
        }
    }
}

/// What a terminal takes for true of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    Unknown,
    Approved,
    Declined,
    /// It asked for the reversal, and was told that it is done.
    Reversed,
}

impl Belief {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Reversed => "reversed",
        }
    }
}

/// One request of a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) sender: Sender,
    pub(super) batch: Text<6>,
    pub(super) kind: Text<24>,
    pub(super) belief: Belief,
    pub(super) rrn: Text<12>,
    /// Another RRN that an answer to it had.
    pub(super) other_rrn: Text<12>,
    pub(super) asked: i64,
    pub(super) approved: i64,
    /// Of a changed amount: what was added to the original.
    pub(super) difference: i64,
    /// RRN of the transaction that it is about.
    pub(super) original: Text<12>,
    pub(super) currency: Text<3>,
    pub(super) card: Text<32>,
    /// Whether it was joined to what the others have.
    pub(super) joined: bool,
}

impl Request {
    /// What its approval is worth: of a changed amount the difference.
    pub(super) fn worth(&self) -> i64 {
        if adjusts(self.kind.as_str()) { self.difference } else { self.approved }
    }

    /// What its terminal takes for taken from the card, less than 0 if it was paid.
    pub(super) fn money(&self) -> i64 {
        let approved = self.belief == Belief::Approved;
        if approved { self.worth() * direction(self.kind.as_str()) } else { 0 }
    }
}

/// All requests of all terminals, by sender; a STAN that a terminal used again (in another batch, or for another kind) is
/// another request.
#[derive(Debug, Default)]
pub(super) struct Terminals {
    pub(super) requests: Vec<Request>,
    by_sender: HashMap<Sender, Vec<u32>>,
}

impl Terminals {
    /// Takes one line in. Balance enquiries move no money, and nobody keeps them.
    pub(super) fn add(&mut self, line: &Line<'_>) {
        if line.kind == "balance-enquiry" {
            return;
        }
        let sender = Sender::new(&line.merchant, &line.terminal, &line.stan);
        if sender.terminal.is_empty() || sender.stan.is_empty() {
            return;
        }
        let event = &*line.event;
        if !matches!(event, "sent" | "approved" | "declined" | "unanswered" | "reversed") {
            return;
        }
        let request = self.request(sender, line);
        if !line.rrn.is_empty() && event != "reversed" {
            let rrn = Text::new(&line.rrn);
            if request.rrn.is_empty() {
                request.rrn = rrn;
            } else if request.rrn != rrn {
                request.other_rrn = rrn;
            }
        }
        match event {
            "approved" if request.belief != Belief::Reversed => {
                request.belief = Belief::Approved;
                request.approved = line.amount;
                request.difference = line.difference;
            }
            "declined" if request.belief != Belief::Reversed => request.belief = Belief::Declined,
            "reversed" => request.belief = Belief::Reversed,
            _ => {}
        }
    }

    fn request(&mut self, sender: Sender, line: &Line<'_>) -> &mut Request {
        let kind = kind_name(&line.kind);
        let batch: Text<6> = Text::new(&line.batch);
        let of_sender = self.by_sender.entry(sender).or_default();
        let known = of_sender.iter().copied().find(|at| {
            usize::try_from(*at).ok().and_then(|at| self.requests.get(at)).is_some_and(|request| {
                request.batch == batch && (request.kind == kind || line.kind.is_empty())
            })
        });
        let at = known.unwrap_or_else(|| {
            let at = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
            of_sender.push(at);
            self.requests.push(Request {
                sender,
                batch,
                kind,
                belief: Belief::Unknown,
                rrn: Text::default(),
                other_rrn: Text::default(),
                asked: line.amount,
                approved: 0,
                difference: line.difference,
                original: Text::new(&line.original),
                currency: Text::new(&line.currency),
                card: Text::new(&line.pan_hash),
                joined: false,
            });
            at
        });
        let at = usize::try_from(at).unwrap_or(0);
        self.requests.get_mut(at).expect("an index that was pushed above or before")
    }

    /// Finds the request of a transaction that the switch has, and marks it as joined: of those of the sender the one
    /// with that RRN, else the first that fits and has none.
    pub(super) fn join(
        &mut self,
        sender: &Sender,
        rrn: &str,
        (batch, kind): (&str, &str),
    ) -> Option<Request> {
        let (batch, kind) = (Text::<6>::new(batch), kind_name(kind));
        let of_sender = self.by_sender.get(sender)?;
        let all = || of_sender.iter().filter_map(|at| usize::try_from(*at).ok());
        let fits = |request: &Request| {
            !request.joined
                && request.rrn.is_empty()
                && request.kind == kind
                && (request.batch == batch || request.batch.is_empty() || batch.is_empty())
        };
        let get = |at: &usize| self.requests.get(*at);
        let at = all()
            .find(|at| get(at).is_some_and(|request| request.rrn.as_str() == rrn))
            .or_else(|| all().find(|at| get(at).is_some_and(fits)))?;
        let request = self.requests.get_mut(at)?;
        request.joined = true;
        Some(*request)
    }
}
