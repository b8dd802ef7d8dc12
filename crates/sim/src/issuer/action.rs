//! What an issuer does with one message: which outcome, when it is posted, and what the answer looks like.

use std::time::Duration;

use iso8583::Code;

/// One behaviour, as independent axes. The default approves at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// The behaviour's name in script files, counts and the ledger.
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) posting: Posting,
    /// How long after the message the answer is written.
    pub(crate) after: Duration,
    pub(crate) reply: Reply,
}

/// What becomes of the transaction, where nothing else forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Approve,
    Decline(Code),
    /// Approves so many hundredths of the amount, with code 10.
    Partial(u8),
}

/// When accounts change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posting {
    Now,
    /// When the answer is due.
    Then,
    /// The message is as good as lost on its way here.
    Never,
}

/// What the other side gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Plain,
    Nothing,
    /// A second copy so much later.
    Twice(Duration),
    Altered(Altered),
    /// The frame is whole, the message in it is not.
    Malformed,
    /// The connection is closed instead.
    HangUp,
    /// No more is read from the connection for so long.
    StopReading(Duration),
    /// All connections are closed, and new ones refused for so long.
    Refuse(Duration),
}

/// What a wrong answer contradicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Altered {
    Stan,
    Rrn,
    Amount,
    Currency,
    Card,
    Terminal,
}

impl Action {
    /// Approves, or confirms a reversal, at once.
    pub(crate) const APPROVE: Self = Self {
        name: "approve",
        outcome: Outcome::Approve,
        posting: Posting::Now,
        after: Duration::ZERO,
        reply: Reply::Plain,
    };

    pub(crate) const fn decline(code: Code) -> Self {
        Self { name: "decline", outcome: Outcome::Decline(code), ..Self::APPROVE }
    }

    pub(crate) const fn replying(name: &'static str, reply: Reply) -> Self {
        Self { name, reply, ..Self::APPROVE }
    }

    pub(crate) const fn after(name: &'static str, after: Duration) -> Self {
        Self { name, after, ..Self::APPROVE }
    }

    pub(crate) const fn uncharged(self) -> Self {
        Self { posting: Posting::Never, ..self }
    }
}
